"""Where a file's metadata are put that libvips would lose, garble or invent, while and after it writes the file."""

import io
import mmap
import os
import struct
from collections.abc import Callable

import pyvips
from PIL import Image

from srgan_tf.io import exif, jpeg, png
from srgan_tf.io import tiff_directories as tags

_LIMIT = 64 << 20  # a head that is longer than all metadata: the file is not what it seems


class Head:
    """A file that libvips writes from front to end, with its beginning changed on the way.

    Args:
        file: a binary file.
        length: how long the beginning is, of the bytes so far; None while that cannot be told.
        change: of the beginning, gives what to write in its place.
    """

    def __init__(self, file, length: Callable[[bytes], int | None], change: Callable[[bytes], bytes]):
        self._file, self._length, self._change = file, length, change
        self._held: bytearray | None = bytearray()
        self.error: OSError | None = None

    def target(self) -> pyvips.TargetCustom:
        target = pyvips.TargetCustom()
        target.on_write(self._write)
        return target

    def _write(self, data) -> int:
        try:
            if self._held is None:
                self._file.write(data)
                return len(data)
            self._held += data
            size = self._length(self._held)
            if size is not None:
                self._file.write(self._change(bytes(self._held[:size])))
                self._file.write(self._held[size:])
                self._held = None
        except OSError as error:  # libvips knows no exceptions; the caller raises it
            self.error = error
            return -1
        return len(data)


def png_length(data: bytes) -> int | None:
    """Up to the pixels."""
    at = len(png.SIGNATURE)
    while at + 8 <= len(data) <= _LIMIT:
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return at
        at += 12 + size
    return None


def jpeg_length(data: bytes) -> int | None:
    """Up to behind the start marker and JFIF's segment."""
    if len(data) < 6:
        return None
    end = 4 + struct.unpack_from(">H", data, 4)[0] if data[2:4] == b"\xff\xe0" else 2
    return end if len(data) >= end else None


def png_change(texts: list[tuple[str, str]], block: bytes | None, resolution: bool) -> Callable[[bytes], bytes]:
    added = b"".join(png.text_chunk(key, text) for key, text in texts)
    added += png.chunk(b"eXIf", block) if block else b""
    return lambda head: png.changed_head(head, added, resolution)


def jpeg_change(comments: list[str], block: bytes | None, resolution: tuple | None) -> Callable[[bytes], bytes]:
    added = (jpeg.exif_segment(block) if block else b"") + jpeg.comment_segments(comments)
    return lambda head: jpeg.changed_head(head, added, resolution)


def libvips_fields(block: bytes) -> list[tuple[int, str, object]]:
    """An EXIF block as the fields that libvips wants for its own writers of WebP and AVIF: type, name and value."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "JPEG", exif=exif.PREFIX + block)
    image = pyvips.Image.new_from_buffer(file.getvalue(), "")
    found = []
    for name in image.get_fields():
        if name.startswith("exif-"):
            try:
                found.append((image.get_typeof(name), name, image.get(name)))
            except UnicodeDecodeError:
                continue
    return found


def add_tiff_tags(path: str, block: bytes | None, resolution: bool) -> None:
    """Put an EXIF block's tags into a TIFF file, and take out a resolution that nobody stated.

    A new first directory is written behind the pixels; the old one stays in the file, unused.
    """
    with open(path, "r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            order, big = tags.byte_order(data[:4]), data[2:4] in (b"+\0", b"\0+")
            start = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
            entries = exif.entries(data, start, order, big)
            size, first = (20, start + 8) if big else (12, start + 2)
            count = struct.unpack_from(order + ("Q" if big else "H"), data, start)[0]
            old = {struct.unpack_from(order + "H", data, first + i * size)[0]: first + i * size for i in range(count)}
            raw = {tag: data[at : at + size] for tag, at in old.items()}
        told = exif.parse(block) if block else {}
        place = file.seek(0, os.SEEK_END)
        place += file.write(b"\0" * (place % 2))
        added = {tag: entry for tag, entry in told.get(0, {}).items() if tag not in entries or tag == 305}
        for tag in (exif.EXIF, exif.GPS):
            if tag in told:
                below = exif.serialised(told[tag], place, order, big)
                added[tag] = 13 if big else 4, 1, struct.pack("<I", place)
                place += file.write(below)
                place += file.write(b"\0" * (place % 2))
        if not resolution:  # a unit of none: libvips' number says nothing
            added[tags.UNIT] = 3, 1, struct.pack("<H", 1)
        if not added:
            return
        new, place = _directory(raw, added, place, order, big)
        file.write(new)
        file.seek(8 if big else 4)
        file.write(struct.pack(order + ("Q" if big else "I"), place))


def _directory(raw: dict, added: exif.Entries, place: int, order: str, big: bool) -> tuple[bytes, int]:
    """Values of the added entries, and behind them the directory with old entries as they stood; and its place."""
    room, values, lines = (8 if big else 4), b"", dict(raw)
    for tag, (kind, count, value) in added.items():
        body = exif.ordered(value, kind, order)
        head = struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count)
        if len(body) <= room:
            lines[tag] = head + body.ljust(room, b"\0")
        else:
            lines[tag] = head + struct.pack(order + ("Q" if big else "I"), place + len(values))
            values += body + b"\0" * (len(body) % 2)
    count = struct.pack(order + ("Q" if big else "H"), len(lines))
    return values + count + b"".join(lines[tag] for tag in sorted(lines)) + b"\0" * room, place + len(values)
