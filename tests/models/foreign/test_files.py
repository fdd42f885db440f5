"""Files that are damaged, of another kind, or made to do harm: one line each, and nothing of theirs runs."""

import math
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from srgan_tf.errors import WeightsError
from srgan_tf.models import foreign, weights

DATA = Path(__file__).parent / "data"
MAGIC = 0x1950A86A20F9469CFC6C  # of PyTorch's legacy files
OPEN_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n("  # what follows are its arguments


def storage(count: int, key: str = "0") -> bytes:
    """The pickle of a storage of so many numbers."""
    return b"(S'storage'\nctorch\nFloatStorage\nS'%b'\nS'cpu'\nI%d\ntQ" % (key.encode(), count)


def tensor(count: int, offset: int, shape: tuple, strides: tuple) -> bytes:
    """The pickle of a tensor."""
    numbers = [b"(" + b"".join(b"I%d\n" % n for n in ns) + b"t" for ns in (shape, strides)]
    return OPEN_TENSOR + storage(count) + b"I%d\n" % offset + b"".join(numbers) + b"I00\nNtR"


def state(value: bytes, name: str = "conv.weight") -> bytes:
    """The pickle of a dict of one entry."""
    return b"(dS'%b'\n" % name.encode() + value + b"s."


def zipped(path: Path, content: bytes, data: bytes = b"", compression=zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content, zipfile.ZIP_STORED)
        archive.writestr("archive/data/0", data)
    return path


def legacy(path: Path, content: bytes) -> Path:
    keys = ["0"] if b"storage" in content else []
    path.write_bytes(pickle.dumps(MAGIC, 2) + pickle.dumps(1001) + pickle.dumps({}) + content + pickle.dumps(keys))
    return path


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as error:
        foreign.read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 400
    return message


class Harm:
    """Runs a command when it is unpickled by pickle itself."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "named"), [(os.system, "posix.system"), (eval, "builtins.eval"), (getattr, "builtins.getattr")]
)
def test_no_code_of_a_file_runs(tmp_path, write, protocol, function, named):
    mark = tmp_path / "ran"
    commands = {os.system: (f"touch {mark}",), eval: (f"open({str(mark)!r}, 'w')",), getattr: (mark, "touch")}
    path = write(tmp_path / "a.pth", pickle.dumps({"a": Harm(function, *commands[function])}, protocol))
    message = refused(path)
    assert named in message or "pathlib" in message or "__builtin__" in message
    assert not mark.exists()


@pytest.mark.parametrize("name", ["module.pth", "module-legacy.pth"])
def test_a_whole_module_is_refused_with_its_class(name):
    message = refused(DATA / name)
    assert "it holds torch.nn.modules.container.Sequential" in message and "state_dict" in message


@pytest.mark.parametrize("name", ["compact-x4.pth", "compact-x1.pth", "compact-x2.safetensors"])
def test_truncated_files_are_refused_wherever_they_end(tmp_path, name):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    content = (DATA / name).read_bytes()
    for end in [*range(0, len(content), len(content) // 40), len(content) - 1]:
        (tmp_path / name).write_bytes(content[:end])
        refused(tmp_path / name)


@pytest.mark.parametrize("name", ["compact-x4.pth", "compact-x1.pth", "compact-x2.param"])
def test_damaged_files_raise_nothing_else(tmp_path, name):
    (tmp_path / "compact-x2.bin").write_bytes((DATA / "compact-x2.bin").read_bytes())
    content, rng = (DATA / name).read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), 8):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(damaged)
        try:
            foreign.read(tmp_path / name)
        except WeightsError as error:
            assert "\n" not in str(error)


def test_zeros_in_a_zip_take_no_memory(tmp_path):
    zeros = bytes(1 << 28)
    path = zipped(tmp_path / "a.pth", state(tensor(1 << 26, 0, (1 << 26,), (1,))), zeros, zipfile.ZIP_DEFLATED)
    del zeros
    pickled = tmp_path / "b.pth"
    with zipfile.ZipFile(pickled, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 28))
    tracemalloc.start()
    assert "larger than the file" in refused(path)
    assert "is compressed, as PyTorch's files are not" in refused(pickled)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (tensor(4, 0, (1 << 20, 1 << 20), (0, 0)), "larger than the file"),
        (tensor(4, 2, (4,), (1,)), "beyond its storage"),
        (tensor(4, 0, (2,), (-1,)), "no size"),
        (tensor(4, -3, (2,), (1,)), "no size"),
        (tensor(4, 0, (2, 2), (1,)), "no size"),
        (tensor(4, 0, (2,), (1,)).replace(b"I2\n", b"S'2'\n"), "no size"),
        (tensor(4, 0, (2,), (1,)).replace(b"FloatStorage", b"Size"), "another kind"),
        (tensor(400, 0, (20,), (20,)), "truncated"),
        (b"I1\n", "no weights by name"),
    ],
)
def test_tensors_lie_within_their_storage(tmp_path, one, told):
    """Under a name that is read: the last of ESRGAN's trunk needs its kernel."""
    assert told in refused(zipped(tmp_path / "a.pth", _compact(one), bytes(16)))


def test_few_large_layers_do_not_ask_for_many(tmp_path):
    """An ESRGAN of 20,000 channels in its first layer and one in the others would take terabytes."""
    wide, narrow = tensor(20_000 * 27, 0, (20_000, 3, 3, 3), (27, 9, 3, 1)), tensor(9, 0, (1, 1, 3, 3), (9, 9, 3, 1))
    names = [f"body.0.rdb{j}.conv{k}" for j in (1, 2, 3) for k in (1, 2, 3, 4, 5)]
    last = tensor(27, 0, (3, 1, 3, 3), (9, 9, 3, 1))
    layers = dict.fromkeys([*names, "conv_body", "conv_hr"], narrow) | {"conv_first": wide, "conv_last": last}
    items = b"".join(b"S'%b.weight'\n" % name.encode() + one + b"s" for name, one in layers.items())
    path = zipped(tmp_path / "a.pth", b"(d" + items + b".", bytes(4 * 20_000 * 27))
    assert "not a 3x3 convolution of 20000 to 1 channels" in refused(path)


def test_what_a_pickle_copies_is_bounded(tmp_path):
    """A dict of many items, of which each further byte would make another."""
    items = b"(l" + b"".join(b"(I%d\nI1\nla" % i for i in range(3000))
    content = items + b"p1\n0(l" + b"ccollections\nOrderedDict\n(g1\ntRa" * 3000 + b"."
    assert "copies what it holds again and again" in refused(zipped(tmp_path / "a.pth", content))


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\x00\x00\x00\x08.",  # the place of an object among those kept for later: 1 GiB of pointers
        b"]p134217728\n.",
        b"\x80\x04(" + b"\x8f" * (4 << 20) + b"l.",  # as many empty sets as bytes
    ],
)
def test_few_bytes_of_a_pickle_take_no_memory(tmp_path, write, content):
    path = write(tmp_path / "a.pth", content)
    tracemalloc.start()
    assert "its pickle is too large" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_names_that_are_no_text_are_left_out(tmp_path):
    """Tuples of themselves, forty deep, whose text would have a million million letters."""
    deep = b"I1\np0\n0" + b"".join(b"(g%d\ng%d\ntp%d\n0" % (i, i, i + 1) for i in range(22))
    content = deep + b"(dg22\n" + tensor(4, 0, (4,), (1,)) + b"s."
    assert "no weights by name" in refused(zipped(tmp_path / "a.pth", content, bytes(16)))


