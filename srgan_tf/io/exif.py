"""EXIF blocks: what of them stays true of a picture made from another, and their tags in TIFF files and back."""

import re
import struct

import numpy as np

from srgan_tf.io import tiff_directories as tags

PREFIX = b"Exif\0\0"
EXIF, GPS, _INTEROP, _MAKER, _ORIENTATION = 34665, 34853, 40965, 37500, 274
# Tags of a first directory that tell of the picture, not of how its samples are stored.
_TELLING = (270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096))
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
_UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}
Entries = dict[int, tuple[int, int, bytes]]  # tag → (type, count, little-endian value)


def upright(block: bytes, width: int, height: int) -> bytes | None:
    """A block, with or without its prefix, as true of upright pixels of another size: without prefix, patched in place.

    Nothing else is moved, so what camera makers point at stays where it was. The thumbnail is cut off.
    """
    raw = bytearray(block.removeprefix(PREFIX))
    if not tags.is_tiff(raw):
        return None
    order = tags.byte_order(raw)
    try:
        start = struct.unpack_from(order + "I", raw, 4)[0]
        count = struct.unpack_from(order + "H", raw, start)[0]
        for directory, sought in ((start, {_ORIENTATION: 1}), (None, {40962: width, 40963: height})):
            if directory is None:
                directory = _value_of(raw, start, order, EXIF)
            if directory:
                _patch(raw, directory, order, sought)
        following = start + 2 + 12 * count
        thumbnail = struct.unpack_from(order + "I", raw, following)[0]
        struct.pack_into(order + "I", raw, following, 0)
        if thumbnail:
            _erase_thumbnail(raw, thumbnail, order)
    except struct.error:
        return None
    return bytes(raw)


def _value_of(raw, start: int, order: str, tag: int) -> int:
    for i in range(struct.unpack_from(order + "H", raw, start)[0]):
        if struct.unpack_from(order + "H", raw, start + 2 + 12 * i)[0] == tag:
            return struct.unpack_from(order + "I", raw, start + 10 + 12 * i)[0]
    return 0


def _patch(raw: bytearray, start: int, order: str, values: dict[int, int]) -> None:
    for i in range(struct.unpack_from(order + "H", raw, start)[0]):
        at = start + 2 + 12 * i
        tag, kind = struct.unpack_from(order + "HH", raw, at)
        if tag in values:
            wide = values[tag] > 65_535 or kind == 4
            form, rest = ("HHII", ()) if wide else ("HHIHH", (0,))
            struct.pack_into(order + form, raw, at, tag, 4 if wide else 3, 1, values[tag], *rest)


def _erase_thumbnail(raw: bytearray, directory: int, order: str) -> None:
    place, size = _value_of(raw, directory, order, 513), _value_of(raw, directory, order, 514)
    if place and place + size >= len(raw):
        del raw[place:]
    elif place:
        raw[place : place + size] = bytes(size)


def upright_xmp(xmp: bytes) -> bytes:
    """An XMP packet whose own orientation says "upright"; its length stays."""
    return re.sub(rb"(tiff:Orientation(?:\s*=\s*[\"']|[^>]*>)\s*)[2-8]", rb"\g<1>1", xmp)


def parse(block: bytes) -> dict[int, Entries]:
    """Directories of a block that tell of the picture: 0 (the first), EXIF's and GPS's own, by their tags."""
    raw = block.removeprefix(PREFIX)
    if not tags.is_tiff(raw):
        return {}
    order, big = tags.byte_order(raw), raw[2:4] in (b"+\0", b"\0+")
    try:
        start = struct.unpack_from(order + ("Q" if big else "I"), raw, 8 if big else 4)[0]
        return parse_at(raw, start)
    except struct.error:
        return {}


def parse_at(data, start: int) -> dict[int, Entries]:
    """As `parse`, of the directory at `start` in a TIFF file."""
    order, big = tags.byte_order(data), data[2:4] in (b"+\0", b"\0+")
    every = entries(data, start, order, big)
    found = {0: {tag: entry for tag, entry in every.items() if tag in _TELLING}}
    for tag in (EXIF, GPS):
        if tag in every and every[tag][0] in (4, 13, 18):
            below = entries(data, int.from_bytes(every[tag][2], "little"), order, big)
            # These point into the old file by numbers that are no longer true.
            found[tag] = {key: entry for key, entry in below.items() if key not in (_MAKER, _INTEROP)}
    return {tag: below for tag, below in found.items() if below}


def entries(data, start: int, order: str, big: bool) -> Entries:
    found: Entries = {}
    try:
        count = struct.unpack_from(order + ("Q" if big else "H"), data, start)[0]
        size, at = (20, start + 8) if big else (12, start + 2)
        for position in range(at, at + min(count, 1000) * size, size):
            tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, position)
            total = _SIZES.get(kind, 0) * number
            if kind in (13, 18):
                kind, total = 4, 8 if big else 4
            if not 0 < total <= 1 << 20:
                continue
            inline = position + (12 if big else 8)
            if total > (8 if big else 4):
                inline = struct.unpack_from(order + ("Q" if big else "I"), data, inline)[0]
            value = data[inline : inline + total]
            if len(value) == total:
                found[tag] = kind, number, _little(bytes(value), kind, order)
    except struct.error:
        pass
    return found


def _little(value: bytes, kind: int, order: str) -> bytes:
    unit = _UNITS.get(kind, 1)
    return np.frombuffer(value, f"{order}u{unit}").astype(f"<u{unit}").tobytes() if unit > 1 else value


def block(directories: dict[int, Entries]) -> bytes:
    """A block, without prefix, of what `parse` gave."""
    first = dict(directories.get(0, {}))
    place, below = 8, b""
    size = 2 + 12 * (len(first) + (EXIF in directories) + (GPS in directories)) + 4
    values = sum(len(value) + len(value) % 2 for _, _, value in first.values() if len(value) > 4)
    for tag in (EXIF, GPS):
        if tag in directories:
            offset = place + size + values + len(below)
            first[tag] = 4, 1, struct.pack("<I", offset)
            below += serialised(directories[tag], offset)
    return b"II*\0" + struct.pack("<I", place) + serialised(first, place) + below


def ordered(value: bytes, kind: int, order: str) -> bytes:
    """A little-endian value in another byte order."""
    unit = _UNITS.get(kind, 1)
    return value if order == "<" or unit == 1 else np.frombuffer(value, f"<u{unit}").astype(f">u{unit}").tobytes()


def serialised(tagged: Entries, place: int, order: str = "<", big: bool = False) -> bytes:
    """A directory with its values behind it, as it stands at `place` in a file."""
    size = (8 + 20 * len(tagged) + 8) if big else (2 + 12 * len(tagged) + 4)
    room, head, behind = (8 if big else 4), struct.pack(order + ("Q" if big else "H"), len(tagged)), b""
    for tag, (kind, count, value) in sorted(tagged.items()):
        value = ordered(value, kind, order)
        head += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count)
        if len(value) <= room:
            head += value.ljust(room, b"\0")
        else:
            head += struct.pack(order + ("Q" if big else "I"), place + size + len(behind))
            behind += value + b"\0" * (len(value) % 2)
    return head + b"\0" * room + behind
