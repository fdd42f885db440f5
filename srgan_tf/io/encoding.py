"""Write picture files of any size while their rows are still being made.

libvips takes rows as they come from a stream alone: they are passed to it as an uncompressed PNG.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyvips

from srgan_tf.errors import ImageError
from srgan_tf.io import metadata as carried
from srgan_tf.io.files import reason, write_aside
from srgan_tf.io.opened import Picture, with_fields
from srgan_tf.io.samples import from_array

# Formats that can be written, with the longest side they allow (libjpeg stops a little before the format's 65,535).
WRITABLE = {".png": 2**31 - 1, ".jpg": 65_500, ".webp": 16_383, ".tif": 2**31 - 1, ".avif": 16_384, ".gif": 65_535}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIXTEEN_BIT = (".png", ".tif")
_EXIF_BY_LIBVIPS = (".webp", ".avif")
_DOTS = 72 / 25.4  # per mm, where a picture states nothing: libvips would write 25 per inch
_WITHOUT_EXIF = "xmp:iptc:icc:other"  # libvips makes up an EXIF block where there is none
_SPELLINGS = {".jpeg": ".jpg", ".jfif": ".jpg", ".jpe": ".jpg", ".tiff": ".tif", ".heif": ".avif"}


def format_of(path) -> str:
    """Return the ending in WRITABLE that stands for a path's or a format's spelling of it; "" where there is none."""
    ending = Path(path).suffix.lower()
    ending = _SPELLINGS.get(ending, ending)
    return ending if ending in WRITABLE else ""


def can_move(path) -> bool:
    """Return whether the format of a path's ending can hold several frames."""
    return format_of(path) in (".gif", ".webp", ".png", ".avif")


def check_writable(path, height: int, width: int) -> None:
    """Raise ImageError, naming the fix, where the format of the path's ending cannot hold a picture of this size."""
    ending = format_of(path)
    if not ending:
        raise ImageError(f"{path}: cannot write this format; use one of {', '.join(WRITABLE)} (--format)")
    if max(height, width) > WRITABLE[ending]:
        raise ImageError(
            f"{path}: {width} x {height} pixels are more than {ending[1:]} can hold ({WRITABLE[ending]:,} per side); "
            "use --format=png or tif"
        )


def losses(path, picture: Picture) -> list[str]:
    """Return a line per property of a picture that the format of the path's ending cannot hold."""
    ending, pixels, lines = format_of(path), picture.pixels, []
    if ending == ".gif" and not (picture.animation and picture.format == ".gif"):
        lines.append("GIF has 256 colours, and transparency all or nothing; PNG, WebP, TIFF and AVIF keep more")
    if ending == ".jpg" and picture.has_alpha and pixels[..., -1].min() < np.iinfo(pixels.dtype).max:
        lines.append("transparency became white, as JPEG has none; PNG, WebP, TIFF and AVIF keep it")
    if pixels.dtype == np.uint16 and ending not in SIXTEEN_BIT:
        lines.append("16 bits per channel became 8; PNG and TIFF keep them")
    return lines


@contextmanager
def converted_errors(path):
    """Convert what libraries raise in writing a file to ImageError, which names it, not the file aside."""

    def named(text: str) -> str:
        return re.sub(r"\S*\.partial-[^\s:)]+", lambda _: str(path), text)

    try:
        yield
    except ImageError as error:  # of a part
        raise ImageError(named(str(error))) from None
    except pyvips.Error as error:  # most of its formats do not say why
        raise ImageError(f"{path}: cannot write it ({named(reason(error))}); is the disk full?") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot write it ({reason(error)})") from None


def write_rows(path, rows: Iterable, shape: tuple, dtype, metadata=None, quality: int = 95, frames: int = 1) -> None:
    """Write a picture while its rows are being made, in another thread, holding only a few of them in memory.

    Args:
        path: where to; the ending chooses the format. The file appears there whole or not at all.
        rows: arrays [n, width, bands] that together make the picture, from the top.
        shape: (height, width, bands).
        dtype: np.uint8 or np.uint16.
        metadata: as of `Picture`.
        quality: 1-100, for lossy formats.
        frames: of this shape, one after the other in rows.

    Raises:
        ImageError: it cannot be written; what `rows` raises is passed on.
    """
    check_writable(path, *shape[:2])
    fields, (height, width, bands) = dict(metadata or {}), shape
    if frames > 1:
        fields["page-height"] = height
    with converted_errors(path), write_aside(path) as temporary, ThreadPoolExecutor(1) as pool:
        reading, writing = os.pipe()
        # Closed early where `rows` raises or on Ctrl-C, which is an error to libvips.
        with open(writing, "wb") as pipe:
            saving = pool.submit(_save, temporary, reading, shape, fields, quality)
            for part in _png_stream(rows, (height * frames, width, bands), dtype):
                pipe.write(part)
        saving.result()


