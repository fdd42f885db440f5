"""The formats that libvips' wheel leaves to Pillow, with what Pillow gets wrong about them put right."""

import io
import struct

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io import colour, isobmff, netpbm, samples
from srgan_tf.io.opened import BLOB, Opened, TooLarge, choose, from_array, stack

_FORMATS = ("BMP", "DIB", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "ICO", "QOI")
_JP2_SPACES = {14: "CIE L*a*b*", 19: "CIE J*a*b*", 20: "e-sRGB", 21: "ROMM-RGB", 24: "e-sYCC"}


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a picture. Raises ValueError (also where no format is known), OSError, SyntaxError or TooLarge."""
    known = netpbm.load(data, max_pixels)
    if known:
        choose(1, page, "page")
        return known
    notes: list[str] = []
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            for width, height in [image.size, *(_sizes(data) if image.format == "ICO" else [])]:
                if width * height > max_pixels:
                    raise TooLarge(width, height)
            choose(1, page, "page")
            repaired = _REPAIRS.get(image.format or "", _as_it_is)(image, data, notes)
            dots = image.info.get("dpi", (0, 0))
            profile = image.info.get("icc_profile")
            ending = f".{str(image.format).lower()}"
    except Image.UnidentifiedImageError:
        raise ValueError(_what(data)) from None
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
    repaired = repaired.copy(**{name: n / 25.4 for name, n in zip(("xres", "yres"), dots) if n > 0})
    if profile and "icc-profile-data" not in repaired.get_fields():
        repaired.set_type(BLOB, "icc-profile-data", profile)
    return Opened(repaired, ending, notes)


def _what(data: bytes) -> str:
    """What a file that is no picture seems to be, and what to do."""
    start = data[:512].lstrip().lower()
    if start.startswith(b"%pdf"):
        return "it is a PDF: save its page as a picture first"
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page: download the picture itself"
    if b"<svg" in start:
        return "it is a vector drawing: any program that shows it can draw it as large as needed"
    if start.startswith(b"pk\x03\x04"):
        return "it is a ZIP archive or an office document: take the pictures out of it first"
    if data[4:8] == b"ftyp":
        return "it is a video, or a picture of an unknown kind: take a frame out of it first, as by ffmpeg"
    if start and all(byte >= 32 or byte in b"\t\n\r" for byte in start):
        return "it is a text file"
    return "its format is not known here"


def _as_it_is(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA") and not image.mode.startswith("I"):
        has_alpha = "transparency" in image.info or image.mode in ("PA", "RGBa")
        image = image.convert("RGBA" if has_alpha else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I"):
        pixels = np.clip(pixels, 0, 65535).astype(np.uint16)
    return from_array(pixels.reshape(*pixels.shape[:2], -1)).copy_memory()


def _ico(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    if len(_sizes(data)) > 1:
        notes.append(f"the largest of {len(_sizes(data))} pictures")
    return _as_it_is(image, data, notes)


def _sizes(data: bytes) -> list[tuple[int, int]]:
    """The sizes that the pictures inside an ICO file state themselves; its own directory may say less."""
    found = []
    for i in range(struct.unpack_from("<H", data, 4)[0]):
        try:
            offset = struct.unpack_from("<I", data, 6 + 16 * i + 12)[0]
            if data[offset : offset + 8] == b"\x89PNG\r\n\x1a\n":
                found.append(struct.unpack_from(">II", data, offset + 16))
            else:
                width, height = struct.unpack_from("<ii", data, offset + 4)
                found.append((abs(width), abs(height) // 2))
        except struct.error:
            continue
    return found


def _tga(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    made = _as_it_is(image, data, notes)
    if not made.hasalpha():
        return made
    kind = -1
    if data[-18:-1] == b"TRUEVISION-XFILE.":  # version 2: what its fourth channel is stands in an area of its own
        area = struct.unpack_from("<I", data, len(data) - 26)[0]
        kind = data[area + 494] if area > 0 and area + 494 < len(data) else -1
    count = made.bands - 1
    base = made[0] if count == 1 else made[:count]
    if kind in (0, 1, 2) or (kind < 0 and data[17] & 15 == 0):
        return base.copy(interpretation="b-w" if count == 1 else "srgb")
    return stack(base, made[count], associated=kind == 4)


def _jpeg2000(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    profile, number = isobmff.jp2_colour(data)
    components = isobmff.jp2_samples(data)
    if number in _JP2_SPACES:
        raise ValueError(f"its colour space, {_JP2_SPACES[number]}, is not supported: convert it to sRGB")
    if not components or len(set(components)) > 1 or components[0][1]:
        raise ValueError("its components differ in depth or are signed: convert it to 8 or 16 bits, as PNG or TIFF")
    bits = components[0][0]
    if bits > 8 and image.mode != "I;16":
        pixels = _by_imagecodecs(data, bits)
    else:
        made = _as_it_is(image, data, notes)
        if bits in (8, 16) or image.mode not in ("I;16", "L", "LA", "RGB", "RGBA"):
            pixels = made.numpy()
        else:  # Pillow moves bits up, so that white is not quite white
            pixels = samples.stretch(made.numpy() >> ((16 if bits > 8 else 8) - bits), 2**bits - 1)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    made = from_array(pixels).copy_memory()
    if profile and number != 12 and colour.is_grey_profile(profile) == (made.bands < 3):
        made.set_type(BLOB, "icc-profile-data", profile)
    elif profile:
        notes.append("its colour profile does not fit its channels and was left out")
    return made


def _by_imagecodecs(data: bytes, bits: int) -> np.ndarray:
    """Colour of more than 8 bits, where Pillow turns white to black."""
    try:
        import imagecodecs
    except ImportError:
        raise ValueError(
            f"JPEG 2000 with {bits}-bit colour needs the package imagecodecs (pip install imagecodecs); "
            "or convert it to TIFF or PNG"
        ) from None
    try:
        pixels = imagecodecs.jpeg2k_decode(data)
    except Exception as error:  # a C library's own
        raise ValueError(f"JPEG 2000 data that cannot be decoded ({error})") from None
    if pixels.ndim != 3 or not 2 <= pixels.shape[2] <= 4 or pixels.dtype != np.uint16:
        raise ValueError(f"JPEG 2000 with {bits}-bit samples of this kind is not supported: convert it to TIFF or PNG")
    return samples.stretch(pixels, 2**bits - 1)


def _sgi(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    if data[3] == 2:
        notes.append("Pillow, which alone reads SGI pictures, keeps 8 of its 16 bits")
    return _as_it_is(image, data, notes)


def _qoi(image: Image.Image, data: bytes, notes: list[str]) -> pyvips.Image:
    made = _as_it_is(image, data, notes)
    if data[13] == 1:
        made.set_type(BLOB, "icc-profile-data", colour.profile(colour.Space(curve=(1.0,))))
    return made


_REPAIRS = {"ICO": _ico, "TGA": _tga, "JPEG2000": _jpeg2000, "SGI": _sgi, "QOI": _qoi}
