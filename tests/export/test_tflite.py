"""The .tflite form is the generator's own function, and its int8 is whole in XNNPACK and near."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix
from flatbuffers import encode, number_types, table
from PIL import Image

from srgan_tf import compat
from srgan_tf.choices import LITE_KINDS
from srgan_tf.data.bundled import PHOTOS, photographs
from srgan_tf.export import bundle, parity, tflite
from srgan_tf.inference import litert, loading
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator

ROOT = Path(__file__).parents[2]


def unusual(**arguments) -> Generator:
    """A generator with slopes of PReLU below 0 and above 1, and batch norms that do something."""
    tf.keras.utils.set_random_seed(7)
    generator = Generator(blocks=2, channels=8, **arguments)
    arrays, rng = generator.get_arrays(), np.random.default_rng(0)
    for name in arrays:
        if name.endswith("alpha"):
            arrays[name] = rng.uniform(-0.5, 2, arrays[name].shape)
        elif "/bn" in name:
            arrays[name] = rng.uniform(0.3, 1, arrays[name].shape)
        elif name.endswith("bias"):
            arrays[name] = rng.uniform(-0.1, 0.1, arrays[name].shape)
    generator.set_arrays(arrays)
    return generator


@pytest.fixture(scope="module")
def generator():
    generator = unusual(scale=2)
    arrays = generator.get_arrays()
    arrays["tail/conv/kernel"] *= 0.5 / np.abs(arrays["tail/conv/kernel"]).sum((0, 1, 2)).max()
    generator.set_arrays(arrays)
    return generator


@pytest.fixture(scope="module")
def files(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lite")
    for kind in LITE_KINDS:
        size = 48 if kind == "int8" else None
        (folder / f"{kind}.tflite").write_bytes(tflite.convert(generator, kind, size, "tiny"))
    return folder


def interpreter(path):
    made = litert.interpreter(path.read_bytes())
    made.allocate_tensors()
    return made


@pytest.mark.parametrize(
    "arguments",
    matrix([{"scale": 4}, {"scale": 3, "batch_norm": False}, {"scale": 8, "output_activation": "tanh"}], {"scale": 4}),
)
def test_the_form_for_devices_is_the_same_function(arguments):
    generator = unusual(**arguments)
    lr = np.random.default_rng(0).uniform(0, 1, (1, 13, 11, 3)).astype(np.float32)
    wanted = np.clip((np.asarray(generator(lr)) + 1) / 2, 0, 1)
    assert wanted.std() > 0.05
    network = tflite.Exported(generator)
    assert np.abs(network(tf.constant(lr))["sr"] - wanted).max() < 1e-4
    for kind in ("int8", "dynamic"):
        tflite.equalise([network], kind)
        assert np.abs(network(tf.constant(lr))["sr"] - wanted).max() < 1e-4


def test_slopes_above_one_are_kept():
    generator, rng = unusual(scale=4), np.random.default_rng(0)
    arrays = generator.get_arrays()
    generator.set_arrays({n: rng.uniform(0, 2, a.shape) if n.endswith("alpha") else a for n, a in arrays.items()})
    lr = rng.uniform(0, 1, (1, 13, 11, 3)).astype(np.float32)
    wanted = np.clip((np.asarray(generator(lr)) + 1) / 2, 0, 1)
    assert np.abs(tflite.Exported(generator)(tf.constant(lr))["sr"] - wanted).max() < 1e-4


def carrying(scale: int = 4) -> Generator:
    """A generator that adds detail to an interpolation, which weights far above its others carry through."""
    generator = unusual(scale=scale, batch_norm=False)
    generator.start_as_interpolation()
    arrays, rng = generator.get_arrays(), np.random.default_rng(0)
    for name in arrays:
        if name.endswith("conv2/kernel") or name == "tail/conv/kernel":
            arrays[name] += rng.normal(0, 0.02, arrays[name].shape)
        elif name.startswith("upsample") and name.endswith("kernel"):
            arrays[name] += rng.normal(0, 0.002, arrays[name].shape)
    generator.set_arrays(arrays)
    return generator


def test_large_weights_taken_apart_are_the_same_function():
    generator = carrying()
    network, lr = tflite.Exported(generator), np.random.default_rng(0).uniform(0, 1, (1, 13, 11, 3)).astype(np.float32)
    tflite.split_outliers([network.arrays])
    assert {"upsample0/conv/outliers", "upsample1/conv/outliers"} <= set(network.arrays)
    wanted = np.clip((np.asarray(generator(lr)) + 1) / 2, 0, 1)
    assert np.abs(network(tf.constant(lr))["sr"] - wanted).max() < 1e-4


def test_small_weights_keep_their_step_where_large_ones_are_taken_from_among_them():
    """Those in the places of the large ones once went with them, and 8 bits rounded them to 0."""
    arrays = tflite.Exported(weights.load("srresnet")).arrays
    tail = arrays["tail/conv/kernel"]
    tflite.split_outliers([arrays])
    chosen, outliers = np.argmax(arrays["tail/conv/chosen"][0, 0], axis=0), arrays["tail/conv/outliers"]
    reach, middle = outliers.shape[0] // 2, tail.shape[0] // 2

    def rounded(kernel):
        step = np.abs(kernel).max((0, 1, 2)) / 127
        return np.rint(kernel / step) * step

    made, near = rounded(arrays["tail/conv/kernel"]), slice(middle - reach, middle + reach + 1)
    made[near, near, chosen] += rounded(outliers)
    small = np.abs(tail) < np.quantile(np.abs(tail), 0.9)
    assert np.abs(made - tail)[small].max() <= np.abs(arrays["tail/conv/kernel"]).max() / 254 * 1.001


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_padding_of_folded_kernels_makes_no_outliers(scale):
    """At x3 most of a folded kernel is padding: its median of 0 once made outliers of all that is not."""
    arrays = tflite.Exported(carrying(scale)).arrays
    there = np.count_nonzero(arrays["tail/conv/kernel"])
    tflite.split_outliers([arrays])
    assert 0.9 * there < np.count_nonzero(arrays["tail/conv/kernel"]) < there


@pytest.mark.parametrize(("kind", "least"), [("dynamic", 48), pytest.param("int8", 40, marks=pytest.mark.matrix)])
def test_eight_bits_leave_the_detail_beside_the_carried_picture(tmp_path, kind, least):
    generator = carrying()
    (tmp_path / "g.tflite").write_bytes(tflite.convert(generator, kind, 48))
    colours = np.eye(3)[np.random.default_rng(0).integers(0, 3, (1, 12, 12))]
    lr = np.kron(colours, np.full((1, 4, 4, 1), 255)).astype(np.uint8)
    made = GeneratorRunner(generator, "keras"), loading.load_runner(tmp_path / "g.tflite")
    wanted, sr = (backend(lr).astype(float) for backend in made)
    assert 10 * np.log10(255**2 / np.mean((sr - wanted) ** 2)) > least


def test_what_relu_drops_takes_no_steps_of_int8(monkeypatch):
    """A weight far above its filter's others took the filter's sum to -80: fast-real was 28.7 dB from its float."""
    monkeypatch.setattr(tflite, "photographs", lambda *which: photographs(*which)[:2])
    generator, lr = weights.load("compact"), photographs("heldout", 4, 48)[0]
    arrays = generator.get_arrays()
    arrays["conv00/kernel"][1, 1, 1, 5] = -80
    generator.set_arrays(arrays)
    wanted = np.clip((np.asarray(generator(lr)) + 1) / 2, 0, 1)
    network = tflite.Exported(generator)
    made = network(tf.constant(lr), tflite.fake_quantised(network))["sr"]
    assert "conv00/outliers" in network.arrays
    assert -10 * np.log10(np.mean((made - wanted) ** 2)) > 32  # 36.5; 26.8 before


@pytest.mark.matrix
def test_int8_reaches_colours_that_no_calibration_photograph_has(tmp_path):
    generator, brushes = weights.load("srgan"), photographs("heldout", 4, 48)[1]
    (tmp_path / "g.tflite").write_bytes(tflite.convert(generator, "int8", 48))
    lr = np.rint(brushes * 255).astype(np.uint8)
    made = GeneratorRunner(generator, "keras"), loading.load_runner(tmp_path / "g.tflite")
    wanted, sr = (backend(lr).astype(float) for backend in made)
    assert 10 * np.log10(255**2 / np.mean((sr - wanted) ** 2)) > 33  # 33.7; 5 less without the loud colours


@pytest.mark.parametrize("kind", LITE_KINDS)
def test_files_pass_their_check(generator, files, kind, monkeypatch):
    few = lambda *which, photographs=parity.photographs: photographs(*which)[:2]  # noqa: E731
    monkeypatch.setattr(parity, "photographs", few)
    side = 48 if kind == "int8" else parity.SIDE
    row = parity.Reference(generator).check(files / f"{kind}.tflite", kind, kind, side)
    assert row.size == (files / f"{kind}.tflite").stat().st_size


@pytest.mark.parametrize("kind", LITE_KINDS)
def test_files_run_by_their_signature(files, kind):
    """As LiteRT's newer API and Android's `runSignature` take them."""
    made = interpreter(files / f"{kind}.tflite")
    (name, ends), *others = made.get_signature_list().items()
    assert (name, ends["inputs"], ends["outputs"][-1], others) == ("serving_default", ["lr"], "sr", [])
    lr = np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3), np.uint8)
    sr = made.get_signature_runner()(lr=lr if kind == "int8" else lr / np.float32(255))["sr"]
    wanted = loading.load_runner(files / f"{kind}.tflite", "float32")(lr)
    np.testing.assert_array_equal(sr if kind == "int8" else np.floor(sr * 255 + 0.5), wanted)


@pytest.mark.parametrize("name", weights.shipped())
def test_shipped_files_have_a_signature(name):
    made = interpreter(weights.PRETRAINED / f"{name}.tflite")
    assert made.get_signature_runner().get_output_details()["sr"]["shape"][-1] == 3


def test_int8_takes_and_gives_the_pictures_own_values(files):
    made = interpreter(files / "int8.tflite")
    for details in (made.get_input_details()[0], made.get_output_details()[0]):
        assert details["dtype"] == np.uint8 and details["quantization"] == (pytest.approx(1 / 255), 0)


@pytest.mark.skipif(not importlib.util.find_spec("ai_edge_litert"), reason="ai-edge-litert is not installed")
def test_int8_is_one_piece_in_xnnpack(files):
    operations = interpreter(files / "int8.tflite")._get_ops_details()
    pieces = [operation for operation in operations if operation["op_name"] == "DELEGATE"]
    # The results of what is not in the piece: the two borders between uint8 and int8.
    outside = {i for o in operations if o["op_name"] == "QUANTIZE" for i in (*o["inputs"], *o["outputs"])}
    assert len(pieces) == 1 and set(pieces[0]["outputs"]) <= outside


def test_weights_lie_aligned_and_have_a_step_a_channel(files):
    from tensorflow.lite.python import schema_py_generated as schema

    content = (files / "int8.tflite").read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    kernels = [t for t in map(graph.Tensors, range(graph.TensorsLength())) if t.ShapeLength() == 4 and t.Shape(0) == 8]
    assert kernels and all(kernel.Quantization().ScaleLength() == 8 for kernel in kernels)
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            place = buffer._tab.Vector(buffer._tab.Offset(4))
            assert place % 16 == 0


def test_metadata_says_how_to_feed_it(files):
    """Read by the places that metadata_schema.fbs of tflite-support gives, since its package has no Python 3.11."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs((files / "int8.tflite").read_bytes(), 0)
    (entry,) = [m for m in map(model.Metadata, range(model.MetadataLength())) if m.Name() == b"TFLITE_METADATA"]
    data = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert data[4:8] == b"M001"

    def field(at, place):
        return at.Pos + at.Offset(4 + 2 * place)

    def child(at, place, index=None):
        if index is None:
            return table.Table(data, at.Indirect(field(at, place)))
        return table.Table(data, at.Indirect(at.Vector(at.Offset(4 + 2 * place)) + 4 * index))

    def text(at, place):
        return at.String(field(at, place)).decode()

    root = table.Table(data, encode.Get(number_types.UOffsetTFlags.packer_type, data, 0))
    assert text(root, 0) == "tiny" and text(root, 5).startswith("Apache-2.0")
    graph = child(root, 3, 0)
    assert "scale 2" in text(graph, 1)
    for place, name in ((2, "lr"), (3, "sr")):
        tensor = child(graph, place, 0)
        assert text(tensor, 0) == name and "uint8, 0-255" in text(tensor, 1)
        content = child(tensor, 3)
        assert data[field(content, 0)] == 2 and data[field(child(content, 1), 0)] == 1  # an image, of RGB
        options = child(child(tensor, 4, 0), 1)
        read = [np.frombuffer(data, np.float32, 1, options.Vector(options.Offset(4 + 2 * i)))[0] for i in (0, 1)]
        assert read == [0, 255]


