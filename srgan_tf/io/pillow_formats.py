"""Read the formats that libvips' wheel lacks by Pillow, and correct what Pillow gets wrong about them."""

import io
import re
import struct

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io.opened import Opened, check_size, choose, with_fields
from srgan_tf.io.samples import as_colour, from_array, join_alpha, stretch, stretch_shifted

_FORMATS = ("BMP", "DIB", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "ICO", "QOI")
_JP2_SPACES = {14: "CIE L*a*b*", 19: "CIE J*a*b*", 20: "e-sRGB", 21: "ROMM-RGB", 24: "e-sYCC"}
_PFM_OR_PPM = re.compile(rb"P[Ff]\s|P[36]" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3)  # width, height, highest level
_NO_PICTURES = {  # how files begin, or what they hold, that are no pictures
    rb"%pdf": "it is a PDF: save its page as a picture first",
    rb"<!doctype html|<html": "it is a web page: download the picture itself",
    rb"(?s).*<svg": "it is a vector drawing: any program that shows it can draw it as large as needed",
    rb"pk\x03\x04": "it is a ZIP archive or an office document: take the pictures out of it first",
    rb"(?s).{4}ftyp|\x1a\x45\xdf\xa3|riff.{4}avi ": "it is a video, or of an unknown kind: srgan-tf upscale makes "
    "videos, by their endings; or take a frame out of it, as by ffmpeg",
    rb"[\x20-\xff\t\n\r]+$": "it is a text file",
}


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a picture. Raises ValueError (also where no format is known), OSError, SyntaxError or TooLarge."""
    choose(1, page, "page")
    if (head := _PFM_OR_PPM.match(data)) and int(head[3] or 256) > 255:
        raise ValueError("PFM and PPM of more than 8 bits are not supported: convert it to PNG or TIFF")
    notes: list[str] = []
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            check_size(*image.size, max_pixels)
            made = _REPAIRS.get(image.format or "", _as_is)(image, data, notes)
            dots, profile = image.info.get("dpi", (0, 0)), image.info.get("icc_profile")
            ending = f".{str(image.format).lower()}"
            if (count := len(image.info.get("sizes", ()))) > 1:  # ICO
                notes.append(f"the largest of {count} pictures")
            if image.format == "SGI" and data[3] == 2:
                notes.append("Pillow, which alone reads SGI pictures, keeps 8 of its 16 bits")
    except Image.UnidentifiedImageError:
        start = data[:512].lstrip().lower()
        problems = [problem for pattern, problem in _NO_PICTURES.items() if re.match(pattern, start)]
        raise ValueError([*problems, "its format is not known here"][0]) from None
    made = made.copy(**{name: n / 25.4 for name, n in zip(("xres", "yres"), dots) if n > 0})
    if profile and "icc-profile-data" not in made.get_fields():
        made = with_fields(made, {"icc-profile-data": profile})
    return Opened(made, ending, notes)


def _as_is(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA") and not image.mode.startswith("I"):
        has_alpha = "transparency" in image.info or image.mode in ("PA", "RGBa")
        image = image.convert("RGBA" if has_alpha else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I"):
        pixels = np.clip(pixels, 0, 65535).astype(np.uint16)
    return from_array(pixels).copy_memory()


def _tga(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    made, kind = _as_is(image, data, notes), -1
    if not made.hasalpha():
        return made
    if data[-18:-1] == b"TRUEVISION-XFILE.":  # version 2 states what its fourth channel is
        area = struct.unpack_from("<I", data, len(data) - 26)[0]
        kind = data[area + 494] if area > 0 and area + 494 < len(data) else -1
    base, alpha = made[: made.bands - 1], made[made.bands - 1]
    if kind in (0, 1, 2) or (kind < 0 and data[17] & 15 == 0):
        return as_colour(base)
    return join_alpha(base, alpha, is_associated=kind == 4)


def _jpeg2000(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    profile, space = None, 0  # Pillow returns neither these nor the sample types
    for match in re.finditer(rb"(?s)(.{4})colr([\1-\3])..", data[: max(data.find(b"jp2c"), 0)]):
        body = data[match.end() : match.start() + struct.unpack(">I", match[1])[0]]
        profile, space = (profile, space or int.from_bytes(body[:4])) if match[2] == b"\1" else (profile or body, space)
    start = 0 if data[:2] == b"\xff\x4f" else data.find(b"\xff\x4f\xff\x51")
    kinds = {data[start + 42 + 3 * i] for i in range(struct.unpack_from(">H", data, start + 40)[0])}
    if space in _JP2_SPACES:
        raise ValueError(f"its colour space, {_JP2_SPACES[space]}, is not supported: convert it to sRGB")
    if len(kinds) != 1 or max(kinds) > 127:
        raise ValueError("its components differ in depth or are signed: convert it to 8 or 16 bits, as PNG or TIFF")
    bits, mode, made = kinds.pop() + 1, image.mode, _as_is(image, data, notes)
    if bits > 8 and mode != "I;16":  # Pillow overflows
        made = from_array(stretch(_by_imagecodecs(data, bits), 2**bits - 1)).copy_memory()
    elif mode in ("I;16", "L", "LA", "RGB", "RGBA"):
        made = stretch_shifted(made, bits)
    if profile and space != 12 and (profile[16:20] == b"GRAY") == (made.bands < 3):
        made = with_fields(made, {"icc-profile-data": profile})
    elif profile:
        notes.append("its colour profile does not fit its channels and was left out")
    return made


def _by_imagecodecs(data: bytes, bits: int) -> np.ndarray:
    fix = "or convert it to PNG or TIFF"
    try:
        import imagecodecs

        pixels = imagecodecs.jpeg2k_decode(data)
    except ImportError:
        raise ValueError(
            f"JPEG 2000 with {bits}-bit colour needs imagecodecs: pip install imagecodecs, {fix}"
        ) from None
    except Exception as error:  # a C library's own
        raise ValueError(f"JPEG 2000 data that cannot be decoded ({error})") from None
    if pixels.ndim != 3 or not 2 <= pixels.shape[2] <= 4 or pixels.dtype != np.uint16:
        raise ValueError(f"JPEG 2000 with {bits}-bit samples of this kind is not supported: {fix[3:]}")
    return pixels


_REPAIRS = {"TGA": _tga, "JPEG2000": _jpeg2000}
