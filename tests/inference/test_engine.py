"""The LiteRT engine makes what TensorFlow makes, without TensorFlow, of files that fit the weights beside them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import matrix

from srgan_tf import machine
from srgan_tf.data import bicubic, cubic
from srgan_tf.data.bundled import PHOTOS, photographs
from srgan_tf.data.levels import to_levels
from srgan_tf.errors import WeightsError
from srgan_tf.export import tflite
from srgan_tf.inference import litert
from srgan_tf.inference.compiled import SparingPart
from srgan_tf.inference.litert import EngineRunner
from srgan_tf.inference.loading import choose_engine, load_blend, load_runner
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.io import images
from srgan_tf.models import weights
from srgan_tf.models.rrdb import RRDB
from srgan_tf.models.srresnet import Generator


def pictures(side: int = 64) -> list[np.ndarray]:
    return [to_levels(lr) for lr in photographs("heldout", 4, side)]


def apart(made, wanted) -> tuple[int, float]:
    """The largest difference of 255, and the dB between two pictures."""
    error = np.abs(np.asarray(made, int) - wanted)
    return error.max(), 10 * np.log10(255**2 / max(np.square(error).mean(), 1e-9))


@pytest.mark.parametrize("name", matrix(weights.shipped(), "compact"))
def test_shipped_weights_by_both_engines(name, monkeypatch):
    monkeypatch.setattr(machine, "has_int8", lambda: True)
    exact, rounded = (load_runner(name, precision, "litert") for precision in ("float32", "auto"))
    keras = load_runner(name, "float32", "tensorflow")
    assert (rounded.scale, rounded.info.degradation) == (keras.scale, keras.info.degradation)
    assert exact.context == keras.context and exact.precision == "float32"
    for lr in pictures():
        wanted = keras(lr)
        assert apart(exact(lr), wanted)[0] <= 1
        largest, decibels = apart(rounded(lr), wanted)
        # The LPIPS of these stays within .001 on Set5 and Set14 (the cards).
        most, least = (16, 44) if name in ("fast", "fast-real") else (12, 45)
        assert largest <= most and decibels >= least


def test_a_sparing_trunk_gives_the_same(monkeypatch, capfd):
    """As of networks with many convolutions, whose pointers would fill the memory; tile sizes come and go."""
    rng = np.random.default_rng(0)
    for generator in (RRDB(2, 8, 4), RRDB(1, 8, 4, 2, unshuffle=2), Generator(2, 8)):
        content = tflite.convert(generator, "engine")
        usual = EngineRunner(content, "usual")
        monkeypatch.setattr(litert, "POINTERS", 0)
        sparing = EngineRunner(content, "sparing")
        monkeypatch.undo()
        monkeypatch.setattr(litert, "FEW", 24 * 30 * sparing._pointers)  # the first tile has fewer
        assert sparing.bytes_per_pixel < usual.bytes_per_pixel
        for side in (16, 32, 48, 32):
            lr = rng.random((1, side, side + 4, 3), np.float32)
            wanted = usual(lr)
            np.testing.assert_allclose(sparing(lr), wanted, atol=1e-5)
            assert isinstance(sparing._parts[0], SparingPart) == (side > 16)
    assert "INFO:" not in capfd.readouterr().err  # its log stays out of people's


def test_few_pixels_are_computed_again_and_again():
    """Real-ESRGAN x4plus, whose tiles overlap by 80 px, took 264 tiles of 176 px for this picture."""
    runner = EngineRunner(tflite.convert(RRDB(1, 8), "engine"), "large")
    runner.tile_overlap = 80
    for bytes_per_pixel, most in ((3_700, 2), (30_000, 9)):  # as it runs, and in another form
        runner.bytes_per_pixel = bytes_per_pixel
        pipeline = Pipeline(runner, 4)
        tall, wide = pipeline.tile_size(339, 510)
        assert pipeline.num_tiles(339, 510) * min(tall, 339) * min(wide, 510) < most * 339 * 510


@pytest.mark.parametrize("name", weights.shipped())
def test_engine_files_fit_the_weights_beside_them(name):
    info = ModelInfo.from_tflite(weights.read_shipped(name, ".tflite"))
    assert info.kind == "engine"
    assert info.weights == hashlib.sha256((weights.PRETRAINED / f"{name}.npz").read_bytes()).hexdigest()


@pytest.mark.parametrize("pair", [("fast", "fast-real"), pytest.param(("srresnet", "srgan"), marks=pytest.mark.matrix)])
def test_a_blend_of_files_is_the_blend_of_weights(pair):
    by_lite, by_keras = (load_blend(*pair, 0.3, "float32", engine) for engine in ("litert", "tensorflow"))
    assert isinstance(by_lite, EngineRunner)
    for lr in pictures():
        assert apart(by_lite(lr), by_keras(lr))[0] <= 1


def test_what_does_not_blend_is_told():
    with pytest.raises(WeightsError, match="different architecture"):
        load_blend("srgan", "compact", 0.5, engine="litert")
    with pytest.raises(WeightsError, match="in \\[0, 1\\]"):
        load_blend("srgan", "srresnet", 1.5, engine="litert")


def in_tiles(upscaler, picture, monkeypatch) -> np.ndarray:
    pipeline = upscaler.resolve(picture)
    side = 2 * pipeline.overlap + 40
    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "tile_size", lambda *_: (side, side))
        return pipeline(picture)


@pytest.mark.parametrize("back_projection", matrix(["full", "colour"], "full"))
@pytest.mark.parametrize("precision", matrix(["auto", "float32"], "auto"))
@pytest.mark.parametrize("name", matrix(["srgan", "compact"], "compact"))
def test_tiles_are_the_whole(name, precision, back_projection, monkeypatch):
    monkeypatch.setattr(machine, "has_int8", lambda: True)
    picture = images.read(PHOTOS / "heldout" / "coffee.jpg")[:150, :170]
    upscaler = Upscaler(name, precision=precision, engine="litert", back_projection=back_projection)
    whole = upscaler(picture)
    largest, decibels = apart(in_tiles(upscaler, picture, monkeypatch), whole)
    # 8-bit weights: what a tile's convolutions read is rounded in the range of that tile.
    assert (largest <= 1) if precision == "float32" else (largest <= 10 and decibels >= 48)


@pytest.mark.parametrize("back_projection", matrix(["full", "colour"]))
def test_sixteen_bits_see_the_whole_receptive_field_and_eight_what_is_enough(back_projection, monkeypatch):
    """On noise, of which networks see furthest: 8 px around are 300 to 2,200 of 65,535 off, 12 px 45 to 68, 16 px 6."""
    picture = np.random.default_rng(0).integers(0, 65536, (150, 170, 3)).astype(np.uint16)
    upscaler = Upscaler("srgan-real", engine="litert", back_projection=back_projection)
    whole = upscaler(picture).astype(int)
    assert np.abs(in_tiles(upscaler, picture, monkeypatch) - whole).max() <= 2
    assert load_runner("srgan-real", "auto", "litert").tile_overlap == litert.NEAR
    for overlap, enough in ((litert.NEAR, True), (8, False)):
        monkeypatch.setattr(Pipeline, "overlap", overlap)
        assert (np.abs(in_tiles(upscaler, picture, monkeypatch) - whole).max() <= 64) == enough


def test_own_generators_run_as_engine_files(tmp_path):
    generator = Generator(blocks=2, channels=8)
    arrays, rng = generator.get_arrays(), np.random.default_rng(0)
    generator.set_arrays(
        {
            n: rng.uniform(0.5, 1.5, a.shape) if "variance" in n else rng.normal(0, 0.15, a.shape)
            for n, a in arrays.items()
        }
    )
    path = tmp_path / "mine.tflite"
    path.write_bytes(tflite.convert(generator, "engine", name="mine"))
    runner = load_runner(path, "float32")
    assert isinstance(runner, EngineRunner) and runner.name == "mine"
    assert load_runner(path, "auto").context == generator.context  # less is known to do of shipped weights alone
    lr = np.random.default_rng(1).integers(0, 256, (1, 90, 77, 3), np.uint8)
    assert apart(runner(lr), load_runner(generator)(lr))[0] <= 1


def test_a_model_is_read_and_hashed_once(monkeypatch):
    lr, read, hashed = pictures(32)[0][0], [], []
    read_bytes, sha256 = Path.read_bytes, hashlib.sha256
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    monkeypatch.setattr(hashlib, "sha256", lambda data: hashed.append(len(data)) or sha256(data))
    upscaler = Upscaler("compact")
    for _ in range(2):
        upscaler(lr)
    assert read == ["compact.tflite"] and len(hashed) == 1


def test_damaged_files_are_named(tmp_path):
    whole = weights.shipped_file("compact", ".tflite").read_bytes()
    for name, content in {"cut": whole[:50_000], "empty": b"", "text": b"TFL3" * 99}.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            load_runner(path, "auto")


def test_the_engine_is_chosen_by_what_it_can_run(monkeypatch, tmp_path):
    run = str(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    assert choose_engine("srgan") == choose_engine("srgan", engine="litert") == "litert"
    assert choose_engine("x.tflite") == "litert"
    assert choose_engine("srgan", "bfloat16") == choose_engine(run) == choose_engine(Generator()) == "tensorflow"
    monkeypatch.setattr(machine, "has_gpu", lambda: True)
    assert choose_engine("srgan") == "tensorflow"
    for source, precision, engine in (("srgan", "bfloat16", "litert"), (run, "auto", "litert")):
        with pytest.raises(ValueError, match="--kinds=engine"):
            choose_engine(source, precision, engine)
    for options in ({"engine": "onnx"}, {"precision": "int4"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            choose_engine("srgan", **options)
    with pytest.raises(ValueError, match="litert"):
        choose_engine("x.tflite", engine="tensorflow")


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fma avx2 f16c", "float32"),
        ("fma avx2 avx512f avx512bw", "float32"),
        ("avx2 avx512f avx512_vnni", "8-bit weights"),
        ("avx2 avx_vnni", "8-bit weights"),
        ("fp asimd asimddp", "8-bit weights"),
    ],
)
def test_the_processor_chooses_the_precision(flags, precision, monkeypatch):
    monkeypatch.setattr(machine, "_flags", lambda: set(flags.split()))
    content = weights.shipped_file("compact", ".tflite").read_bytes()
    first, second = EngineRunner(content, "compact"), EngineRunner(content, "compact")
    assert (first.precision, first.tile_overlap) == (precision, litert.NEAR)
    exact = first.high_precision()
    assert (exact.precision, exact.tile_overlap, exact.high_precision()) == ("float32", None, exact)
    lr = pictures()[0]
    assert np.array_equal(first(lr), second(lr))


@pytest.mark.parametrize("there", [True, False])
def test_without_linux_numpy_tells_the_flags(there, monkeypatch):
    from numpy._core import _multiarray_umath

    monkeypatch.setattr(machine, "Path", lambda _: PHOTOS / "no such file")
    monkeypatch.setattr(_multiarray_umath, "__cpu_features__", {"AVX2": True, "ASIMDDP": there, "AVX512VNNI": False})
    assert machine.has_int8() is there


WITHOUT = """
import sys
import numpy as np
from srgan_tf.inference.upscaling import Upscaler
import srgan_tf
rng = np.random.default_rng(0)
shapes = ((20, 24, 4), np.uint8), ((20, 24, 3), np.uint16), ((20, 24), np.uint8)
for options in ({}, {"scale": 3}, {"ensemble": True}, {"back_projection": "colour"}, {"precision": "float32"}):
    for shape, dtype in shapes[2:] if "ensemble" in options else shapes:
        made = srgan_tf.upscale(rng.integers(0, 256, shape).astype(dtype), **options)
        assert made.dtype == dtype and made.shape[0] == 20 * options.get("scale", 4)
