import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from srgan_tf.models.discriminators import Discriminator, FeatureDiscriminator


def count(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_weights)


def test_size_is_the_papers():
    filters = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    convs = sum(9 * a * b + b for a, b in itertools.pairwise(filters))
    norms = 2 * sum(filters[2:])
    # Four strides of 2 leave 6x6 of 96x96.
    by_hand = convs + norms + (6 * 6 * 512 * 1024 + 1024) + (1024 + 1)
    assert count(Discriminator()) == by_hand == 23_565_505


@pytest.mark.parametrize("options", [{"crop": 32}, {"pooled": True}, {"pooled": True, "spectral_norm": True}])
def test_logits_and_round_trip(tmp_path, options):
    discriminator = Discriminator(**options)
    pictures = tf.random.stateless_uniform((3, 32, 32, 3), seed=(1, 2), minval=-1)
    assert discriminator(pictures, training=True).shape == (3, 1)
    discriminator.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    np.testing.assert_allclose(loaded(pictures), discriminator(pictures), atol=1e-6)
    assert loaded.get_config() == discriminator.get_config()


def test_pooled_takes_any_size():
    discriminator = Discriminator(pooled=True)
    assert discriminator(tf.zeros((1, 40, 56, 3))).shape == (1, 1)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_logits_are_float32_in_mixed_precision(spectral_norm):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        discriminator = Discriminator(pooled=True, spectral_norm=spectral_norm)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert discriminator(tf.zeros((2, 16, 16, 3)), training=True).dtype == tf.float32


def test_spectral_norm_bounds_every_matrix():
    discriminator = Discriminator(pooled=True, spectral_norm=True)
    pictures = tf.random.stateless_uniform((1, 16, 16, 3), seed=(1, 2), minval=-1)
    step = tf.function(lambda: discriminator(pictures, training=True))  # in a graph Keras 2.15's own failed
    for _ in range(100):
        step()
    for wrapper in discriminator.convs[1:3]:
        kernel = np.array(wrapper.layer.kernel)
        # numpy's own singular values
        assert np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0] == pytest.approx(1, abs=0.03)


def test_pictures_of_another_size_are_told_the_crop():
    with pytest.raises(ValueError, match="for crops of 32 px, not 16 x 16"):
        Discriminator(32)(np.zeros((1, 16, 16, 3), np.float32))


def test_crops_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of 16"):
        Discriminator(crop=90)


def test_feature_discriminator_judges_each_place_by_what_is_near_it(tmp_path):
    discriminator = FeatureDiscriminator([(1, 2), (3, 3)], filters=4)
    first = 2 * 64 + (64 + 1) * 4 + 3 * (2 * 4 + (9 * 4 + 1) * 4) + (4 + 1)
    second = 2 * 256 + (256 + 1) * 4 + (2 * 4 + (9 * 4 + 1) * 4) + (4 + 1)
    assert count(discriminator) == first + second
    features = [tf.random.stateless_normal((2, side, side, c), (1, side)) for side, c in ((32, 64), (8, 256))]
    logits = discriminator(features)
    assert logits.shape == (2, 4 * 4 + 4 * 4) and logits.dtype == tf.float32
    # The last pixel of the first layer moves the place that sees it, and no other.
    corner = np.zeros((1, 32, 32, 1), np.float32)
    corner[:, -1, -1] = 1
    moved = discriminator([features[0] + corner, features[1]])
    assert set(np.flatnonzero(np.any(np.array(moved != logits), 0))) == {15}
    discriminator.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    np.testing.assert_allclose(loaded(features), logits, atol=1e-6)
    assert loaded.get_config() == discriminator.get_config()
