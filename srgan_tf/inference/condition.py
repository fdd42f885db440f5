"""Estimate JPEG compression, noise and blur of a picture from its pixels.

Importing this needs no TensorFlow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from srgan_tf.data.levels import LUMA
from srgan_tf.io.jpeg import LUMA_STEPS, quality_of_steps

# Sampling of large pictures: windows down and across, their side in px, and blocks in all of them.
_WINDOWS, _SIDE, _BLOCKS = 4, 256, 2048
_FEW = 16
_COSINES = np.array(
    [[np.cos((2 * j + 1) * i * np.pi / 16) / (2 if i else 8**0.5) for j in range(8)] for i in range(8)], np.float32
)
_ORDER = np.add.outer(np.arange(8), np.arange(8))  # frequency of a coefficient: 0 is the mean, 14 the finest
# JPEG's grid: blocks sampled per offset; 1.2 times as many zeros as elsewhere is chance, 1.9 is JPEG 85.
_FOR_GRID, _MORE = 128, 1.5
_FINER = np.stack([np.outer(*_COSINES[[i, j]]).ravel() for i in range(8) for j in range(8) if 6 < i + j < 11], 1)
# JPEG: coefficients are multiples of a quantisation step, up to the rounding of decoded pixels.
_LOW = [(i, j) for i in range(5) for j in range(5) if 0 < i + j < 5]
_STEPS = np.concatenate([np.arange(99, 48, -3), np.arange(48, 24, -2), np.arange(24, 2, -1)]).astype(np.float32)
_LEAST, _CLEAR, _CERTAIN, _AGREE, _NEAR = 40, 0.4, 6.0, 4, 5
# Noise: the finest frequencies of the blocks with the least middle ones, less what texture has there: a share of its
# middle ones, where noise, which is white, has as much. Texture is alike in all channels and noise is not: their
# differences show noise best. In luma alone, texture shrunk by area looks like noise up to _GRAIN.
_FINE, _TEXTURE, _GRAIN = 11, 1 / 2.4, 2
# Blur: amplitude at 7/8 of the highest frequency over that at half of it. Of pictures shrunk x4 by MATLAB's bicubic or
# by area, 98 % have .26 or more.
_RADIUS = np.hypot(*np.indices((8, 8)))
_SHARP, _HALF = (abs(_RADIUS - 7) <= 0.5), (abs(_RADIUS - 4) <= 0.5)


@dataclass(frozen=True)
class Condition:
    """Estimated degradations of an image.

    Attributes:
        jpeg: quality, 1-100 on libjpeg's scale, of the lowest JPEG compression; None if there was none, or too little.
        noise: standard deviation per channel, in levels of 255; less or 0 where texture hides it.
        sharpness: amplitude of the finest detail over that of middling detail: some .4 without blur, .2 after a
            Gaussian of half a pixel, 1 for a print's dots; .5 if there is too little detail.
    """

    jpeg: float | None = None
    noise: float = 0.0
    sharpness: float = 0.5

    def __str__(self) -> str:
        parts = [] if self.jpeg is None else [f"JPEG {self.jpeg:.0f}"]
        parts += [f"noise {self.noise:.0f}"] * (self.noise >= 1)
        parts += [f"sharpness {self.sharpness:.2f}"] * (self.jpeg is None and not 0.3 < self.sharpness < 0.72)
        return ", ".join(parts) or "clean"


def analyze(pixels: np.ndarray, quality: float | None = None, subsampled: bool = False) -> Condition:
    """Estimate the degradations of a picture.

    Args:
        pixels: uint8 or uint16 [height, width, bands].
        quality: of the JPEG file they come from. Pixels that show a lower one were compressed before.
        subsampled: whether colours were stored at half the resolution, as in videos, which smooths their noise.
    """
    windows = _windows(pixels)
    luma = windows[..., 0] if windows.shape[3] == 1 else windows @ LUMA
    at = _blocks(luma)
    blocks = _transform(_cut(luma, at))
    before = _jpeg(luma, blocks)
    jpeg = before if quality is None or (before is not None and before < quality - _NEAR) else quality
    if len(blocks) < _FEW:
        return Condition(jpeg)
    noise = _noise(blocks, 0.25) / float(np.sum(LUMA**2)) ** 0.5
    if jpeg is None and not subsampled and ((colours := _cut(windows, at)) != colours[..., :1]).any():  # not grey
        differences = np.concatenate([colours[..., i] - colours[..., 1] for i in (0, 2)])
        noise = max(_noise(_transform(differences), 0.5) / 2**0.5, noise - _GRAIN)
    return Condition(jpeg, noise, _sharpness(blocks))


def _windows(pixels: np.ndarray) -> np.ndarray:
    """Return the picture or windows of it that start at multiples of 8: 0-255, float32 [n, height, width, 1 or 3]."""
    bands = pixels.shape[2] - (pixels.shape[2] in (2, 4))
    starts = [
        np.linspace(0, side - _SIDE, _WINDOWS).astype(int) // 8 * 8 if side > _WINDOWS * _SIDE else [0]
        for side in pixels.shape[:2]
    ]
    height, width = (side if len(at) == 1 else _SIDE for side, at in zip(pixels.shape, starts))
    cut = [pixels[y : y + height, x : x + width, :bands] for y in starts[0] for x in starts[1]]
    return np.stack(cut).astype(np.float32) / (257 if pixels.dtype == np.uint16 else 1)


def _jpeg(luma: np.ndarray, blocks: np.ndarray) -> float | None:
    """Return the quality of an earlier JPEG compression, whatever its grid's offset; None without a sign of one.

    The coefficients of each low frequency are multiples of its quantisation step: the widest step that fits is taken.
    That finds any table, not only the standard's.
    """
    found, at = [], _grid(luma)
    if at is None:
        return None
    # Pixels compressed twice may show the first grid at the corner.
    moved = luma[:, at[0] :, at[1] :]
    for some in [blocks] if at == (0, 0) else [blocks, _transform(_cut(moved, _blocks(moved)))]:
        sizes = np.abs(some)
        steps = {(i, j): _step(sizes[:, i, j]) for i, j in _LOW}
        ratios = [step / LUMA_STEPS[8 * i + j] for (i, j), step in steps.items() if step]
        if len(ratios) >= _AGREE:
            found.append(quality_of_steps(float(np.median(ratios))))
    return min(found, default=None)


def _grid(luma: np.ndarray) -> tuple[int, int] | None:
    """Return row and column, 0-7, at which JPEG's blocks begin: where most of the finer coefficients are 0."""
    if min(luma.shape[1:]) < 16:
        return None
    everywhere, zeros = sliding_window_view(luma, (8, 8), axis=(1, 2)), np.zeros((8, 8))
    for y, x in np.ndindex(8, 8):
        blocks = everywhere[:, y::8, x::8]
        of = np.linspace(0, np.prod(blocks.shape[:3]) - 1, _FOR_GRID).astype(int)
        some = blocks[np.unravel_index(of, blocks.shape[:3])].reshape(-1, 64)
        some = some[np.ptp(some, axis=1) > 4]
        zeros[y, x] = (np.abs(some @ _FINER) < 1).mean() if len(some) else 0
    best = np.unravel_index(zeros.argmax(), zeros.shape)
    return (int(best[0]), int(best[1])) if zeros.max() > _MORE * np.median(zeros) else None


