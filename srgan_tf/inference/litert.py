"""The upscaler's engine on CPUs, and .tflite files of any other origin: LiteRT. Importing this needs no TensorFlow."""

import functools
import struct
import threading
from pathlib import Path

import numpy as np

from srgan_tf import machine, terminal
from srgan_tf.data.levels import to_levels, to_signed
from srgan_tf.errors import WeightsError
from srgan_tf.inference.compiled import SparingPart, module
from srgan_tf.inference.lite_model import LiteModel
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.probing import PROBE, measure_context, probe_scale
from srgan_tf.inference.runners import Runner, first_line
from srgan_tf.inference.tiling import tiled

# LR px per side of the tail's pieces: 64 and its receptive field. Pieces of 134 px save 4% of the time and take 250 MB.
PIECE = 70
# Tile overlap of shipped weights, in LR px, unless precision is "float32": what lies beyond changes SR by at most
# .1 of 255 (`export.web.overlap`), of 40 px in the receptive field. Unknown for other weights.
NEAR = 16
# Bytes of pointers per pixel (`LiteModel.bytes_per_pixel`) above which a trunk runs in a `SparingPart`, which makes
# them anew for each tile: without loss of time in float32, 20% slower in 8 bits.
POINTERS = 10_000
FEW = 256 << 20  # bytes of pointers per tile: up to here a `Part` serves, as opening the other takes 3 s for x4plus


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
        info, model = ModelInfo.from_tflite(content), LiteModel.blended(content, name, other, amount)
        super().__init__(info, name)
        self._source, self._lock = (content, name, "float32", other, amount), threading.Lock()
        self._pointers, tensors = model.bytes_per_pixel()
        self._sparing = self._pointers > POINTERS and module() is not None
        kept = 0 if self._sparing else self._pointers
        self.bytes_per_pixel = kept + tensors + 3 * 12 * info.scale**2  # and SR itself, three times
        self.precision = "float32"
        if precision == "auto":
            if machine.has_int8():
                self.precision = "8-bit weights"
                model.in_eight_bits()
            if info.weights:
                self.tile_overlap = NEAR
        self._contents = model.parts()
        self._parts = [Part(part, 8) for part in self._contents]  # bad files fail on load

    def high_precision(self) -> "EngineRunner":
        return self._in_float32

    @functools.cached_property
    def _in_float32(self) -> "EngineRunner":
        return self if self.precision == "float32" and not self.tile_overlap else EngineRunner(*self._source)

    def _run(self, lr):
        with self._lock:  # an interpreter serves one thread at a time
            self._parts = self._parts or [Part(part, 8) for part in self._contents]  # 3 ms
            made = [self._run_one(lr[i : i + 1]) for i in range(len(lr))]
        return made[0] if len(made) == 1 else np.concatenate(made)

    def release(self) -> None:
        with self._lock:
            self._parts = []

    def _run_one(self, lr: np.ndarray) -> np.ndarray:
        many = self._pointers * lr.shape[1] * lr.shape[2] > FEW
        if self._sparing and many and not isinstance(self._parts[0], SparingPart):
            self._parts[0] = SparingPart(self._contents[0])
        trunk, *tail = self._parts
        sr = trunk(lr)
        if tail:
            sr = tiled(tail[0], sr, PIECE, self.info.tail_context, self.scale)
        sr *= 2  # [0, 1] → [-1, 1], in place: the largest array of a large tile
        sr -= 1
        return sr


class LiteRTRunner(Runner):
    """Run a LiteRT model of any size, or one of a fixed size tile by tile.

    Args:
        path: the file; RGB [1, h, w, 3] in and out, float in [0, 1], or uint8, int8 and the like, quantised.
        content, info: of the file; read from it by default.

    Raises:
        WeightsError: it is damaged or has other shapes; names the file.
    """

    def __init__(self, path, content: bytes = b"", info: ModelInfo | None = None):
        path = Path(path)
        try:
            content = content or path.read_bytes()
            info, self._part = info or ModelInfo.from_tflite(content), Part(content)
            shape = [int(n) for n in self._part.given["shape_signature"]]
        except (OSError, ValueError, RuntimeError, IndexError, struct.error) as error:
            raise WeightsError(f"{path}: not a LiteRT model of one picture ({first_line(error)})") from None
        if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3:
            raise WeightsError(f"{path}: takes {shape}, not pictures [1, height, width, 3]: no super-resolution model")
        self._side, self._fixed = shape[1:3], min(shape[1:3]) > 0
        self.is_uint8 = bool(self._part.given["quantization"][0])
        if not info:
            size = tuple(self._side) if self._fixed else (PROBE, PROBE)
            scale = probe_scale(lambda lr: self._run_one(lr if self.is_uint8 else lr.astype(np.float32)), path, size)
            context = min(self._side) // 4 if self._fixed else measure_context(self, scale)
            info = ModelInfo(scale, context)
        super().__init__(info, path.stem)

    def _run(self, lr):
        return np.concatenate([(self._tiles if self._fixed else self._run_one)(lr[i : i + 1]) for i in range(len(lr))])

    def _run_one(self, lr):
        """Run one picture [1, h, w, 3], of the model's own size if that is fixed."""
        if not self.is_uint8:
            return to_signed(self._part(lr))
        sr, (step, zero) = self._part(_quantize(lr, self._part.given)), self._part.made["quantization"]
        return to_levels((sr.astype(np.float32) - zero) * step if step else sr)

    def _tiles(self, lr):
        """Run one picture through a model of fixed size, in tiles that overlap by at most a quarter of it."""
        height, width = lr.shape[1:3]
        grown = [(0, max(length - given, 0)) for length, given in zip(self._side, (height, width))]
        lr = np.pad(lr, [(0, 0), *grown, (0, 0)], "edge")
        context = [min(self.context, n // 4) for n in self._side]
        sr = tiled(self._run_one, lr, self._side, context, self.scale, shrink=False)
        return sr[:, : self.scale * height, : self.scale * width]


def _quantize(levels: np.ndarray, details: dict) -> np.ndarray:
    """Map uint8 levels of [0, 1] to the model's own numbers."""
    step, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    numbers = np.floor(levels.astype(np.float32) / 255 / step + 0.5) + zero
    return np.clip(numbers, limits.min, limits.max).astype(details["dtype"])


class Part:
    """Run a .tflite file from memory on inputs [1, h, w, channels] of any size, or of its own if that is fixed.

    Args:
        content: the file's bytes.
        side: h and w for which memory is allocated at first; by default the file's own.

    Attributes:
        given, made: LiteRT's details of its input and output.
    """

    def __init__(self, content: bytes, side: int | None = None):
        self._model = interpreter(content)
        (self.given,), (self.made,) = self._model.get_input_details(), self._model.get_output_details()
        self._shape = tuple(self.given["shape"].tolist())
        if side:
            self._resize((1, side, side, self._shape[3]))
        else:
            self._model.allocate_tensors()

    def _resize(self, shape: tuple) -> None:
        self._model.resize_tensor_input(self.given["index"], shape)
        self._model.allocate_tensors()
        self._shape = shape

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._shape != x.shape:
            self._resize(x.shape)
        self._model.set_tensor(self.given["index"], np.ascontiguousarray(x))
        self._model.invoke()
        return self._model.get_tensor(self.made["index"])


def interpreter(content: bytes):
    """Return LiteRT's interpreter of a file's content, on the processors that this process may use."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=machine.cores())
    if not _allocated:
        _allocated.append(True)
        with terminal.silence():  # the first allocation of a process logs its delegate
            made.allocate_tensors()
    return made


_allocated: list[bool] = []
