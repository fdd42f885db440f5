"""What every registered generator owes the rest of the package, checked in every form that the package gives it."""

import json
import shutil
import sys

import forks
import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix
from noise import write_noise

from srgan_tf.choices import LITE_KINDS
from srgan_tf.data.levels import from_signed, to_unit
from srgan_tf.export import bundle, parity, tflite
from srgan_tf.inference.fast import FastGraph
from srgan_tf.inference.loading import load_runner
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.models import GENERATORS, generator_class, weights
from srgan_tf.training import loop
from srgan_tf.training.recipes import Recipe

# Small ones of each; those that can have batch norm, with it. A new generator needs a line here.
SIZES = {
    "srresnet": {"blocks": 2, "channels": 8, "batch_norm": True},
    "compact": {"blocks": 2, "channels": 8},
    "span": {"blocks": 2, "channels": 8},
    "span-silu": {"blocks": 2, "channels": 8, "centred": True},
    "rrdb": {"blocks": 1, "channels": 8},
    "srvgg": {"blocks": 2, "channels": 8},
    "edsr": {"blocks": 2, "channels": 8},
    "msrresnet": {"blocks": 2, "channels": 8},
}
PUBLISHED = {
    "srresnet": 1_550_659,
    "rrdb": 16_697_987,
    "srvgg": 621_424,
    "edsr": 1_517_571,
    "msrresnet": 1_517_571 + 256,
}  # trainable weights, as their authors count; and the slopes of MSRResNet, which are constants there


def make(name: str, **changes):
    """A small generator whose weights, batch-norm statistics included, all count."""
    tf.keras.utils.set_random_seed(5)
    generator, rng = generator_class(name)(**{**SIZES[name], **changes}), np.random.default_rng(5)

    def lively(key, array):
        if key.endswith(("bias", "beta", "moving_mean")):
            return rng.normal(0, 0.1, array.shape)
        if key.endswith(("alpha", "gamma", "moving_variance")):
            return rng.uniform(0.2, 1.1, array.shape)
        return array * (0.3 if key.startswith(("tail", "last")) else 1) + rng.normal(0, 0.02, array.shape)

    generator.set_arrays({key: lively(key, array) for key, array in generator.get_arrays().items()})
    return generator


