"""Upscale a picture by one model, tile by tile, with every option settled. Importing this needs no TensorFlow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from absl import logging

from srgan_tf.data import cubic
from srgan_tf.data.levels import LUMA, from_signed, to_levels, to_signed, to_unit
from srgan_tf.inference.runners import Runner
from srgan_tf.inference.tiling import Span, mean_of_flips, spans, tiled
from srgan_tf.io import spill

OnTile = Callable[[], None] | None  # called after each tile
MEMORY = 640 << 20
_ROWS = 64  # of LR, finished together: their float32 arrays stay in the processor's cache
_MAX_TILE = 1024  # LR px per side
_STEPS = 2  # of back-projection; each extends the receptive field by 4 LR px: 2 by shrinking, 2 by enlarging
_BLUR = 9  # LR px, side of the box filter of "colour", applied twice; noise of 10/255 passes as 0.8
_LEAST = 0.25  # lower bound of the share of unclipped pixels


@dataclass(frozen=True)
class Pipeline:
    """A model and how to upscale a picture by it; `Upscaler.resolve` makes one.

    Attributes:
        runner: the model.
        scale: of the result, at most the model's; less is reached by MATLAB's bicubic downscaling.
        back_projection: "full", "colour" or "none"; see `Upscaler`.
        memory: bytes for the pixels in work, which sets the size of the tiles.
        ensemble: average over the eight flips and turns of each tile.
        description: what was found in the picture and what is done about it; "" if nothing was "auto".

    Raises:
        ValueError: the model's largest tile is too small.
    """

    runner: Runner
    scale: int
    back_projection: str = "full"
    memory: int = MEMORY
    ensemble: bool = False
    description: str = ""

    def __post_init__(self):
        if self.runner.max_tile < self._smallest:
            least = f"{self._smallest} px, of which {self.overlap} on each side are overlap"
            raise ValueError(f"tile must be at least {least}, not {self.runner.max_tile}")

    @property
    def _extra_context(self) -> int:
        """LR pixels on each side that the steps after the model depend on."""
        per_step = {"none": 0, "full": 4, "colour": 4 + _BLUR - 1}[self.back_projection]
        return _STEPS * per_step + 2 * (self.scale < self.runner.scale)

    @property
    def overlap(self) -> int:
        """LR pixels on each side that a tile sees beyond those it produces."""
        return self.runner.tile_overlap or self.runner.context + self._extra_context

    @property
    def _smallest(self) -> int:
        return 2 * self.overlap + 16

    def tile_size(self, height: int, width: int, bands: int = 3, itemsize: int = 1) -> tuple[int, int]:
        """Return height and width of tiles in LR pixels: of those that fit into memory, the ones that overlap least."""
        overlap = 2 * self.overlap
        largest, memory = min(_MAX_TILE, self.runner.max_tile), self.memory - self.runner.fixed_bytes
        # More than `memory` where little of a tile would be new: of three overlaps a side, a ninth is.
        memory = max(memory, (3 * self.overlap) ** 2 * self.runner.bytes_per_pixel)
        if self.runner.one_size:
            side = max(self._smallest, min(largest, int((memory / self.runner.bytes_per_pixel) ** 0.5) // 16 * 16))
            return min(height, side), min(width, side)
        # A tile, and three bands of finished rows: one in work, one waiting, one being written.
        per_row = 3 * width * self.scale**2 * bands * itemsize
        computed, best = np.inf, (self._smallest, self._smallest)
        for columns in range(1, max(2, (width - overlap) // 16 + 1)):
            across = min(width, -(-(width - overlap) // columns) + overlap)
            down = int(min(largest, (memory + overlap * per_row) / (self.runner.bytes_per_pixel * across + per_row)))
            if across > max(largest, self._smallest) or down < min(self._smallest, height):
                continue
            rows = 1 if height <= down else -(-(height - overlap) // (down - overlap))
            pixels = (height + (rows - 1) * overlap) * (width + (columns - 1) * overlap)
            if pixels < computed:
                computed, best = pixels, (down, across)
        return best

    def num_tiles(self, height: int, width: int, bands: int = 3, itemsize: int = 1) -> int:
        """Return how often the model runs for a picture."""
        sizes = (height, width), self.tile_size(height, width, bands, itemsize)
        return int(np.prod([len(self._spans(size, window)) for size, window in zip(*sizes)]))

    def _spans(self, size: int, window: int) -> list[Span]:
        return spans(size, window, self.overlap, not self.runner.one_size, self.runner.info.tile_multiple)

    def rows(self, pixels: np.ndarray, dtype=None, on_tile: OnTile = None) -> Iterator[np.ndarray]:
        """Yield the picture `scale` times larger, as arrays [n, width, bands] from the top.

        Args:
            pixels: uint8 or uint16 [height, width, bands].
            dtype: of the result, np.uint8 or np.uint16; that of pixels by default.
            on_tile: called after each tile.
        """
        height, width, bands = pixels.shape
        dtype, scale = np.dtype(dtype or pixels.dtype), self.scale
        grey_rgb = bands >= 3 and _is_grey(pixels)
        if grey_rgb:  # processed as grey, to avoid colour casts
            pixels = pixels[..., 2:]
        tall, wide = self.tile_size(height, width, bands, dtype.itemsize)
        columns = self._spans(width, wide)
        for down in self._spans(height, tall):
            seen = pixels[None, down.start : down.stop]
            band = np.empty((scale * (down.last - down.first), scale * width, pixels.shape[2]), dtype)
            inner = slice(scale * (down.first - down.start), scale * (down.last - down.start))
            tiles = self.runner.map(lambda at, seen=seen: self._tile(seen[:, :, at.start : at.stop], dtype), columns)
            for across, made in zip(columns, tiles):
                there = slice(scale * (across.first - across.start), scale * (across.last - across.start))
                band[:, scale * across.first : scale * across.last] = made[0, inner, there]
                if on_tile:
                    on_tile()
            spill.release(pixels)
            yield np.concatenate([band[..., :1], band[..., :1], band], -1) if grey_rgb else band

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 or uint16 [height, width, bands] → the same, `scale` times larger."""
        return np.concatenate(list(self.rows(pixels)))

    def _tile(self, x: np.ndarray, dtype) -> np.ndarray:
        """[1, height, width, bands] → the same, `scale` times larger; halves the tiles when memory runs out."""
        side = max(x.shape[1:3])
        while True:
            side = min(side, self.runner.max_tile)
            try:
                run, shrink = partial(self._picture, dtype=dtype), not self.runner.one_size
                multiple = self.runner.info.tile_multiple
                return tiled(run, x, side, self.overlap, self.scale, shrink=shrink, multiple=multiple)
            except MemoryError:
                side //= 2
                if side < self._smallest:
                    raise MemoryError(f"out of memory even with tiles of {2 * side} px; close other programs") from None
                if side < self.runner.max_tile:  # else another thread met it first
                    self.runner.max_tile = side
                    logging.warning("out of memory: continuing with tiles of %d px", side)

    def _picture(self, x: np.ndarray, dtype) -> np.ndarray:
        height, width, bands = x.shape[1:]
        levels = np.empty((1, self.scale * height, self.scale * width, bands), dtype)
        unit = to_unit(x[0])
        colour, alpha = (unit[..., :-1], unit[..., -1:]) if bands in (2, 4) else (unit, None)
        lr = np.repeat(colour, 3, -1) if colour.shape[-1] == 1 else colour
        sr = self._run(lr[None])[0]
        reach, own = max(self._extra_context, 2), self.runner.scale  # alpha's interpolation reaches 2
        for rows in spans(height, _ROWS + 2 * reach, reach):
            seen = slice(rows.start, rows.stop)
            part = sr[own * rows.start : own * rows.stop]
            made = self._postprocess(part, lr[seen], None if alpha is None else alpha[seen], colour.shape[-1] == 1)
            inner = slice(self.scale * (rows.first - rows.start), self.scale * (rows.last - rows.start))
            levels[0, self.scale * rows.first : self.scale * rows.last] = to_levels(from_signed(made[inner]), dtype)
        return levels

    def _postprocess(self, sr: np.ndarray, lr: np.ndarray, alpha: np.ndarray | None, grey: bool) -> np.ndarray:
        """Back-project a model's SR [height, width, 3] in [-1, 1]; bring it to the result's size and bands."""
        if self.back_projection != "none":
            sr = back_project(sr, lr, self.runner.scale, self.back_projection)
        if self.scale < self.runner.scale:
            sr = cubic.resize(sr, cubic.shrinking_to(self.scale, self.runner.scale))
        if grey:
            sr = (sr @ LUMA)[..., None]
        if alpha is not None:
            # Bicubic: a model of photographs would add texture to what must stay wholly opaque.
            sr = np.concatenate([sr, cubic.resize(to_signed(alpha), cubic.enlarging(self.scale))], -1)
        return sr

    def _run(self, lr: np.ndarray) -> np.ndarray:
        """Run the model on a picture mirrored to sides that the model takes."""
        height, width = lr.shape[1:3]
        multiple, scale = self.runner.info.tile_multiple, self.runner.scale
        if multiple > 1:
            lr = np.pad(lr, [(0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)], "reflect")
        sr = mean_of_flips(self.runner, lr) if self.ensemble else self.runner(lr)
        return sr[:, : height * scale, : width * scale]


