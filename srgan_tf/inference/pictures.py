"""From a picture to a picture `scale` times larger: files, bytes and arrays. Importing this needs no TensorFlow."""

import itertools
import logging
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from srgan_tf.errors import ImageError
from srgan_tf.inference.pipeline import OnTile, Pipeline
from srgan_tf.inference.upscaling import Upscaler, as_pixels
from srgan_tf.io import encoding, files, images
from srgan_tf.io.images import MAX_PIXELS, Picture
from srgan_tf.planning import storage

_SUBSAMPLED = (".webp", ".avif", ".heic", ".heif")  # formats that store colours at half the resolution, mostly


def upscale(image, model="auto", output=None, quality: int = 95, page: int | None = None, **options):
    """Upscale one picture; for many, make an `Upscaler` once.

    Args:
        image: a path or URL; bytes of a picture file, or a binary file that has them; or uint8 or uint16 [height,
            width] or [height, width, bands], where bands are grey, grey + alpha, RGB or RGB + alpha.
        model, options: as of `Upscaler`.
        output: a path to write to, with the metadata of the file, over what is there; None returns the pixels.
        quality: 1-100, for JPEG, WebP and AVIF.
        page: which page or frame, from 1, of files with several; the first by default.

    Returns:
        The picture in the dtype and bands of image, `scale` times larger; or output, once it is written.

    Raises:
        ImageError: the picture cannot be read or written, or would be overwritten. WeightsError: there is no such
            model.

    Example:
        >>> srgan_tf.upscale("photo.jpg", output="photo_x4.png")
    """
    upscaler = _upscaler(model, options)
    if isinstance(image, (str, Path)) and output is not None and files.is_same(image, output):
        raise ImageError(f"{output}: would overwrite its input; choose another output")
    if hasattr(image, "read") or isinstance(image, _BYTES):
        image = storage.Named("the picture", _content(image))
    elif isinstance(image, str) and storage.is_url(image):
        image = storage.Named(image, storage.read(image))
    if isinstance(image, (str, Path, storage.Named)):
        picture = images.load(image, page=page, lenient=True, moving=True)
        _log(image, notes_of(picture, output))
    elif output is None:
        return upscaler(image)
    else:
        picture = Picture(as_pixels(image))
    pipeline = resolve(upscaler, picture)
    if output is None:
        return pipeline(picture.pixels)
    write_picture(pipeline, picture, output, quality)
    return output


_BYTES = (bytes, bytearray, memoryview)


def _upscaler(model, options: dict) -> Upscaler:
    if not isinstance(model, Upscaler):
        return Upscaler(model, **options)
    if options:
        raise TypeError(f"{', '.join(options)}: goes with the name of a model; an Upscaler has its options already")
    return model


def _content(data) -> bytes:
    data = data.read() if hasattr(data, "read") else data
    if not isinstance(data, _BYTES):
        raise TypeError(f"give the bytes of a picture file, or a file opened in binary mode, not {type(data).__name__}")
    return bytes(data)


def notes_of(picture: Picture, output=None) -> list[str]:
    """Return a line per thing that was chosen or filled in when a picture was read, or that its output cannot hold."""
    lines = [*picture.notes]
    if picture.animation and (output is None or frames_of(picture, output) == 1):
        which, kind = f"the first of {len(picture.animation.delays)} frames", encoding.format_of(output or "")[1:]
        cannot = f", as {kind.upper()} does not move; GIF, WebP, PNG and AVIF do"
        lines.append(which + (cannot if kind else "; --page=N chooses another"))
    return lines + (encoding.losses(output, picture) if output is not None else [])


def frames_of(picture: Picture, output) -> int:
    """Return how many frames of a picture are made into an output of this name."""
    return len(picture.animation.delays) if picture.animation and encoding.can_move(output) else 1


