"""Large decoded images in a temporary file, of which only what is in use takes memory."""

import mmap
import shutil
import tempfile

import numpy as np
import pyvips

LARGE = 32 << 20  # bytes


def decode(image: pyvips.Image) -> pyvips.Image:
    """Decode all samples, for access in any order. Raises pyvips.Error where the file is damaged."""
    if not _goes_to_disk(image.height * image.width * image.bands * (2 if image.format == "ushort" else 1)):
        return image.copy_memory()
    spilled = pyvips.Image.new_temp_file("%s.v")
    image.write(spilled)
    return spilled


def empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Return a writable array as `np.empty` does; a large one lies in a temporary file."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not _goes_to_disk(size):
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="srgan_tf-") as file:
        file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def pixels(image: pyvips.Image) -> np.ndarray:
    """Return uint8 or uint16 [height, width, bands]; large ones are read-only and read on access (see `release`)."""
    result = empty((image.height, image.width, image.bands), np.uint16 if image.format == "ushort" else np.uint8)
    if result.base is None:
        return image.numpy().reshape(result.shape)
    for top in range(0, image.height, 256):
        part = image.crop(0, top, image.width, min(256, image.height - top)).numpy()
        result[top : top + len(part)] = part.reshape(len(part), *result.shape[1:])
        release(result)
    result.flags.writeable = False
    return result


def release(pixels: np.ndarray) -> None:
    """Drop the resident pages of memory-mapped `pixels`, which stay usable; arrays in memory are left alone."""
    owner = pixels
    while isinstance(owner, (np.ndarray, memoryview)):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def _goes_to_disk(size: int) -> bool:
    """Whether it is large, and twice as much stays free where temporary files go."""
    return size >= LARGE and shutil.disk_usage(tempfile.gettempdir()).free > 3 * size
