"""A .tflite file as a runner. Importing this needs no TensorFlow."""

import struct
from pathlib import Path

import numpy as np

from srgan_tf import machine, streams
from srgan_tf.data.levels import to_levels, to_signed
from srgan_tf.errors import WeightsError
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.probing import PROBE, measure_context, probe_scale
from srgan_tf.inference.runners import Runner, first_line
from srgan_tf.inference.tiling import tiled


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
            info = info or ModelInfo.from_tflite(content)
            self._interpreter = interpreter(content)
            self._interpreter.allocate_tensors()
            details = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            (self._input,), (self._output,) = details
            shape = [int(n) for n in self._input["shape_signature"]]
        except (OSError, ValueError, RuntimeError, IndexError, struct.error) as error:
            raise WeightsError(f"{path}: not a LiteRT model of one picture ({first_line(error)})") from None
        if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3:
            raise WeightsError(f"{path}: takes {shape}, not pictures [1, height, width, 3]: no super-resolution model")
        self._side, self._fixed = shape[1:3], min(shape[1:3]) > 0
        self.is_uint8 = bool(self._input["quantization"][0])
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
        model = self._interpreter
        if tuple(lr.shape) != tuple(model.get_input_details()[0]["shape"]):
            model.resize_tensor_input(self._input["index"], lr.shape)
            model.allocate_tensors()
        model.set_tensor(self._input["index"], _quantize(lr, self._input) if self.is_uint8 else lr)
        model.invoke()
        sr = model.get_tensor(self._output["index"])
        if not self.is_uint8:
            return to_signed(sr)
        return to_levels(_dequantize(sr, self._output))

    def _tiles(self, lr):
        """Run one picture through a model of fixed size, in tiles that overlap by at most a quarter of it."""
        height, width = lr.shape[1:3]
        grown = [(0, max(length - given, 0)) for length, given in zip(self._side, (height, width))]
        lr = np.pad(lr, [(0, 0), *grown, (0, 0)], "edge")
        context = [min(self.context, n // 4) for n in self._side]
        sr = tiled(self._run_one, lr, self._side, context, self.scale, shrink=False)
        return sr[:, : self.scale * height, : self.scale * width]


def interpreter(content: bytes):
    """Return LiteRT's interpreter of a file's content, on the processors that this process may use."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=machine.cores())
    if not _allocated:
        _allocated.append(True)
        with streams.silence():  # the first allocation of a process logs its delegate
            made.allocate_tensors()
    return made


_allocated: list[bool] = []


def _quantize(levels: np.ndarray, details: dict) -> np.ndarray:
    """Map uint8 levels of [0, 1] to the model's own numbers."""
    step, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    numbers = np.floor(levels.astype(np.float32) / 255 / step + 0.5) + zero
    return np.clip(numbers, limits.min, limits.max).astype(details["dtype"])


def _dequantize(numbers: np.ndarray, details: dict) -> np.ndarray:
    step, zero = details["quantization"]
    return (numbers.astype(np.float32) - zero) * step if step else numbers
