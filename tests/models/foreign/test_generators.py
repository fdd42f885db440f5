"""Other projects' models against spandrel on PyTorch: `data/` is made by tools/foreign_fixtures.py."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from conftest import matrix

from srgan_tf.data.levels import from_signed, to_levels, to_unit
from srgan_tf.export import saved_model, tflite
from srgan_tf.models import weights

DATA = Path(__file__).parent / "data"
EXPECTED = np.load(DATA / "expected.npz")
MODELS = [name for name in EXPECTED.files if name != "lr"]
UNSHUFFLED = ["real-esrgan-x2.pth", "real-esrgan-x1.pth", "real-esrgan-grey-x2.pth"]


@pytest.mark.parametrize("name", MODELS)
def test_equals_pytorch(name):
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    generator, wanted = weights.load(DATA / name), EXPECTED[name].astype(np.float32)
    sr = from_signed(np.asarray(generator(to_unit(EXPECTED["lr"][None]), training=False))[0])
    assert sr.shape == wanted.shape == tuple(generator.scale * side for side in EXPECTED["lr"].shape[:2]) + (3,)
    assert 255 * np.abs(sr - wanted).max() < 0.3  # half precision of what was written


@pytest.mark.parametrize("name", matrix(UNSHUFFLED, "real-esrgan-x2.pth"))
def test_exports_of_unshuffled_ones_take_any_size(name, tmp_path):
    """LR is no multiple of the blocks."""
    generator, lr = weights.load(DATA / name), EXPECTED["lr"][None]
    assert lr.shape[1] % generator.tile_multiple
    wanted = EXPECTED[name].astype(np.float32)
    served = tf.saved_model.load(saved_model.write(generator, tmp_path)).signatures["serving_default"]
    assert np.abs(served(lr=tf.constant(lr))["sr"].numpy()[0] - to_levels(wanted).astype(int)).max() <= 1
    lite = Interpreter(model_content=tflite.convert(generator, "float32"))
    (given,), (made,) = lite.get_input_details(), lite.get_output_details()
    lite.resize_tensor_input(given["index"], lr.shape)
    lite.allocate_tensors()
    lite.set_tensor(given["index"], to_unit(lr))
    lite.invoke()
    assert 255 * np.abs(lite.get_tensor(made["index"])[0] - np.clip(wanted, 0, 1)).max() < 0.3
