"""The bundled photographs as LR pictures."""

import functools
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan_tf.data import bicubic
from srgan_tf.data.levels import from_signed, to_levels, to_unit
from srgan_tf.io import images

PHOTOS = Path(__file__).parents[1] / "photos"


@functools.cache  # an export asks several times
def photographs(folder: str, scale: int, side: int) -> tuple[np.ndarray, ...]:
    """Return the centre of each bundled photograph as LR float32 [1, h, w, 3] in [0, 1], at most `side` px."""
    result = []
    for path in sorted((PHOTOS / folder).glob("*.jpg")):
        hr = images.read(path)[None]
        top, left = (max(0, size - side * scale) // 2 for size in hr.shape[1:3])
        height, width = (min(size // scale, side) * scale for size in hr.shape[1:3])
        hr = hr[:, top : top + height, left : left + width] / np.float32(127.5) - 1
        result.append(to_unit(to_levels(from_signed(bicubic.downscale(tf.constant(hr), scale).numpy()))))
    return tuple(result)
