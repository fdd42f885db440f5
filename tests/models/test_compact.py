"""The generator for phones: its own function, and the same in every form that the package gives it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srgan_tf import compat
from srgan_tf.choices import LITE_KINDS
from srgan_tf.export import parity, saved_model, tflite
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.models import weights
from srgan_tf.models.compact import Compact
from srgan_tf.training import loop
from srgan_tf.training.recipes import RECIPES


def lively(**arguments) -> Compact:
    """A compact generator whose last convolution says something."""
    tf.keras.utils.set_random_seed(3)
    generator = Compact(**{"blocks": 2, "channels": 8, **arguments})
    arrays, rng = generator.get_arrays(), np.random.default_rng(0)
    arrays = {n: rng.normal(0, 0.1, a.shape) if n.endswith("bias") else a for n, a in arrays.items()}
    generator.set_arrays(arrays)
    return generator


@pytest.fixture(scope="module")
def lr():
    return np.random.default_rng(1).uniform(0, 1, (1, 27, 31, 3)).astype(np.float32)


def test_size_is_for_phones():
    assert Compact().count_params() == 3 * 24 * 9 + 24 + 9 * (24 * 24 * 9 + 24) + 24 * 48 * 9 + 48 == 57_960


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_without_weights_it_is_bilinear(lr, scale):
    generator = Compact(blocks=1, channels=4, scale=scale)
    generator.set_arrays({name: np.zeros_like(array) for name, array in generator.get_arrays().items()})
    picture = (lr[0] * 255).astype(np.uint8)
    wanted = np.asarray(Image.fromarray(picture).resize((31 * scale, 27 * scale), Image.Resampling.BILINEAR))
    sr = np.asarray(generator(picture[None].astype(np.float32) / 255))[0]
    assert np.abs((sr + 1) * 127.5 - wanted).max() < 1.01  # Pillow rounds, twice


def test_context_is_what_a_pixel_depends_on():
    generator = lively(blocks=3)
    lr = tf.Variable(np.random.default_rng(2).uniform(0.2, 0.8, (1, 21, 21, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        middle = tf.reduce_sum(generator(lr)[:, 40:44, 40:44])
    rows = np.flatnonzero(np.abs(tape.gradient(middle, lr)).sum((0, 2, 3)))
    assert (rows.min(), rows.max()) == (10 - generator.context, 10 + generator.context)


def test_tiles_leave_no_seam(monkeypatch):
    upscaler = Upscaler(lively(), precision="float32")
    photo = np.random.default_rng(3).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    whole = upscaler(photo).astype(int)
    monkeypatch.setattr(Pipeline, "tile_size", lambda self, *_: (2 * self.overlap + 20, 2 * self.overlap + 24))
    assert np.abs(upscaler(photo) - whole).max() <= 1


def test_exports(tmp_path):
    generator = lively()
    reference = parity.Reference(generator)
    saved_model.write(generator, tmp_path / "model", check=lambda folder: reference.check(folder, "saved_model", "s"))
    for kind in LITE_KINDS:
        side = 48 if kind == "int8" else parity.SIDE
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(tflite.convert(generator, kind, 48 if kind == "int8" else None))
        assert reference.check(path, kind, kind, side).size


def test_trains_by_its_recipe(tmp_path):
    short = {"steps": 30, "batch": 4, "crop": 32, "warmup": 0, "ema_decay": 0.0}
    if not compat.KERAS_3:
        short["optimizer"] = "Adam"  # Keras 2.15 has no Muon
    recipe = dataclasses.replace(RECIPES["compact"], **short)
    model, _ = loop.train(recipe, tmp_path)
    assert type(model.best_generator) is Compact
    assert type(weights.load(tmp_path)) is Compact
    start = loop.build(recipe).generator.get_arrays()
    assert any(np.abs(start[n] - a).max() > 1e-4 for n, a in model.generator.get_arrays().items())


def test_starts_near_its_first_layer_passed_through():
    """The kernels between are the identity but for a tenth of He's, and no two are alike."""
    arrays = Compact(blocks=3).get_arrays()
    identity = np.pad(np.eye(24)[None, None], [(1, 1), (1, 1), (0, 0), (0, 0)])
    rest = [arrays[f"conv{i:02d}/kernel"] - identity for i in (1, 2, 3)]
    for kernel in rest:
        assert np.std(kernel) == pytest.approx(0.1 * np.sqrt(2 / (9 * 24)), rel=0.1)
    assert np.abs(rest[0] - rest[1]).max() > 0.01 and np.abs(rest[1] - rest[2]).max() > 0.01
    assert np.std(arrays["conv00/kernel"]) == pytest.approx(np.sqrt(2 / (9 * 3)), rel=0.1)