@pytest.mark.skipif(not compat.KERAS_3, reason="the example is for ai-edge-litert")
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_the_example_for_devices_leaves_no_seam(generator, files, tmp_path, kind):
    spec = importlib.util.spec_from_file_location("ondevice", ROOT / "deploy" / "ondevice" / "upscale.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    photo = np.asarray(Image.open(next((PHOTOS / "heldout").iterdir())).convert("RGB"))[:131, :90]
    wanted = GeneratorRunner(generator, "g")(photo[None])[0].astype(int)
    upscaler = example.Upscaler(str(files / f"{kind}.tflite"), 48, generator.context, 2)
    allowed = 1 if kind == "float32" else 12
    assert np.abs(upscaler(photo) - wanted).max() <= allowed
    small = upscaler(photo[:20, :30])
    assert small.shape == (40, 60, 3)
    assert np.abs(small[: 40 - 2 * 13, : 60 - 2 * 13] - wanted[: 40 - 2 * 13, : 60 - 2 * 13]).max() <= allowed


def test_files_for_graphics_processors(generator, tmp_path):
    bundle.export(generator, tmp_path, ["gpu"], gpu_sizes=[32, 48])
    assert sorted(path.name for path in tmp_path.glob("*.tflite")) == ["gpu_32.tflite", "gpu_48.tflite"]
    details = interpreter(tmp_path / "gpu_32.tflite").get_input_details()[0]
    assert details["shape_signature"].tolist() == [1, 32, 32, 3] and details["dtype"] == np.float32


def test_the_arithmetic_of_half_precision_is_that_of_the_form():
    """benchmarks/half.py computes the form's convolutions in its own way."""
    spec = importlib.util.spec_from_file_location("half", ROOT / "benchmarks" / "half.py")
    half = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(half)
    ((name, *_, largest, decibels),) = half.rows(16, ["compact"])
    assert name == "compact" and int(largest) <= 4 and 40 < float(decibels) < 80
