"""A .tflite file as a runner. Importing this needs no TensorFlow."""

import struct
from pathlib import Path

import numpy as np

from srgan_tf import machine
from srgan_tf.data.levels import to_levels, to_signed
from srgan_tf.errors import WeightsError
from srgan_tf.inference import facts
from srgan_tf.inference.runners import PROBE, Runner, first_line, measure_context, probe_scale
from srgan_tf.inference.tiling import tiled


class LiteRTRunner(Runner):
    """A LiteRT model of any size, or of a fixed one, which is run tile by tile.

    Args:
        path: of the file; RGB [1, h, w, 3] in and out, float in [0, 1] or uint8, int8 and the like, quantised.

    Raises:
        WeightsError: it is missing, damaged, or of other shapes; names the file.
    """

    def __init__(self, path):
        path = Path(path)
        if not path.exists():
            raise WeightsError(f"{path}: no such file; make it with export.py")
        try:
            self._interpreter = interpreter(str(path))
            self._interpreter.allocate_tensors()
            (self._wanted,), (self._made,) = (
                self._interpreter.get_input_details(),
                self._interpreter.get_output_details(),
            )
            shape = [int(n) for n in self._wanted["shape_signature"]]
            told = facts.of_lite(path)
        except (ValueError, RuntimeError, IndexError, struct.error) as error:
            raise WeightsError(f"{path}: not a LiteRT model of one picture ({first_line(error)})") from None
        if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3:
            raise WeightsError(f"{path}: takes {shape}, not pictures [1, height, width, 3]: no super-resolution model")
        self._side, self._fixed = shape[1:3], min(shape[1:3]) > 0
        self.levels = bool(self._wanted["quantization"][0])
        size = tuple(self._side) if self._fixed else (PROBE, PROBE)
        super().__init__(path.stem, 1)
        self.scale = probe_scale(lambda lr: self._one(lr if self.levels else lr.astype(np.float32)), path, size)
        if told:
            self.context, self.align, self.degradation = told.context, told.align, told.degradation
        elif self._fixed:
            self.context = min(self._side) // 4
        else:
            self.context = measure_context(self, self.scale)

    def _run(self, lr):
        return np.concatenate([(self._tiles if self._fixed else self._one)(lr[i : i + 1]) for i in range(len(lr))])

    def _one(self, lr):
        """One picture [1, h, w, 3] of the model's own size, where it has one."""
        model = self._interpreter
        if tuple(lr.shape) != tuple(model.get_input_details()[0]["shape"]):
            model.resize_tensor_input(self._wanted["index"], lr.shape)
            model.allocate_tensors()
        model.set_tensor(self._wanted["index"], _quantised(lr, self._wanted) if self.levels else lr)
        model.invoke()
        sr = model.get_tensor(self._made["index"])
        if not self.levels:
            return to_signed(sr)
        return to_levels(_dequantised(sr, self._made))

    def _tiles(self, lr):
        """One picture through a model of fixed size, in tiles with at most a quarter of it as context."""
        height, width = lr.shape[1:3]
        grown = [(0, max(length - given, 0)) for length, given in zip(self._side, (height, width))]
        lr = np.pad(lr, [(0, 0), *grown, (0, 0)], "edge")
        context = [min(self.context, n // 4) for n in self._side]
        sr = tiled(self._one, lr, self._side, context, self.scale, shrink=False)
        return sr[:, : self.scale * height, : self.scale * width]


def interpreter(path: str | None = None, content: bytes | None = None):
    """LiteRT's interpreter of a file or of its content, on the processors that this process may use."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(path, content, num_threads=machine.cores())


def _quantised(levels: np.ndarray, details: dict) -> np.ndarray:
    """uint8 levels, of [0, 1], as the model's own numbers."""
    step, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    numbers = np.floor(levels.astype(np.float32) / 255 / step + 0.5) + zero
    return np.clip(numbers, limits.min, limits.max).astype(details["dtype"])


def _dequantised(numbers: np.ndarray, details: dict) -> np.ndarray:
    step, zero = details["quantization"]
    return (numbers.astype(np.float32) - zero) * step if step else numbers
