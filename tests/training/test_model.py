import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix

from srgan_tf import compat
from srgan_tf.choices import TRAINING_PRECISIONS
from srgan_tf.data.bicubic import downscale
from srgan_tf.evaluation.metrics import SSIM
from srgan_tf.models.discriminators import Discriminator, FeatureDiscriminator
from srgan_tf.models.srresnet import Generator
from srgan_tf.models.vgg import FeatureNetwork
from srgan_tf.training import losses
from srgan_tf.training.model import SRGAN

pytestmark = pytest.mark.usefixtures("small_discriminator")


def crops(n=4, side=32, seed=0):
    """Smooth random pictures, uint8."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (n, 5, 5, 3))
    return tf.cast(tf.round(tf.clip_by_value(tf.image.resize(coarse, (side, side), "bicubic"), 0, 255)), tf.uint8)


def model(precision="float32", optimizer="adam", pixel="mse", **options):
    keras.utils.set_random_seed(1)
    compat.set_precision(precision)
    try:
        result = SRGAN(Generator(blocks=2, channels=8), **options)
    finally:
        compat.set_precision("float32")
    result.compile(optimizer, pixel=pixel)
    return result


def test_one_step_is_gradient_descent_on_the_papers_loss():
    """The step's change of the last bias, against the loss differentiated by differences."""
    ours = model(optimizer=keras.optimizers.SGD(0.1))
    hr = crops()
    lr01, hr11 = np.asarray(downscale(hr, 4), np.float32) / 255, np.asarray(hr, np.float32) / 127.5 - 1
    bias = ours.generator.tail_conv.bias
    start = np.array(bias)

    def loss(at):
        bias.assign(at)
        stats = ours.generator.get_weights()
        value = np.mean((np.asarray(ours.generator(lr01, training=True), np.float64) - hr11) ** 2)
        ours.generator.set_weights(stats)
        return value

    slopes = [(loss(start + h) - loss(start - h)) / 0.02 for h in 0.01 * np.eye(3, dtype=np.float32)]
    bias.assign(start)
    logs = ours.train_step(hr)
    np.testing.assert_allclose(np.array(bias) - start, -0.1 * np.array(slopes), rtol=2e-3)
    assert float(logs["loss/content"]) == pytest.approx(loss(start), rel=0.2)


@pytest.mark.parametrize("precision", matrix(TRAINING_PRECISIONS, "float32"))
@pytest.mark.parametrize("pixel", matrix(["mse", "mae"], "mse"))
def test_fit_learns_in_every_precision(precision, pixel):
    ours = model(precision, keras.optimizers.Adam(3e-3), pixel)
    data = tf.data.Dataset.from_tensors(crops()).repeat()
    history = ours.fit(data, steps_per_epoch=15, epochs=2, verbose=0, shuffle=False).history["loss/content"]
    assert np.isfinite(history).all() and history[1] < 0.85 * history[0]
    assert ours.generator(tf.zeros((1, 4, 4, 3))).dtype == tf.float32
    assert all(w.dtype == "float32" for w in ours.generator.trainable_weights)


def test_ready_pairs_and_crops_are_the_same_to_it():
    hr = crops()
    one, other = model(), model()
    one.train_step(hr)
    other.train_step((downscale(hr, 4), hr))
    for a, b in zip(one.generator.get_weights(), other.generator.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_moving_average_carries_the_statistics_along():
    """Averaged weights beside the raw statistics were off by 10 dB and more in a trial."""
    ours = model(optimizer=keras.optimizers.Adam(3e-3), ema_decay=0.5)
    average = {name: array.copy() for name, array in ours.generator.get_arrays().items()}
    for step in range(1, 4):
        ours.train_step(crops(seed=step))
        decay = min(0.5, (1 + step) / (10 + step))
        for name, array in ours.generator.get_arrays().items():
            average[name] = decay * average[name] + (1 - decay) * array
    assert any(name.endswith("moving_variance") for name in average)
    for name, array in ours.ema_generator.get_arrays().items():
        np.testing.assert_allclose(array, average[name], rtol=1e-4, atol=1e-6, err_msg=name)
    lr = tf.random.stateless_uniform((1, 6, 6, 3), seed=(1, 2))
    np.testing.assert_array_equal(ours(lr), ours.ema_generator(lr))


def test_validation_scores_rounded_pictures_on_y():
    ours = model()
    hr = crops(1)
    lr = downscale(hr, 4)
    sr = np.clip(np.floor((np.asarray(ours(np.asarray(lr, np.float32) / 255)) + 1) * 127.5 + 0.5), 0, 255)
    y = [np.floor(16 + np.asarray(p, np.float64) @ [65.481, 128.553, 24.966] / 255 + 0.5) for p in (hr, sr)]
    expected = 10 * np.log10(255**2 / np.mean((y[0] - y[1])[:, 4:-4, 4:-4] ** 2))
    result = ours.evaluate(tf.data.Dataset.from_tensors((lr, hr)), verbose=0, return_dict=True)
    assert result["psnr_y"] == pytest.approx(expected, abs=0.02)


def test_frozen_batch_norm_trains_what_inference_computes():
    ours = model(optimizer=keras.optimizers.Adam(1e-2), freeze_batch_norm=True)
    before = ours.generator.get_arrays()
    ours.train_step(crops())
    after = ours.generator.get_arrays()
    changed = {n.split("/")[-1] for n in before if not np.array_equal(before[n], after[n])}
    assert changed == {"kernel", "bias", "alpha"}


def test_saves_loads_and_goes_on(tmp_path):
    ours = model(ema_decay=0.9)
    ours.train_step(crops())
    ours.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    lr = tf.random.stateless_uniform((1, 6, 6, 3), seed=(1, 2))
    np.testing.assert_array_equal(loaded(lr), ours(lr))
    for each in (ours, loaded):
        each.train_step(crops(seed=1))
    for a, b in zip(ours.generator.get_weights(), loaded.generator.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(loaded(lr), ours(lr), atol=1e-5)


GAN = {"features": FeatureNetwork("vgg16", (2, 2), judged=[(1, 2), (2, 1)]), "ema_decay": 0.9}


def gan(precision="float32", loss=None, judges="pixels", **options):
    keras.utils.set_random_seed(1)
    compat.set_precision(precision)
    try:
        d = Discriminator(32, pooled=True) if judges == "pixels" else FeatureDiscriminator([(1, 2), (2, 1)])
        result = SRGAN(Generator(blocks=1, channels=8), d, **{**GAN, **options})
    finally:
        compat.set_precision("float32")
    result.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3), **(loss or {}))
    return result