def resolve(upscaler: Upscaler, picture: Picture) -> Pipeline:
    """Resolve every "auto" option for a picture; for all frames of an animation by its middle one, the first is dim."""
    pixels = picture.pixels
    if picture.animation:
        count = len(picture.animation.delays)
        pixels = next(itertools.islice(picture.animation.frames(), count // 2, None))
    return upscaler.resolve(pixels, picture.quality, picture.format in _SUBSAMPLED)


def _log(name, notes: list[str]) -> None:
    if notes:
        logging.getLogger("srgan_tf").warning("%s: %s", name, "; ".join(notes))


def upscale_bytes(
    data: bytes | BinaryIO,
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
        data: of a picture file of any kind that `upscale.py` reads; or a binary file that has them.
        model, options: as of `Upscaler`; for many pictures, make an `Upscaler` once and give it as model.
        name: of the picture, such as its path or key: errors begin with it, and its suffix chooses the format.
        format: to write, one of `choices.FORMATS`; by default that of the name's suffix or, if that is no picture's,
            that of the data. JPEG for HEIC, PNG for others that cannot be written.
        quality: 1-100, for JPEG, WebP and AVIF.
        page: which page or frame, from 1, of files with several; the first by default.
        max_pixels: the largest height * width that is decoded.
        notes: list to append to: what was chosen, filled in or could not be kept, a line each; by default they are
            warnings of the logger "srgan_tf", as those of `upscale`.

    Returns:
        The new file's bytes and its suffix, such as ".jpg".

    Raises:
        ImageError: the picture cannot be read, or the format cannot hold the result; begins with the name.
        WeightsError: there is no such model. ValueError: an option is out of range.

    Example:
        >>> large, suffix = srgan_tf.upscale_bytes(small, name="holiday/a.jpg")
    """
    upscaler = _upscaler(model, options)
    picture = images.load(storage.Named(name, _content(data)), max_pixels, page, lenient=True, moving=True)
    suffix = suffix_for(name, picture, format)
    lines = notes_of(picture, f"x{suffix}")
    if notes is None:
        _log(name, lines)
    else:
        notes += lines
    return as_bytes(resolve(upscaler, picture), picture, name, suffix, quality), suffix


def suffix_for(name: str, picture: Picture, format: str | None = None) -> str:
    """Return the suffix of what is made of a picture: by the format asked for, else by its name, else by its data."""
    return result_suffix(name if files.is_picture(Path(name)) else f"x{picture.format}", format)


def result_suffix(name, format: str | None = None) -> str:
    """Return the suffix, such as ".png", of what is made of a file of this name; format: the one asked for, if any."""
    if files.is_clip(name):
        ending = Path(str(name)).suffix.lower()
        return ".mkv" if ending in (".webm", ".avi") else ending  # which hold no H.264, or no time per frame
    if format:
        return encoding.format_of(f"x.{format}") or f".{format}"
    if suffix := encoding.format_of(name):
        return suffix
    return ".jpg" if str(name).lower().endswith((".heic", ".hif")) else ".png"  # as phones export them


def write_picture(
    pipeline: Pipeline, picture: Picture, output: str | Path, quality: int = 95, on_tile: OnTile = None
) -> None:
    """Upscale a decoded picture into a file, which is written while later rows, or frames, are still computed.

    Args:
        output: a path, whose suffix is the format.
        quality: 1-100, for JPEG, WebP and AVIF.
        on_tile: called after each tile.

    Raises:
        ImageError: the file cannot be written, or its format cannot hold the size (checked before computing).
        ValueError: quality is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality!r}")
    height, width, bands = picture.pixels.shape
    shape = (height * pipeline.scale, width * pipeline.scale, bands)
    metadata = _scaled(picture.metadata, pipeline.scale)
    encoding.check_writable(output, *shape[:2])
    if picture.animation and frames_of(picture, output) > 1:
        from srgan_tf.inference.steady import upscaled
        from srgan_tf.io import animations

        frames = upscaled(pipeline, picture.animation.frames(), on_tile)
        animations.write(output, frames, picture.animation, metadata, quality)
        return
    sixteen = picture.pixels.dtype == np.uint16 and encoding.format_of(output) in encoding.SIXTEEN_BIT
    dtype = np.uint16 if sixteen else np.uint8
    encoding.write_rows(output, pipeline.rows(picture.pixels, dtype, on_tile), shape, dtype, metadata, quality)


def _scaled(metadata: dict[str, Any], scale: int) -> dict[str, Any]:
    if "xmp-data" not in metadata:
        return metadata
    from srgan_tf.io import xmp

    return metadata | {"xmp-data": xmp.scaled(metadata["xmp-data"], scale)}


def as_bytes(
    pipeline: Pipeline, picture: Picture, name: str, suffix: str, quality: int = 95, on_tile: OnTile = None
) -> bytes:
    """Upscale a decoded picture to the bytes of a file; see `write_picture`. name: of the picture, for errors."""
    with tempfile.TemporaryDirectory(prefix="srgan_tf-") as folder:  # metadata are patched in the finished file
        path = Path(folder) / f"output{suffix}"
        try:
            write_picture(pipeline, picture, path, quality, on_tile)
        except ImageError as error:
            raise ImageError(str(error).replace(str(path), name)) from None
        return path.read_bytes()
