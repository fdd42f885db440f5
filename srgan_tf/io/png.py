"""Read PNG files: libvips decodes the pixels, Pillow the texts and the frames of animations.

Neither applies what the chunks state of colour (cICP, gAMA, cHRM): that becomes a profile here.
"""

import io
import itertools
import struct
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io import colour, metadata
from srgan_tf.io.encoding import PNG_SIGNATURE, chunk
from srgan_tf.io.opened import Opened, check_size, choose, with_fields
from srgan_tf.io.samples import from_array


def chunks(data: bytes) -> Iterator[tuple[int, bytes, memoryview]]:
    """Yield where each chunk that is whole begins, its kind and its body."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 8 + size > len(data):
            return
        yield at, kind, memoryview(data)[at + 8 : at + 8 + size]
        at += 12 + size


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a PNG file. Raises ValueError, pyvips.Error or TooLarge."""
    first: dict[bytes, bytes] = {}
    for _, kind, body in chunks(data):
        first.setdefault(kind, bytes(body[:64]))  # what is read below is shorter
    if b"CgBI" in first:
        raise ValueError("it is in Apple's own variant of PNG: revert it by pngcrush -revert-iphone-optimizations")
    frames, bare = 1, False  # bare: a picture before the frames, for readers that know no animation
    before_pixels = list(itertools.takewhile(lambda kind: kind != b"IDAT", first))
    if b"acTL" in before_pixels and b"IDAT" in first:
        bare = b"fcTL" not in before_pixels
        frames = int.from_bytes(first[b"acTL"][:4].ljust(4, b"\0")) + bare
    number, notes = choose(max(frames, 1), page, "frame")
    image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
    check_size(image.width, image.height, max_pixels)
    if number:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as frame:
            frame.seek(number)
            image = from_array(np.asarray(frame.convert("RGBA" if frame.has_transparency_data else "RGB")))
    if first.get(b"pHYs", b"")[8:9] != b"\1":  # a ratio of the sides, or there is none
        image = image.copy(xres=1, yres=1)
    fields: dict = dict.fromkeys(name for name in image.get_fields() if name.startswith("png-comment-"))
    fields |= {f"png-comment-{i}-{key}": text for i, (key, text) in enumerate(_texts(data))}
    if b"cICP" in first:  # goes before a profile
        fields["icc-profile-data"] = None
    space = _space(first)
    if space is not None and not space.is_srgb:
        fields["icc-profile-data"] = colour.profile(space, image.bands < 3)
    return Opened(with_fields(image, fields), ".png", notes, frames=frames - bare)


def _texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield keys and texts, all of which libvips reads as UTF-8; damaged ones and those of megabytes are left out."""
    stored = [chunk(kind, body) for _, kind, body in chunks(data) if kind in (b"tEXt", b"zTXt", b"iTXt")]
    for one in stored[:1000]:
        with (
            suppress(OSError, SyntaxError, ValueError),
            Image.open(io.BytesIO(data[:33] + one + chunk(b"IEND", b"")), formats=["PNG"]) as image,
        ):
            for key, text in image.info.items():
                if key not in ("", metadata.XMP) and isinstance(text, str):
                    yield key, text.replace("\0", "")


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
    # 1/2.2 with sRGB's primaries is how the specification has sRGB written for old readers.
    if gamma and not (colour.Space(points).is_srgb and abs(gamma - 45_455) < 10):
        curve = (100_000 / gamma,)
    return colour.Space(points, curve)
