"""Run a function tile by tile: tiles overlap by the receptive field, so the result equals that of the whole array."""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """A tile along one axis: reads [start, stop), writes [first, last)."""

    start: int
    stop: int
    first: int
    last: int


def spans(size: int, window: int, context: int, shrink: bool = True, multiple: int = 1) -> list[Span]:
    """Cover `size` pixels by tiles of one common length, at most `window` (exactly `window` unless `shrink`).

    Tiles start at multiples of `multiple`, and the last one is longer by what `size` lacks to one.

    No tile reaches beyond the picture: the network pads with zeros at every layer there, and must see the border to do
    the same in a tile. Elsewhere each tile reads `context` pixels more than it writes.
    """
    if size <= window:
        return [Span(0, size, 0, size)]
    step = (window - 2 * context) // multiple * multiple
    count = -(-(size - 2 * context) // step)
    if shrink:
        step = -(-(size - 2 * context) // (count * multiple)) * multiple
        window = step + 2 * context
    starts = [min(i * step, max(0, size - window) // multiple * multiple) for i in range(count)]
    stops = [*(start + window for start in starts[:-1]), size]
    cuts = [0, *(start + context + step for start in starts[:-1]), size]
    return [Span(*span) for span in zip(starts, stops, cuts, cuts[1:])]


def tiled(function, x, window, context, scale: int, shrink: bool = True, multiple: int = 1) -> np.ndarray:
    """Return function(x), [1, height, width, channels] → [1, scale * height, scale * width, ...], tile by tile.

    Args:
        window, context: pixels, or pairs of them for rows and columns; see `spans`.
        shrink, multiple: as for `spans`.
    """
    (tall, wide), (above, beside) = np.broadcast_to(window, 2).tolist(), np.broadcast_to(context, 2).tolist()
    height, width = x.shape[1:3]
    if height <= tall and width <= wide:
        return np.asarray(function(x))
    rows, columns = spans(height, tall, above, shrink, multiple), spans(width, wide, beside, shrink, multiple)
    result = np.empty(0)
    for row, column in itertools.product(rows, columns):
        tile = np.asarray(function(x[:, row.start : row.stop, column.start : column.stop]))
        if not result.size:
            result = np.empty((1, scale * height, scale * width, tile.shape[-1]), tile.dtype)
        here = [slice(scale * s.first, scale * s.last) for s in (row, column)]
        there = [slice(scale * (s.first - s.start), scale * (s.last - s.start)) for s in (row, column)]
        result[:, here[0], here[1]] = tile[:, there[0], there[1]]
    return result


def mean_of_flips(function, lr: np.ndarray) -> np.ndarray:
    """Average SR over the eight flips and quarter turns of LR [n, height, width, bands], each turned back."""
    total = np.float32(0)
    for turns in range(4):
        for step in (1, -1):
            sr = function(np.rot90(lr, turns, (1, 2))[:, :, ::step])
            total = total + np.rot90(sr[:, :, ::step], -turns, (1, 2))
    return total / np.float32(8)