def chunk(kind: bytes, body) -> bytes:
    """Return a PNG chunk with its length and checksum."""
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))))


def _png_stream(rows: Iterable, shape: tuple, dtype) -> Iterable[bytes]:
    height, width, bands = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 8 * np.dtype(dtype).itemsize, colour_type, 0, 0, 0)
    yield PNG_SIGNATURE + chunk(b"IHDR", header)
    store = zlib.compressobj(0)
    few = max(1, (4 << 20) // (width * bands))
    for part in (band[i : i + few] for band in rows for i in range(0, len(band), few)):
        lines = np.ascontiguousarray(part, np.dtype(dtype).newbyteorder(">")).view(np.uint8).reshape(len(part), -1)
        yield chunk(b"IDAT", store.compress(np.pad(lines, [(0, 0), (1, 0)])))  # a line starts with its filter, none
    yield chunk(b"IDAT", store.flush()) + chunk(b"IEND", b"")


def _save(path: str, reading: int, shape: tuple, fields: dict, quality: int) -> None:
    """Save the PNG that arrives through a pipe. The pipe is drained where that fails: its writer would block."""
    with open(reading, "rb", buffering=0) as pipe:
        source = pyvips.SourceCustom()
        source.on_read(pipe.read)
        try:
            image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated", unlimited=True)
            _write(path, image, shape, fields, quality)
        finally:
            while pipe.read(1 << 20):
                pass


def _write(path: str, image: pyvips.Image, shape: tuple, fields: dict, quality: int) -> None:
    ending, per_mm = format_of(path), fields.pop("per-mm", None)
    tags = carried.upright(fields.pop("exif-data", b""), shape[1], shape[0])
    exif = carried.block(tags)
    if ending in _EXIF_BY_LIBVIPS:
        fields |= carried.libvips_fields(exif)
    across, down = per_mm or (_DOTS, _DOTS)
    image = with_fields(image.copy(xres=across, yres=down), fields)
    holds_profile = ending != ".gif" and (shape[2] > 2 or ending not in _EXIF_BY_LIBVIPS)  # RGB alone in these two
    if "icc-profile-data" in fields and not holds_profile:
        image = image.icc_transform("srgb", embedded=True).copy()
        image.remove("icc-profile-data")
    if image.hasalpha() and ending == ".jpg":
        image = image.flatten(background=[255])
    # No "optimize_coding" for JPEG: it holds the whole picture's coefficients, 4.6 GB at 32,000 x 24,000.
    options = {
        # "up" makes photographs a quarter smaller than no filter; "all" takes twice the time and gains nothing more.
        ".png": {"compression": 6, "filter": "up", "keep": "none"},
        ".jpg": {"Q": quality, "subsample_mode": "off"},
        ".webp": {"Q": quality, "smart_subsample": True},
        ".tif": {"compression": "deflate", "predictor": "horizontal", "bigtiff": np.prod(shape) > 2**30},
        ".avif": {"Q": quality, "compression": "av1"},
        ".gif": {"keep_duplicate_frames": True},
    }[ending]
    keep = "all" if exif and ending in _EXIF_BY_LIBVIPS else _WITHOUT_EXIF
    image.write_to_file(path, **{"keep": keep} | options)
    if ending == ".tif":
        carried.add_to_tiff(path, tags, per_mm is not None)
    elif ending in (".png", ".jpg"):
        carried.add_head(path, exif, fields, per_mm)


def write_comparison(path, picture: Picture, enlarged, scale: int) -> None:
    """Write a PNG with a picture enlarged by bicubic on the left, and the file `enlarged` of it on the right."""
    with converted_errors(path), write_aside(path) as temporary:
        left = from_array(picture.rgb()).resize(scale, kernel="cubic")
        right = pyvips.Image.new_from_file(str(enlarged), access="sequential").colourspace("srgb").cast("uchar")
        left.join(right[:3], "horizontal").write_to_file(temporary, filter="up")
