"""The directories (IFDs) of a TIFF file: its pictures and their tags, and which of them is the photograph.

libvips gives neither a directory's kind nor most tags; both decide what the samples mean.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

# Codes of the types of values, with numpy's letter for each; ASCII and UNDEFINED are bytes.
TYPES = {1: "u1", 2: "S", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "S", 8: "i2", 9: "i4", 10: "i4"} | {
    **{11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
}
RATIONALS = (5, 10)
_MOST = 10_000  # directories in a file: a damaged one may chain without end
_VALUES = 1 << 24  # in one tag

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS, PLANAR, UNIT = 273, 277, 278, 279, 284, 296
PREDICTOR, WHITE, PRIMARIES, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 317, 318, 319, 322, 323, 324, 325
TRANSFER, SUBS, EXTRA, FORMAT, COEFFICIENTS, SUBSAMPLING, REFERENCE = 301, 330, 338, 339, 529, 530, 532
KIND, OLD_KIND, ORIENTATION, PROFILE = 254, 255, 274, 34675
CFA, LINEAR_RAW = 32803, 34892


@dataclass
class Directory:
    """One directory: `tags` are numbers as tuples, text as bytes; `page` and `sub` are libvips' numbers for it."""

    tags: dict
    page: int
    sub: int = -1
    start: int = 0  # where it lies in the file
    positions: dict = field(default_factory=dict)  # tag → where in the file its value lies
    subs: list = field(default_factory=list)

    def get(self, tag: int, default=0):
        """A tag's first number."""
        value = self.tags.get(tag, ())
        return value[0] if isinstance(value, tuple) and value else default

    @property
    def reduced(self) -> bool:
        """A thumbnail, another resolution, or a mask of another directory."""
        return bool(self.get(KIND) & 5 or self.get(OLD_KIND) == 2)

    @property
    def area(self) -> int:
        return self.get(WIDTH) * self.get(HEIGHT)

    @property
    def is_raw(self) -> bool:
        return self.get(PHOTOMETRIC) in (CFA, LINEAR_RAW)

    @property
    def bits(self) -> int:
        return self.get(BITS, 1)

    def sample_format(self) -> str:
        """numpy's letter: u, i, f, or "" for what this package does not know."""
        return {1: "u", 2: "i", 3: "f", 4: "u"}.get(self.get(FORMAT, 1), "")


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def byte_order(data: bytes) -> str:
    return "<" if data[:2] == b"II" else ">"


def read(data: bytes) -> list[Directory]:
    """The directories of the main chain, each with its sub-directories.

    Raises:
        ValueError: there is none that can be read.
    """
    order, big = byte_order(data), data[2:4] in (b"+\0", b"\0+")
    try:
        start = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        found, seen = [], set()
        while start and start not in seen and len(found) < _MOST:
            seen.add(start)
            try:
                directory, following = _directory(data, start, order, big, len(found))
            except struct.error:
                if not found:
                    raise
                break  # a chain that ends in nothing, as files have that were cut
            subs = directory.tags.get(SUBS, ())
            for number, offset in enumerate(subs[:100] if isinstance(subs, tuple) else ()):
                try:
                    directory.subs.append(_directory(data, offset, order, big, len(found), number)[0])
                except struct.error:
                    continue
            found.append(directory)
            start = following
    except struct.error:
        found = []
    if not found:
        raise ValueError("the TIFF file has no directory: it is truncated or damaged")
    return found


def _directory(data, start, order, big, page, sub=-1) -> tuple[Directory, int]:
    count = struct.unpack_from(order + ("Q" if big else "H"), data, start)[0]
    if count > 65_535:
        raise struct.error("too many tags")
    size, at = (20, start + 8) if big else (12, start + 2)
    result = Directory({}, page, sub, start)
    for position in range(at, at + count * size, size):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, position)
        letter = TYPES.get(kind)
        if letter is None or number > _VALUES:
            continue
        each = (1 if letter == "S" else int(letter[1])) * (2 if kind in RATIONALS else 1)
        inline = position + (12 if big else 8)
        where = inline
        if each * number > (8 if big else 4):
            where = struct.unpack_from(order + ("Q" if big else "I"), data, inline)[0]
        body = data[where : where + each * number]
        if len(body) < each * number:
            continue
        result.positions[tag] = where
        if letter == "S":
            result.tags[tag] = body
            continue
        values = np.frombuffer(body, order + letter)
        if kind in RATIONALS:
            values = values[::2] / np.maximum(values[1::2].astype(float), 1e-9)
        result.tags[tag] = tuple(values.tolist())
    following = struct.unpack_from(order + ("Q" if big else "I"), data, at + count * size)[0]
    return result, following


def pictures(directories: list[Directory]) -> list[Directory]:
    """The pictures that a file means to show, in order: thumbnails, masks and smaller copies are none.

    A page that is a thumbnail stands for the largest of its sub-directories that is not, as in a DNG.
    """
    found = []
    for directory in directories:
        if not directory.reduced:
            found.append(directory)
        else:
            full = [sub for sub in directory.subs if not sub.reduced]
            found += [max(full, key=lambda sub: sub.area)] if full else []
    return found or [max(directories, key=lambda directory: directory.area)]
