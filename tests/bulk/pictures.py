"""Sources of the tests of bulk upscaling: whole pictures and broken ones."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def whole(number: int, side: int = 20) -> bytes:
    """A small picture file, unlike that of any other number; PNG and JPEG in turns."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side + number % 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG" if number % 2 else "PNG")
    return file.getvalue()


def broken(number: int) -> bytes:
    """No picture: empty, cut off in the head, random, or a head that promises terabytes."""
    good = whole(2 * number)
    huge = good[:16] + b"\x00\x0f\xff\xff\x00\x0f\xff\xff" + good[24:]
    return (b"", good[:30], np.random.default_rng(number).bytes(400), huge)[number % 4]


def folder(path: Path, good: int, bad: int = 0) -> Path:
    """Pictures in folders of a hundred, the broken ones spread among them."""
    for number in range(good + bad):
        (path / f"{number // 100:02}").mkdir(parents=True, exist_ok=True)
        ending = "jpg" if number % 2 else "png"
        (path / f"{number // 100:02}" / f"{number}.{ending}").write_bytes(whole(number))
    for i in range(bad):
        number = i * (good + bad) // bad
        ending = "jpg" if number % 2 else "png"
        (path / f"{number // 100:02}" / f"{number}.{ending}").write_bytes(broken(i))
    return path
