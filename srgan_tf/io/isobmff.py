"""Boxes of AVIF, HEIF and JPEG 2000 files: the colour that they state, and what their samples are."""

import struct
from collections.abc import Iterator

from srgan_tf.io import colour

_HEIF = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0}


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the body of each box in a stretch of a file."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        stop = end if size == 0 else start + size
        if (size and size < head) or stop > end:
            return
        yield kind, start + head, stop
        start = stop


def _inside(data: bytes, *path: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The boxes within the box that a path names."""
    start, end = 0, len(data)
    for name in path:
        found = next(((a, b) for kind, a, b in boxes(data, start, end) if kind == name), None)
        if found is None:
            return
        start, end = found[0] + _CONTAINERS.get(name, 0), found[1]
    yield from boxes(data, start, end)


def is_heif(data: bytes) -> bool:
    """Whether these are a file of the family of HEIC and AVIF."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF


def properties(data: bytes) -> list[tuple[bytes, int, int]]:
    """The properties of a HEIF file's pictures: kind, and where each begins and ends."""
    return list(_inside(data, b"meta", b"iprp", b"ipco"))


def heif_space(data: bytes) -> colour.Space | None:
    """The space that an AVIF or HEIF file states by codes (nclx) for its primary picture; None where it has none.

    Raises:
        ValueError: it is HDR, or of codes that are not supported.
    """
    try:
        codes = _nclx(data)
    except (struct.error, IndexError):
        return None
    return colour.from_codes(*codes) if codes else None


def _nclx(data: bytes) -> tuple[int, int] | None:
    wanted = _primary_properties(data)
    for number, (kind, start, _) in enumerate(properties(data), 1):
        if kind == b"colr" and data[start : start + 4] == b"nclx" and (wanted is None or number in wanted):
            return struct.unpack_from(">HH", data, start + 4)
    return None


def _primary_properties(data: bytes) -> set[int] | None:
    """Numbers of the properties that belong to the primary item."""
    primary = None
    for kind, start, _ in _inside(data, b"meta"):
        if kind == b"pitm":
            primary = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)[0]
    for kind, start, _ in _inside(data, b"meta", b"iprp"):
        if kind != b"ipma":
            continue
        version, wide = data[start], data[start + 3] & 1
        count, at = struct.unpack_from(">I", data, start + 4)[0], start + 8
        for _ in range(min(count, 10_000)):
            item = struct.unpack_from(">I" if version else ">H", data, at)[0]
            at += 4 if version else 2
            size, form = (2, ">H") if wide else (1, ">B")
            values = [struct.unpack_from(form, data, at + 1 + size * i)[0] for i in range(data[at])]
            at += 1 + size * data[at]
            if item == primary:
                return {value & (0x7FFF if wide else 0x7F) for value in values}
    return None


def jp2_colour(data: bytes) -> tuple[bytes | None, int]:
    """A JPEG 2000 file's ICC profile, and the number of its enumerated space (0 where it has none)."""
    profile, number = None, 0
    for kind, start, end in _inside(data, b"jp2h"):
        if kind == b"colr" and data[start] in (2, 3) and profile is None:
            profile = data[start + 3 : end]
        elif kind == b"colr" and data[start] == 1 and not number:
            number = struct.unpack_from(">I", data, start + 3)[0] if end - start >= 7 else 0
    return profile, number


def jp2_samples(data: bytes) -> list[tuple[int, bool]]:
    """Bits and sign of each component of a JPEG 2000 file or codestream."""
    start = 0 if data[:2] == b"\xff\x4f" else data.find(b"\xff\x4f\xff\x51")
    try:
        count = struct.unpack_from(">H", data, start + 40)[0]
        depths = [data[start + 42 + 3 * i] for i in range(count)]
    except (struct.error, IndexError):
        return []
    return [((depth & 127) + 1, depth > 127) for depth in depths]
