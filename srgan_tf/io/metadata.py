"""EXIF that stays true of upright, larger pixels, and metadata that libvips' writers lose, garble or invent.

Pillow parses and serialises EXIF and makes the heads of PNG and JPEG files; libvips writes the pixels behind them, and
all of WebP and AVIF. No library adds EXIF to a TIFF file whose writer, libvips', does not: that is done here.
"""

import io
import os
import shutil
import struct
import warnings
from contextlib import suppress

import pyvips
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from srgan_tf.io.files import write_aside

PREFIX = b"Exif\0\0"
XMP = "XML:com.adobe.xmp"  # key of XMP among a PNG's texts
_EXIF, _GPS, _INTEROP, _ORIENTATION, _UNIT = 34665, 34853, 40965, 274, 296
# Sub-directories, thumbnail, maker notes, print matching, padding: their offsets would point nowhere.
_LEFT_OUT = {330, 513, 514, 37500, 50341, 59932, 59933}
# The tags of a TIFF file's directory that describe the picture, and not how its samples are stored.
_OF_PICTURE = {270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)}
_LONGEST = 65_533 - len(PREFIX)  # bytes in a JPEG segment
_HEAD = b"II*\0\x08\0\0\0"
Tags = dict[int, tuple[int, object]]  # tag → TIFF's type and Pillow's value

warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")  # what is damaged is left out


