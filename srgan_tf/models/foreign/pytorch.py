"""Read PyTorch's files, zip and legacy, without PyTorch: tensors and plain containers. No code of a file runs."""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ZIP = b"PK\x03\x04"
_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19."  # in the first pickle of a legacy file, of any protocol
_OPERATIONS = 1 << 20  # of a pickle; a large ESRGAN's has 30,000, with an optimizer's state 100,000
_BFLOAT16 = "bfloat16"  # unknown to NumPy
_DTYPES = {
    **{"Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": _BFLOAT16, "Bool": "?"},
    **{"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"},
}


class Storage(NamedTuple):
    """The flat array behind tensors; `read` returns its bytes."""

    dtype: str
    count: int
    read: Callable[[], bytes | memoryview]

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == _BFLOAT16 else np.dtype(self.dtype).itemsize

    def array(self) -> np.ndarray:
        content = self.read()
        if len(content) < self.count * self.itemsize:
            raise ValueError("the file is truncated")
        if self.dtype == _BFLOAT16:
            return from_bfloat16(content, self.count)
        return np.frombuffer(content, self.dtype, self.count)


class Tensor(NamedTuple):
    """A view of a storage, whose bytes are read by `array` only. Immutable, since a pickle may set attributes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def contiguous(cls, dtype: str, shape, data) -> "Tensor":
        """Return a tensor of these bytes."""
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return cls.checked(Storage(dtype, math.prod(shape), lambda: data), 0, tuple(shape), strides)

    @classmethod
    def checked(cls, storage, offset, shape, strides, *_) -> "Tensor":
        """Return a tensor that lies within its storage.

        Raises:
            ValueError: it does not.
        """
        numbers = (offset, *shape, *strides) if (type(storage), type(shape), type(strides)) == _KINDS else ("",)
        if any(type(number) is not int or number < 0 for number in numbers) or len(shape) != len(strides):
            raise ValueError("a tensor has no size")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
        if math.prod(shape) and last >= storage.count:
            raise ValueError("a tensor reaches beyond its storage")
        return cls(storage, offset, shape, strides)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.storage.itemsize

    def array(self) -> np.ndarray:
        flat = self.storage.array()
        strides = [step * flat.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)


_KINDS = (Storage, tuple, tuple)


def from_bfloat16(content, count: int = -1) -> np.ndarray:
    """Widen the bytes of bfloat16 numbers, the upper halves of float32's, to float32."""
    return (np.frombuffer(content, "<u2", count).astype(np.uint32) << 16).view(np.float32)


# Classes of scores and settings that stand beside weights in checkpoints: their objects stay empty.
_BESIDE = {
    **dict.fromkeys(("numpy", "numpy.core.multiarray", "numpy._core.multiarray"), ("dtype", "ndarray", "scalar")),
    **{"_codecs": ("encode",), "collections": ("Counter", "defaultdict"), "argparse": ("Namespace",)},
    **{"pathlib": ("PosixPath", "WindowsPath"), "torch": ("device", "dtype", "float32", "float16", "bfloat16")},
    **dict.fromkeys(
        (
            "lightning.pytorch.utilities.parsing",
            "pytorch_lightning.utilities.parsing",
            "lightning_fabric.utilities.data",
        ),
        ("AttributeDict",),
    ),
}


class _Empty:
    """Stands for an object of `_BESIDE`; takes what a pickle does to it, and keeps nothing."""

    def __new__(cls, *_, **__):
        return super().__new__(cls)

    def _ignore(self, *_):
        pass

    __setstate__ = __setitem__ = append = extend = add = _ignore


