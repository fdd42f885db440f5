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
from srgan_tf.io import colour, exif, heads, png
from srgan_tf.io.files import reason, write_aside
from srgan_tf.io.images import Picture
from srgan_tf.io.opened import BLOB, from_array

# Formats that can be written, with the longest side they allow (libjpeg stops a little before the format's 65,535).
WRITABLE = {".png": 2**31 - 1, ".jpg": 65_500, ".webp": 16_383, ".tif": 2**31 - 1, ".avif": 16_384}
SIXTEEN_BIT = (".png", ".tif")
_DOTS = 72 / 25.4  # a mm, where a picture says nothing: libvips would write 25 a inch
_TEXTS = ("png-comment-", "jpeg-comment-")
_WITHOUT_EXIF, _ALL = "xmp:iptc:icc:other", "all"  # libvips makes up an EXIF block where there is none
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
    _write(image, path, dict(metadata), shape, quality)


def _write(image: pyvips.Image, path: str, metadata: dict, shape: tuple, quality: int) -> None:
    ending = format_of(path)
    resolution = {name: metadata.pop(name, (None, _DOTS))[1] for name in ("xres", "yres") if name in metadata}
    image = image.copy(**{"xres": _DOTS, "yres": _DOTS} | resolution)
    block = exif.upright(metadata.pop("exif-data", (None, b""))[1], shape[1], shape[0])
    texts = {name: metadata.pop(name)[1] for name in sorted(metadata, key=_number) if name.startswith(_TEXTS)}
    profile = metadata.get("icc-profile-data", (None, b""))[1]
    if ending in (".webp", ".avif") and shape[2] < 3 and colour.is_grey_profile(profile):  # they know RGB alone
        profile = colour.rgb_of_grey(profile)
        metadata.pop("icc-profile-data")
        if profile:
            metadata["icc-profile-data"] = (BLOB, profile)
    if ending in (".webp", ".avif") and block:
        metadata |= {name: (kind, value) for kind, name, value in heads.libvips_fields(block)}
    for name, (kind, value) in metadata.items():
        image.set_type(kind, name, value)
    if image.hasalpha() and ending == ".jpg":
        image = image.flatten(background=[255])
    # No "optimize_coding" for JPEG: it holds the whole picture's coefficients, 4.6 GB at 32,000 x 24,000.
    options = {
        # "up" makes photographs a quarter smaller than no filter; "all" takes twice the time and gains nothing more.
        ".png": {"compression": 6, "filter": "up"},
        ".jpg": {"Q": quality, "subsample_mode": "off"},
        ".webp": {"Q": quality, "smart_subsample": True},
        ".tif": {"compression": "deflate", "predictor": "horizontal", "bigtiff": np.prod(shape) > 2**30},
        ".avif": {"Q": quality, "compression": "av1"},
    }[ending]
    if ending in (".png", ".jpg"):
        change = _changes(ending, texts, block, (image.xres, image.yres) if resolution else None)
        with open(path, "wb") as file:
            head = heads.Head(file, heads.png_length if ending == ".png" else heads.jpeg_length, change)
            try:
                image.write_to_target(head.target(), ending, keep=_WITHOUT_EXIF, **options)
            except pyvips.Error:
                if head.error:
                    raise head.error from None
                raise
        return
    image.write_to_file(path, keep=_ALL if block and ending != ".tif" else _WITHOUT_EXIF, **options)
    if ending == ".tif":
        heads.add_tiff_tags(path, block, bool(resolution))


def _number(name: str) -> tuple[str, int]:
    """Texts in the order that they had: "png-comment-10-…" comes behind "png-comment-9-…"."""
    kind = next((kind for kind in _TEXTS if name.startswith(kind)), "")
    digits = name[len(kind) :].split("-")[0]
    return kind, int(digits) if digits.isdigit() else 0


def _changes(ending: str, texts: dict[str, str], block: bytes | None, resolution: tuple | None):
    if ending == ".jpg":
        comments = [text for name, text in texts.items() if name.startswith("jpeg-comment")]
        return heads.jpeg_change(comments, block, resolution)
    pairs = [(name.split("-", 3)[3] if name.startswith("png") else "Comment", text) for name, text in texts.items()]
    return heads.png_change(pairs, block, resolution is not None)


def write_comparison(path, picture: Picture, enlarged, scale: int) -> None:
    """Write a PNG with a picture enlarged by bicubic on the left, and the file `enlarged` of it on the right."""
    try:
        left = from_array(picture.rgb()).resize(scale, kernel="cubic")
        right = pyvips.Image.new_from_file(str(enlarged), access="sequential").colourspace("srgb").cast("uchar")
        with write_aside(path) as temporary:
            left.join(right[:3], "horizontal").write_to_file(temporary, filter="up")
    except (pyvips.Error, OSError) as error:
        raise ImageError(f"{path}: cannot write it ({reason(error)})") from None


def _png_stream(rows: Iterable, shape: tuple, dtype) -> Iterable[bytes]:
    """An uncompressed PNG: the one way to hand libvips rows of any depth and number of bands as they come."""
    height, width, bands = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 8 * np.dtype(dtype).itemsize, colour_type, 0, 0, 0)
    yield b"\x89PNG\r\n\x1a\n" + png.chunk(b"IHDR", header)
    store = zlib.compressobj(0)
    few = max(1, (4 << 20) // (width * bands))
    for part in (band[i : i + few] for band in rows for i in range(0, len(band), few)):
        lines = np.ascontiguousarray(part, np.dtype(dtype).newbyteorder(">")).view(np.uint8).reshape(len(part), -1)
        yield png.chunk(b"IDAT", store.compress(np.pad(lines, [(0, 0), (1, 0)])))  # a line starts with its filter, none
    yield png.chunk(b"IDAT", store.flush()) + png.chunk(b"IEND", b"")