@pytest.mark.parametrize("judges", ["pixels", "features"])
@pytest.mark.parametrize("precision", matrix(TRAINING_PRECISIONS))
@pytest.mark.usefixtures("small_discriminator")
def test_gan_step_in_every_precision(precision, judges):
    ours = gan(precision, judges=judges)
    before = [w.copy() for w in ours.discriminator.get_weights()]
    data = tf.data.Dataset.from_tensors(crops()).repeat()
    logs = ours.fit(data, steps_per_epoch=2, verbose=0, shuffle=False).history
    parts = {"loss", "loss/content", "loss/adversarial", "loss/mse", "ratio/adversarial_content", "ratio/content_mse"}
    names = {*parts, "loss/d", "d/real", "d/fake", "grad/g", "grad/d"}
    assert set(logs) == names and all(np.isfinite(v).all() for v in logs.values())
    assert any(not np.array_equal(a, b) for a, b in zip(before, ours.discriminator.get_weights()))


@pytest.mark.parametrize("judges", ["pixels", "features"])
def test_generators_loss_is_the_weighted_sum_of_its_parts(judges):
    weights = {"adversarial_weight": 0.5, "pixel_weight": 2.0, "pixel": "mae", "tv_weight": 1e-3, "phase_weight": 3.0}
    weights["texture_weight"] = 2.5
    ours = gan(loss=weights, judges=judges)
    lr, hr = ours.prepare(crops())
    sr = ours.generator(lr)
    seen = ours._with_features(hr), ours._with_features(sr)
    parts = {name: float(value) for name, value in ours._generator_losses(*seen, *ours._judge(*seen)).items()}
    both = tf.concat([hr, sr], 0)
    seen = both if judges == "pixels" else [ours.features.each(both)[layer] for layer in ((1, 2), (2, 1))]
    fake = np.asarray(ours.discriminator(seen, training=True), np.float64)[len(sr) :]
    expected = (
        parts["loss/content"]
        + 2.0 * np.mean(np.abs(np.asarray(hr) - sr))
        + 0.5 * np.mean(np.log1p(np.exp(-fake)))
        + 1e-3 * parts["loss/tv"]
        + 3.0 * float(losses.phase_loss(hr, sr, ours.generator.scale))
        + 2.5 * float(losses.texture_loss(ours.features.each(hr), ours.features.each(sr)))
    )
    assert parts["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.matrix
@pytest.mark.parametrize("judges", ["pixels", "features"])
@pytest.mark.usefixtures("small_discriminator")
def test_discriminator_alone_learns_when_generator_stands_still(judges):
    ours = gan(loss={"adversarial": "relativistic", "label_smoothing": 0.1}, judges=judges)
    ours.optimizer.learning_rate = 0.0
    data = tf.data.Dataset.from_tensors(crops()).repeat()
    logs = ours.fit(data, steps_per_epoch=8, epochs=2, verbose=0, shuffle=False).history
    assert logs["loss/d"][1] < logs["loss/d"][0] and logs["d/real"][1] > logs["d/fake"][1]


@pytest.mark.parametrize("judges", matrix(["pixels", "features"], "pixels"))
@pytest.mark.usefixtures("small_discriminator")
def test_gan_saves_loads_and_goes_on(tmp_path, judges):
    ours = gan(judges=judges)
    ours.train_step(crops())
    ours.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert loaded.features.name == "VGG-16 φ2,2"
    for each in (ours, loaded):
        each.train_step(crops(seed=1))
    for part in ("generator", "discriminator"):
        for a, b in zip(getattr(ours, part).get_weights(), getattr(loaded, part).get_weights()):
            np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("judges", ["pixels", "features"])
@pytest.mark.usefixtures("small_discriminator")
def test_simultaneous_updates_are_those_of_a_d_that_waits(judges):
    """D's step is the alternating one's, which comes first there too; G's is that against a D of rate 0."""
    hr, made = crops(2, 32), {}
    for name, updates, rate in (("ours", "simultaneous", 0.1), ("d", "alternating", 0.1), ("g", "alternating", 0.0)):
        one = gan(judges=judges)
        optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(rate)
        one.compile(*optimizers, adversarial_weight=1.0, updates=updates)
        one.train_step(hr)
        made[name] = one
    close = dict(rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(
        made["ours"].discriminator.trainable_variables, made["d"].discriminator.trainable_variables
    ):
        np.testing.assert_allclose(ours, theirs, **close)
    for ours, theirs in zip(made["ours"].generator.trainable_variables, made["g"].generator.trainable_variables):
        np.testing.assert_allclose(ours, theirs, **close)
    pairs = zip(made["ours"].generator.trainable_variables, made["d"].generator.trainable_variables)
    assert not all(np.allclose(ours, theirs, rtol=1e-4, atol=1e-7) for ours, theirs in pairs)


def test_a_new_loss_is_one_term():
    term = losses.Term("brightness", lambda seen: tf.square(tf.reduce_mean(seen.sr - seen.hr)), 2.0)
    ours = model()
    ours.compile("sgd", terms=(*losses.TERMS, term))
    logs = ours.train_step(crops())
    assert float(logs["loss/brightness"]) > 0
    expected = logs["loss/content"] + 2 * logs["loss/brightness"]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-6)
    ours.compile("sgd", terms=(*losses.TERMS, term), brightness_weight=0)
    assert "loss/brightness" not in ours.train_step(crops())


def test_a_model_with_a_term_of_its_own_says_how_to_load_it(tmp_path):
    ours, path = model(), tmp_path / "model.keras"
    ours.compile("sgd", terms=(*losses.TERMS, losses.Term("own", lambda seen: tf.reduce_mean(seen.sr), 1.0)))
    ours.save(path)
    with pytest.raises(ValueError, match=r"the loss term 'own'.*compile=False"):
        keras.models.load_model(path)
    arrays = keras.models.load_model(path, compile=False).generator.get_arrays()
    np.testing.assert_array_equal(arrays["tail/conv/bias"], ours.generator.get_arrays()["tail/conv/bias"])


def test_metrics_are_saved_and_what_is_not_compiled_too(tmp_path):
    ours = model()
    ours.compile("sgd", metrics=[SSIM(), "mae", keras.losses.mean_squared_error])
    names = {metric.name for metric in ours.watched}
    ours.save(tmp_path / "compiled.keras")
    assert {metric.name for metric in keras.models.load_model(tmp_path / "compiled.keras").watched} == names
    SRGAN(Generator(1, 8)).save(tmp_path / "bare.keras")
    assert keras.models.load_model(tmp_path / "bare.keras").generator.channels == 8


def test_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="pixel"):
        model(pixel="l3")


