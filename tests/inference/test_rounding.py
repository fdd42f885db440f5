"""Weights in 8 bits: nearest but for what keeps a channel's sum, and kept by TensorFlow's own converter."""

import numpy as np
import pytest

from srgan_tf.export import tflite
from srgan_tf.inference import lite_model
from srgan_tf.inference.lite_model import in_levels, on_grid
from srgan_tf.models.compact import Compact


@pytest.mark.parametrize("shape", [(7, 1, 1, 5), (16, 3, 3, 24), (4, 9, 9, 3), (1, 5, 5, 1)])
def test_sums_are_kept_and_no_weight_moves_by_a_step(shape):
    kernels = np.random.default_rng(3).normal(0, 0.1, shape).astype(np.float32)
    levels, steps = in_levels(kernels)
    assert levels.dtype == np.int8 and np.abs(levels).max((1, 2, 3)).tolist() == [127] * shape[0]
    off = levels * steps[:, None, None, None] - kernels
    assert (np.abs(off) < 1.001 * steps[:, None, None, None]).all()
    assert (np.abs(off.sum((1, 2))) < 0.501 * steps[:, None]).all()
    # Of all ways to round that keep the sums, none is nearer: what was moved costs the least that such a move can.
    nearest = np.rint(kernels / steps[:, None, None, None])
    moved = np.abs(levels - nearest).sum((1, 2))
    left = (kernels / steps[:, None, None, None] - nearest).sum((1, 2))
    assert (moved <= np.abs(left) + 0.501).all()


def test_zeros_stay_zeros():
    levels, steps = in_levels(np.zeros((2, 3, 3, 4), np.float32))
    assert not levels.any() and (steps > 0).all()


@pytest.mark.parametrize("kind", ["int8", "dynamic"])
def test_the_converter_keeps_the_levels(kind):
    generator = Compact(blocks=2, channels=24)
    rng = np.random.default_rng(1)
    generator.set_arrays({name: rng.normal(0, 0.1, one.shape) for name, one in generator.get_arrays().items()})
    network = tflite.Exported(generator)
    if kind == "int8":
        tflite.fake_quantised(network)
    else:
        tflite.onto_levels(network.arrays)
    wanted = [in_levels(np.moveaxis(network.arrays[f"conv0{i}/kernel"], -1, 0))[0] for i in (1, 2)]
    schema, content = lite_model.schema(), tflite.convert(generator, kind, 32)
    root = schema.Model.GetRootAsModel(content, 0)
    graph, stored = root.Subgraphs(0), []
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        data = root.Buffers(tensor.Buffer()).DataAsNumpy()
        if tensor.Type() == schema.TensorType.INT8 and not np.isscalar(data):
            stored.append((tensor.ShapeAsNumpy().tolist(), data.view(np.int8)))
    for levels in wanted:
        same = [one for shape, one in stored if shape == list(levels.shape) and np.array_equal(one, levels.reshape(-1))]
        assert len(same) == 1


def test_rounding_twice_is_rounding_once():
    kernels = np.random.default_rng(5).normal(0, 0.1, (3, 3, 24, 48)).astype(np.float32)
    once = on_grid(kernels)
    np.testing.assert_allclose(on_grid(once), once, atol=1e-7)
    assert np.abs(once - kernels).max() > 1e-4
