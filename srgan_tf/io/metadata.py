"""EXIF that stays true of upright, larger pixels, and metadata that libvips' writers lose, garble or invent.

EXIF's values pass as they are stored: Pillow and libexif change the types and the text of some. Pillow makes the heads
of PNG and JPEG files; libvips writes the pixels behind them, and all of WebP and AVIF.
"""

import io
import mmap
import shutil
import struct
from contextlib import suppress

import numpy as np
import pyvips
from PIL import Image, PngImagePlugin

from srgan_tf.io.files import write_aside

PREFIX = b"Exif\0\0"
XMP = "XML:com.adobe.xmp"  # key of XMP among a PNG's texts
RESOLUTION = 282  # the tag
_EXIF, _GPS, _INTEROP, _ORIENTATION, _UNIT, _WIDTH, _HEIGHT = 34665, 34853, 40965, 274, 296, 40962, 40963
_BELOW: dict = {_EXIF: {_INTEROP: {}}, _GPS: {}}  # directories that hang below the first
# Sub-directories, thumbnail, maker notes, print matching, padding: their offsets would point nowhere.
_LEFT_OUT = {330, 513, 514, 37500, 50341, 59932, 59933}
# The tags of a TIFF file's directory that describe the picture, and not how its samples are stored.
_OF_PICTURE = {270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096), *_BELOW}
_LONGEST = 65_533 - len(PREFIX)  # bytes in a JPEG segment
# TIFF's types: how many words of how many bytes make a value.
_WORDS = {1: (1, 1), 2: (1, 1), 3: (1, 2), 4: (1, 4), 5: (2, 4), 6: (1, 1), 7: (1, 1), 8: (1, 2), 9: (1, 4)}
_WORDS |= {10: (2, 4), 11: (1, 4), 12: (1, 8), 13: (1, 4), 16: (1, 8), 17: (1, 8), 18: (1, 8)}
Tags = dict[int, tuple[int, np.ndarray] | dict]  # tag → its type and words, or another directory's tags


def _layout(order: str, pointer: str) -> tuple[struct.Struct, struct.Struct, struct.Struct]:
    """Return how a directory's count, an entry and an offset are packed; pointer: "I", or "Q" in BigTIFF."""
    count, width = ("Q", 8) if pointer == "Q" else ("H", 4)
    formats = f"{order}{count}", f"{order}HH{pointer}{width}s", f"{order}{pointer}"
    return struct.Struct(formats[0]), struct.Struct(formats[1]), struct.Struct(formats[2])


def parse(data, start: int | None = None) -> Tags:
    """Parse the first directory of an EXIF block or TIFF file, or the one at `start`, and those that hang below it.

    Returns:
        As much as can be read.
    """
    data = data[len(PREFIX) :] if data[: len(PREFIX)] == PREFIX else data
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or len(data) < 16:
        return {}
    order, pointer, place = "<" if data[:2] == b"II" else ">", *(("Q", 8) if b"+" in data[:4] else ("I", 4))
    start = struct.unpack_from(order + pointer, data, place)[0] if start is None else start
    return _parse_directory(data, start, order, pointer, _BELOW)


