"""LiteRT's compiled models, of one picture size each: shared by the engines for graphics processors and for CPUs.

Importing this needs neither LiteRT nor TensorFlow.
"""

import atexit
import functools
import os

import numpy as np

from srgan_tf import machine, terminal
from srgan_tf.inference.lite_sizes import Sizes

_QUANTISED, _TRANSIENT = 0x3, 0x20  # XNNPACK delegate's flags QS8 and QU8, and TRANSIENT_INDIRECTION_BUFFER


def module():
    """Return LiteRT's module of compiled models, None if this version has none."""
    try:
        from ai_edge_litert import compiled_model

        _ = compiled_model.GpuOptions, compiled_model.CpuOptions.xnnpack_flags  # since 2.3
    except (ImportError, AttributeError):
        return None
    return compiled_model


@functools.cache
def environment():
    """Return LiteRT's environment, one for all models: it logs whenever one ends, and so does the process."""
    atexit.register(_mute)
    return module().Environment.create()


def _mute() -> None:
    """Silence stderr, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class SparingPart:
    """Run a .tflite file of any size on the CPU like `litert.Part`, in a ninth of the memory for many convolutions.

    XNNPACK keeps a pointer per pixel and kernel position of each convolution: 25 KB per pixel in Real-ESRGAN x4plus.
    Here each convolution makes them anew, which only compiled models offer. 352 convolutions on 256x256 px took 389 MiB
    and 16.5 s, with all pointers kept 1,952 MiB and 18.5 s (two cores with AVX2).

    Args:
        content: the file's bytes: RGB, float32 in and out.

    Raises:
        ValueError: it computes sizes in ways that compiled models do not take.
    """

    def __init__(self, content: bytes):
        self._sizes, self._shape = Sizes(content), ()
        with terminal.silence():  # LiteRT logs when it first runs
            self(np.zeros((1, 16, 16, 3), np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._shape != x.shape:
            self._compile(x.shape)
        self._given.write(np.ascontiguousarray(x, np.float32))
        self._model.run_by_index(0, [self._given], [self._made])
        return self._made.read(int(np.prod(self._out)), np.float32).reshape(self._out)

    def _compile(self, shape: tuple) -> None:
        litert, self._model = module(), None
        content, self._out = self._sizes.fixed(*shape[1:3])
        cpu = litert.CpuOptions(num_threads=machine.cores(), xnnpack_flags=_QUANTISED | _TRANSIENT)
        options = litert.Options(hardware_accelerators=litert.HardwareAccelerator.CPU, cpu_options=cpu)
        with terminal.silence():  # and whenever it compiles
            self._model = litert.CompiledModel.from_buffer(content, options=options, environment=environment())
        (self._given,), (self._made,) = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        self._shape = shape
