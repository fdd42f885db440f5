"""Keys' cubic (1981, a = -0.5) as MATLAB's `imresize` samples it, applied in NumPy.

`bicubic` applies the same taps in TensorFlow, to uint8 and on any device. Importing this needs no TensorFlow.
"""

import math
from dataclasses import dataclass

import numpy as np

_BLOCK = 16  # steps per matrix product: few wasted multiplications, yet enough for BLAS
# Multiplications per product. OpenBLAS uses several threads for larger ones, which compete with LiteRT's: 50 times
# slower on a busy machine.
_PRODUCT = 1 << 18


@dataclass(frozen=True)
class Taps:
    """Resampling of one axis: at every `stride` pixels, each column of `weights` gives one pixel."""

    weights: np.ndarray  # [length, phases], float64
    first: int  # offset of the first tap
    stride: int  # pixels between positions


def shrinking(scale: int) -> Taps:
    """Return taps for shrinking by `scale`, with the widened, normalised kernel."""
    centre = (scale - 1) / 2
    offsets = np.array([d for d in range(-2 * scale, 3 * scale) if abs(d - centre) < 2 * scale])
    weights = _cubic((offsets - centre) / scale)
    return Taps((weights / weights.sum()).reshape(-1, 1), int(offsets[0]), scale)


def enlarging(scale: int) -> Taps:
    """Return taps for enlarging by `scale`."""
    centres = (np.arange(scale) + 0.5) / scale - 0.5
    weights = _cubic(np.arange(-2, 3)[:, None] - centres[None, :])
    return Taps(weights / weights.sum(0), -2, 1)


def shrinking_to(numerator: int, denominator: int) -> Taps:
    """Return taps for resizing by numerator / denominator < 1."""
    widen = denominator / numerator
    centres = (np.arange(numerator) + 0.5) * widen - 0.5
    offsets = np.arange(math.ceil(-2 * widen), denominator + math.ceil(2 * widen))
    weights = _cubic((offsets[:, None] - centres[None, :]) / widen)
    return Taps(weights / weights.sum(0), int(offsets[0]), denominator)


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def resize(picture: np.ndarray, taps: Taps) -> np.ndarray:
    """Resample a float32 picture [height, width, channels] of any range along both axes, with edge padding.

    Sizes that `taps.stride` does not divide are rounded up. The result is neither rounded nor clipped.
    """
    height, width, channels = picture.shape
    tall = _along_rows(picture.reshape(height, width * channels), taps, 1)
    # A block matrix that keeps the channels apart handles width and channels at once.
    wide = _along_rows(np.ascontiguousarray(tall).reshape(len(tall), width, channels), taps, channels)
    return wide.reshape(len(tall), -1, channels)


def _along_rows(x: np.ndarray, taps: Taps, channels: int) -> np.ndarray:
    """Resample [size, others] along its first axis, or [others, size, channels] along its second."""
    axis = x.ndim - 2 if x.ndim == 3 else 0
    size, (length, phases) = x.shape[axis], taps.weights.shape
    steps = -(-size // taps.stride)
    blocks = -(-steps // _BLOCK)
    seen = (_BLOCK - 1) * taps.stride + length
    beyond = (blocks - 1) * _BLOCK * taps.stride + seen + taps.first - size
    pads = [(0, 0)] * x.ndim
    pads[axis] = (-taps.first, max(beyond, 0))
    x = np.pad(x, pads, "edge")
    matrix = np.zeros((_BLOCK, phases, seen), np.float32)
    for step in range(_BLOCK):
        matrix[step, :, step * taps.stride : step * taps.stride + length] = taps.weights.T
    matrix = matrix.reshape(_BLOCK * phases, seen)
    jump = _BLOCK * taps.stride
    if axis == 0:
        made = np.empty((blocks * len(matrix), x.shape[1]), np.float32)
        for i, part in enumerate(made.reshape(blocks, len(matrix), -1)):
            for some in _parts(x.shape[1], matrix.size):
                np.matmul(matrix, x[i * jump : i * jump + seen, some], out=part[:, some])
        return made[: steps * phases]
    flat, mixed = x.reshape(len(x), -1), np.kron(matrix, np.eye(channels, dtype=np.float32)).T
    made = np.empty((len(x), blocks * mixed.shape[1]), np.float32)
    for some in _parts(len(x), mixed.size):
        for i in range(blocks):
            part = slice(i * mixed.shape[1], (i + 1) * mixed.shape[1])
            np.matmul(flat[some, i * jump * channels : (i * jump + seen) * channels], mixed, out=made[some, part])
    return made[:, : steps * phases * channels]


def _parts(size: int, cost: int) -> list[slice]:
    """Split an axis so that each part takes at most _PRODUCT multiplications, at `cost` per position."""
    most = max(1, _PRODUCT // cost)
    return [slice(start, start + most) for start in range(0, size, most)]
