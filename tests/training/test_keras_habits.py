"""What Keras' users do with a model: batches in every form, callbacks, settings of their own (after public reports)."""

import json
import os
import re
import sys

import forks
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, eager, matrix

import srgan_tf
from srgan_tf import compat
from srgan_tf.data.bicubic import downscale
from srgan_tf.errors import SettingsError
from srgan_tf.evaluation.metrics import SSIM
from srgan_tf.models import GENERATORS, generator_class
from srgan_tf.models.discriminators import Discriminator, FeatureDiscriminator
from srgan_tf.models.srresnet import Generator
from srgan_tf.models.vgg import FeatureNetwork
from srgan_tf.training.model import SRGAN

pytestmark = pytest.mark.usefixtures("small_discriminator")


@pytest.fixture(scope="module")
def pair():
    hr = np.random.default_rng(0).integers(0, 256, (8, 24, 24, 3)).astype(np.uint8)
    hr = np.asarray(tf.nn.avg_pool2d(hr.astype(np.float32), 3, 1, "SAME")).astype(np.uint8)
    return downscale(hr, 4).numpy(), hr


def plain(gan: bool = False, **options) -> SRGAN:
    keras.utils.set_random_seed(1)
    model = SRGAN(Generator(1, 8), Discriminator(16, pooled=True) if gan else None)
    model.compile(**{"optimizer": "sgd", **options})
    return model


def loss(model, *batch):
    return float(model.fit(*batch, batch_size=8, shuffle=False, verbose=0).history["loss"][0])


@pytest.mark.usefixtures("eagerly")
def test_floats_in_the_generators_ranges_are_the_uint8_pairs(pair):
    lr, hr = pair
    floats = (lr / 255).astype(np.float32), (hr / 127.5 - 1).astype(np.float32)
    wanted = loss(plain(), lr, hr)
    assert loss(plain(), *floats) == pytest.approx(wanted, rel=1e-5)
    assert loss(plain(), floats[1]) == pytest.approx(wanted, rel=1e-5)  # LR made of float HR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lr, hr: (lr / np.float32(255), hr / np.float32(255)), r"floats of HR must be in \[-1, 1\]"),
        (lambda lr, hr: (lr.astype(np.float32), hr / np.float32(127.5) - 1), r"floats of LR must be in \[0, 1\]"),
        (lambda lr, hr: (lr.astype(np.uint16) * 257, hr.astype(np.uint16) * 257), "must be uint8 in 0-255.*uint16"),
        (lambda lr, hr: (lr, hr[..., :1]), "HR must be RGB, 3 channels, not 1"),
        (lambda lr, hr: (hr, lr), r"is not 4 times LR.*pairs must be \(LR, HR\)"),
        (lambda lr, hr: (lr, hr, np.ones(8)), "sample_weight is not supported"),
    ],
)
def test_other_batches_are_refused_by_name(pair, change, message):
    batch = change(*pair)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        plain().fit(*batch[:2], sample_weight=batch[2] if len(batch) == 3 else None, batch_size=8, verbose=0)


@pytest.mark.usefixtures("eagerly")
def test_ranges_are_checked_after_the_first_step_too(pair):
    """Validation data, and those of a second fit, were once taken as they came: EarlyStopping watched a wrong score."""
    lr, hr = pair
    model, floats = plain(), [array.astype(np.float32) for array in pair]
    model.fit(lr, hr, verbose=0)
    for call in (model.fit, model.evaluate):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"floats of HR must be in \[-1, 1\]"):
            call(lr, floats[1] / 255, verbose=0)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"floats of LR must be in \[0, 1\]"):
            call(*floats, verbose=0)
    bright = np.full_like(floats[1], 200) / 127.5 - 1  # no value below 0, and right
    model.evaluate(np.full_like(lr, 200), bright, verbose=0)


def test_every_form_of_a_batch_is_taken(pair):
    lr, hr = pair
    with eager():
        wanted = loss(plain(), hr)
        assert plain().train_on_batch(hr, return_dict=True)["loss"] == pytest.approx(wanted, rel=1e-5)
        assert plain().train_on_batch(lr, hr, return_dict=True)["loss"] == pytest.approx(wanted, rel=1e-5)
        assert plain().test_on_batch(lr, hr, return_dict=True)["psnr_y"] > 0
    for form in ((hr,), (lr, hr)):  # in a graph, of unknown sizes
        endless = iter(lambda form=form: form, None)
        history = plain().fit((form for form in endless), steps_per_epoch=1, verbose=0).history
        assert history["loss"][0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_callbacks_know_that_more_of_a_score_is_better(pair, tmp_path):
    lr, hr = pair
    watchers = [
        keras.callbacks.EarlyStopping("val_psnr_y", patience=9),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), monitor="val_psnr_y", save_best_only=True),
        keras.callbacks.ReduceLROnPlateau("val_psnr_y", patience=9),
        keras.callbacks.EarlyStopping(patience=9),  # val_loss
    ]
    model = plain()
    scores = model.fit(lr, hr, validation_data=pair, epochs=3, callbacks=watchers, verbose=0).history
    assert scores["val_psnr_y"][-1] > scores["val_psnr_y"][0] and scores["val_loss"][-1] < scores["val_loss"][0]
    assert all(watcher.best == pytest.approx(max(scores["val_psnr_y"])) for watcher in watchers[:3])
    assert watchers[3].best == pytest.approx(min(scores["val_loss"]))