heavy = {"tensorflow", "keras", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


def test_upscaling_imports_no_tensorflow(tmp_path):
    subprocess.run([sys.executable, "-c", WITHOUT], check=True, timeout=300)
    words = ["srgan-tf", "upscale", str(PHOTOS / "heldout" / "coffee.jpg"), f"--output={tmp_path}"]
    program = (
        f"import sys; sys.argv = {words!r} + ['--weights=compact', '--blend=compact', '--compare']; "
        "from srgan_tf.cli.main import command; command(); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules) and 'ai_edge_litert' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("shape", [(32, 48, 3), (7, 5, 1), (1, 1, 4), (64, 1, 2), (9, 5, 3)])
@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
def test_cubic_in_numpy_is_the_one_in_tensorflow(shape, scale):
    picture = np.random.default_rng(0).random(shape, np.float32)
    for taps, function in ((cubic.shrinking, bicubic.downscale), (cubic.enlarging, bicubic.enlarge)):
        expected = np.asarray(function(picture[None], scale))[0]
        np.testing.assert_allclose(cubic.resize(picture, taps(scale)), expected, atol=1e-6)


def test_cubic_to_a_fraction():
    picture = np.random.default_rng(0).random((24, 32, 3), np.float32)
    expected = cubic.resize(picture, cubic.shrinking(2))
    np.testing.assert_allclose(cubic.resize(picture, cubic.shrinking_to(2, 4)), expected, atol=1e-6)
    flat = cubic.resize(np.full((24, 32, 3), 0.3, np.float32), cubic.shrinking_to(3, 4))
    assert flat.shape == (18, 24, 3)
    np.testing.assert_allclose(flat, 0.3, atol=1e-6)


def test_threads_are_the_cores_that_may_be_used(tmp_path, monkeypatch):
    assert 1 <= machine.cores() <= len(os.sched_getaffinity(0))
    for content, cores in (("150000 100000", 1.5), ("max 100000", np.inf)):
        (tmp_path / "cpu.max").write_text(content)
        assert machine._quota(tmp_path) == cores
    monkeypatch.setattr(machine, "_quota", lambda: 0.5)
    assert machine.cores() == 1
