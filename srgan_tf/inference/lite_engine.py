"""The upscaler's engine on CPUs: a generator by LiteRT. Importing this needs no TensorFlow."""

import functools
import struct
import threading

import numpy as np

from srgan_tf import machine
from srgan_tf.errors import WeightsError
from srgan_tf.inference.lite_model import LiteModel
from srgan_tf.inference.litert import interpreter
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.runners import Runner, first_line
from srgan_tf.inference.tiling import tiled

# LR px per side of the tail's pieces: 64 and its receptive field. Pieces of 134 px save 4% of the time and take 250 MB.
PIECE = 70
# Tile overlap of shipped weights, in LR px, unless precision is "float32": what lies beyond changes SR by at most
# .1 of 255 (`export.web.overlap`), of 40 px in the receptive field. Unknown for other weights.
NEAR = 16


class EngineRunner(Runner):
    """Run a file of kind "engine" (`export.tflite`): its trunk in large tiles, its tail in small pieces.

    Args:
        content: the file's bytes.
        name: shown in tables and errors.
        precision: "auto" rounds the weights of large convolutions to 8 bits on processors with 8-bit dot products
            (`machine.has_int8`), so that one machine gives one result; "float32" rounds none.
        other, amount: a second file of the same family, and its share of the weights.

    Raises:
        WeightsError: the architectures differ.
    """

    fixed_bytes = 80 << 20  # the tail's, and LiteRT's own

    def __init__(self, content: bytes, name: str, precision: str = "auto", other: bytes = b"", amount: float = 0.0):
        info, model = ModelInfo.from_tflite(content), LiteModel(content)
        super().__init__(info, name)
        self._source, self._lock = (content, name, "float32", other, amount), threading.Lock()
        if other:
            try:
                model.blend(LiteModel(other), amount)
            except ValueError as error:
                raise WeightsError(f"{name}: {error}") from None
        self.bytes_per_pixel = model.bytes_per_pixel() + 3 * 12 * info.scale**2  # and SR itself, three times
        self.precision = "float32"
        if precision == "auto":
            if machine.has_int8():
                self.precision = "8-bit weights"
                model.in_eight_bits()
            if info.weights:
                self.tile_overlap = NEAR
        self._contents = model.parts()
        self._parts = [Part(part) for part in self._contents]  # bad files fail on load

    @classmethod
    def open(cls, path, content: bytes, precision: str = "auto") -> "EngineRunner":
        """Run the content of a file that may be damaged.

        Raises:
            WeightsError: it is; names the file.
        """
        try:
            return cls(content, path.stem, precision)
        except (OSError, ValueError, RuntimeError, IndexError, AttributeError, TypeError, struct.error) as error:
            raise WeightsError(f"{path}: damaged engine file ({first_line(error)}); export it again") from None

    def high_precision(self) -> "EngineRunner":
        return self._in_float32

    @functools.cached_property
    def _in_float32(self) -> "EngineRunner":
        return self if self.precision == "float32" and not self.tile_overlap else EngineRunner(*self._source)

    def _run(self, lr):
        with self._lock:  # an interpreter serves one thread at a time
            made = [self._run_one(lr[i : i + 1]) for i in range(len(lr))]
        return made[0] if len(made) == 1 else np.concatenate(made)

    def release(self) -> None:
        with self._lock:
            self._parts = []

    def _run_one(self, lr: np.ndarray) -> np.ndarray:
        self._parts = self._parts or [Part(part) for part in self._contents]  # 3 ms
        trunk, *tail = self._parts
        sr = trunk(lr)
        if tail:
            sr = tiled(tail[0], sr, PIECE, self.info.tail_context, self.scale)
        sr *= 2  # [0, 1] → [-1, 1], in place: the largest array of a large tile
        sr -= 1
        return sr


class Part:
    """Run a .tflite file from memory on inputs of any size."""

    def __init__(self, content: bytes):
        self._model = interpreter(content=content)
        (given,), (made,) = self._model.get_input_details(), self._model.get_output_details()
        self._input, self._output, self._shape = given["index"], made["index"], None
        self._resize((1, 8, 8, int(given["shape"][3])))

    def _resize(self, shape: tuple) -> None:
        self._model.resize_tensor_input(self._input, shape)
        self._model.allocate_tensors()
        self._shape = shape

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._shape != x.shape:
            self._resize(x.shape)
        self._model.set_tensor(self._input, np.ascontiguousarray(x, np.float32))
        self._model.invoke()
        return self._model.get_tensor(self._output)
