"""PPM, PGM and PFM files with all their bits; Pillow keeps 8 of colour."""

import re

import numpy as np

from srgan_tf.io import samples
from srgan_tf.io.opened import Opened, TooLarge, from_array

_HEAD = rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3
_PPM = re.compile(rb"P([2356])" + _HEAD + rb"(?:#[^\n]*\n)?\s")
_PFM = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]{1,40})[ \t\r]*\n")


def load(data: bytes, max_pixels: int) -> Opened | None:
    """Decode what is of these formats; None for others.

    Raises:
        ValueError: it is truncated, or its range cannot be told. TooLarge.
    """
    match = _PPM.match(data) or _PFM.match(data)
    if not match:
        return None
    kind, width, height = match[1], int(match[2]), int(match[3])
    if not width or not height:
        raise ValueError("a picture of no pixels")
    if width * height > max_pixels:
        raise TooLarge(width, height)
    bands = 3 if kind in b"36F" else 1
    count, body, notes = width * height * bands, memoryview(data)[match.end() :], []
    if kind in b"fF":
        scale = float(match[4])
        values = _binary(body, count, "<f4" if scale < 0 else ">f4").reshape(height, width, bands)[::-1]
        pixels, notes = samples.levels(values.astype(np.float32), bands)
    else:
        highest = int(match[4])
        if not 0 < highest < 65_536:
            raise ValueError(f"its highest level, {highest}, is not one of 1-65535")
        if kind in b"23":
            words = re.sub(rb"#[^\n]*", b"", bytes(body)).split(None, count)[:count]
            if len(words) < count:
                raise ValueError("it is truncated")
            values = np.array([min(int(word), 65_535) for word in words])
        else:
            values = _binary(body, count, ">u2" if highest > 255 else "u1")
        pixels = samples.stretch(values.astype(np.uint16), highest).reshape(height, width, bands)
    return Opened(from_array(pixels).copy_memory(), ".ppm", notes)


def _binary(body, count: int, kind: str) -> np.ndarray:
    if len(body) < count * np.dtype(kind).itemsize:
        raise ValueError("it is truncated")
    return np.frombuffer(body, kind, count)
