"""The upscaler's engine on CPUs: a generator by LiteRT. Importing this needs no TensorFlow."""

import functools
import struct
import threading
from pathlib import Path

import numpy as np

from srgan_tf import machine
from srgan_tf.errors import WeightsError
from srgan_tf.inference import facts
from srgan_tf.inference.lite_model import LiteModel
from srgan_tf.inference.litert import interpreter
from srgan_tf.inference.runners import Runner, first_line
from srgan_tf.inference.tiling import tiled

# LR px a side of the pieces of the tail: 64 and the context on both sides. Of the paper's generator in 134 px the tail
# took 4 % less time, and 250 MB for 70.
PIECE = 70
# LR px around a tile with shipped weights, unless "float32" is asked for. The paper's generator may look 40 px far and
# back-projection 8 or 24 more, but what lies beyond 16 px changes SR by .1 of 255 at most (`export.web.overlap`, of all
# four), and back-projection sees the mean of that. Of other weights it is not known, and tiles overlap by all of it.
NEAR = 16


class EngineRunner(Runner):
    """A file of the kind "engine" (`export.tflite`), its trunk in large tiles and its tail in small pieces.

    Args:
        content: of the file.
        name: how tables and errors call it.
        precision: "auto" rounds the weights of large convolutions to 8 bits on processors with fast 8-bit products
            (`machine.has_int8`), so that one machine gives one result; "float32" rounds none.
        other, amount: content of a file of the same family, and its share of the weights.

    Raises:
        WeightsError: damaged, or of other architectures.
    """

    bytes_anyway = 80 << 20  # the tail's, and LiteRT's own

    def __init__(self, content: bytes, name: str, precision: str = "auto", other: bytes = b"", amount: float = 0.0):
        told = facts.in_lite(content)
        super().__init__(name, told.scale)
        self.context, self.align, self.degradation = told.context, told.align, told.degradation
        self._tail_context, self._lock = told.tail_context, threading.Lock()
        self._made_of = content, name, "float32", other, amount
        model = LiteModel(content)
        if other:
            try:
                model.blend(LiteModel(other), amount)
            except ValueError as error:
                raise WeightsError(f"{name}: {error}") from None
        self.bytes_a_pixel = model.bytes_a_pixel() + 3 * 12 * told.scale**2  # and SR itself, three times
        self.precision = "float32"
        if precision == "auto":
            if machine.has_int8():
                self.precision = "8-bit weights"
                model.in_eight_bits()
            if told.weights:
                self.enough = NEAR
        self._contents = model.parts()
        self._parts = [_Part(part) for part in self._contents]  # now, so that what is wrong with them comes early

    @classmethod
    def open(cls, path, precision: str = "auto") -> "EngineRunner":
        """Of a file.

        Raises:
            WeightsError: missing, or damaged; names it.
        """
        try:
            return cls(Path(path).read_bytes(), Path(path).stem, precision)
        except (OSError, ValueError, RuntimeError, IndexError, AttributeError, TypeError, struct.error) as error:
            raise WeightsError(f"{path}: not a whole engine file ({first_line(error)})") from None

    @functools.cached_property
    def exact(self) -> "EngineRunner":
        return self if self.precision == "float32" and not self.enough else EngineRunner(*self._made_of)

    def _run(self, lr):
        with self._lock:  # an interpreter serves one thread at a time
            made = [self._one(lr[i : i + 1]) for i in range(len(lr))]
        return made[0] if len(made) == 1 else np.concatenate(made)

    def rest(self) -> None:
        with self._lock:
            self._parts = []

    def _one(self, lr: np.ndarray) -> np.ndarray:
        self._parts = self._parts or [_Part(part) for part in self._contents]  # 3 ms
        trunk, *tail = self._parts
        sr = trunk(lr)
        if tail:
            sr = tiled(tail[0], sr, PIECE, self._tail_context, self.scale)
        sr *= 2  # [0, 1] → [-1, 1], in place: in large tiles this is the largest array
        sr -= 1
        return sr


class _Part:
    """A .tflite file in memory, for inputs of any size."""

    def __init__(self, content: bytes):
        self._model = interpreter(content=content)
        (wanted,), (made,) = self._model.get_input_details(), self._model.get_output_details()
        self._wanted, self._made, self._shape = wanted["index"], made["index"], None
        self._resize((1, 8, 8, int(wanted["shape"][3])))  # now, so that what LiteRT says of itself comes early

    def _resize(self, shape: tuple) -> None:
        self._model.resize_tensor_input(self._wanted, shape)
        self._model.allocate_tensors()
        self._shape = shape

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._shape != x.shape:
            self._resize(x.shape)
        self._model.set_tensor(self._wanted, np.ascontiguousarray(x, np.float32))
        self._model.invoke()
        return self._model.get_tensor(self._made)
