"""Decoded pictures: small ones in memory, large ones in a temporary file, of which only what is in use takes memory."""

import mmap
import shutil
import tempfile

import numpy as np
import pyvips

LARGE = 32 << 20  # bytes
_ROWS = 256  # written together


def decode(image: pyvips.Image) -> pyvips.Image:
    """The same image with its samples made, for access in any order.

    Raises:
        pyvips.Error: it is damaged.
    """
    if not _goes_to_disk(image):
        return image.copy_memory()
    held = pyvips.Image.new_temp_file("%s.v")
    image.write(held)
    return held


def pixels(image: pyvips.Image) -> np.ndarray:
    """uint8 or uint16 [height, width, bands]; of large images read-only, and read as they are used (see `release`)."""
    shape = image.height, image.width, image.bands
    if not _goes_to_disk(image):
        return image.numpy().reshape(shape)
    with tempfile.TemporaryFile(prefix="srgan_tf-") as file:
        for top in range(0, image.height, _ROWS):
            file.write(image.crop(0, top, image.width, min(_ROWS, image.height - top)).write_to_memory())
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint16 if image.format == "ushort" else np.uint8).reshape(shape)


def release(pixels: np.ndarray) -> None:
    """Give the memory back that was used of a large image's `pixels`, which can be used again; of others, nothing."""
    owner = pixels
    while isinstance(owner, (np.ndarray, memoryview)):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def _goes_to_disk(image: pyvips.Image) -> bool:
    """Whether it is large, and twice as much is free where temporary files go."""
    size = image.height * image.width * image.bands * (2 if image.format == "ushort" else 1)
    return size >= LARGE and shutil.disk_usage(tempfile.gettempdir()).free > 3 * size
