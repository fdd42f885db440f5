"""Read PNG files: libvips decodes the pixels, Pillow the texts and the frames of animations.

Neither applies what the chunks state of colour (cICP, gAMA, cHRM): that becomes a profile here.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io import colour, metadata
from srgan_tf.io.opened import BLOB, Opened, check_size, choose, from_array

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def places(data) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each chunk that is whole begins, the size of its body, and its kind."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 8 + size > len(data):
            return
        yield at, size, kind
        at += 12 + size


def chunks(data) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of each chunk that is whole; pixels come without a body."""
    for at, size, kind in places(data):
        yield kind, b"" if kind in (b"IDAT", b"fdAT") else data[at + 8 : at + 8 + size]


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk with its length and checksum."""
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))))


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a PNG file. Raises ValueError, pyvips.Error or TooLarge."""
    first: dict[bytes, bytes] = {}
    texts: list[tuple[str, str]] = []
    frames, bare = 1, 0  # bare: a picture before the frames, for readers that know no animation
    for kind, body in chunks(data):
        if kind == b"IDAT" and kind not in first and b"acTL" in first:
            bare = int(b"fcTL" not in first)
            frames = struct.unpack_from(">I", first[b"acTL"].ljust(4, b"\0"))[0] + bare
        first.setdefault(kind, body)
        if kind in (b"tEXt", b"zTXt", b"iTXt") and len(texts) < 1000:
            texts += _text(data[:33] + chunk(kind, body) + chunk(b"IEND", b""))
    if b"CgBI" in first:
        raise ValueError("it is in Apple's own variant of PNG: revert it by pngcrush -revert-iphone-optimizations")
    number, notes = choose(max(frames, 1), page, "frame")
    image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
    check_size(image.width, image.height, max_pixels)
    if number:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as frame:
            frame.seek(number)
            pixels = np.asarray(frame.convert("RGBA" if frame.has_transparency_data else "RGB"))
        image = from_array(pixels)
    is_ratio = first.get(b"pHYs", b"")[8:9] != b"\1"  # of the sides, or there is none
    image = image.copy(xres=1, yres=1) if is_ratio else image.copy()
    for name in image.get_fields():  # cICP goes before a profile, and libvips reads all text as UTF-8
        if name.startswith("png-comment-") or (name == "icc-profile-data" and b"cICP" in first):
            image.remove(name)
    space = _space(first)
    if space is not None and not space.is_srgb:
        image.set_type(BLOB, "icc-profile-data", colour.profile(space, image.bands < 3))
    for i, (key, text) in enumerate(one for one in texts if one[0]):
        image.set_type(pyvips.GValue.refstr_type, f"png-comment-{i}-{key}", text.replace("\0", ""))
    return Opened(image, ".png", notes, frames=frames - bare)


def _text(file: bytes) -> list[tuple[str, str]]:
    """Return key and text of a PNG file that holds nothing else; "" where it is damaged or unpacks to megabytes."""
    try:
        with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
            return [(k, str(text)) for k, text in image.info.items() if k != metadata.XMP and isinstance(text, str)]
    except (OSError, SyntaxError, ValueError):
        return [("", "")]


def _space(first: dict[bytes, bytes]) -> colour.Space | None:
    """Return the stated colour space, by the PNG specification's order of precedence (third edition)."""
    if len(first.get(b"cICP", b"")) == 4:
        primaries, transfer, matrix, full = first[b"cICP"]
        if matrix or not full:
            raise ValueError("its cICP chunk states a range or matrix that is not supported: save it as full-range RGB")
        return colour.from_codes(primaries, transfer)
    if b"iCCP" in first or b"sRGB" in first:
        return None
    points, curve = colour.PRIMARIES[1], colour.Space().curve
    if len(first.get(b"cHRM", b"")) == 32:
        at = [value / 100_000 for value in struct.unpack(">8I", first[b"cHRM"])]
        points = (at[2:4], at[4:6], at[6:8], at[0:2])
    gamma = struct.unpack(">I", first[b"gAMA"])[0] if len(first.get(b"gAMA", b"")) == 4 else 0
    near = np.allclose(points, colour.PRIMARIES[1], atol=0.0006)
    # 1/2.2 with sRGB's primaries is how the specification has sRGB written for old readers.
    if gamma and not (near and abs(gamma - 45_455) < 10):
        curve = (100_000 / gamma,)
    return colour.Space(points, curve)