def _parse_directory(data, start: int, order: str, pointer: str, below: dict) -> Tags:
    number, entry, offset = _layout(order, pointer)
    tags: Tags = {}
    if start + number.size > len(data):
        return tags
    most, start, left = number.unpack_from(data, start)[0], start + number.size, len(data)
    most = min(most, (len(data) - start) // entry.size)
    for tag, kind, count, body in entry.iter_unpack(data[start : start + most * entry.size]):
        per_value, width = _WORDS.get(kind, (0, 1))
        size = count * per_value * width
        left -= size  # values that overlap could unfold to gigabytes
        if not size or left < 0 or tag in _LEFT_OUT or tag in tags:
            continue
        place = offset.unpack(body)[0] if size > len(body) else 0
        with suppress(ValueError):  # the value lies behind the end
            words = np.frombuffer(data if size > len(body) else body, f"{order}u{width}", count * per_value, place)
            if tag not in below:
                tags[tag] = kind, words
            elif directory := _parse_directory(data, int(words[0]), order, pointer, below[tag]):
                tags[tag] = directory
    return tags


def _serialise(tags: Tags, place: int, pointer: str = "I") -> bytes:
    """Serialise a directory, as it stands at `place` of a little-endian file, with its values and what hangs below."""
    number, entry, offset = _layout("<", pointer)
    entries, behind = number.pack(len(tags)), b""
    end = place + len(entries) + len(tags) * entry.size + offset.size
    for tag, value in sorted(tags.items()):
        at = end + len(behind)
        if isinstance(value, dict):
            kind, count, body = (16 if pointer == "Q" else 4), 1, offset.pack(at)
            behind += _serialise(value, at, pointer)
        else:
            kind, words = value
            count, body = len(words) // _WORDS[kind][0], words.astype(words.dtype.newbyteorder("<")).tobytes()
            if len(body) > offset.size:
                behind += body + b"\0" * (len(body) % 2)
                body = offset.pack(at)
        entries += entry.pack(tag, kind, count, body)
    return entries + bytes(offset.size) + behind


def block(tags: Tags) -> bytes:
    """Serialise what `parse` returned as an EXIF block without prefix; b"" where nothing is in it."""
    return b"II*\0\x08\0\0\0" + _serialise(tags, 8) if tags else b""


def upright(data: bytes, width: int, height: int) -> Tags:
    """Parse an EXIF block and make it true of upright pixels of another size; without thumbnail and maker notes."""
    tags = parse(data)
    exif = tags.get(_EXIF, {})
    for directory, tag, value in ((tags, _ORIENTATION, 1), (exif, _WIDTH, width), (exif, _HEIGHT, height)):
        if tag in directory:
            directory[tag] = _number(value)
    return tags


def _number(value: int) -> tuple[int, np.ndarray]:
    return (4, np.array([value], "<u4")) if value > 65_535 else (3, np.array([value], "<u2"))


def exif_of_tiff(data: bytes, start: int, left_out: set[int]) -> bytes:
    """Return an EXIF block of the directory at `start` in a TIFF file; b"" where it says nothing of the picture."""
    return block({tag: value for tag, value in parse(data, start).items() if tag in _OF_PICTURE - left_out})


def libvips_fields(exif: bytes) -> dict[str, object]:
    """Return an EXIF block as the fields that libvips' writers of WebP and AVIF take."""
    found: dict[str, object] = {}
    if 0 < len(exif) <= _LONGEST:
        image = pyvips.Image.new_from_buffer(_saved("JPEG", exif=PREFIX + exif), "")
        for name in image.get_fields():
            with suppress(UnicodeDecodeError):
                found |= {name: image.get(name)} if name.startswith("exif-") else {}
    return found


def _saved(kind: str, **options) -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, kind, **options)
    return file.getvalue()


def add_head(path: str, exif: bytes, fields: dict, per_mm: tuple[float, float] | None) -> None:
    """Put metadata into a PNG or JPEG file of libvips, as Pillow writes them: behind IHDR, or behind SOI.

    Args:
        exif: a block without prefix, or b"".
        fields: libvips' metadata; libvips itself writes a JPEG's profile, XMP and IPTC.
        per_mm: resolution; None where it is unknown.
    """
    options: dict = {"dpi": tuple(min(n * 25.4, 65_535) for n in per_mm)} if per_mm else {}
    # Where Pillow's head begins, and where the pixels do in its file without options.
    kind, start, plain = ("PNG", 33, 33) if path.endswith(".png") else ("JPEG", 2, 20)
    if exif and (kind == "PNG" or len(exif) <= _LONGEST):
        options["exif"] = PREFIX + exif
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        texts = {tuple(name.split("-", 3)[2:]): text for name, text in fields.items() if "png-comment" in name}
        for (_, key), text in sorted(texts.items(), key=lambda item: int(item[0][0])):
            info.add_text(key.encode("latin-1", "replace").decode("latin-1")[:79], text)
        if "xmp-data" in fields:
            info.add_itxt(XMP, fields["xmp-data"].decode(errors="replace"))
        options |= {"pnginfo": info, "icc_profile": fields.get("icc-profile-data")}
    made = _saved(kind, **options)
    with write_aside(path) as temporary, open(path, "rb") as old, open(temporary, "wb") as new:
        new.write(old.read(start) + made[start : len(made) - (len(_saved(kind)) - plain)])
        old.seek(start + (21 if old.read(8)[4:] == b"pHYs" else 0))  # libvips makes up a resolution
        shutil.copyfileobj(old, new, 1 << 20)


def add_to_tiff(path: str, tags: Tags, has_resolution: bool) -> None:
    """Add EXIF to a little-endian TIFF file, and mark a resolution that nobody stated as a mere ratio.

    A new first directory is written behind the pixels; the old one stays in the file, unused.
    """
    with open(path, "r+b") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        pointer, where = ("Q", 8) if data[2:3] == b"+" else ("I", 4)
        made = {tag: value for tag, value in tags.items() if tag in _OF_PICTURE} | parse(data)
        if not has_resolution:
            made[_UNIT] = _number(1)
        place = len(data) + len(data) % 2
        file.seek(place)
        file.write(_serialise(made, place, pointer))
        file.seek(where)
        file.write(struct.pack("<" + pointer, place))
