import keras
import numpy as np
import pytest
import tensorflow as tf

from srgan_tf.data.bicubic import enlarge
from srgan_tf.errors import WeightsError
from srgan_tf.evaluation.metrics import psnr, to_uint8
from srgan_tf.models.srresnet import Generator, OutputConv
from srgan_tf.models.weights import load, save_weights


def small(**changes):
    return Generator(**{"blocks": 2, "channels": 8, **changes})


def randomise(generator, seed=0):
    """Random weights everywhere, so that no slope, shift or statistic is hidden by its initial 0 or 1."""
    rng = np.random.default_rng(seed)
    arrays = generator.get_arrays()
    for name, array in arrays.items():
        spread = rng.uniform(0.2, 0.8, array.shape)
        arrays[name] = spread if name.endswith(("gamma", "variance")) else rng.normal(0, 0.15, array.shape)
    generator.set_arrays(arrays)
    return generator


def test_size_is_the_papers():
    generator = Generator()
    trainable = sum(int(np.prod(v.shape)) for v in generator.trainable_weights)
    # By hand: head 9*9*3*64+64 and 64 slopes; 16 blocks of 2 convs (36,928), 2 norms (128), 64 slopes; trunk conv
    # and norm; two 3x3x64x256 convs with 64 slopes each; tail 9*9*64*3+3.
    by_hand = 15616 + 64 + 16 * (2 * 36928 + 2 * 128 + 64) + 36928 + 128 + 2 * (147712 + 64) + 15555
    assert trainable == by_hand == 1_550_659
    assert sum(int(np.prod(v.shape)) for v in generator.non_trainable_weights) == 4_224
    assert generator.context == 40


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_any_size_batch_and_scale(scale):
    generator = small(scale=scale)
    assert generator(tf.zeros((2, 5, 9, 3))).shape == (2, 5 * scale, 9 * scale, 3)
    assert generator(tf.zeros((1, 1, 3, 3))).shape == (1, scale, 3 * scale, 3)


def test_context_is_where_a_pixels_influence_ends():
    generator = randomise(small(channels=4))
    reach, size = generator.context, 2 * generator.context + 9
    changed = np.zeros((1, size, size, 3), np.float32)
    changed[:, size // 2, size // 2] = 1
    difference = np.abs(generator(changed) - generator(np.zeros_like(changed))).max(axis=(0, 3))
    touched = np.argwhere(difference.max(1) > 0)[:, 0]
    middle = size // 2 * generator.scale
    assert middle - reach * generator.scale <= touched.min() < middle - (reach - 1) * generator.scale


def test_batch_norm_uses_statistics_unless_training():
    generator = randomise(small())
    one, other = (tf.random.stateless_uniform((1, 8, 8, 3), seed=(0, n)) for n in (1, 2))
    together = generator(tf.concat([one, other], 0))
    np.testing.assert_allclose(together[:1], generator(one), atol=1e-5)
    assert np.abs(generator(tf.concat([one, other], 0), training=True)[:1] - together[:1]).max() > 1e-3


@pytest.mark.parametrize("changes", [{}, {"batch_norm": False, "scale": 3}, {"output_activation": "tanh"}])
def test_keras_file_round_trip(tmp_path, changes):
    generator = randomise(small(**changes))
    generator.save(tmp_path / "g.keras")
    loaded = keras.models.load_model(tmp_path / "g.keras")
    assert loaded.get_config() == generator.get_config()
    lr = tf.random.stateless_uniform((1, 6, 7, 3), seed=(1, 2))
    np.testing.assert_array_equal(loaded(lr), generator(lr))
    np.testing.assert_array_equal(load(tmp_path / "g.keras")(lr), generator(lr))


def test_array_file_round_trip_and_damage(tmp_path):
    generator = randomise(small())
    path = tmp_path / "g.npz"
    save_weights(generator, path)
    for name, array in load(path).get_arrays().items():
        np.testing.assert_array_equal(array, generator.get_arrays()[name])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"g\.npz"):
        load(path)
    with pytest.raises(WeightsError, match="no such weights"):
        load(tmp_path / "absent.npz")


def test_wrong_arrays_are_named_and_change_nothing():
    generator = small()
    before = generator.get_arrays()
    for change, word in (
        ({"head/conv/bias": np.zeros(3)}, "shape"),
        ({"head/conv/bias": np.full(8, np.nan)}, "finite"),
    ):
        with pytest.raises(ValueError, match=f"head/conv/bias.*{word}"):
            generator.set_arrays({**before, **change})
    with pytest.raises(ValueError, match="do not fit"):
        generator.set_arrays({"head/conv/bias": np.zeros(8)})
    for name, array in generator.get_arrays().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(ValueError, match="scale"):
        Generator(scale=5)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_interpolating_start_is_near_bicubic(batch_norm):
    y, x = np.mgrid[:24, :24] / 24.0
    lr = np.stack([0.5 + 0.4 * np.sin(4 * x + 2 * y), x, y], axis=-1)[None]
    levels = np.floor(lr * 255 + 0.5).astype(np.uint8)
    generator = small(channels=16, batch_norm=batch_norm)
    generator.start_as_interpolation()
    # The random channels weigh in a little; MATLAB's bicubic is the outside reference.
    assert psnr(enlarge(levels, 4), to_uint8(generator(lr.astype(np.float32))))[0] > 27


@pytest.mark.parametrize("block", [2, 3])
def test_output_convolution_is_the_plain_one_in_training_and_at_inference(block):
    layer = OutputConv(3, 9, padding="same", block=block)
    x = np.random.default_rng(0).normal(size=(2, 6 * block, 4 * block, 8)).astype(np.float32)
    layer.build(x.shape)
    expected = tf.nn.conv2d(x, layer.kernel, 1, "SAME") + layer.bias
    for training in (True, False):
        np.testing.assert_allclose(layer(x, training=training), expected, atol=1e-5)