def parse(data: bytes, start: int | None = None) -> dict[int, Tags]:
    """Parse an EXIF block, or the directory at `start` of a TIFF file, and what hangs below it.

    Returns:
        0 (the first directory), EXIF's, GPS' and interoperability's tags; {} where they cannot be read.
    """
    raw = data.removeprefix(PREFIX)
    if raw[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or len(raw) < 8:
        return {}
    start = struct.unpack_from("<I" if raw[:2] == b"II" else ">I", raw, 4)[0] if start is None else start
    found = {0: _parse_directory(raw, start)}
    for tag, parent in ((_EXIF, 0), (_GPS, 0), (_INTEROP, _EXIF)):
        place = found.get(parent, {}).pop(tag, (0, None))[1]
        if isinstance(place, int) and (below := _parse_directory(raw, place, tag)):
            found[tag] = below
    return found


def _empty_directory(head: bytes, group: int | None = None) -> ImageFileDirectory_v2:
    made = ImageFileDirectory_v2(head[:2] + (b"*\0" if head[:2] == b"II" else b"\0*") + bytes(4), group=group)
    made._bigtiff = b"+" in head[2:4]  # Pillow recognises BigTIFF in little-endian order alone
    return made


def _parse_directory(raw: bytes, start: int, group: int | None = None) -> Tags:
    directory, found, file = _empty_directory(raw, group), {}, io.BytesIO(raw)
    try:
        file.seek(start)
        directory.load(file)
    except (SyntaxError, struct.error, ValueError, OverflowError):
        return {}
    for tag in set(directory) - _LEFT_OUT:
        try:
            value = directory[tag]
            # Pillow decodes text as Latin-1 and encodes it as ASCII.
            entry = directory.tagtype[tag], value.encode("latin-1") if isinstance(value, str) else value
            _serialise({tag: entry}, 0)
        except Exception:  # a damaged value fails in many ways
            continue
        found[tag] = entry
    return found


def _serialise(tags: Tags, place: int, head: bytes = _HEAD) -> bytes:
    """Serialise a directory with its values, as it stands at `place` in a file that begins with `head`."""
    directory = _empty_directory(head)
    for tag, (kind, value) in tags.items():
        directory.tagtype[tag] = kind
        directory[tag] = value
    made = directory.tobytes(place)
    return made + b"\0" * (len(made) % 2)


def _serialise_below(found: dict[int, Tags], place: int, head: bytes = _HEAD) -> bytes:
    """Serialise what hangs below the first directory, at `place`, and add the tags that point there."""
    made = b""
    for tag, parent in ((_INTEROP, _EXIF), (_EXIF, 0), (_GPS, 0)):
        if tag in found and parent in found:
            found[parent][tag] = (16 if b"+" in head[2:4] else 4), place + len(made)
            made += _serialise(found[tag], place + len(made), head)
    return made


def block(found: dict[int, Tags]) -> bytes:
    """Serialise what `parse` returned as an EXIF block without prefix; b"" where nothing is in it."""
    if not any(found.values()):
        return b""
    found = {tag: dict(tags) for tag, tags in found.items()}
    size = len(_serialise(found[0] | {tag: (4, 0) for tag in (_EXIF, _GPS) if tag in found}, len(_HEAD)))
    below = _serialise_below(found, len(_HEAD) + size)
    return _HEAD + _serialise(found[0], len(_HEAD)) + below


def upright(data: bytes, width: int, height: int) -> dict[int, Tags]:
    """Parse an EXIF block and make it true of upright pixels of another size; without thumbnail and maker notes."""
    found = parse(data)
    for parent, values in ((0, {_ORIENTATION: 1}), (_EXIF, {40962: width, 40963: height})):
        tags = found.get(parent, {})
        tags |= {tag: (4 if value > 65_535 else 3, value) for tag, value in values.items() if tag in tags}
    return found


def exif_of_tiff(data: bytes, start: int, left_out: set[int]) -> bytes:
    """Return an EXIF block of the directory at `start` in a TIFF file."""
    found = parse(data, start)
    found[0] = {tag: entry for tag, entry in found.get(0, {}).items() if tag in _OF_PICTURE - left_out}
    return PREFIX + block(found) if any(found.values()) else b""


def libvips_fields(exif: bytes) -> dict[str, tuple[int, object]]:
    """Return an EXIF block as the fields that libvips' writers of WebP and AVIF take."""
    found: dict[str, tuple[int, object]] = {}
    if 0 < len(exif) <= _LONGEST:
        image = pyvips.Image.new_from_buffer(_saved("JPEG", exif=PREFIX + exif), "")
        for name in image.get_fields():
            with suppress(UnicodeDecodeError):
                found |= {name: (image.get_typeof(name), image.get(name))} if name.startswith("exif-") else {}
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
        texts = {tuple(name.split("-", 3)[2:]): text for name, (_, text) in fields.items() if "png-comment" in name}
        for (_, key), text in sorted(texts.items(), key=lambda item: int(item[0][0])):
            info.add_text(key.encode("latin-1", "replace").decode("latin-1")[:79], text)
        if "xmp-data" in fields:
            info.add_itxt(XMP, fields["xmp-data"][1].decode(errors="replace"))
        options |= {"pnginfo": info, "icc_profile": fields.get("icc-profile-data", (0, None))[1]}
    made = _saved(kind, **options)
    with write_aside(path) as temporary, open(path, "rb") as old, open(temporary, "wb") as new:
        new.write(old.read(start) + made[start : len(made) - (len(_saved(kind)) - plain)])
        old.seek(start + (21 if old.read(8)[4:] == b"pHYs" else 0))  # libvips makes up a resolution
        shutil.copyfileobj(old, new, 1 << 20)


def add_to_tiff(path: str, found: dict[int, Tags], has_resolution: bool) -> None:
    """Add EXIF to a little-endian TIFF file, and mark a resolution that nobody stated as a mere ratio.

    A new first directory is written behind the pixels; the old one stays in the file, unused.
    """
    with open(path, "r+b") as file:
        head = file.read(16)
        number, pointer, where = ("<Q", "<Q", 8) if b"+" in head[2:4] else ("<H", "<I", 4)

        def entries(start: int) -> dict[int, bytes]:
            file.seek(start)
            count = struct.unpack(number, file.read(struct.calcsize(number)))[0]
            lines = [file.read(4 + 2 * struct.calcsize(pointer)) for _ in range(count)]
            return {struct.unpack_from("<H", line)[0]: line for line in lines}

        old = entries(struct.unpack_from(pointer, head, where)[0])
        place = file.seek(0, os.SEEK_END)
        place += file.write(b"\0" * (place % 2))
        first = {tag: entry for tag, entry in found.get(0, {}).items() if tag in _OF_PICTURE - set(old)}
        found = found | {0: first if has_resolution else first | {_UNIT: (3, 1)}}
        place += file.write(_serialise_below(found, place, head))
        if found[0]:
            file.write(_serialise(found[0], place, head))
            new = old | entries(place)
            place = file.seek(0, os.SEEK_END)
            file.write(struct.pack(number, len(new)) + b"".join(new[tag] for tag in sorted(new)))
            file.write(struct.pack(pointer, 0))
            file.seek(where)
            file.write(struct.pack(pointer, place))