def _is_grey(pixels: np.ndarray) -> bool:
    """Return whether three colour bands are equal, looking at some rows at a time."""
    return all(
        np.array_equal(pixels[top : top + _ROWS, :, band], pixels[top : top + _ROWS, :, 0])
        for top in range(0, len(pixels), _ROWS)
        for band in (1, 2)
    )


def back_project(sr: np.ndarray, lr: np.ndarray, scale: int, kind: str) -> np.ndarray:
    """Add to SR the enlarged difference between LR and the shrunk SR (Irani & Peleg 1991).

    Networks shift flat colours, saturated ones above all, GANs by up to 23/255. On Set5 back-projection gains 0.05 dB
    and .0005 LPIPS with the shipped SRResNet, 1.03 dB and .006 with krasserm's SRGAN (`benchmarks/upscaling.py`).
    In NumPy: 20 ms of a core for SR of 512x512, where the network takes 220 or more.

    Clipped values cannot take their share of the correction, so the others take more: without that, the shipped
    SRGAN was 0.94/255 off in the mean on the worst of 125 flat colours, with it 0.34.

    Args:
        sr: float32 [scale * h, scale * w, 3] in [-1, 1]; may be changed.
        lr: float32 [h, w, 3] in [0, 1].
        kind: "full", or "colour": only differences that persist over a neighbourhood, so that noise does not return.
    """
    target = lr * 2 - 1
    for _ in range(_STEPS):
        sr = np.clip(sr, -1, 1)
        difference = target - cubic.resize(sr, cubic.shrinking(scale))
        if kind == "colour":
            difference = _box_filter(_box_filter(difference))
        up, down = (_unclipped(can, scale) for can in (sr < 1, sr > -1))
        sr += cubic.resize(difference / np.maximum(np.where(difference > 0, up, down), _LEAST), cubic.enlarging(scale))
    return sr


def _unclipped(can: np.ndarray, scale: int) -> np.ndarray:
    """Return the share of True per channel in each block of scale² pixels."""
    if can.all():  # nearly always
        return np.ones((1, 1, 1), np.float32)
    height, width, channels = can.shape
    rows = can.reshape(height // scale, scale, width * channels).sum(1, dtype=np.uint8)
    blocks = rows.reshape(height // scale, width // scale, scale, channels).sum(2, dtype=np.uint8)
    return blocks / np.float32(scale**2)


def _box_filter(x: np.ndarray) -> np.ndarray:
    """Apply a box filter of BLUR² pixels; at the border, average over those inside."""
    for axis in (0, 1):
        size = x.shape[axis]
        places = np.arange(size)
        start, stop = np.maximum(places - _BLUR // 2, 0), np.minimum(places + _BLUR // 2 + 1, size)
        sums = np.concatenate([np.zeros_like(x.take([0], axis), np.float64), np.cumsum(x, axis, np.float64)], axis)
        count = (stop - start).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        x = ((sums.take(stop, axis) - sums.take(start, axis)) / count).astype(np.float32)
    return x
