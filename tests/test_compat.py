import keras
import numpy as np
import pytest
import tensorflow as tf

from srgan_tf import compat
from srgan_tf.models.srresnet import Generator
from srgan_tf.training import callbacks, optimizers
from srgan_tf.training.model import SRGAN


def addons():
    try:
        import tensorflow_addons
    except ImportError:
        pytest.skip("tensorflow-addons is not installed: it works with Keras 2.15 only")
    return tensorflow_addons.optimizers


def test_keras_optimizers_by_name():
    adam = optimizers.make_optimizer("Adam", 2e-4, 0.99, 1.5)
    assert type(adam) is keras.optimizers.Adam
    assert (adam.beta_1, adam.beta_2, adam.global_clipnorm) == (0.9, 0.99, 1.5)
    assert float(compat.learning_rate(adam)) == pytest.approx(2e-4)
    with pytest.raises(ValueError, match="Nosuch"):
        optimizers.make_optimizer("Nosuch", 1e-4)
    if not hasattr(keras.optimizers, "Muon"):
        with pytest.raises(ValueError, match="Muon needs Keras"):
            optimizers.make_optimizer("Muon", 1e-4)


def test_keras_file_without_an_optimizers_state_says_so(tmp_path, caplog):
    """A .keras file drops a legacy optimizer's state without a word."""
    addons()
    model = SRGAN(Generator(1, 4))
    model.compile("LAMB")
    model.save(tmp_path / "model.keras")
    assert "LAMB" in caplog.text and "checkpoint" in caplog.text


def test_addons_optimizer_without_addons_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_addons", None)
    with pytest.raises(ValueError, match="pip install -r requirements-addons"):
        SRGAN(Generator(1, 4)).compile("RectifiedAdam")


@pytest.mark.parametrize("name", optimizers.ADDONS)
def test_addons_optimizer_trains_and_its_state_goes_through_a_checkpoint(tmp_path, name):
    """Two steps after a restore are those of the run that was not interrupted, slow and averaged weights included."""
    kind = getattr(addons(), name)

    def made():
        keras.utils.set_random_seed(1)
        model = SRGAN(Generator(1, 4))
        rate = keras.optimizers.schedules.PolynomialDecay(0.0, 100, 0.1)  # still rising
        model.compile(optimizers.make_optimizer(name, rate))
        return model

    hr = tf.cast(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)), tf.uint8)
    model, other = made(), made()
    assert type(model.optimizer) is kind
    other.compile(name)
    assert type(other.optimizer) is kind
    other = made()
    for _ in range(7):  # Lookahead's slow weights move at the sixth
        model.train_step(hr)
    tf.train.Checkpoint(**callbacks.variables_of(model)).write(str(tmp_path / "state"))
    tf.train.Checkpoint(**callbacks.variables_of(other)).read(str(tmp_path / "state")).assert_consumed()
    assert float(other.learning_rate()) == pytest.approx(float(model.learning_rate())) and other.learning_rate() > 0
    for _ in range(6):
        model.train_step(hr)
        other.train_step(hr)
    before = made().generator.get_arrays()
    for (key, one), two in zip(model.generator.get_arrays().items(), other.generator.get_arrays().values()):
        np.testing.assert_array_equal(one, two, err_msg=key)
    assert not np.array_equal(before["tail/conv/bias"], model.generator.get_arrays()["tail/conv/bias"])


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 0.02)])
def test_batch_norm_is_keras_own(dtype, tolerance):
    """Outputs, gradients and running statistics of three training steps, and what inference makes of them."""
    rng, made = np.random.default_rng(0), []
    batches = rng.normal(3, 2, (3, 2, 3, 5, 4)).astype(np.float32)
    weights = tf.constant(rng.normal(size=(2, 3, 5, 4)), tf.float32)
    theirs = keras.layers.BatchNormalization(momentum=0.9, dtype="float32")
    for layer in (compat.BatchNormalization(dtype=dtype), theirs):
        layer.build((None, None, None, 4))
        found = []
        for x in map(tf.constant, batches):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.cast(layer(x, training=True), tf.float32)
                loss = tf.reduce_sum(y * weights)
            found += [y, *tape.gradient(loss, [x, *(compat.tf_variable(v) for v in layer.trainable_variables)])]
        made.append([*found, *layer.non_trainable_variables, layer(tf.constant(batches[0]), training=False)])
    for ours, theirs in zip(*made, strict=True):
        wanted = np.asarray(theirs)
        np.testing.assert_allclose(np.asarray(tf.cast(ours, tf.float32)), wanted, atol=tolerance * np.abs(wanted).max())


def test_running_statistics_follow_within_tens_of_steps():
    """Keras' usual momentum leaves a third of where they came from after a hundred, of a run that may have hundreds."""
    layer, x = compat.BatchNormalization(), tf.constant(np.random.default_rng(0).normal(5, 3, (4, 8, 8, 2)), tf.float32)
    for _ in range(50):
        wanted = layer(x, training=True)
    assert np.abs(layer(x, training=False) - wanted).max() < 0.05


@pytest.mark.skipif(not hasattr(keras.optimizers, "Muon"), reason="Keras has Muon from 3.10 on")
def test_muon_turns_a_convolutions_gradient_into_its_nearest_orthogonal_matrix():
    """Beside NumPy's singular values; kernels next to pictures, and all that is no kernel, have Adam's first step."""
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 8, 16), (5, 5, 3, 8), (5, 5, 8, 3), (16,)]
    variables = [keras.Variable(np.zeros(shape, np.float32)) for shape in shapes]
    gradients = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    gradients[0] *= np.geomspace(1e-2, 1, 16, dtype=np.float32)  # directions of very different size
    optimizers.make_optimizer("Muon", 1e-2).apply(list(map(tf.constant, gradients)), variables)
    steps = [-np.asarray(v) for v in variables]
    u, _, vh = np.linalg.svd(gradients[0].reshape(72, 16), full_matrices=False)
    sizes = np.diag(u.T @ steps[0].reshape(72, 16) @ vh.T) / (1e-2 * 0.2 * 72**0.5)
    assert sizes.min() > 0.5 and sizes.max() < 1.3  # its five iterations bring them near 1
    for gradient, step in zip(gradients[1:], steps[1:]):
        np.testing.assert_allclose(step, 1e-2 * np.sign(gradient), rtol=0.01)  # its epsilon


@pytest.mark.skipif(not hasattr(keras.optimizers, "Muon"), reason="Keras has Muon from 3.10 on")
def test_muon_goes_through_a_keras_file(tmp_path):
    model = SRGAN(Generator(1, 8))
    model.compile(optimizers.make_optimizer("Muon", 1e-3))
    crops = tf.random.stateless_uniform((2, 16, 16, 3), (1, 2), 0, 255, tf.int32)
    model.train_step(tf.cast(crops, tf.uint8))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is optimizers.Muon
    for each in (model, loaded):
        each.train_step(tf.cast(crops, tf.uint8))
    for name, array in model.generator.get_arrays().items():
        np.testing.assert_allclose(loaded.generator.get_arrays()[name], array, atol=1e-6, err_msg=name)
