"""Bytes of a picture file to bytes of one `scale` times larger. Importing this needs no TensorFlow."""

import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from srgan_tf.errors import ImageError
from srgan_tf.inference.upscaling import Upscaler, write_upscaled
from srgan_tf.io import encoding, files, images
from srgan_tf.io.images import MAX_PIXELS, Picture


def upscale_bytes(
    data: bytes,
    model="auto",
    name: str = "the picture",
    format: str | None = None,
    quality: int = 95,
    page: int | None = None,
    max_pixels: int = MAX_PIXELS,
    notes: list[str] | None = None,
    **options,
) -> tuple[bytes, str]:
    """What `upscale.py` makes of a file, from bytes to bytes: upright, with its alpha, depth, profile and metadata.

    Args:
        data: of a picture file of any kind that `upscale.py` reads.
        model, options: as of `Upscaler`; for many pictures, make an `Upscaler` once and give it as model.
        name: of the picture, such as its path or key: errors begin with it, and its ending chooses the format.
        format: to write, one of `choices.FORMATS`; that of the name's ending by default, or, where the name has no
            picture's ending, that of the data. JPEG for HEIC, PNG for others that cannot be written.
        quality: 1-100, for JPEG, WebP and AVIF.
        page: which page or frame, from 1, of files with several; the first by default.
        max_pixels: the largest height * width that is decoded.
        notes: takes what was chosen among several, or could not be kept, a line each.

    Returns:
        The new file's bytes and its ending, such as ".jpg".

    Raises:
        ImageError: the picture cannot be read, or the format cannot hold the result; begins with the name.
        WeightsError: no such model. ValueError: an option out of range.

    Example:
        >>> large, ending = srgan_tf.upscale_bytes(small, name="holiday/a.jpg")
    """
    upscaler = model if isinstance(model, Upscaler) else Upscaler(model, **options)
    picture = images.load(_Named(name, data), max_pixels, page, lenient=True)
    if notes is not None:
        notes += picture.notes
    named = f"x{picture.format}" if not files.is_picture(Path(name)) else name
    ending = result_ending(named, format)
    file = io.BytesIO()
    write_into(file, upscaler, picture, name, ending, quality)
    return file.getvalue(), ending


def result_ending(name, format: str | None = None) -> str:
    """The ending of what is made of a file called so, such as ".png"; format: the one asked for, if any."""
    if format:
        return encoding.format_of(f"x.{format}") or f".{format}"
    if ending := encoding.format_of(name):
        return ending
    return ".jpg" if str(name).lower().endswith((".heic", ".hif")) else ".png"  # as phones export them


def write_into(
    file: BinaryIO, upscaler: Upscaler, picture: Picture, name: str, ending: str, quality: int = 95, on_tile=None
) -> None:
    """Upscale a decoded picture into an open file or stream, which gets nothing where that fails.

    Args:
        name: for errors. ending: of the format. quality: 1-100. on_tile: called after each tile.

    Raises:
        ImageError: the format cannot hold the result; begins with the name.
    """
    with tempfile.TemporaryDirectory(prefix="srgan_tf-") as folder:  # a file's head is mended once its end is known
        target = Path(folder) / f"output{ending}"
        try:
            write_upscaled(upscaler, picture, target, quality, on_tile)
        except ImageError as error:
            raise ImageError(str(error).replace(str(target), name)) from None
        with open(target, "rb") as made:
            shutil.copyfileobj(made, file)


@dataclass(frozen=True)
class _Named:
    """Bytes that read like a file of this name."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        return self.data
