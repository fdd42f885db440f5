"""The upscaler's engine on graphics processors: LiteRT's accelerator (WebGPU, Metal). Needs no TensorFlow."""

import copy
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from absl import logging

from srgan_tf import terminal
from srgan_tf.errors import GpuError, WeightsError
from srgan_tf.inference.compiled import environment, module
from srgan_tf.inference.lite_model import LiteModel
from srgan_tf.inference.lite_sizes import Sizes
from srgan_tf.inference.litert import NEAR, EngineRunner, Part
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.runners import Runner, first_line
from srgan_tf.inference.tiling import tiled

TILE = 512  # LR px per side, unless the device takes less
APART = 4  # of 255: a device whose results differ more from the CPU's is not used
_SMALLEST = 16  # LR px per side of the tile with which a model is first compiled
_KEPT = 2  # sizes that stay compiled: a tile and its quarter turn
_CPU_TILE = 192  # LR px per side, where the CPU takes over tiles made for the GPU
_CORNER, _AROUND = 16, 32  # LR px: the part of a tile that is compared with the CPU, and what it depends on


class Compiled:
    """A .tflite file of one size on the device, with buffers for each tile in work.

    Args:
        content: the file's bytes.
        shape: of its output.

    Attributes:
        whole: whether all of its operations run on the device.

    Raises:
        RuntimeError: it does not compile.
    """

    def __init__(self, content: bytes, shape: tuple[int, ...]):
        self._shape = shape
        self._unset = np.full(self._shape, np.nan, np.float32)
        litert = _litert()
        options = litert.Options(
            hardware_accelerators=litert.HardwareAccelerator.GPU, gpu_options=litert.GpuOptions(enforce_f32=True)
        )
        self._model = litert.CompiledModel.from_buffer(content, options=options, environment=environment())
        self.whole = self._model.is_fully_accelerated()
        self._free = [self._buffers()]

    def _buffers(self) -> tuple:
        return self._model.create_input_buffers(0), self._model.create_output_buffers(0)

    def start(self, lr: np.ndarray):
        """Queue a tile [1, height, width, 3] in [0, 1]; return the buffers, which `finish` takes."""
        buffers = self._free.pop() if self._free else self._buffers()
        (given,), (made,) = buffers
        given.write(np.ascontiguousarray(lr, np.float32))
        made.write(self._unset)
        self._model.run_by_index(0, *buffers)
        return buffers

    def finish(self, buffers) -> np.ndarray:
        """Wait for a tile; return SR in [0, 1].

        Raises:
            RuntimeError: the device did not run it.
        """
        sr = buffers[1][0].read(self._unset.size, np.float32).reshape(self._shape)
        self._free.append(buffers)
        if np.isnan(sr[0, ::7, ::7]).any():
            raise RuntimeError("it returned nothing, as after a reset of its driver")
        return sr