def _noise(blocks: np.ndarray, share: float) -> float:
    """Return the standard deviation of white noise, from the share of the blocks with the least texture."""
    middle = np.sqrt((blocks[:, (_ORDER > 2) & (_ORDER < _FINE)] ** 2).mean(1))
    quiet = middle <= np.quantile(middle, share)
    found = float(np.median(np.abs(blocks[quiet][:, _ORDER >= _FINE]))) / 0.6745  # of a normal distribution
    white = (found**2 - (_TEXTURE * float(np.median(middle[quiet]))) ** 2) / (1 - _TEXTURE**2)
    return float(np.sqrt(max(white, 0)))


def _sharpness(blocks: np.ndarray) -> float:
    sharp, half = (float(np.sqrt((blocks[:, band] ** 2).mean())) for band in (_SHARP, _HALF))
    return sharp / half if half > 0.5 else Condition.sharpness  # in a gradient both are rounding errors


def _blocks(luma: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return window, row and column of blocks that are neither flat nor clipped at black or white."""
    grid = _as_blocks(luma)
    most, least = grid.max((2, 4)), grid.min((2, 4))
    found = np.flatnonzero((most < 254) & (least > 1) & (most > least + 4))
    return np.unravel_index(found[np.linspace(0, len(found) - 1, min(len(found), _BLOCKS)).astype(int)], most.shape)


def _as_blocks(windows: np.ndarray) -> np.ndarray:
    """View [n, height, width, …] as blocks [n, rows, 8, columns, 8, …]."""
    height, width = (side // 8 for side in windows.shape[1:3])
    return windows[:, : 8 * height, : 8 * width].reshape(len(windows), height, 8, width, 8, *windows.shape[3:])


def _cut(windows: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the blocks [n, 8, 8, …] at some places."""
    return _as_blocks(windows)[at[0], at[1], :, at[2]]


def _transform(blocks: np.ndarray) -> np.ndarray:
    return _COSINES @ blocks @ _COSINES.T


def _step(sizes: np.ndarray) -> float:
    """Return the widest step of which these are multiples, up to the rounding of pixels; 0 if there is none."""
    sizes = np.sort(sizes)
    starts = np.searchsorted(sizes, 0.6 * _STEPS)  # zeroed coefficients carry no information
    enough = len(sizes) - starts >= _LEAST
    for step, start in zip(_STEPS[enough], starts[enough]):
        fit = float(np.cos(sizes[start:] * (2 * np.pi / step)).mean())
        if fit > _CLEAR and fit * (2 * (len(sizes) - start)) ** 0.5 > _CERTAIN:
            return float(step)
    return 0.0