@pytest.mark.usefixtures("eagerly")
def test_rates_of_a_gan_are_told_apart(pair, caplog):
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-6)
    model = plain(True)
    model.fit(pair[1][:, :16, :16], callbacks=[scheduler], verbose=0)
    assert "set D's by d_optimizer.learning_rate" in caplog.text
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-6) != float(model.d_optimizer.learning_rate)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_a_frozen_network_lets_the_other_train(pair, frozen):
    generator, discriminator = Generator(1, 8, batch_norm=False), Discriminator(16, spectral_norm=False, pooled=True)
    {"generator": generator, "discriminator": discriminator}[frozen].trainable = False
    model = SRGAN(generator, discriminator)
    model.compile("sgd", "sgd")
    networks = {"generator": generator, "discriminator": discriminator}
    before = {name: [np.array(v) for v in network.weights] for name, network in networks.items()}
    model.fit(pair[1][:, :16, :16], verbose=0)
    for name, network in networks.items():
        kernels = [(old, np.array(v)) for old, v in zip(before[name], network.weights) if old.ndim == 4]
        assert all(np.array_equal(*both) for both in kernels) == (name == frozen)


@pytest.mark.usefixtures("eagerly")
def test_networks_of_other_makes(pair):
    hr = pair[1][:, :16, :16]
    d = keras.Sequential(
        [keras.layers.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, 2), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model = SRGAN(Generator(1, 8), d)
    model.compile("sgd", "sgd")
    assert np.isfinite(model.fit(hr, verbose=0).history["loss/d"][0])
    with pytest.raises(TypeError, match=r"generator must be a BaseGenerator.*not Sequential"):
        SRGAN(keras.Sequential([keras.layers.Conv2D(3, 3)]))


def test_compile_takes_keras_words_where_they_mean_something(pair):
    model = plain(True, optimizer=keras.optimizers.SGD(0.25), metrics=[SSIM(shave=4)])
    assert model.optimizer is not model.d_optimizer
    assert float(model.d_optimizer.learning_rate) == float(model.optimizer.learning_rate) == 0.25
    assert 0 < model.evaluate(*pair, verbose=0, return_dict=True)["ssim_y"] < 1
    with pytest.raises(ValueError, match="loss is not supported"):
        plain(loss="mse")


@pytest.mark.skipif(not compat.KERAS_3, reason="Keras 3's own exporter")
def test_kerass_own_export_works_after_a_call(pair, tmp_path):
    lr = (pair[0] / 255).astype(np.float32)
    for i, model in enumerate((plain(), srgan_tf.load("compact"))):
        wanted = np.asarray(model(lr))
        model.export(str(tmp_path / str(i)), verbose=False)
        exported = tf.saved_model.load(str(tmp_path / str(i)))  # its functions die with it
        np.testing.assert_allclose(exported.serve(lr), wanted, atol=1e-5)


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory):
    """A .keras file of every class that is saved."""
    folder = tmp_path_factory.mktemp("keras")
    for name in GENERATORS:
        generator_class(name)(blocks=1, channels=4).save(folder / f"{name}.keras")
    model = SRGAN(generator_class("compact")(blocks=1, channels=4), Discriminator(16, pooled=True), ema_decay=0.9)
    model.compile("adam", "adam")
    model.save(folder / "model.keras")
    judge = FeatureDiscriminator([(1, 2)])
    model = SRGAN(Generator(1, 4), judge, FeatureNetwork("vgg16", (1, 2), judged=[(1, 2)]))
    model.compile("adam", "adam")
    model.save(folder / "model-features.keras")
    return folder


@pytest.mark.parametrize(
    "order",
    matrix(["import keras, srgan_tf", "import srgan_tf; srgan_tf.SRGAN; import keras"], "import keras, srgan_tf"),
)
def test_keras_files_load_in_a_fresh_process(keras_files, order):
    """By Keras' own function and by ours."""
    code = (
        f"import sys; from pathlib import Path; {order}\n"
        "for path in sorted(Path(sys.argv[1]).glob('*.keras')):\n"
        "    print(type(keras.models.load_model(path)).__name__, type(srgan_tf.load(path)).__name__)\n"
    )
    done = forks.run([sys.executable, "-c", code, str(keras_files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(GENERATORS) + 2 and "SRGAN Compact" in done.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"KERAS_BACKEND": "jax"}, "KERAS_BACKEND is 'jax', and srgan_tf needs Keras on TensorFlow"),
        ({"json": {"backend": "torch"}}, "backend in .*keras.json is 'torch'"),
        ({"json": {"image_data_format": "channels_first"}}, "image_data_format in .*keras.json is 'channels_first'"),
        ({"json": {"floatx": "float16"}}, "floatx in .*keras.json is 'float16'"),
    ],
)
def test_global_settings_are_named(tmp_path, settings, message):
    if not compat.KERAS_3 and "acken" in str(settings).lower():
        pytest.skip("Keras 2.15 has one backend")
    (tmp_path / "keras.json").write_text(json.dumps(settings.pop("json", {})))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), **settings}
    for command in (
        [str(ROOT / "upscale.py"), "--engine=tensorflow", "x.png"],
        ["-c", "import srgan_tf; srgan_tf.Generator"],
    ):
        done = forks.run([sys.executable, *command], capture_output=True, text=True, env=environment, cwd=ROOT)
        assert done.returncode != 0 and re.search(message, done.stderr.splitlines()[-1]), done.stderr


@pytest.mark.parametrize(
    ("policy", "fix"), [("bfloat16", "mixed_bfloat16"), ("float16", "mixed_float16"), ("float64", "float32")]
)
def test_pure_policies_are_named(policy, fix):
    keras.mixed_precision.set_global_policy(policy)
    try:
        with pytest.raises(SettingsError, match=f"use {fix}"):
            Generator(1, 4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
