"""JPEG files: those that lack their very end, comments, and densities that are no resolution."""

import struct
from collections.abc import Iterator

import numpy as np
import pyvips

from srgan_tf.io import jpeg_tables
from srgan_tf.io.opened import Opened, TooLarge, choose

_COMMENT, _MOST = "jpeg-comment", 65_533
_BLOCK = 17  # rows of the largest block, and one that its chroma reaches into
_LOST, _FEW = 0.05, 2 * _BLOCK**2  # of the pixels may be missing where a file ends early; or two blocks


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            return
        yield marker, data[at + 4 : at + 2 + size]
        at += 2 + size


def load(data: bytes, max_pixels: int, page: int | None, lenient: bool) -> Opened:
    """Decode a JPEG file; `lenient` takes one whose last rows are missing.

    Raises:
        ValueError, pyvips.Error: it is damaged. TooLarge.
    """
    choose(1, page, "page")
    head = list(segments(data))
    image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
    if image.width * image.height > max_pixels:
        raise TooLarge(image.width, image.height)
    notes = []
    try:
        image = image.copy_memory()
    except pyvips.Error:
        if not lenient:
            raise
        image, notes = _without_end(data)
    jfif = next((body for marker, body in head if marker == 0xE0 and body[:5] == b"JFIF\0"), b"")
    has_exif = "exif-ifd0-XResolution" in image.get_fields()
    if not any(jfif[7:8]) and not has_exif:
        image = image.copy(xres=1, yres=1)  # a ratio of the sides, or libvips' own idea
    comments = [body for marker, body in head if marker == 0xFE]
    for i, body in enumerate(comments):
        image.set_type(pyvips.GValue.refstr_type, f"{_COMMENT}-{i}", _decoded(body.rstrip(b"\0")))
    return Opened(image, ".jpg", notes, jpeg_tables.quality_of(head))


def _decoded(text: bytes) -> str:
    try:
        return text.decode().replace("\0", "")
    except UnicodeDecodeError:
        return text.decode("latin-1").replace("\0", "")


def _without_end(data: bytes) -> tuple[pyvips.Image, list[str]]:
    """A picture whose file ends early, if nearly all of its rows are there.

    Which are is seen by what changes with the bytes that are put in place of the missing ones.
    """
    if not _last_scan_began(data):
        raise ValueError("premature end of JPEG image")
    body = data.rstrip(b"\xff")
    zeros = len(body) - len(body.rstrip(b"\0"))
    if zeros > 16:  # what an unfinished copy leaves; fewer may be data
        body = body[: len(body) - zeros] + (b"\0" if body[-zeros - 1] == 0xFF else b"")
    image, other = (
        pyvips.Image.new_from_buffer(body + more + b"\xff\xd9", "", fail_on="none").copy_memory()
        for more in (b"", bytes([0x5A, 0xC3, 0x17, 0x98] * 64))
    )
    differ = (image.numpy() != other.numpy()).reshape(image.height, image.width, -1).any(axis=2)
    rows = int(np.argmax(differ.any(axis=1))) if differ.any() else image.height
    missing = image.height - rows
    # The put-in bytes may not reach to the end: from the first pixel that differs on, everything is missing.
    first = int(np.argmax(differ[rows : rows + _BLOCK].any(axis=0))) if missing else 0
    lost = (image.width - first) * min(_BLOCK, missing) + image.width * max(0, missing - _BLOCK)
    if lost > max(_LOST * differ.size, _FEW):
        raise ValueError(f"the file was cut off: {lost / differ.size:.0%} of the picture is missing")
    told = f"up to {missing} of its {image.height} rows were filled in" if missing else "all rows are there"
    return image, [f"the file lacks its end; {told}"]


def _last_scan_began(data: bytes) -> bool:
    """Whether a file goes at least into its last scan: progressive ones refine the whole picture several times."""
    wanted, progressive = 0, False
    for marker, body in segments(data):
        if marker in (0xC0, 0xC1, 0xC2) and len(body) > 5:
            wanted, progressive = body[5], marker == 0xC2
    at = data.find(b"\xff\xda", sum(len(body) + 4 for _, body in segments(data)))
    exact = set()  # components and coefficients that scans gave to the last bit
    while 0 <= at < len(data) - 10:
        count = data[at + 4]
        parts, (low, high, bits) = data[at + 5 : at + 5 + 2 * count : 2], data[at + 5 + 2 * count : at + 8 + 2 * count]
        if not progressive or bits & 15 == 0:
            exact |= {(part, i) for part in parts for i in range(low, min(high, 63) + 1)}
        at = data.find(b"\xff\xda", at + 2)
    return wanted > 0 and len(exact) >= 64 * wanted


def comment_segments(comments: list[str]) -> bytes:
    made = b""
    for comment in comments:
        body = comment.encode(errors="replace")[:_MOST]
        made += struct.pack(">BBH", 0xFF, 0xFE, len(body) + 2) + body
    return made


def exif_segment(block: bytes) -> bytes:
    """The segment of an EXIF block; b"" where it is larger than a segment."""
    body = b"Exif\0\0" + block
    return struct.pack(">BBH", 0xFF, 0xE1, len(body) + 2) + body if len(body) <= _MOST else b""


def changed_head(head: bytes, added: bytes, per_mm: tuple[float, float] | None) -> bytes:
    """The beginning of a file, up to behind JFIF's segment: that one as it should be, and other segments added.

    libvips leaves JFIF's out, and puts the resolution into an EXIF block of its own making.
    """
    dots = [min(round(n * 25.4), 65_535) for n in per_mm or ()]
    unit, across, down = (1, *dots) if dots and min(dots) > 0 else (0, 1, 1)
    jfif = struct.pack(">BBH5sHBHHBB", 0xFF, 0xE0, 16, b"JFIF\0", 0x0101, unit, across, down, 0, 0)
    return head[:2] + jfif + added