class _Unpickler(pickle.Unpickler):
    """Build tensors and plain containers, and `_Empty` of what stands beside them; refuse other classes by name.

    Args:
        stream: of the pickle.
        storage: a function of key, dtype and count that returns a `Storage`.
    """

    def __init__(self, stream: io.BytesIO, storage):
        super().__init__(stream, encoding="latin1")  # of Python 2's pickles
        self._stream, self._storage, self._left = stream, storage, len(stream.getbuffer())
        # Made anew for each file, since a pickle may set attributes of what it is given.
        self._known = {
            ("collections", "OrderedDict"): lambda items=(): OrderedDict(self._copied(items)),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: Tensor.checked(*arguments),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch", "Size"): lambda sizes: sizes,
        }

    def _copied(self, items):
        """Let a pickle copy no more items than it has bytes."""
        self._left -= len(items)
        if self._left < 0:
            raise ValueError("it copies what it holds again and again")
        return items

    def find_class(self, module, name):
        if (module, name) in self._known:
            return self._known[module, name]
        if module == "torch" and name.removesuffix("Storage") in _DTYPES:
            return _DTYPES[name.removesuffix("Storage")]
        if name in _BESIDE.get(module, ()):
            return _Empty
        name = "".join(filter(str.isprintable, f"{module}.{name}"))[:80]
        fix = "only tensors and plain containers are read: save model.state_dict() alone, in PyTorch"
        raise ValueError(f"it holds {name}; {fix}")

    def load(self):
        """Return the next object.

        Raises:
            ValueError: the pickle has too many operations, or numbers its objects beyond them: a few bytes would take
                gigabytes.
        """
        start = self._stream.tell()
        for count, (operation, argument, _) in enumerate(pickletools.genops(self._stream)):
            if max(count, argument if operation.name.endswith("PUT") else 0) > _OPERATIONS:
                raise ValueError("its pickle is too large")
        self._stream.seek(start)
        return super().load()

    def persistent_load(self, saved):
        kind, dtype, key, _, count, *view = saved
        kinds = [type(one) for one in (kind, dtype, key, count)]
        known = kinds == [str, str, str, int] and kind == "storage" and dtype in _DTYPES.values()
        if not known or count < 0 or any(view):
            raise ValueError("it holds a storage of another kind")
        return self._storage(key, dtype, count)


def read(content: bytes):
    """Return what a file of `torch.save` holds, its tensors as `Tensor`.

    Raises:
        ValueError: it holds a class other than tensors, plain containers and what may stand beside weights. Damaged
            files raise that, and further errors of `pickle` and `zipfile`.
    """
    return _read_zip(content) if content.startswith(ZIP) else _read_legacy(content)


def begins(content: bytes) -> bool:
    """Return whether a file begins as PyTorch's do."""
    return content.startswith(ZIP) or _MAGIC in content[:32]


def _read_zip(content: bytes):
    archive = zipfile.ZipFile(io.BytesIO(content))
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickles) != 1:
        raise ValueError("it is a zip file, but not one of PyTorch")
    root = pickles[0].removesuffix("data.pkl")

    def entry(name: str) -> bytes:
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(content):
            raise ValueError(f"{name} is compressed, as PyTorch's files are not")
        return archive.read(info)

    def storage(key: str, dtype: str, count: int) -> Storage:
        return Storage(dtype, count, lambda: entry(f"{root}data/{key}"))

    return _Unpickler(io.BytesIO(entry(pickles[0])), storage).load()


def _read_legacy(content: bytes):
    """Read a stream of pickles: magic number, version, system, the object, keys of storages; then their bytes."""
    stream, view = io.BytesIO(content), memoryview(content)
    storages: dict[str, Storage] = {}
    places: dict[str, int] = {}

    def storage(key: str, dtype: str, count: int) -> Storage:
        size = count * Storage(dtype, count, bytes).itemsize
        return storages.setdefault(key, Storage(dtype, count, lambda: view[places[key] : places[key] + size]))

    _, version, _, found, keys = (_Unpickler(stream, storage).load() for _ in range(5))
    if version != 1001:
        raise ValueError("it has another version of PyTorch's legacy format than 1001")
    at = stream.tell()
    for key in keys:  # in the order of the file, each after its count of elements
        if not isinstance(key, str) or key not in storages:
            raise ValueError("it lists a storage that no tensor has")
        one = storages[key]
        places[key], at = at + 8, at + 8 + one.count * one.itemsize
    return found
