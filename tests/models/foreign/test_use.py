"""Other projects' models in the package's own forms: upscaled by tiles, exported, as weights of this package."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix
from noise import write_noise

import srgan_tf
from srgan_tf.cli.main import program
from srgan_tf.data.levels import to_levels
from srgan_tf.errors import WeightsError
from srgan_tf.export import bundle, parity, saved_model, tflite
from srgan_tf.inference.loading import load_runner
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.models import foreign, weights
from srgan_tf.models.context import LARGE, measure_context
from srgan_tf.models.foreign import checkpoint
from srgan_tf.models.rrdb import RRDB

DATA = Path(__file__).parent / "data"
EXPECTED = np.load(DATA / "expected.npz")
LR = EXPECTED["lr"]
OFTEN = ("real-esrgan-x2.pth", "span-x4.pth", "compact-x1.pth", "esrgan-plus-x4.safetensors", "msrresnet-x3.pth")


@pytest.fixture
def few_photographs(monkeypatch):
    for module in (parity, tflite):
        few = lambda *which, photographs=module.photographs: photographs(*which)[:2]  # noqa: E731
        monkeypatch.setattr(module, "photographs", few)


@pytest.mark.parametrize("name", ["real-esrgan-x2.pth", "real-esrgan-x1.pth", "compact-x4.pth", "span-x4.pth"])
def test_upscaling_is_the_models_own(name):
    """No back-projection by default, and odd sizes as spandrel pads them."""
    sr = Upscaler(DATA / name, precision="float32")(LR).astype(int)
    assert np.abs(sr - to_levels(EXPECTED[name].astype(np.float32))).max() <= 1
    projected = Upscaler(DATA / name, precision="float32", back_projection="full")(LR).astype(int)
    assert np.abs(sr - projected).max() > 3


@pytest.mark.parametrize("name", ["real-esrgan-x2.pth", "real-esrgan-x1.pth"])
@pytest.mark.parametrize("side", [160, 163])
def test_tiles_of_unshuffled_networks_give_the_whole(name, side, monkeypatch):
    upscaler = Upscaler(DATA / name, precision="float32")
    photo = np.random.default_rng(3).integers(0, 256, (side, side + 2, 3), np.uint8)
    whole = upscaler(photo).astype(int)
    monkeypatch.setattr(Pipeline, "tile_size", lambda self, *_: (2 * self.overlap + 17, 2 * self.overlap + 22))
    assert np.abs(upscaler(photo).astype(int) - whole).max() <= 1


@pytest.mark.matrix
def test_a_saved_model_cuts_unshuffled_networks_at_whole_blocks(tmp_path, monkeypatch):
    generator = weights.load(DATA / "real-esrgan-x2.pth")
    monkeypatch.setattr(saved_model, "TILE", 2 * generator.context + 23)
    path = saved_model.write(generator, tmp_path)
    lr = np.random.default_rng(3).integers(0, 256, (1, 144, 146, 3), np.uint8)
    assert np.abs(load_runner(path)(lr).astype(int) - load_runner(generator)(lr)).max() <= 1


@pytest.mark.parametrize("name", matrix([*OFTEN, "edsr-x4.pth", "swift-srgan-x4.pth"]))
def test_every_kind_is_exported(name, tmp_path, few_photographs, monkeypatch):
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    monkeypatch.setattr(bundle, "timed", lambda rows, *_: rows)
    monkeypatch.setattr(bundle, "tiles", lambda *_: "")
    kinds = ("saved_model", "float32", "float16", "engine", "int8", "web", "npz")
    rows = bundle.export(DATA / name, tmp_path, kinds, [48])
    assert len(rows) == len(kinds)
    engine = load_runner(tmp_path / "engine.tflite", "float32")
    assert (engine.info.degradation, engine.info.tile_multiple) == ("unknown", 2 if "x2" in name else 1)
    sr, wanted = Upscaler(engine)(LR).astype(int), to_levels(EXPECTED[name].astype(np.float32)).astype(int)
    assert np.abs(sr - wanted).max() <= 2
    ours = srgan_tf.load(tmp_path / f"{Path(name).stem}.npz")
    theirs = weights.load(DATA / name)
    assert (ours.degradation, ours.architecture()) == ("unknown", theirs.architecture())


def test_exports_keep_licence_and_origin(tmp_path, few_photographs, monkeypatch):
    monkeypatch.setattr(bundle, "timed", lambda rows, *_: rows)
    kinds, terms = ("saved_model", "engine", "web", "npz"), {"licence": "CC-BY-4.0", "origin": "https://example.org/4x"}
    bundle.export(DATA / "compact-x4.pth", tmp_path, kinds, **terms)
    engine = (tmp_path / "engine.tflite").read_bytes()
    infos = [ModelInfo.from_tflite(engine), ModelInfo.from_saved_model(tmp_path / "saved_model" / "1")]
    for info in infos:
        assert (info.architecture, info.licence, info.origin) == ("SRVGG", *terms.values())
    assert b"CC-BY-4.0" in engine.replace(json.dumps(infos[0].to_dict()).encode(), b"")  # for other tools
    description = json.loads((tmp_path / "web" / "compact-x4.json").read_text())
    assert terms.items() <= description.items()
    ours = srgan_tf.load(tmp_path / "compact-x4.npz")
    assert (ours.licence, ours.origin) == tuple(terms.values())
    half = weights.blend(ours, weights.load(DATA / "compact-x4.pth"), 0.5)
    assert (half.licence, half.origin) == ("CC-BY-4.0", "https://example.org/4x")


def test_two_files_blend(tmp_path):
    """As realesr-general-x4v3 and its denoising pair do by --strength; without back-projection either."""
    first, second = DATA / "compact-x4.pth", tmp_path / "second.npz"
    other = weights.load(first)
    other.set_arrays({name: 0.9 * array for name, array in other.get_arrays().items()})
    weights.save_weights(other, second)
    upscaler = Upscaler((first, second), precision="float32", strength=0.5)
    between = Upscaler(weights.blend(weights.load(first), other, 0.5), precision="float32", back_projection="none")
    np.testing.assert_array_equal(upscaler(LR), between(LR))


def test_upscale_takes_it_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photo = next(Path(write_noise(tmp_path / "data", side=24)).iterdir())
    monkeypatch.setattr("sys.argv", ["srgan-tf", "upscale"])
    flags = [str(photo), f"--weights={DATA / 'compact-x4.pth'}", f"--output={tmp_path / 'out.png'}"]
    command = program("upscale")
    command.main(*command.parse(flags))
    lr, sr = (tf.io.decode_png(path.read_bytes()).shape for path in (photo, tmp_path / "out.png"))
    assert sr == (4 * lr[0], 4 * lr[1], 3)


def test_the_large_edsr_scales_its_residuals(monkeypatch):
    """As BasicSR's options do, not its files: by 0.1 for 256 channels."""
    as_it_is = foreign.read(DATA / "edsr-x4.pth")[1]
    monkeypatch.setattr(foreign.edsr, "_WIDE", 8)
    scaled = foreign.read(DATA / "edsr-x4.pth")[1]
    for name, array in scaled.items():
        factor = 0.1 if "conv2" in name else 1
        np.testing.assert_allclose(array, factor * as_it_is[name], rtol=1e-6)


