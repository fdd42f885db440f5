"""PNG files: frames, and what their chunks say of colour, resolution and text that libvips drops or garbles."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io import colour
from srgan_tf.io.opened import BLOB, Opened, TooLarge, choose, from_array

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = 1 << 20  # bytes of one text that are unpacked, of how many
_XMP = "XML:com.adobe.xmp"


def chunks(data) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk, as far as they are whole; the pixels' own come without a body."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            return
        yield kind, b"" if kind in (b"IDAT", b"fdAT") else body
        at += 12 + size


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a PNG file. Raises ValueError, pyvips.Error or TooLarge."""
    first: dict[bytes, bytes] = {}
    texts: list[tuple[str, str]] = []
    animated = 0
    for kind, body in chunks(data):
        if kind == b"IDAT" and kind not in first and b"acTL" in first:
            # A picture for readers that know no animation may stand before the frames.
            animated = struct.unpack_from(">I", first[b"acTL"].ljust(4, b"\0"))[0] + (b"fcTL" not in first)
        first.setdefault(kind, body)
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            text = _text(kind, body)
            if text and text[0] != _XMP:
                texts.append(text)
    number, notes = choose(max(animated, 1), page, "frame")
    image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
    if image.width * image.height > max_pixels:
        raise TooLarge(image.width, image.height)
    image = image.copy() if not number else _frame(data, number)
    if b"cICP" in first and "icc-profile-data" in image.get_fields():
        image.remove("icc-profile-data")  # cICP goes before it
    space = _space(first)
    if space is not None and not space.is_srgb:
        image.set_type(BLOB, "icc-profile-data", colour.profile(space, image.bands < 3))
    if first.get(b"pHYs", b"")[8:9] != b"\1":  # a ratio of the sides, or nothing
        image = image.copy(xres=1, yres=1)
    for name in [name for name in image.get_fields() if name.startswith("png-comment-")]:
        image.remove(name)  # read as if all text were UTF-8
    for i, (key, text) in enumerate(texts):
        image.set_type(pyvips.GValue.refstr_type, f"png-comment-{i}-{key}", text.replace("\0", ""))
    return Opened(image, ".png", notes)


def _frame(data: bytes, number: int) -> pyvips.Image:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.seek(number)
        return from_array(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))).copy_memory()


def _space(first: dict[bytes, bytes]) -> colour.Space | None:
    """What a file says of its colour, by the order of precedence that the PNG specification sets (third edition)."""
    if len(first.get(b"cICP", b"")) == 4:
        primaries, transfer, matrix, full = first[b"cICP"]
        space = colour.from_codes(primaries, transfer)
        if matrix or not full:
            raise ValueError("its cICP chunk states a range or matrix that is not supported: save it as full-range RGB")
        return space
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


def _text(kind: bytes, body: bytes) -> tuple[str, str] | None:
    key, _, rest = body.partition(b"\0")
    try:
        if kind == b"tEXt":
            text = _decoded(rest)
        elif kind == b"zTXt":
            text = _decoded(_inflated(rest[1:]))
        else:
            packed, (_, _, value) = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
            text = (_inflated(value) if packed else value).decode()
    except (zlib.error, ValueError):
        return None
    return key.decode("latin-1"), text


def _decoded(text: bytes) -> str:
    """By the specification Latin-1; several programs put UTF-8 there."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _inflated(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed, _TEXTS)
    if unpacker.unconsumed_tail:
        raise ValueError("a text of more than a megabyte")
    return text


def chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))))


def text_chunk(key: str, text: str) -> bytes:
    """The chunk that every reader takes rightly: tEXt, which is Latin-1, for ASCII alone, and iTXt for the rest."""
    name = key.encode("latin-1", "replace")[:79]
    if text.isascii():
        return chunk(b"tEXt", name + b"\0" + text.encode())
    return chunk(b"iTXt", name + b"\0\0\0\0\0" + text.encode(errors="replace"))


def changed_head(head: bytes, added: bytes, resolution: bool) -> bytes:
    """The chunks before the pixels, with others added, and without a resolution where none is known."""
    header_end = len(SIGNATURE) + 25
    result, at = [head[:header_end], added], header_end
    while at < len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if resolution or kind != b"pHYs":
            result.append(head[at : at + 12 + size])
        at += 12 + size
    return b"".join(result)
