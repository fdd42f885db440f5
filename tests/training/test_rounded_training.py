"""Training with what convolutions read rounded to 8 bits."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix

from srgan_tf import compat
from srgan_tf.choices import TRAINING_PRECISIONS
from srgan_tf.models import GENERATORS, generator_class
from srgan_tf.models.ops import in_eight_bits
from srgan_tf.training.model import SRGAN
from srgan_tf.training.recipes import Recipe


@pytest.mark.parametrize(("least", "most"), [(0.0, 3.0), (-0.7, 2.1), (-5.0, 0.0), (0.5, 2.0)])
def test_it_rounds_as_tensorflow_fakes_quantisation(least, most):
    x = np.random.default_rng(0).uniform(least, most, (1, 40, 50, 8)).astype(np.float32)
    x.flat[:2] = least, most
    ends = min(least, 0), max(most, 0)
    ours, theirs = in_eight_bits(x).numpy(), tf.quantization.fake_quant_with_min_max_vars(x, *ends).numpy()
    step = (ends[1] - ends[0]) / 255
    inner = (x > ends[0] + step) & (x < ends[1] - step)  # theirs moves the range so that it has 0
    assert (np.abs(ours - theirs)[inner] > 1e-5).mean() < 1e-3  # ties
    assert np.abs(ours - x).max() < 0.501 * step
    assert len(np.unique(ours.round(5))) <= 256 < len(np.unique(in_eight_bits(x, 0.5).numpy().round(5)))


def test_gradients_pass_as_if_it_were_not():
    x = tf.random.normal([1, 4, 4, 8])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(in_eight_bits(x) ** 2)
    np.testing.assert_allclose(tape.gradient(y, x), 2 * in_eight_bits(x), rtol=1e-5)


@pytest.mark.parametrize("name", list(GENERATORS))
def test_training_alone_is_rounded(name):
    generator, lr = generator_class(name)(blocks=1, channels=8), tf.random.uniform([2, 16, 16, 3])
    plain = [np.asarray(generator(lr, training=training)) for training in (True, False)]
    model = SRGAN(generator, rounding=4.0)
    assert model.get_config()["rounding"] == generator.rounding == 4.0
    rounded = [np.asarray(generator(lr, training=training)) for training in (True, False)]
    assert 1e-5 < np.abs(rounded[0] - plain[0]).max() < 0.5
    if not generator.batch_norm:
        np.testing.assert_array_equal(rounded[1], plain[1])


@pytest.mark.parametrize("precision", matrix(TRAINING_PRECISIONS, "float32"))
def test_it_learns_in_every_precision(precision):
    compat.set_precision(precision)
    try:
        model = SRGAN(generator_class("compact")(blocks=1, channels=8), rounding=2.0)
    finally:
        compat.set_precision("float32")
    model.compile(keras.optimizers.Adam(1e-3))
    coarse = np.random.default_rng(0).uniform(0, 255, (4, 5, 5, 3))
    hr = tf.cast(tf.clip_by_value(tf.image.resize(coarse, (32, 32), "bicubic"), 0, 255), tf.uint8)
    first, *_, last = (float(model.train_step(hr)["loss/mse"]) for _ in range(20))
    assert last < first


@pytest.mark.parametrize("rounding", [-1.0, 17.0])
def test_what_is_no_rounding_is_refused(rounding):
    with pytest.raises(ValueError, match="rounding must be in"):
        Recipe(name="mine", steps=1, rounding=rounding)