@pytest.mark.parametrize("option", [{"degradation": "Bicubic"}, {"everyday": 75}, {"ema_decay": 1.0}])
def test_options_out_of_range_are_refused(option):
    """An unknown degradation once was Real-ESRGAN's."""
    with pytest.raises(ValueError, match=f"^{next(iter(option))} must be"):
        SRGAN(Generator(1, 8), **option)


def test_no_average_may_be_said_by_0():
    assert SRGAN(Generator(1, 8), ema_decay=0).ema_generator is None


@pytest.mark.parametrize("features", [None, FeatureNetwork("vgg16", (2, 2))])
def test_feature_discriminator_without_its_layers_is_refused(features):
    with pytest.raises(ValueError, match=r"judges features of layers \[\(2, 2\)\]"):
        model(discriminator=FeatureDiscriminator([(2, 2)]), features=features)


@pytest.mark.matrix
def test_the_step_compiled_by_xla_is_the_step():
    """Two steps with jit_compile=True end where two without do, up to the order of sums."""
    hr, ends = crops(), []
    for compiled in (False, True):
        compared = model(optimizer=keras.optimizers.SGD(1e-2))
        compared.compile(keras.optimizers.SGD(1e-2), pixel="mse", jit_compile=compiled)
        compared.fit(tf.data.Dataset.from_tensors(hr).repeat(2), epochs=1, verbose=0)
        ends.append(compared.generator.get_arrays())
    for name, value in ends[0].items():
        np.testing.assert_allclose(ends[1][name], value, atol=1e-5, err_msg=name)
