"""Upscale frame after frame: what did not change is not drawn anew, so that it is fast and does not flicker."""

from collections.abc import Iterable, Iterator

import numpy as np

from srgan_tf.inference.pipeline import OnTile, Pipeline

_SHARE = 0.2  # of a frame in the moving average of what stands still
_AROUND = 2  # pixels on each side whose differences tell noise from motion
_REDRAWN = 0.75  # levels by which the average may leave what was drawn


class Steady:
    """Upscale the frames of one clip in their order.

    Args:
        pipeline: for all frames.
        noise: levels of 255 that pixels of a still scene may differ by from frame to frame, as by a camera's noise or
            compression: below, a moving average is enlarged. 0 enlarges the frames as they are.

    Attributes:
        pixels: LR pixels that the pipeline enlarged so far.
    """

    def __init__(self, pipeline: Pipeline, noise: float = 0.0):
        self._pipeline, self._noise, self.pixels = pipeline, noise, 0
        self._mean = self._drawn = self._made = np.empty(0)

    def follow(self, frame: np.ndarray) -> np.ndarray:
        """Take in a frame without enlarging it, uint8 [height, width, bands]; return what would be enlarged."""
        if self._mean.shape != frame.shape:
            self._mean, self._drawn = frame.astype(np.float32), np.empty(0)
        elif self._noise:
            difference = frame - self._mean
            still = np.abs(_box(difference, _AROUND)).max(-1) < self._noise / 2
            still &= _box(np.abs(difference), _AROUND).max(-1) < self._noise
            self._mean += np.where(still, _SHARE, np.float32(1))[..., None] * difference
        else:
            self._mean = frame.astype(np.float32)
        return self._mean

    def restart(self) -> None:
        """Draw the next frame whole, whatever was drawn before."""
        self._drawn = np.empty(0)

    def __call__(self, frame: np.ndarray, on_tile: OnTile = None) -> np.ndarray:
        """uint8 [height, width, bands] → the same, `pipeline.scale` times larger; on_tile: called after each tile."""
        mean = self.follow(frame)
        if not self._drawn.size:
            self._drawn = np.rint(mean).astype(frame.dtype)
            self._made = self._enlarged(self._drawn, on_tile)
            return self._made
        changed = (np.abs(mean - self._drawn) > _REDRAWN).any(-1)
        if changed.any():
            self._drawn[changed] = np.rint(mean[changed])
            self._draw(changed, on_tile)
        return self._made

    def _enlarged(self, lr: np.ndarray, on_tile: OnTile) -> np.ndarray:
        self.pixels += lr.shape[0] * lr.shape[1]
        return np.concatenate(list(self._pipeline.rows(lr, None, on_tile)))

    def _draw(self, changed: np.ndarray, on_tile: OnTile) -> None:
        """Draw what depends on changed pixels, in a window around all of them."""
        scale, reach = self._pipeline.scale, self._pipeline.overlap
        stale = _box(changed[..., None].astype(np.float32), reach)[..., 0] > 1e-9
        place = tuple(slice(seen.argmax(), seen.size - seen[::-1].argmax()) for seen in (stale.any(1), stale.any(0)))
        runner = self._pipeline.runner
        far = max(changed.shape) if runner.one_size else reach  # a GPU compiles each size
        starts = (max(0, side.start - far) // runner.info.tile_multiple * runner.info.tile_multiple for side in place)
        window = tuple(slice(start, side.stop + far) for start, side in zip(starts, place))
        sr = self._enlarged(self._drawn[window], on_tile)
        offset = tuple(side.start - seen.start for side, seen in zip(place, window))
        inner = tuple(slice(scale * at, scale * (at + side.stop - side.start)) for at, side in zip(offset, place))
        there = tuple(slice(scale * side.start, scale * side.stop) for side in place)
        self._made = self._made.copy()  # the last one may still be in writing
        mask = stale[place].repeat(scale, 0).repeat(scale, 1)[..., None]
        np.copyto(self._made[there], sr[inner], where=mask)


def _box(values: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean over a square of `radius` pixels on each side, [height, width, bands], as if 0 lay outside."""
    for axis in (0, 1):
        ends = [(radius + 1, radius) if i == axis else (0, 0) for i in range(3)]
        sums = np.cumsum(np.pad(values, ends), axis, dtype=np.float64)
        length = values.shape[axis]
        later, earlier = (np.take(sums, range(at, at + length), axis) for at in (2 * radius + 1, 0))
        values = (later - earlier) / (2 * radius + 1)
    return values


def upscaled(pipeline: Pipeline, frames: Iterable[np.ndarray], on_tile: OnTile = None) -> Iterator[np.ndarray]:
    """Yield the frames of an animation, uint8 [height, width, bands], `pipeline.scale` times larger.

    on_tile: called as often per frame as a whole one has tiles, also for those that were not drawn anew.
    """
    steady, tick = Steady(pipeline), on_tile or (lambda: None)
    for frame in frames:
        left = iter(range(pipeline.num_tiles(*frame.shape)))
        yield steady(frame, lambda left=left: None if next(left, None) is None else tick())
        for _ in left:
            tick()
