"""Read PyTorch's files, zip and legacy, without PyTorch: tensors and plain containers; no code of a file runs."""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of its magic number
_BFLOAT16 = "bfloat16"  # unknown to NumPy
_DTYPES = {
    **{"Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": _BFLOAT16, "Bool": "?"},
    **{"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"},
}


@dataclass
class Storage:
    """The flat array behind tensors; `read` returns its bytes."""

    dtype: str
    count: int
    read: Callable[[], bytes | memoryview]

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == _BFLOAT16 else np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        return self.count * self.itemsize

    def array(self) -> np.ndarray:
        content = self.read()
        if len(content) < self.nbytes:
            raise ValueError("the file is truncated")
        if self.dtype == _BFLOAT16:
            return from_bfloat16(content, self.count)
        return np.frombuffer(content, self.dtype, self.count)


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, whose bytes are read by `array` only."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def contiguous(cls, dtype: str, shape, data) -> "Tensor":
        """Return a tensor of these bytes."""
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return cls(Storage(dtype, math.prod(shape), lambda: data), 0, tuple(shape), tuple(strides))

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.storage.itemsize

    def array(self) -> np.ndarray:
        if len(self.shape) != len(self.strides) or min((self.offset, 1, *self.shape, *self.strides)) < 0:
            raise ValueError("a tensor has a negative size")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides))
        if self.nbytes and last >= self.storage.count:
            raise ValueError("a tensor reaches beyond its storage")
        flat = self.storage.array()
        strides = [step * flat.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)


def from_bfloat16(content, count: int = -1) -> np.ndarray:
    """Widen the bytes of bfloat16 numbers, the upper halves of float32's, to float32."""
    return (np.frombuffer(content, "<u2", count).astype(np.uint32) << 16).view(np.float32)


class _Unpickler(pickle.Unpickler):
    """Build tensors and plain containers; refuse every other class by its name.

    Args:
        file: of the pickle.
        storage: a function of key, dtype and count that returns a `Storage`.
    """

    def __init__(self, file, storage):
        super().__init__(file, encoding="latin1")  # of Python 2's pickles
        self._storage = storage
        # Made anew for each file, since a pickle may set attributes of what it is given.
        self._known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: Tensor(
                storage, offset, tuple(shape), tuple(strides)
            ),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch", "Size"): lambda sizes: tuple(sizes),
        }

    def find_class(self, module, name):
        if (module, name) in self._known:
            return self._known[module, name]
        if module == "torch" and name.removesuffix("Storage") in _DTYPES:
            return _DTYPES[name.removesuffix("Storage")]
        name = "".join(filter(str.isprintable, f"{module}.{name}"))[:80]
        raise ValueError(
            f"it holds {name}; only tensors and plain containers are read: save model.state_dict() alone, in PyTorch"
        )

    def persistent_load(self, saved):
        kind, dtype, key, _, count, *view = saved
        if kind != "storage" or any(view):
            raise ValueError(f"it holds a {kind} that is not read")
        return self._storage(str(key), dtype, count)


def read(content: bytes):
    """Return what a file of `torch.save` holds, its tensors as `Tensor`.

    Raises:
        ValueError: it holds a class other than tensors and plain containers. Damaged files raise that, and further
            errors of `pickle` and `zipfile`.
    """
    return _read_zip(content) if content.startswith(ZIP) else _read_legacy(content)


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
    stream, storages = io.BytesIO(content), {}

    def storage(key: str, dtype: str, count: int) -> Storage:
        return storages.setdefault(key, Storage(dtype, count, lambda: b""))

    _, version, _, found, keys = (_Unpickler(stream, storage).load() for _ in range(5))
    if version != 1001:
        raise ValueError(f"it has version {version} of PyTorch's legacy format, not 1001")
    view, at = memoryview(content), stream.tell()
    for key in keys:  # in the order of the file, each after its count of elements
        one = storages[str(key)]
        one.read = partial(view.__getitem__, slice(at + 8, at + 8 + one.nbytes))
        at += 8 + one.nbytes
    return found
