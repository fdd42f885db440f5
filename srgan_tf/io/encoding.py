"""Arrays to picture files of any size, written while their rows are still being made."""

import queue
import struct
import threading
import zlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyvips

from srgan_tf.errors import ImageError
from srgan_tf.io.files import reason, write_aside
from srgan_tf.io.images import Picture, from_array

# Formats that can be written, with the longest side they allow (libjpeg stops a little before the format's 65,535).
WRITABLE = {".png": 2**31 - 1, ".jpg": 65_500, ".webp": 16_383, ".tif": 2**31 - 1, ".avif": 16_384}
SIXTEEN_BIT = (".png", ".tif")
_DOTS = 72 / 25.4  # a mm, where a picture says nothing: libvips would write 25 a inch
_SPELLINGS = {".jpeg": ".jpg", ".jfif": ".jpg", ".jpe": ".jpg", ".tiff": ".tif", ".heif": ".avif"}


def format_of(path) -> str:
    """The ending in WRITABLE that stands for a path's or a format's own spelling of it; "" where there is none."""
    ending = Path(path).suffix.lower()
    ending = _SPELLINGS.get(ending, ending)
    return ending if ending in WRITABLE else ""


def check_writable(path, height: int, width: int) -> None:
    """Raise ImageError, naming the mend, where the format of the path's ending cannot hold a picture of this size."""
    ending = format_of(path)
    if not ending:
        raise ImageError(f"{path}: cannot write this format; use one of {', '.join(WRITABLE)} (--format)")
    if max(height, width) > WRITABLE[ending]:
        raise ImageError(
            f"{path}: {width} x {height} pixels are more than {ending[1:]} can hold ({WRITABLE[ending]:,} a side); "
            "use --format=png or tif"
        )


def write_rows(path, rows: Iterable, shape: tuple, dtype, metadata=None, quality: int = 95) -> None:
    """Write a picture while its rows are being made, in another thread, holding only a few of them in memory.

    Args:
        path: where to; the ending chooses the format. The file appears there whole or not at all.
        rows: arrays [n, width, bands] that together make the picture, from the top.
        shape: (height, width, bands).
        dtype: np.uint8 or np.uint16.
        metadata: as of `Picture`.
        quality: 1-100, for the formats that lose something.

    Raises:
        ImageError: it cannot be written; what `rows` raises is passed on.
    """
    check_writable(path, *shape[:2])
    try:
        with write_aside(path) as temporary, ThreadPoolExecutor(1) as pool:
            feed, ended = queue.Queue(maxsize=1), threading.Event()
            try:
                saving = pool.submit(_save, temporary, _fed(feed, ended), shape, dtype, metadata or {}, quality)
                for band in rows:
                    _put(feed, band, saving)
            finally:  # also where `rows` raised or Ctrl-C came: a stream that stops early is an error to libvips
                ended.set()
            saving.result()
    except (pyvips.Error, OSError) as error:
        raise ImageError(f"{path}: cannot write it ({reason(error)})") from None


def _put(feed: queue.Queue, band, saving: Future) -> None:
    while not saving.done():
        with suppress(queue.Full):
            return feed.put(band, timeout=0.1)


def _fed(feed: queue.Queue, ended: threading.Event) -> Iterable:
    """What comes through a queue. An event ends it: a last item might never be put, and the thread wait for ever."""
    while not (ended.is_set() and feed.empty()):
        with suppress(queue.Empty):
            yield feed.get(timeout=0.1)


def _save(path: str, rows: Iterable, shape: tuple, dtype, metadata: dict, quality: int) -> None:
    stream, rest = _png_stream(rows, shape, dtype), memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal rest
        rest = rest if len(rest) else memoryview(next(stream, b""))
        result, rest = bytes(rest[:size]), rest[size:]
        return result

    source = pyvips.SourceCustom()
    source.on_read(read)
    image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated", unlimited=True)
    metadata = dict(metadata)
    resolution = {name: metadata.pop(name, (None, _DOTS))[1] for name in ("xres", "yres")}
    image = image.copy(**resolution)
    for name, (kind, value) in metadata.items():
        image.set_type(kind, name, value)
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)  # the pixels are upright; the EXIF block may not say so
    ending = format_of(path)
    if image.hasalpha() and ending == ".jpg":
        image = image.flatten(background=[255])
    # No "optimize_coding" for JPEG: it holds the whole picture's coefficients, 4.6 GB at 32,000 x 24,000.
    options = {
        ".png": {"compression": 6},
        ".jpg": {"Q": quality, "subsample_mode": "off"},
        ".webp": {"Q": quality, "smart_subsample": True},
        ".tif": {"compression": "deflate", "predictor": "horizontal", "bigtiff": np.prod(shape) > 2**30},
        ".avif": {"Q": quality, "compression": "av1"},
    }[ending]
    image.write_to_file(path, **options)


def write_comparison(path, picture: Picture, enlarged, scale: int) -> None:
    """Write a PNG with a picture enlarged by bicubic on the left, and the file `enlarged` of it on the right."""
    try:
        left = from_array(picture.rgb()).resize(scale, kernel="cubic")
        right = pyvips.Image.new_from_file(str(enlarged), access="sequential").colourspace("srgb").cast("uchar")
        with write_aside(path) as temporary:
            left.join(right[:3], "horizontal").write_to_file(temporary)
    except (pyvips.Error, OSError) as error:
        raise ImageError(f"{path}: cannot write it ({reason(error)})") from None


def _png_stream(rows: Iterable, shape: tuple, dtype) -> Iterable[bytes]:
    """An uncompressed PNG: the one way to hand libvips rows of any depth and number of bands as they come."""
    height, width, bands = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 8 * np.dtype(dtype).itemsize, colour_type, 0, 0, 0)
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    store = zlib.compressobj(0)
    few = max(1, (4 << 20) // (width * bands))
    for part in (band[i : i + few] for band in rows for i in range(0, len(band), few)):
        lines = np.ascontiguousarray(part, np.dtype(dtype).newbyteorder(">")).view(np.uint8).reshape(len(part), -1)
        yield _chunk(b"IDAT", store.compress(np.pad(lines, [(0, 0), (1, 0)])))  # a line starts with its filter, none
    yield _chunk(b"IDAT", store.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))))