class GpuRunner(Runner):
    """Run a .tflite file of any size on the GPU, compiled once per tile size.

    A device that lacks memory returns zeros without an error, so each size is compared with the CPU before use.

    Args:
        content: the file's bytes, float32 in and out.
        name: shown in tables and errors.
        info: the model's record.
        precision: "float32" has tiles overlap by the whole receptive field; "auto" by `NEAR` for shipped weights.
        other, amount: a second file of the same family, and its share of the weights.
        fall_back: continue on the CPU if the GPU fails later, for files of kind "engine".

    Attributes:
        adapter: name, backend and type of the device, as WebGPU logs them; "" if unknown, as with Metal.

    Raises:
        GpuError: there is no GPU, or it does not run this model. WeightsError: the file cannot be used.
    """

    one_size = True
    precision = "float32 on the GPU"

    def __init__(
        self,
        content: bytes,
        name: str,
        info: ModelInfo,
        precision: str = "auto",
        other: bytes = b"",
        amount: float = 0,
        fall_back: bool = False,
    ):
        super().__init__(info, name)
        self._arguments, self._fall_back = (content, name, "float32", other, amount), fall_back
        self._cpu: list[Runner] = []
        model = LiteModel.blended(content, name, other, amount)
        if not model.is_float():
            raise WeightsError(f"{name}: 8-bit files run by --engine=litert; export one for the GPU by --kinds=engine")
        self._content = model.whole()
        self._compiled: dict[tuple[int, int], Compiled] = {}
        self._lock, self._local, self.map = threading.Lock(), threading.local(), self._overlapped
        self.bytes_per_pixel = 6 * 12 * info.scale**2  # SR itself, three times for each tile in work
        self.tile_overlap = NEAR if precision == "auto" and info.weights else None
        try:
            self._sizes = Sizes(self._content, info.tile_multiple)
        except ValueError as error:
            raise WeightsError(f"{name}: {error}; --engine=gpu takes files of any size: --kinds=engine") from None
        self._reference = Part(self._content, 8)
        side = -(-_SMALLEST // info.tile_multiple) * info.tile_multiple
        try:
            self._compile(side, side)
        except MemoryError as error:
            raise GpuError(f"--engine=gpu: {name}: {error}; use --engine=litert") from None

    @property
    def adapter(self) -> str:
        return _device.get("adapter", "")

    @property
    def max_tile(self) -> int:
        return _limits.get(len(self._content), TILE)  # blends have the length of their ends

    @max_tile.setter
    def max_tile(self, side: int) -> None:
        _limits[len(self._content)] = side

    def high_precision(self) -> "GpuRunner":
        other = copy.copy(self)
        other.tile_overlap = None
        other.map = other._overlapped
        return other

    def release(self) -> None:
        with self._lock:
            self._compiled.clear()

    def _run(self, lr):
        run = self._on_cpu if self._cpu else self._run_one
        return np.concatenate([run(lr[i : i + 1]) for i in range(len(lr))])

    def _on_cpu(self, lr: np.ndarray) -> np.ndarray:
        return tiled(self._cpu[0], lr, _CPU_TILE, self.tile_overlap or self.context, self.scale)

    def _run_one(self, lr: np.ndarray) -> np.ndarray:
        try:
            return self._on_gpu(lr)
        except RuntimeError as error:  # LiteRT's, or GpuError of a size compiled anew
            reason = f"the GPU stopped ({first_line(error)})"
            if not self._fall_back:
                raise GpuError(f"--engine=gpu: {reason}; use --engine=litert") from None
            if not self._cpu:
                logging.warning("continuing on the CPU: %s", reason)
                self._cpu.append(EngineRunner(*self._arguments))
            return self._on_cpu(lr)

    def _on_gpu(self, lr: np.ndarray) -> np.ndarray:
        with self._lock:
            size = lr.shape[1], lr.shape[2]
            if size not in self._compiled:
                while len(self._compiled) >= _KEPT:
                    del self._compiled[next(iter(self._compiled))]
                self._compiled[size] = self._compile(*size)
            compiled = self._compiled[size]
            buffers = compiled.start(lr)
        if (before := getattr(self._local, "before", None)) is not None:
            before.wait()  # reading holds Python's lock until the device is done
        sr = compiled.finish(buffers)
        sr *= 2  # [0, 1] → [-1, 1]
        sr -= 1
        return sr

    def _compile(self, height: int, width: int) -> Compiled:
        """Compile one size, and compare its last corner with the CPU.

        Raises:
            MemoryError: the device does not take this size. GpuError: there is no GPU, or it runs only a part.
        """
        try:
            content, shape = self._sizes.fixed(height, width)
        except ValueError as error:
            raise WeightsError(f"{self.name}: {error}; use --engine=litert") from None
        with terminal.captured() as log:  # LiteRT logs here, and again when the first tile runs
            try:
                made = Compiled(content, shape)
                apart = self._apart(made, height, width) if made.whole else 0
            except RuntimeError as error:
                if isinstance(error, GpuError):
                    raise
                if "No adapters found" in log():
                    no_vulkan = "no Vulkan on this machine; install libvulkan1 and the GPU's driver"
                    found_none = "no GPU with a driver found; install its driver"
                    problem = no_vulkan if "libvulkan" in log() else found_none
                    raise GpuError(f"--engine=gpu: {problem}, or use --engine=litert") from None
                raise MemoryError(f"the GPU cannot compile it ({str(error).splitlines()[-1].strip('└ ')})") from None
            finally:
                if found := re.search(r"Selected adapter: (.*)", log()):  # once per process
                    _device["adapter"] = found[1]
        if not made.whole:
            raise GpuError(f"--engine=gpu: {self.name} runs only partly on this GPU; use --engine=litert")
        if not apart <= APART:
            raise MemoryError(f"the GPU's result differs from the CPU's by {apart:.0f} of 255")
        return made

    def _apart(self, compiled: Compiled, height: int, width: int) -> float:
        """Return the largest difference from the CPU, of 255, in the corner that a lack of memory reaches first."""
        noise = np.random.default_rng(0).random((1, height, width, 3), np.float32)
        multiple = self.info.tile_multiple
        seen = -(-(_CORNER + _AROUND) // multiple) * multiple
        corner = slice(-_CORNER * self.scale, None)
        made = compiled.finish(compiled.start(noise))[:, corner, corner]
        return float(255 * np.abs(made - self._reference(noise[:, -seen:, -seen:])[:, corner, corner]).max())

    def _overlapped(self, function: Callable, items: Iterable) -> Iterator:
        """Map in order; the device works on the next tile while the host finishes one."""

        def call(item, before, done):
            self._local.before = before
            try:
                return function(item)
            finally:
                done.set()

        running: deque[Future] = deque()
        before = None
        with ThreadPoolExecutor(2) as pool:
            for item in items:
                done = threading.Event()
                running.append(pool.submit(call, item, before, done))
                before = done
                if len(running) > 2:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()


_device: dict[str, str] = {}
_limits: dict[int, int] = {}  # sides of the largest tile by the length of a network's file


def is_software(adapter: str) -> bool:
    """Return whether an adapter emulates a GPU on the CPU."""
    return bool(re.search("adapterType=CPU|swiftshader|llvmpipe|lavapipe|microsoft basic render", adapter, re.I))


def _litert():
    """Return LiteRT's module of compiled models; raises GpuError if this version has none."""
    if (found := module()) is None:
        raise GpuError("--engine=gpu needs a newer LiteRT: pip install --upgrade 'ai-edge-litert>=2.3'")
    return found
