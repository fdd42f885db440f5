"""Files of any size become files of one size, of every generator, in operations that graphics processors have."""

import numpy as np
import pytest
from conftest import matrix
from swiftshader import needed

from srgan_tf.data.levels import from_signed
from srgan_tf.export import tflite
from srgan_tf.inference import lite_model
from srgan_tf.inference.gpu import GpuRunner
from srgan_tf.inference.lite_model import LiteModel
from srgan_tf.inference.lite_sizes import Sizes
from srgan_tf.inference.litert import interpreter
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.models import GENERATORS, generator_class

# Of those that ML Drift and the older delegates of phones run; GATHER, SELECT, SHAPE, PACK and others they refuse.
KNOWN = {
    *("ADD", "CONCATENATION", "CONV_2D", "DEPTH_TO_SPACE", "LEAKY_RELU", "LOGISTIC", "MINIMUM", "MUL", "PRELU"),
    *("RELU", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SUB"),
}
CASES = [(name, scale) for name in GENERATORS for scale in (2, 4)] + [("compact", 3)]
AT_FOUR = [(name, 4) for name in GENERATORS]


@pytest.fixture(scope="module")
def made():
    """Small generators and their files of kind "engine", by name and scale."""
    known = {}

    def one(name: str, scale: int):
        if (name, scale) not in known:
            generator = generator_class(name)(blocks=1, channels=8, scale=scale)
            rng = np.random.default_rng(0)
            draw = {n: rng.normal(0, 0.1, a.shape) for n, a in generator.get_arrays().items() if "variance" not in n}
            generator.set_arrays(generator.get_arrays() | draw)
            known[name, scale] = generator, tflite.convert(generator, "engine", name=name)
        return known[name, scale]

    return one


def operations(content: bytes) -> set[str]:
    model, codes = lite_model.unpack(content), lite_model.schema().BuiltinOperator
    names = {number: name for name, number in vars(codes).items() if isinstance(number, int)}
    return {names[model.operatorCodes[op.opcodeIndex].builtinCode] for op in model.subgraphs[0].operators}


def run(content: bytes, lr: np.ndarray) -> np.ndarray:
    model = interpreter(content)
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], lr)
    model.invoke()
    return model.get_tensor(model.get_output_details()[0]["index"])


@pytest.mark.parametrize(("name", "scale"), matrix(CASES, *AT_FOUR[::2]))
def test_one_size_in_operations_that_gpus_have(name, scale, made):
    generator, content = made(name, scale)
    fixed, shape = Sizes(LiteModel(content).whole(), generator.tile_multiple).fixed(20, 36)
    assert shape == (1, 20 * generator.scale, 36 * generator.scale, 3)
    (graph,) = lite_model.unpack(fixed).subgraphs
    assert operations(fixed) <= KNOWN
    assert not any(tensor.shapeSignature is not None for tensor in graph.tensors)
    assert max(len(tensor.shape) for tensor in graph.tensors if tensor.shape is not None) <= 4
    lr = np.random.default_rng(0).random((1, 20, 36, 3), np.float32)
    wanted = from_signed(generator(lr, training=False).numpy()).clip(0, 1)
    assert run(fixed, lr).shape == wanted.shape
    assert np.abs(run(fixed, lr) - wanted).max() < 2 / 255


@pytest.mark.parametrize(("name", "scale"), matrix(CASES, *AT_FOUR))
def test_files_for_phones_and_browsers_have_only_such_operations(name, scale, made):
    fixed = tflite.convert(made(name, scale)[0], "float16", 96)
    (graph,) = lite_model.unpack(fixed).subgraphs
    assert operations(fixed) <= KNOWN | {"DEQUANTIZE"}  # which widens constants of half precision
    assert not any(-1 in tensor.shapeSignature for tensor in graph.tensors if tensor.shapeSignature is not None)
    assert max(len(tensor.shape) for tensor in graph.tensors if tensor.shape is not None) <= 4


def test_a_file_of_one_size_is_refused(made):
    whole = LiteModel(made("compact", 3)[1]).whole()
    with pytest.raises(ValueError, match="one size"):
        Sizes(Sizes(whole).fixed(16, 16)[0])


@needed
@pytest.mark.parametrize(("name", "scale"), matrix(CASES, *AT_FOUR))
def test_a_gpu_runs_every_generator_as_the_cpu_does(name, scale, made, software_gpu):
    _, content = made(name, scale)
    runner = GpuRunner(content, name, ModelInfo.from_tflite(content))
    lr = np.random.default_rng(1).random((1, 16, 24, 3), np.float32)
    wanted = run(Sizes(LiteModel(content).whole()).fixed(16, 24)[0], lr)
    assert np.abs(from_signed(runner(lr)) - wanted).max() < 0.01 / 255
