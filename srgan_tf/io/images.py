"""Decode picture files to arrays, with their metadata.

libvips decodes, as it keeps 16 bits and metadata where Pillow drops them; Pillow decodes what libvips' wheel leaves
out. The modules beside this one correct what either gets wrong, one format each.
"""

import logging
import os
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.errors import ImageError
from srgan_tf.io import encoding, jpeg, samples, spill
from srgan_tf.io.files import reason
from srgan_tf.io.opened import Opened, Picture, TooLarge

MAX_PIXELS = 100_000_000  # a damaged or hostile header may promise terabytes

_KEPT = ("icc-profile-data", "exif-data", "xmp-data", "iptc-data", "png-comment-")
_HEIF = (b"avif", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands
_UNREADABLE = (pyvips.Error, OSError, SyntaxError, EOFError, struct.error)
# Parsers raise these where tags have other types than they should.
_DAMAGED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError)

pyvips.block_untrusted_set(True)  # loaders that libvips' authors would not let loose on strangers' files
pyvips.cache_set_max(0)  # the cache retains finished images
warnings.filterwarnings("ignore", module=r"PIL\.")  # of large pictures, and of damaged EXIF
logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # errors are raised


def read(path) -> np.ndarray:
    """Read a picture upright as uint8 RGB [height, width, 3] in 0-255; alpha is dropped, not blended.

    Raises:
        ImageError: the file is missing, unreadable, truncated or no picture.
    """
    return load(path).rgb()


def load(
    source, max_pixels: int = MAX_PIXELS, page: int | None = None, lenient: bool = False, moving: bool = False
) -> Picture:
    """Decode a picture upright, with its depth, alpha and metadata; palettes become RGB, CMYK becomes sRGB.

    Args:
        source: a path, or what reads like one (`read_bytes`), or the bytes of a file.
        max_pixels: the largest height * width that is decoded.
        page: which frame or page to take, from 1; None takes the first and says so in the notes.
        lenient: take a JPEG whose last rows are missing, with a note.
        moving: examine all frames of an animation, too, unless a page is given.

    Raises:
        ImageError: the file is missing, unreadable, truncated, no picture, too large or of an unsupported kind.
    """
    name, data = ("standard input" if isinstance(source, bytes) else source), source
    try:
        if isinstance(source, (str, os.PathLike)):
            source = Path(source)
            if source.is_char_device():  # /dev/zero would be read until memory runs out
                raise ImageError(f"{name}: a device, not a file; give a picture file")
        data = source if isinstance(source, bytes) else source.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot read it ({error.strerror})") from None
    if not data:
        raise ImageError(f"{name}: the file is empty; get a whole copy")
    try:
        opened = _open(data, max_pixels, page, lenient)
        picture = _decode(opened)
        if opened.frames > 1 and page is None:
            if moving:
                from srgan_tf.io import animations

                picture.animation = animations.opened(data)
            else:
                picture.notes.append(f"the first of {opened.frames} frames; --page=N chooses another")
        return picture
    except TooLarge as error:
        raise ImageError(f"{name}: {error}") from None
    except (ValueError, Image.DecompressionBombError) as error:  # the readers' own name the fix
        raise ImageError(f"{name}: not a readable picture ({reason(error)})") from None
    except _UNREADABLE as error:
        raise ImageError(f"{name}: not a readable picture ({reason(error)}); get an undamaged copy") from None
    except _DAMAGED:
        raise ImageError(f"{name}: damaged, its tags contradict each other; get an undamaged copy") from None


def _open(data: bytes, max_pixels: int, page: int | None, lenient: bool) -> Opened:
    if data.startswith(b"\xff\xd8"):
        return jpeg.load(data, max_pixels, page, lenient)
    from srgan_tf.io import animations, heif, pillow_formats, png, tiff  # most runs read JPEG alone

    if data.startswith(encoding.PNG_SIGNATURE):
        return png.load(data, max_pixels, page)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return tiff.load(data, max_pixels, page)
    if data[4:12] == b"ftypavis":
        return animations.load_avif(data, max_pixels, page)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
        return heif.load(data, max_pixels, page)
    if data.startswith((b"GIF87a", b"GIF89a")) or (data[:4], data[8:12]) == (b"RIFF", b"WEBP"):
        return animations.load(data, max_pixels, page)
    return pillow_formats.load(data, max_pixels, page)


def _decode(opened: Opened) -> Picture:
    image = spill.decode(opened.image)  # turning upright needs access in any order
    orientation = image.get("orientation") if "orientation" in image.get_fields() else 1
    image = image.autorot()
    notes = list(opened.notes)
    if image.interpretation == "cmyk":
        notes.append("CMYK was converted to sRGB")
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
        image.remove("icc-profile-data")
    has_alpha = image.hasalpha()
    if image.format not in ("uchar", "ushort") or image.interpretation not in ("b-w", "grey16", "srgb", "rgb16"):
        image = image.colourspace("grey16" if image.format == "ushort" and image.bands < 3 else "srgb")
        image = image.cast("uchar" if image.format != "ushort" else "ushort")
    if image.bands > 4 or (image.bands == 4 and not has_alpha):  # further channels of scientific pictures
        notes.append(f"kept 3 of its {image.bands} channels")
        image = image[:3]
    if image.hasalpha():
        image = samples.fill_transparent(image)
    fields, left_out = _metadata(image, orientation)
    notes += [f"left out: {', '.join(left_out)}"] * bool(left_out)
    return Picture(spill.pixels(image), fields, opened.format, notes, opened.quality)


def _metadata(image: pyvips.Image, orientation: int) -> tuple[dict[str, Any], list[str]]:
    """Return the metadata fields to keep, and the names of what XMP no longer describes."""
    fields = {name: image.get(name) for name in image.get_fields() if name.startswith(_KEPT)}
    left_out: list[str] = []
    if "xmp-data" in fields:
        from srgan_tf.io import xmp

        packet, left_out = xmp.upright(fields.pop("xmp-data"), orientation)
        fields |= {"xmp-data": packet} if packet else {}
    if (per_mm := (image.xres, image.yres)) != (1, 1):  # libvips' default
        fields["per-mm"] = per_mm
    return fields, left_out


def write(path, image: np.ndarray) -> None:
    """Write uint8 or uint16 [height, width] or [height, width, bands] as the format of the path's ending.

    Raises:
        ImageError: it cannot be written; then nothing is.
    """
    image = image[..., None] if image.ndim == 2 else image
    encoding.write_rows(path, [image], image.shape, image.dtype)