def _compact(one: bytes) -> bytes:
    """A state by whose names it is a Compact, each tensor this one."""
    names = [f"body.{i}.{part}" for i in range(5) for part in (("weight", "bias") if i % 2 == 0 else ("weight",))]
    return b"(d" + b"".join(b"S'%b'\n" % name.encode() + one + b"s" for name in names) + b"."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "download or save it again"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "unlike PyTorch's"),
        (pickle.dumps({"a": 1}), "unlike PyTorch's"),
    ],
)
def test_other_files_are_told_by_their_content(tmp_path, content, told):
    for suffix in foreign.SUFFIXES:
        (tmp_path / f"a{suffix}").write_bytes(content)
        assert told in refused(tmp_path / f"a{suffix}")


def test_another_zip_file_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.pth")
    assert "not one of PyTorch" in refused(tmp_path / "a.pth")


def test_large_files_are_not_read(tmp_path):
    with open(tmp_path / "a.safetensors", "wb") as file:
        file.truncate(5 << 30)
    assert "5.4 GB, too large for an upscaler" in refused(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "looks like a diffusion model"),
        ("stylegan_decoder.style_conv1.modulated_conv.weight", "looks like a face restorer (GFPGAN)"),
        ("layers.0.residual_group.blocks.0.norm1.weight", "looks like SwinIR"),
        ("layers.0.residual_group.overlap_attn.relative_position_bias_table", "looks like HAT"),
        ("conv1.weight_orig", "looks like a discriminator"),
        ("encoder.weight", "unknown architecture (its first tensor is 'encoder.weight')"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, name, told):
    path = zipped(tmp_path / "a.pth", state(tensor(4, 0, (4,), (1,)), name), bytes(16))
    assert told in refused(path)


