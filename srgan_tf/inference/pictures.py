"""From a picture to a picture `scale` times larger: files, bytes and arrays. Importing this needs no TensorFlow."""

import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from srgan_tf.errors import ImageError
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.inference.upscaling import Upscaler, as_pixels
from srgan_tf.io import encoding, files, images
from srgan_tf.io.images import MAX_PIXELS, Picture


def upscale(image, model="auto", output=None, quality: int = 95, **options):
    """Upscale one picture; for many, make an `Upscaler` once.

    Args:
        image: a path; bytes of a picture file; or uint8 or uint16 [height, width] or [height, width, bands], where
            bands are grey, grey + alpha, RGB or RGB + alpha.
        model, options: as of `Upscaler`.
        output: a path to write to, with the metadata of the file; None returns the pixels.
        quality: 1-100, for JPEG, WebP and AVIF.

    Returns:
        The picture in the dtype and bands of image, `scale` times larger; or output, once it is written.

    Raises:
        ImageError: the picture cannot be read or written. WeightsError: there is no such model.

    Example:
        >>> srgan_tf.upscale("photo.jpg", output="photo_x4.png")
    """
    upscaler = model if isinstance(model, Upscaler) else Upscaler(model, **options)
    is_file = isinstance(image, (str, Path, bytes))
    if not is_file and output is None:
        return upscaler(image)
    picture = images.load(image) if is_file else Picture(as_pixels(image))
    pipeline = upscaler.resolve(picture.pixels, picture.quality)
    if output is None:
        return pipeline(picture.pixels)
    write_picture(pipeline, picture, output, quality)
    return output


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
    """Upscale a picture file from bytes to bytes: upright, with its alpha, depth, profile and metadata.

    Args:
        data: of a picture file of any kind that `upscale.py` reads.
        model, options: as of `Upscaler`; for many pictures, make an `Upscaler` once and give it as model.
        name: of the picture, such as its path or key: errors begin with it, and its suffix chooses the format.
        format: to write, one of `choices.FORMATS`; by default that of the name's suffix or, if that is no picture's,
            that of the data. JPEG for HEIC, PNG for others that cannot be written.
        quality: 1-100, for JPEG, WebP and AVIF.
        page: which page or frame, from 1, of files with several; the first by default.
        max_pixels: the largest height * width that is decoded.
        notes: list to append to: what was chosen among several, or could not be kept, a line each.

    Returns:
        The new file's bytes and its suffix, such as ".jpg".

    Raises:
        ImageError: the picture cannot be read, or the format cannot hold the result; begins with the name.
        WeightsError: there is no such model. ValueError: an option is out of range.

    Example:
        >>> large, suffix = srgan_tf.upscale_bytes(small, name="holiday/a.jpg")
    """
    upscaler = model if isinstance(model, Upscaler) else Upscaler(model, **options)
    picture = images.load(_Named(name, data), max_pixels, page, lenient=True)
    if notes is not None:
        notes += picture.notes
    suffix = result_suffix(name if files.is_picture(Path(name)) else f"x{picture.format}", format)
    file = io.BytesIO()
    write_picture(upscaler.resolve(picture.pixels, picture.quality), picture, file, quality, name=name, suffix=suffix)
    return file.getvalue(), suffix


def result_suffix(name, format: str | None = None) -> str:
    """Return the suffix, such as ".png", of what is made of a file of this name; format: the one asked for, if any."""
    if format:
        return encoding.format_of(f"x.{format}") or f".{format}"
    if suffix := encoding.format_of(name):
        return suffix
    return ".jpg" if str(name).lower().endswith((".heic", ".hif")) else ".png"  # as phones export them


def write_picture(
    pipeline: Pipeline,
    picture: Picture,
    output: str | Path | BinaryIO,
    quality: int = 95,
    on_tile: Callable[[], None] | None = None,
    name: str = "",
    suffix: str = "",
) -> None:
    """Upscale a decoded picture into a file, which is written while later rows are still computed.

    Args:
        output: a path, whose suffix is the format; or a binary stream, which receives nothing if this fails.
        quality: 1-100, for JPEG, WebP and AVIF.
        on_tile: called after each tile.
        name, suffix: of the picture, for errors, and of the format; for streams.

    Raises:
        ImageError: the file cannot be written, or its format cannot hold the size (checked before computing).
    """
    if not isinstance(output, (str, Path)):
        with tempfile.TemporaryDirectory(prefix="srgan_tf-") as folder:  # metadata are patched in the finished file
            path = Path(folder) / f"output{suffix}"
            try:
                write_picture(pipeline, picture, path, quality, on_tile)
            except ImageError as error:
                raise ImageError(str(error).replace(str(path), name)) from None
            with path.open("rb") as file:
                shutil.copyfileobj(file, output)
        return
    height, width, bands = picture.pixels.shape
    shape = (height * pipeline.scale, width * pipeline.scale, bands)
    sixteen = picture.pixels.dtype == np.uint16 and encoding.format_of(output) in encoding.SIXTEEN_BIT
    dtype = np.uint16 if sixteen else np.uint8
    encoding.check_writable(output, *shape[:2])
    rows = pipeline.rows(picture.pixels, dtype, on_tile)
    encoding.write_rows(output, rows, shape, dtype, picture.metadata, quality)


@dataclass(frozen=True)
class _Named:
    """Bytes that read like a file of this name."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        return self.data
