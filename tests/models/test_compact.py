"""What is particular to the generator for phones; test_contract.py has the rest."""

import dataclasses

import numpy as np
import pytest
from noise import write_noise
from PIL import Image

from srgan_tf import compat
from srgan_tf.models import weights
from srgan_tf.models.compact import Compact
from srgan_tf.training import loop
from srgan_tf.training.recipes import RECIPES


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


@pytest.mark.usefixtures("eagerly")
def test_trains_by_its_recipe(tmp_path):
    short = {"steps": 3, "batch": 2, "crop": 32, "warmup": 0, "ema_decay": 0.0}
    if not compat.KERAS_3:
        short["optimizer"] = "Adam"  # Keras 2.15 has no Muon
    recipe = dataclasses.replace(RECIPES["compact"], **short)
    data = write_noise(tmp_path / "data", side=32)
    model, _ = loop.train(recipe, tmp_path / "run", data, validation=data)
    assert type(model.best_generator) is Compact
    assert type(weights.load(tmp_path / "run")) is Compact
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
