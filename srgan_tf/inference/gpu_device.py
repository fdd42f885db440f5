"""A .tflite file of one size on the graphics processor, by LiteRT's compiled models. Needs no TensorFlow."""

import atexit
import functools
import os
import re

import numpy as np

from srgan_tf.errors import GpuError


class Compiled:
    """A .tflite file of one size on the device, with buffers for each tile in work.

    Attributes:
        whole: whether all of its operations run on the device.

    Raises:
        RuntimeError: it does not compile.
    """

    def __init__(self, content: bytes, height: int, width: int, scale: int):
        self._shape = (1, scale * height, scale * width, 3)
        self._unset = np.full(self._shape, np.nan, np.float32)
        litert = _litert()
        options = litert.Options(
            hardware_accelerators=litert.HardwareAccelerator.GPU, gpu_options=litert.GpuOptions(enforce_f32=True)
        )
        self._model = litert.CompiledModel.from_buffer(content, options=options, environment=_environment())
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


def no_adapter(log: str) -> str:
    """Return the error for a machine without a GPU that WebGPU finds."""
    if "libvulkan" in log:
        return (
            "--engine=gpu: no Vulkan on this machine; install libvulkan1 and the GPU's driver, or use --engine=litert"
        )
    return "--engine=gpu: no GPU with a driver found; install its driver, or use --engine=litert"


def is_software(adapter: str) -> bool:
    """Return whether an adapter emulates a GPU on the CPU."""
    return bool(re.search("adapterType=CPU|swiftshader|llvmpipe|lavapipe|microsoft basic render", adapter, re.I))


def _litert():
    """Return LiteRT's module of compiled models; raises GpuError if this version has none."""
    try:
        from ai_edge_litert import compiled_model

        _ = compiled_model.GpuOptions
    except (ImportError, AttributeError):
        raise GpuError("--engine=gpu needs a newer LiteRT: pip install --upgrade 'ai-edge-litert>=2.3'") from None
    return compiled_model


@functools.cache
def _environment():
    """Return LiteRT's environment, one for all models: it logs whenever one ends, and so does the process."""
    atexit.register(_mute)
    return _litert().Environment.create()


def _mute() -> None:
    """Silence stderr, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
