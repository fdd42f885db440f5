"""One way to call a model, whatever it is: a generator, a SavedModel, a .tflite file, a server.

`Upscaler`, the evaluation, the exporter's checks and the clients depend on `Runner` alone, so that an exported model is
used and scored by the code that used and scored the one it came from. `loading.py` opens each kind. Importing this
needs no TensorFlow.
"""

import copy
from abc import ABC, abstractmethod

import numpy as np

from srgan_tf.data.levels import from_signed, to_levels, to_signed, to_unit
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.tiling import mean_of_flips


class Runner(ABC):
    """A model ready to run. A subclass computes in `_run`; the base class converts.

    Args:
        info: the model's record.
        name: shown in tables: the file's stem or the folder's name.

    Attributes:
        tile_overlap: LR pixels around a tile beyond which SR changes by at most 1/255, back-projection included;
            None if unknown.
        precision: of its arithmetic, for people.
        is_uint8: whether the model takes and returns uint8; else float, LR in [0, 1] and SR in [-1, 1].
        max_tile: sides of the largest tile, in LR pixels; lowered where memory runs out.
        one_size: each tile size takes time to prepare, so tiles are all of one.
        bytes_per_pixel: of memory, per LR pixel of a tile in work.
        fixed_bytes: of memory, whatever the tile's size.
        map: Python's map, or a thread pool's where several tiles may be in work at once.
        generator: the Keras generator behind it; None for exported models.
        num_passes: model runs per SR.
    """

    tile_overlap: int | None = None
    precision = "its own precision"
    is_uint8 = False
    max_tile = 2**31
    one_size = False
    bytes_per_pixel = 20_000
    fixed_bytes = 0
    generator = None
    num_passes = 1

    def __init__(self, info: ModelInfo, name: str):
        self.info, self.name, self.map = info, name, map

    @property
    def scale(self) -> int:
        return self.info.scale

    @property
    def context(self) -> int:
        return self.info.context

    def high_precision(self) -> "Runner":
        """Return the same model for pictures of more than 8 bits: this one, or one in float32."""
        return self

    def release(self) -> None:  # noqa: B027 - most runners hold no buffers
        """Free working buffers; the next call reallocates."""

    def renamed(self, name: str) -> "Runner":
        """Return the same model under another name."""
        other = copy.copy(self)
        other.name = name
        return other

    @abstractmethod
    def _run(self, lr: np.ndarray) -> np.ndarray:
        """LR [n, height, width, 3] → SR [n, scale * height, scale * width, 3], as `is_uint8` says."""

    def __call__(self, lr) -> np.ndarray:
        """LR [n, height, width, 3] → SR [n, scale * height, scale * width, 3].

        Args:
            lr: uint8 in 0-255, which gives uint8; or float in [0, 1], which gives float32 in [-1, 1], not clipped.

        Raises:
            ValueError: lr has another type or shape. ModelError: a server returned no usable response.
        """
        lr = np.asarray(lr)
        if lr.ndim != 4 or lr.shape[-1] != 3 or (lr.dtype != np.uint8 and lr.dtype.kind != "f"):
            found = f"{lr.dtype} {list(lr.shape)}"
            raise ValueError(f"LR must be uint8, or float in [0, 1], [n, height, width, 3], not {found}")
        if lr.dtype == np.uint8:
            return self._run(lr) if self.is_uint8 else to_levels(from_signed(self._run(to_unit(lr))))
        return to_signed(to_unit(self._run(to_levels(lr)))) if self.is_uint8 else self._run(lr.astype(np.float32))


class Function(Runner):
    """Run a plain function of uint8 LR, such as an interpolation."""

    is_uint8 = True

    def __init__(self, name: str, scale: int, function):
        super().__init__(ModelInfo(scale, context=2), name)
        self._function = function

    def _run(self, lr):
        return self._function(lr)


class Ensemble(Runner):
    """Average a runner over all flips and quarter turns of LR: the self-ensemble (Timofte et al. 2016), 8 passes.

    With an imported SRResNet, 0.15 to 0.34 dB more PSNR on pictures of Set5 and .001 to .006 worse LPIPS. It blurs the
    texture that a GAN adds.
    """

    is_uint8 = True

    def __init__(self, runner: Runner):
        super().__init__(runner.info, f"{runner.name}+")
        self.generator, self.num_passes, self._runner = runner.generator, 8 * runner.num_passes, runner

    def _run(self, lr):
        return np.floor(mean_of_flips(self._runner, lr) + 0.5).astype(np.uint8)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
