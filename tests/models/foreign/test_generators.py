"""Other projects' models against spandrel on PyTorch: `data/` is made by tools/foreign_fixtures.py."""

from pathlib import Path

import numpy as np
import pytest

from srgan_tf.data.levels import from_signed, to_unit
from srgan_tf.models import weights

DATA = Path(__file__).parent / "data"
EXPECTED = np.load(DATA / "expected.npz")
MODELS = [name for name in EXPECTED.files if name != "lr"]


@pytest.mark.parametrize("name", MODELS)
def test_equals_pytorch(name):
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    generator, wanted = weights.load(DATA / name), EXPECTED[name].astype(np.float32)
    lr = to_unit(EXPECTED["lr"][None])
    multiple = generator.tile_multiple
    lr = np.pad(lr, [(0, 0), *((0, -side % multiple) for side in lr.shape[1:3]), (0, 0)], "reflect")
    sr = from_signed(np.asarray(generator(lr, training=False))[0, : wanted.shape[0], : wanted.shape[1]])
    assert wanted.shape == tuple(generator.scale * side for side in EXPECTED["lr"].shape[:2]) + (3,)
    assert 255 * np.abs(sr - wanted).max() < 0.3  # half precision of what was written