@pytest.fixture(scope="module", params=list(GENERATORS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def generator(name):
    return make(name)


@pytest.fixture(scope="module")
def lr():
    return np.random.default_rng(1).integers(0, 256, (1, 27, 31, 3), np.uint8)


@pytest.fixture(scope="module")
def wanted(generator, lr):
    return np.asarray(generator(to_unit(lr), training=False))


def test_every_generator_is_tested():
    assert set(SIZES) == set(GENERATORS)


@pytest.mark.parametrize("published", matrix(PUBLISHED, "srresnet", "srvgg", "edsr"))
def test_weights_are_as_many_as_published(published):
    generator = generator_class(published)()
    assert sum(int(np.prod(v.shape)) for v in generator.trainable_variables) == PUBLISHED[published]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_scales_and_sizes(name, scale):
    sr = make(name, scale=scale)(np.zeros((2, 5, 9, 3), np.float32))
    assert sr.shape == (2, 5 * scale, 9 * scale, 3) and sr.dtype == tf.float32


@pytest.mark.parametrize("wrong", [{"scale": 5}, {"blocks": 0}, {"channels": 0}])
def test_sizes_that_are_none_are_refused(name, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        generator_class(name)(**{**SIZES[name], **wrong})


def test_multiply_adds_are_those_that_tensorflow_counts(generator):
    """TensorFlow's profiler counts two for a multiply-add, and counts what is no convolution apart."""
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder

    side = 16
    spec = tf.TensorSpec([1, side, side, 3], tf.float32)
    graph = tf.function(lambda lr: generator(lr, training=False)).get_concrete_function(spec).graph
    options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output()
    options.with_node_names(show_name_regexes=[".*Conv2D.*|.*conv.*"])
    found = profile(graph, cmd="graph", options=options.build())
    convolutions = sum(
        2 * int(np.prod(op.inputs[1].shape[:3])) * int(np.prod(op.outputs[0].shape))
        for op in graph.get_operations()
        if op.type == "Conv2D"
    )
    sides = generator.scale * side
    assert 2 * generator.multiply_adds(sides, sides) == convolutions
    assert convolutions <= found.total_float_ops < 1.2 * convolutions


def test_context_is_what_a_pixel_depends_on(generator):
    side = 2 * generator.context + 5
    lr = tf.Variable(np.random.default_rng(2).uniform(0.2, 0.8, (1, side, side, 3)).astype(np.float32))
    middle, scale = side // 2, generator.scale
    with tf.GradientTape() as tape:
        sr = generator(lr)[:, middle * scale : (middle + 1) * scale, middle * scale : (middle + 1) * scale]
        total = tf.reduce_sum(sr)
    rows = np.flatnonzero(np.abs(tape.gradient(total, lr)).sum((0, 2, 3)))
    reach = max(middle - rows.min(), rows.max() - middle)
    assert reach <= generator.context <= reach + 1 and generator.tail_context <= generator.context


def test_files_hold_it_in_a_fresh_process(generator, lr, wanted, tmp_path):
    weights.save_weights(generator, tmp_path / "g.npz")
    generator.save(tmp_path / "g.keras")
    np.save(tmp_path / "lr.npy", to_unit(lr))
    code = (
        "import sys, numpy as np, srgan_tf\n"
        "for name in ('g.npz', 'g.keras'):\n"
        "    g = srgan_tf.load(f'{sys.argv[1]}/{name}')\n"
        "    np.save(f'{sys.argv[1]}/{name}.npy', g(np.load(sys.argv[1] + '/lr.npy'), training=False))\n"
    )
    forks.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    for file in ("g.npz", "g.keras"):
        np.testing.assert_allclose(np.load(tmp_path / f"{file}.npy"), wanted, atol=1e-6)


def test_configuration_mirrors_the_arguments(generator):
    again = type(generator).from_config(generator.get_config())
    assert again.get_config() == generator.get_config() and set(again.get_arrays()) == set(generator.get_arrays())
    assert json.dumps(generator.architecture())


def test_fast_graph_is_keras(generator, lr, wanted):
    np.testing.assert_allclose(FastGraph(generator)(to_unit(lr)), wanted, atol=2e-5)
    near = FastGraph(generator, tf.bfloat16)(to_unit(lr))
    assert np.abs(near - wanted).mean() < 0.02 * wanted.std()


def test_without_batch_norm_is_the_same(generator, lr, wanted):
    plain = generator.without_batch_norm()
    assert not plain.batch_norm
    np.testing.assert_allclose(plain(to_unit(lr), training=False), wanted, atol=2e-5)
    if generator.batch_norm:
        np.testing.assert_allclose(plain.with_batch_norm()(to_unit(lr), training=False), wanted, atol=2e-5)


def test_form_for_devices_is_the_same_before_and_after_its_changes(generator, lr, wanted):
    network, unit = tflite.Exported(generator), np.clip(from_signed(wanted), 0, 1)
    for change in (
        lambda: None,
        *(lambda k=k: tflite.equalise([network], k) for k in ("int8", "dynamic")),
        lambda: tflite.split_outliers([network.arrays]),
    ):
        change()
        np.testing.assert_allclose(network(to_unit(lr))["sr"], unit, atol=1e-4)


@pytest.mark.parametrize("name", matrix(GENERATORS), indirect=True)
def test_every_exported_kind_passes_its_check_and_tells_its_facts(name, generator, lr, tmp_path, monkeypatch):
    """`bundle.export` compares each with Keras: float kinds to 1 of 255, the others in dB; on three photographs."""
    for module in (parity, tflite):
        few = lambda *which, photographs=module.photographs: photographs(*which)[:3]  # noqa: E731
        monkeypatch.setattr(module, "photographs", few)
    monkeypatch.setattr(bundle, "TILES", (64,))
    generator.degradation = "real"
    try:
        rows = bundle.export(generator, tmp_path, ("saved_model", *LITE_KINDS), [48])
    finally:
        generator.degradation = "bicubic"
    assert len(rows) == 1 + len(LITE_KINDS)
    for path in (tmp_path / "saved_model" / "1", *sorted(tmp_path.glob("*.tflite"))):
        runner = load_runner(path)
        told = (runner.scale, runner.context, runner.info.tile_multiple, runner.info.degradation)
        assert told == (generator.scale, generator.context, generator.tile_multiple, "real")
        assert runner(lr).shape == (1, 27 * runner.scale, 31 * runner.scale, 3)


def test_tiles_give_the_whole(generator, monkeypatch):
    upscaler = Upscaler(generator, precision="float32")
    side = 2 * upscaler.context + 60
    photo = np.random.default_rng(3).integers(0, 256, (side + 5, side, 3), dtype=np.uint8)
    whole = upscaler(photo).astype(int)
    monkeypatch.setattr(Pipeline, "tile_size", lambda self, *_: (2 * self.overlap + 16, 2 * self.overlap + 18))
    assert np.abs(upscaler(photo).astype(int) - whole).max() <= 1


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", matrix(GENERATORS, "compact"), indirect=True)
def test_trains_and_resumes_exactly(name, tmp_path):
    data = write_noise(tmp_path / "data", side=48)
    options = {"data": data, "validation": data, "deterministic": True}
    sizes = {key: value for key, value in SIZES[name].items() if key in ("blocks", "channels")}
    settings = {"generator": name, "batch": 2, "crop": 32, "learning_rate": 1e-3, "validate_every": 2, **sizes}
    recipe = Recipe("tiny", 4, batch_norm=SIZES[name].get("batch_norm", False), pixel="mae", ema_decay=0.9, **settings)
    start = loop.build(recipe).generator.get_arrays()
    whole, _ = loop.train(recipe, tmp_path / "run", **options, save_seconds=0)
    arrays = whole.best_generator.get_arrays()
    assert any(not np.array_equal(arrays[key], start[key]) for key in start if key.endswith("kernel"))

    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))
    for path in newest[1:]:  # as if killed after the first that is left
        shutil.rmtree(path)
    assert int(newest[0].name[5:]) < 4
    resumed, _ = loop.train(recipe, tmp_path / "run", **options)
    for key, array in resumed.best_generator.get_arrays().items():
        np.testing.assert_array_equal(array, arrays[key])
