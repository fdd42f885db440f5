"""Every kind of model gives the same SR as the generator it was made from."""

import json

import numpy as np
import pytest
import tensorflow as tf
from lite_models import lite_file, unit_function

from srgan_tf.inference import runners
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
    backend = runners.open_backend(tmp_path / "tiny.npz")
    assert (backend.name, backend.scale, backend.context) == ("tiny", 2, generator.context)
    sr = backend(tf.constant(lr))
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
        backend = runners.open_backend(tmp_path / name)
        assert (backend.name, backend.scale, backend.generator) == (name, 2, None)
        assert np.abs(backend(lr) - wanted).max() <= 1


def test_saved_model_of_unknown_range_is_refused(generator, tmp_path):
    module = tf.Module()
    module.generator = generator
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    raw = tf.function(lambda lr: generator(lr, training=False), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "raw"), signatures=raw)
    with pytest.raises(weights.WeightsError, match=r"raw: needs a signature"):
        runners.open_backend(tmp_path / "raw")


def test_lite_of_any_size(generator, lr, wanted, tmp_path):
    backend = runners.open_backend(lite_file(generator, tmp_path / "any.tflite", (1, None, None)))
    assert backend.scale == 2
    assert np.abs(backend(lr) - wanted).max() <= 1
    assert backend(lr[:, :11, :14]).shape == (2, 22, 28, 3)


def test_lite_of_fixed_size_is_tiled_without_seams(generator, lr, wanted, tmp_path):
    # A quarter of 64 px is more context than this generator needs, so only the far border, where a picture that is
    # smaller than the tile is grown, could differ.
    path = lite_file(generator, tmp_path / "fixed.tflite", (1, 48, 64))
    large = np.random.default_rng(1).integers(0, 256, (1, 77, 130, 3), np.uint8)
    backend = runners.open_backend(path)
    sr = backend(large)
    assert sr.shape == (1, 2 * 77, 2 * 130, 3)
    assert json.dumps(backend.scale) == "2"  # the tables write it down
    exact = runners.from_generator(generator, "exact")(large)
    assert np.abs(sr.astype(int) - exact).max() <= 1
    small = np.abs(backend(lr).astype(int) - wanted)[:, : 2 * 5, : 2 * 12]
    assert backend(lr).shape == wanted.shape and small.max() <= 1


def test_quantised_lite(generator, lr, wanted, tmp_path):
    samples = (lr[:, :16, :16] / 255).astype(np.float32)
    path = lite_file(generator, tmp_path / "int8.tflite", (1, 16, 16), [sample[None] for sample in samples])
    sr = runners.open_backend(path)(lr[:, :16, :16])
    near = runners.from_generator(generator, "float")(lr[:, :16, :16])
    assert sr.shape == near.shape
    assert np.abs(sr.astype(int) - near).mean() < 4


def test_ensemble_averages_the_eight_turned_answers(generator, lr):
    backend = runners.from_generator(generator, "g")
    sr = runners.ensemble(backend)(lr)
    answers = []
    for flipped in (lr, lr[:, :, ::-1]):
        for turns in range(4):
            answer = np.rot90(backend(np.rot90(flipped, turns, (1, 2))), -turns, (1, 2))
            answers.append(answer if flipped is lr else answer[:, :, ::-1])
    assert np.array_equal(sr, np.floor(np.mean(answers, 0) + 0.5).astype(np.uint8))


def test_no_retracing(generator):
    backend = runners.from_generator(generator, "g")
    traced = []
    call = type(generator).call
    try:
        type(generator).call = lambda self, *args, **kwargs: traced.append(1) or call(self, *args, **kwargs)
        for side in (8, 9, 10):
            backend(np.zeros((1, side, side + 1, 3), np.uint8))
    finally:
        type(generator).call = call
    assert len(traced) <= 1


def test_errors_name_the_file(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"no model")
    for name in ("bad.tflite", "missing.tflite", "folder", "missing.npz"):
        with pytest.raises(weights.WeightsError, match=name.split(".")[0]) as error:
            runners.open_backend(tmp_path / name)
        assert "\n" not in str(error.value)


def test_refuses_other_arrays(generator):
    with pytest.raises(ValueError, match="uint8"):
        runners.from_generator(generator, "g")(np.zeros((1, 8, 8, 3), np.float32))