def test_damaged_models_of_ncnn_are_refused(tmp_path):
    param, content = (DATA / "compact-x2.param").read_text(), (DATA / "compact-x2.bin").read_bytes()
    path, other = tmp_path / "a.param", tmp_path / "a.bin"
    path.write_text(param)
    with pytest.raises(WeightsError, match=r"a\.bin: cannot read it \(No such file"):
        foreign.read(path)
    for end in range(0, len(content), len(content) // 20):
        other.write_bytes(content[:end])
        refused(path)
    other.write_bytes(content + bytes(4))
    assert f"its .bin has {len(content) + 4} bytes, and its layers {len(content)}" in refused(path)
    other.write_bytes(b"\x6c\x38\x0d\x00" + content[4:])  # 8 bits
    assert "quantised models are not read" in refused(path)
    path.write_text(param + "Interp small 1 1 output small 0=3 1=5.0e-01 2=5.0e-01\n")
    assert "it shrinks its result" in refused(path)
    path.write_text("7767517\n1 1\nInput")
    refused(path)


def test_arrays_of_an_npz_are_not_inflated_beyond_reason(tmp_path):
    path = tmp_path / "a.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (65 << 22,)})
        for _ in range(65):
            file.write(bytes(1 << 24))
    with pytest.raises(WeightsError, match="its arrays take more than 1 GiB"):
        weights.load(path)


def test_empty_cut_and_misnamed_files_say_what_to_do(tmp_path):
    whole = next(path for path in sorted(DATA.glob("*.pth")) if path.read_bytes().startswith(b"PK")).read_bytes()
    for name, content, said in [
        ("empty.pth", b"", "the file is empty; download it again"),
        ("cut.pth", whole[: len(whole) // 2], "cut off or damaged; download it again"),
        ("model.bin", b"\0" * 40, "name the .param file beside it"),
        ("model.npz", whole, "PyTorch's; rename it to model.pth"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=said):
            weights.load(tmp_path / name)


def test_an_ncnn_file_without_weights_is_one_line(tmp_path):
    """It once ended in a StopIteration."""
    path = tmp_path / "a.param"
    path.write_text("7767517\n2 2\nInput data 0 1 data\nPooling p 1 1 data out 0=1\n")
    path.with_suffix(".bin").write_bytes(b"")
    assert "no weights that a super-resolution model could have" in refused(path)


def flat(names_and_shapes: dict) -> tuple[bytes, bytes]:
    """Return the entries of a dict, as a pickle, and the bytes of their one storage."""
    total, entries = sum(math.prod(shape) for shape in names_and_shapes.values()), {}
    at = 0
    for name, shape in names_and_shapes.items():
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        entries[name] = tensor(total, at, shape, strides)
        at += math.prod(shape)
    numbers = np.random.default_rng(0).normal(size=total).astype("<f4").tobytes()
    return b"".join(b"S'%b'\n" % name.encode() + one + b"s" for name, one in entries.items()), numbers


COMPACT = {"body.0.weight": (2, 3, 3, 3), "body.1.weight": (2,), "body.2.weight": (2, 2, 3, 3)}
COMPACT |= {"body.3.weight": (2,), "body.4.weight": (12, 2, 3, 3)}
COMPACT |= {"body.0.bias": (2,), "body.2.bias": (2,), "body.4.bias": (12,)}
OTHER = b"cpathlib\nPosixPath\n(S'/data'\ntRp5\n(dS'a'\nI1\nsb"  # an object of another class, with attributes


@pytest.mark.parametrize(
    ("prefix", "further", "around"),
    [
        ("", {}, b"(d%b."),
        ("module.", {"n_averaged": ()}, b"(d%b."),  # torch.optim.swa_utils.AveragedModel's
        ("", {"num_updates": ()}, b"(dS'params_ema'\n(dsS'params'\n(d%bs."),  # an empty average
        ("net_g.", {"net_d.conv0.weight": (4, 3, 3, 3)}, b"(dS'state_dict'\n(d%bs."),
        ("", {}, b"(dS'state_dict'\n(d%bsS'hyper_parameters'\n(dS'folder'\n" + OTHER + b"ss."),  # Lightning's
    ],
)
def test_wrappings_that_people_have(tmp_path, prefix, further, around):
    entries, numbers = flat({f"{prefix}{name}": shape for name, shape in COMPACT.items()} | further)
    config, arrays = foreign.read(zipped(tmp_path / "a.PTH", around.replace(b"%b", entries), numbers))
    assert (config["generator"], config["scale"], config["channels"]) == ("SRVGG", 2, 2)
    whole = np.frombuffer(numbers, "<f4")[:54].reshape(2, 3, 3, 3)
    assert any(array.size == 54 and np.array_equal(array, whole.transpose(2, 3, 1, 0)) for array in arrays.values())
    assert weights.load(tmp_path / "a.PTH").scale == 2


def test_a_scale_that_none_has_is_refused_without_keras(tmp_path):
    entries, numbers = flat(COMPACT | {"body.4.weight": (75, 2, 3, 3), "body.4.bias": (75,)})
    assert "it enlarges 5 times" in refused(zipped(tmp_path / "a.pth", b"(d" + entries + b".", numbers))


def test_a_legacy_file_of_a_later_protocol(tmp_path):
    entries, _ = flat(COMPACT)
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(MAGIC, 4) + pickle.dumps(1001, 4) + pickle.dumps({}, 4) + b"(d" + entries + b".")
    with open(path, "ab") as file:
        count = sum(map(math.prod, COMPACT.values()))
        file.write(pickle.dumps(["0"], 4) + count.to_bytes(8, "little") + bytes(4 * count))
    assert foreign.read(path)[0]["scale"] == 2


def test_the_table_of_architectures_is_theirs():
    page = (ROOT / "docs/how-to/openmodeldb.md").read_text()
    for one in foreign.ARCHITECTURES:
        assert f"| {one.KNOWN_AS} | {one.VARIANTS} | `{one.GENERATOR}` |" in page
