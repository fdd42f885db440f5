"""Decode picture files to arrays, with their metadata.

libvips decodes, as it keeps 16 bits and metadata where Pillow drops them; Pillow decodes what libvips' wheel leaves
out. The modules beside this one correct what either gets wrong, one format each.
"""

import logging
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.errors import ImageError
from srgan_tf.io import alpha, animations, encoding, heif, jpeg, pillow_formats, png, spill, tiff
from srgan_tf.io.files import reason
from srgan_tf.io.opened import Opened, Picture, TooLarge, check_size, choose

MAX_PIXELS = 100_000_000  # a damaged or hostile header may promise terabytes

_KEPT = ("icc-profile-data", "exif-data", "xmp-data", "iptc-data", "png-comment-", "jpeg-comment-")
_KEPT += ("gif-comment", "image-description")
_UNREADABLE = (pyvips.Error, OSError, SyntaxError, EOFError, struct.error)
# Parsers raise these where tags have other types than they should.
_DAMAGED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError)

pyvips.block_untrusted_set(True)  # loaders that libvips' authors would not let loose on strangers' files
pyvips.cache_set_max(0)  # the cache retains finished images
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `max_pixels` is the limit here
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
                picture.animation = animations.opened(data)
            else:
                picture.notes.append(f"the first of {opened.frames} frames; --page=N chooses another")
        return picture
    except TooLarge as error:
        width, height = error.args
        problem = f"{width} x {height} pixels are more than the limit of {max_pixels / 1e6:g} megapixels; raise it "
        raise ImageError(f"{name}: {problem}(--max_megapixels) if you trust the file") from None
    except (ValueError, Image.DecompressionBombError) as error:  # the readers' own name the fix
        raise ImageError(f"{name}: not a readable picture ({reason(error)})") from None
    except _UNREADABLE as error:
        raise ImageError(f"{name}: not a readable picture ({reason(error)}); get an undamaged copy") from None
    except _DAMAGED:
        raise ImageError(f"{name}: damaged, its tags contradict each other; get an undamaged copy") from None


def _open(data: bytes, max_pixels: int, page: int | None, lenient: bool) -> Opened:
    if tiff.is_tiff(data):
        return tiff.load(data, max_pixels, page)
    if data.startswith(png.SIGNATURE):
        return png.load(data, max_pixels, page)
    if data.startswith(b"\xff\xd8"):
        return jpeg.load(data, max_pixels, page, lenient)
    if heif.is_heif(data):
        return heif.load(data, max_pixels, page)
    try:
        return _by_libvips(data, max_pixels, page)
    except pyvips.Error as error:
        if error.message != "unable to load from buffer":  # `str(error)` may lack the cause, which threads share
            raise
    return pillow_formats.load(data, max_pixels, page)


def _by_libvips(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode GIF, WebP and other formats that libvips reads right."""

    def opened(**options) -> pyvips.Image:
        image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated", **options)
        check_size(image.width, image.height, max_pixels)
        return image

    image = opened()
    loader = image.get("vips-loader").removesuffix("_buffer").removesuffix("load")
    count = image.get("n-pages") if "n-pages" in image.get_fields() else 1
    moves = loader in ("gif", "webp")
    number, notes = choose(count, page, "frame" if moves else "page")
    if loader == "gif":
        animations.check_gif(data, number + 1)
        if not data.rstrip(b"\0\r\n").endswith(b";"):
            notes.append("the file lacks its end; all whole frames were kept")
    return Opened(opened(page=number) if number else image, f".{loader}", notes, frames=count if moves else 1)


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
        image = alpha.fill(image)
    fields, left_out = _metadata(image, orientation)
    notes += [f"left out: {', '.join(left_out)}"] * bool(left_out)
    return Picture(spill.pixels(image), fields, opened.format, notes, opened.quality)


def _metadata(image: pyvips.Image, orientation: int) -> tuple[dict[str, tuple], list[str]]:
    """Return the metadata fields to keep, and the names of what XMP no longer describes."""
    fields, left_out = {}, []
    for name in image.get_fields():
        if not name.startswith(_KEPT):
            continue
        try:
            value = image.get(name)
        except UnicodeDecodeError:  # text in some national encoding
            continue
        if name == "xmp-data":
            from srgan_tf.io import xmp

            value, left_out = xmp.upright(value, orientation)
            if not value:
                continue
        fields[name] = (image.get_typeof(name), value)
    for name in ("xres", "yres"):
        if image.get(name) != 1:  # libvips' default
            fields[name] = (pyvips.GValue.gdouble_type, image.get(name))
    return fields, left_out


def write(path, image: np.ndarray) -> None:
    """Write uint8 or uint16 [height, width] or [height, width, bands] as the format of the path's ending.

    Raises:
        ImageError: it cannot be written; then nothing is.
    """
    image = image[..., None] if image.ndim == 2 else image
    encoding.write_rows(path, [image], image.shape, image.dtype)
