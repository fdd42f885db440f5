"""Every kind of model gives the same SR as the generator it was made from."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from lite_models import lite_file, unit_function

from srgan_tf.errors import WeightsError
from srgan_tf.inference import loading, probing, runners
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator


@pytest.fixture(scope="module")
def generator():
    tf.keras.utils.set_random_seed(7)
    return Generator(blocks=1, channels=8, scale=2)


@pytest.fixture(scope="module")
def lr():
    return np.random.default_rng(0).integers(0, 256, (2, 19, 26, 3), np.uint8)


@pytest.fixture(scope="module")
def wanted(generator, lr):
    sr = (np.asarray(generator(lr.astype(np.float32) / 255)).astype(np.float64) + 1) * 127.5
    return np.floor(np.clip(sr, 0, 255) + 0.5).astype(int)


def test_weight_file(generator, lr, wanted, tmp_path):
    weights.save_weights(generator, tmp_path / "tiny.npz")
    runner = loading.load_runner(tmp_path / "tiny.npz")
    assert (runner.name, runner.scale, runner.context) == ("tiny", 2, generator.context)
    sr = runner(tf.constant(lr))
    assert sr.dtype == np.uint8
    assert np.abs(sr - wanted).max() <= 1


def test_saved_model_of_uint8_and_of_float(generator, lr, wanted, tmp_path):
    module = tf.Module()
    module.generator, unit = generator, unit_function(generator)
    tf.saved_model.save(module, str(tmp_path / "unit"), signatures={"float": unit})
    byte = tf.function(
        lambda image: tf.cast(tf.floor(unit(tf.cast(image, tf.float32) / 255) * 255 + 0.5), tf.uint8),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    tf.saved_model.save(module, str(tmp_path / "byte"), signatures={"serving_default": byte, "float": unit})
    for name in ("unit", "byte"):
        runner = loading.load_runner(tmp_path / name)
        assert (runner.name, runner.scale, runner.generator) == (name, 2, None)
        assert np.abs(runner(lr) - wanted).max() <= 1


def test_saved_model_of_unknown_range_is_refused(generator, tmp_path):
    module = tf.Module()
    module.generator = generator
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    raw = tf.function(lambda lr: generator(lr, training=False), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "raw"), signatures=raw)
    with pytest.raises(WeightsError, match=r"raw: needs a signature"):
        loading.load_runner(tmp_path / "raw")


def test_lite_of_any_size(generator, lr, wanted, tmp_path):
    runner = loading.load_runner(lite_file(generator, tmp_path / "any.tflite", (1, None, None)))
    assert runner.scale == 2
    assert np.abs(runner(lr) - wanted).max() <= 1
    assert runner(lr[:, :11, :14]).shape == (2, 22, 28, 3)


def test_lite_of_fixed_size_is_tiled_without_seams(generator, lr, wanted, tmp_path):
    # A quarter of 64 px is more context than this generator needs, so only the far border, where a picture that is
    # smaller than the tile is grown, could differ.
    path = lite_file(generator, tmp_path / "fixed.tflite", (1, 48, 64))
    large = np.random.default_rng(1).integers(0, 256, (1, 77, 130, 3), np.uint8)
    runner = loading.load_runner(path)
    sr = runner(large)
    assert sr.shape == (1, 2 * 77, 2 * 130, 3)
    assert json.dumps(runner.scale) == "2"  # the tables write it down
    exact = GeneratorRunner(generator, "exact")(large)
    assert np.abs(sr.astype(int) - exact).max() <= 1
    small = np.abs(runner(lr).astype(int) - wanted)[:, : 2 * 5, : 2 * 12]
    assert runner(lr).shape == wanted.shape and small.max() <= 1


def test_quantised_lite(generator, lr, wanted, tmp_path):
    samples = (lr[:, :16, :16] / 255).astype(np.float32)
    path = lite_file(generator, tmp_path / "int8.tflite", (1, 16, 16), [sample[None] for sample in samples])
    sr = loading.load_runner(path)(lr[:, :16, :16])
    near = GeneratorRunner(generator, "float")(lr[:, :16, :16])
    assert sr.shape == near.shape
    assert np.abs(sr.astype(int) - near).mean() < 4


def test_ensemble_averages_the_eight_turned_answers(generator, lr):
    runner = GeneratorRunner(generator, "g")
    sr = runners.Ensemble(runner)(lr)
    answers = []
    for flipped in (lr, lr[:, :, ::-1]):
        for turns in range(4):
            answer = np.rot90(runner(np.rot90(flipped, turns, (1, 2))), -turns, (1, 2))
            answers.append(answer if flipped is lr else answer[:, :, ::-1])
    assert np.array_equal(sr, np.floor(np.mean(answers, 0) + 0.5).astype(np.uint8))


def test_errors_name_the_file(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"no model")
    for name in ("bad.tflite", "missing.tflite", "folder", "missing.npz"):
        with pytest.raises(WeightsError, match=name.split(".")[0]) as error:
            loading.load_runner(tmp_path / name)
        assert "\n" not in str(error.value)


def test_refuses_other_arrays(generator):
    for wrong in (np.zeros((1, 8, 8, 3), np.uint16), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.float32)):
        with pytest.raises(ValueError, match="LR must be"):
            GeneratorRunner(generator, "g")(wrong)


def test_levels_and_ranges_give_the_same(generator, lr, tmp_path):
    """Every runner takes uint8 and float, whatever its model takes."""
    path = lite_file(generator, tmp_path / "any.tflite", (1, None, None))
    for runner in (GeneratorRunner(generator), loading.load_runner(path)):
        by_levels, by_range = runner(lr).astype(float), runner(lr.astype(np.float32) / 255)
        assert by_range.dtype == np.float32
        assert np.abs((np.clip(by_range, -1, 1) + 1) * 127.5 - by_levels).max() <= 0.51


def test_context_of_models_that_do_not_tell_it_is_measured(generator, tmp_path):
    runner = loading.load_runner(lite_file(generator, tmp_path / "any.tflite", (1, None, None)))
    assert 2 <= runner.context <= generator.context + 2  # the kernels' rims are too weak to be seen in 8 bits
    assert probing.measure_context(lambda lr: lr.repeat(2, 1).repeat(2, 2), 2) <= 2
    far = probing.measure_context(lambda lr: np.roll(lr, 30, 2).repeat(2, 1).repeat(2, 2), 2)
    assert 30 <= far <= 32


@pytest.mark.parametrize(
    ("shape", "made", "message"),
    [
        ([1, 16, 16, 3], lambda x: tf.reduce_mean(x, [1, 2]), "no super-resolution model"),
        ([1, 16, 16, 1], lambda x: x, "no super-resolution model"),
        ([1, 16, 16, 3], lambda x: x[:, :8], "no super-resolution model"),
        ([1, 7], lambda x: 2 * x, "no super-resolution model"),
    ],
)
def test_foreign_models_are_refused_by_their_shapes(tmp_path, shape, made, message):
    function = tf.function(made, [tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    path = tmp_path / "foreign.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())
    with pytest.raises(WeightsError, match=f"foreign.tflite.*{message}"):
        loading.load_runner(path)


def test_nothing_is_logged_when_a_model_is_opened_and_runs(tmp_path):
    """In a process of its own: LiteRT logs its delegate once."""
    code = "import srgan_tf, numpy; srgan_tf.upscale(numpy.zeros((8, 8, 3), 'uint8'), model='compact')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