def test_swift_srgan_is_published_as_tar(tmp_path):
    shutil.copy(DATA / "swift-srgan-x4.pth", tmp_path / "swift_srgan_4x.pth.tar")
    generator = srgan_tf.load(tmp_path / "swift_srgan_4x.pth.tar")
    assert isinstance(generator, srgan_tf.Generator) and generator.output_activation == "tanh"


@pytest.mark.parametrize("name", ["edsr-x4.pth", "msrresnet-x4.pth", "swift-srgan-x4.pth"])
def test_a_layer_that_is_missing_or_misshapen_is_one_line(name, monkeypatch):
    state = checkpoint.read_state(DATA / name)
    lost = next(one for one in state if "block2" in one or "body.1.conv2" in one)
    for change in ({}, {lost: state[next(iter(state))]}):
        broken = {one: tensor for one, tensor in state.items() if one != lost} | change
        monkeypatch.setattr(foreign, "read_state", lambda path, broken=broken: broken)
        with pytest.raises(WeightsError, match=f"^{DATA / name}: ") as raised:
            weights.load(DATA / name)
        assert "\n" not in str(raised.value)


def test_fine_tuning_starts_from_it():
    """The weights of a recipe's generator of the same size, whose training LR is known again."""
    from srgan_tf.training import build
    from srgan_tf.training.recipes import Recipe

    recipe = Recipe("tiny", 1, generator="srvgg", blocks=3, channels=8, batch_norm=False, pixel="mae")
    model = build.build(recipe, DATA / "compact-x4.pth")
    start = weights.load(DATA / "compact-x4.pth").get_arrays()
    assert model.generator.degradation == "bicubic"
    for name, array in model.generator.get_arrays().items():
        np.testing.assert_array_equal(array, start[name])


def test_of_a_large_receptive_field_the_part_that_counts_is_taken():
    generator = RRDB(blocks=5, channels=4, growth=2)
    assert generator.receptive_field > LARGE > generator.context == measure_context(generator)


@pytest.mark.parametrize(("reach", "context"), [(5, 16), (40, 48), (64, 64), (65, 80), (120, 128)])
def test_the_context_measured_is_the_least_that_is_enough(reach, context):
    class Blur:
        scale = 1

        def __call__(self, lr, training):
            return tf.nn.avg_pool2d(lr, [1, 2 * reach + 1], 1, "SAME")

    assert measure_context(Blur()) == context
