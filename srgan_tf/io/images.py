"""Picture files to arrays, with all that a file carries beside its pixels.

Decoding is libvips': it keeps 16 bits and metadata where Pillow drops them. Pillow opens the few formats that libvips'
wheel leaves out, BMP above all. What either gets wrong is put right in the modules beside this one, a format each.
"""

import logging
import os
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.errors import ImageError
from srgan_tf.io import exif, heif, held, isobmff, jpeg, pillow_formats, png, tiff, tiff_directories
from srgan_tf.io.files import reason, write_aside
from srgan_tf.io.opened import Opened, TooLarge, choose, from_array

MAX_PIXELS = 100_000_000  # a damaged or hostile header may promise terabytes

_KEPT = ("icc-profile-data", "exif-data", "xmp-data", "iptc-data", "png-comment-", "jpeg-comment-")
_KEPT += ("gif-comment", "image-description")

pyvips.block_untrusted_set(True)  # loaders that libvips' authors would not let loose on strangers' files
pyvips.cache_set_max(0)  # the cache would keep pictures in memory that are done with
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `max_pixels` is the limit here
logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # what matters comes as an exception


@dataclass
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: uint8 or uint16 [height, width, bands]; bands are grey, grey + alpha, RGB or RGB + alpha. Read-only,
            and in a temporary file, where they are large.
        metadata: what goes along to the file made from it: libvips' field name → (type, value).
        format: ending of the format that it came in, such as ".png".
        notes: what was chosen among several, or could not be kept, each for one line to the user.
        quality: 1-100, of a JPEG file by its tables, None for others.
    """

    pixels: np.ndarray
    metadata: dict[str, tuple] = field(default_factory=dict)
    format: str = ".png"
    notes: list[str] = field(default_factory=list)
    quality: float | None = None

    @property
    def has_alpha(self) -> bool:
        return self.pixels.shape[2] in (2, 4)

    def rgb(self) -> np.ndarray:
        """uint8 RGB [height, width, 3]; alpha is dropped, not blended."""
        colour = self.pixels[..., : self.pixels.shape[2] - self.has_alpha]
        if colour.dtype == np.uint16:
            colour = ((colour.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))


def read(path) -> np.ndarray:
    """Read a picture upright as uint8 RGB [height, width, 3] in 0-255.

    Greyscale (8 and 16 bit), palette, CMYK and alpha are converted; alpha is dropped, not blended.

    Raises:
        ImageError: the file is missing, unreadable, truncated or no picture.
    """
    return load(path).rgb()


def load(source, max_pixels: int = MAX_PIXELS, page: int | None = None, lenient: bool = False) -> Picture:
    """Decode a picture with its depth, alpha and metadata.

    The EXIF orientation is applied; palettes become RGB, CMYK and L*a*b* become sRGB.

    Args:
        source: a path, or what reads like one (`read_bytes`), or the bytes of a file.
        max_pixels: the largest height * width that is decoded.
        page: which frame or page to take, from 1; None takes the first and says so in the notes.
        lenient: take a JPEG whose last rows are missing, with a note.

    Raises:
        ImageError: the file is missing, unreadable, truncated, no picture, too large or of an unsupported kind.
    """
    name = "standard input" if isinstance(source, bytes) else source
    if isinstance(source, (str, os.PathLike)) and Path(source).is_char_device():
        raise ImageError(f"{name}: a device, not a file")  # /dev/zero would be read until memory runs out
    try:
        file = Path(source) if isinstance(source, (str, os.PathLike)) else source
        data = source if isinstance(source, bytes) else file.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot read it ({error.strerror})") from None
    if not data:
        raise ImageError(f"{name}: the file is empty")
    try:
        return _decode(_open(data, max_pixels, page, lenient))
    except TooLarge as error:
        raise ImageError(
            f"{name}: {error.width} x {error.height} pixels are more than the limit of {max_pixels / 1e6:g} "
            "megapixels; raise it (--max_megapixels) if you trust the file"
        ) from None
    except (pyvips.Error, OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as e:
        raise ImageError(f"{name}: not a readable picture ({reason(e)})") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError):  # tags of other types than they should have
        raise ImageError(f"{name}: not a readable picture (it is damaged: its tags contradict each other)") from None


def _open(data: bytes, max_pixels: int, page: int | None, lenient: bool) -> Opened:
    if tiff_directories.is_tiff(data):
        return tiff.load(data, max_pixels, page)
    if data.startswith(png.SIGNATURE):
        return png.load(data, max_pixels, page)
    if data.startswith(b"\xff\xd8"):
        return jpeg.load(data, max_pixels, page, lenient)
    if isobmff.is_heif(data):
        return heif.load(data, max_pixels, page)
    try:
        return _by_libvips(data, max_pixels, page)
    except pyvips.Error as error:
        if error.message != "unable to load from buffer":  # `str(error)` may lack the cause, which threads share
            raise
    return pillow_formats.load(data, max_pixels, page)


def _by_libvips(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """What libvips reads as it should: GIF, WebP and the like."""
    image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
    loader = image.get("vips-loader").removesuffix("_buffer").removesuffix("load")
    if image.width * image.height > max_pixels:
        raise TooLarge(image.width, image.height)
    count = image.get("n-pages") if "n-pages" in image.get_fields() else 1
    number, notes = choose(count, page, {"gif": "frame", "webp": "frame"}.get(loader, "page"))
    if number:
        image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated", page=number)
        if image.width * image.height > max_pixels:
            raise TooLarge(image.width, image.height)
    return Opened(image, f".{loader}", notes)


def _decode(opened: Opened) -> Picture:
    image = held.decode(opened.image)  # turning upright needs access in any order
    turned = "orientation" in image.get_fields() and image.get("orientation") > 1
    image = image.autorot()
    notes = list(opened.notes)
    if image.interpretation == "cmyk":
        notes.append("CMYK was converted to sRGB")
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
        image.remove("icc-profile-data")
    alpha = image.hasalpha()
    if image.format not in ("uchar", "ushort") or image.interpretation not in ("b-w", "grey16", "srgb", "rgb16"):
        image = image.colourspace("grey16" if image.format == "ushort" and image.bands < 3 else "srgb")
        image = image.cast("uchar" if image.format != "ushort" else "ushort")
    if image.bands > 4 or (image.bands == 4 and not alpha):  # further channels of scientific pictures
        notes.append(f"kept 3 of its {image.bands} channels")
        image = image[:3]
    if image.hasalpha():
        image = _fill_transparent(image)
    return Picture(held.pixels(image), _metadata(image, turned), opened.format, notes, opened.quality)


def _metadata(image: pyvips.Image, turned: bool) -> dict[str, tuple]:
    metadata = {}
    for name in image.get_fields():
        if not name.startswith(_KEPT):
            continue
        try:
            value = image.get(name)
        except UnicodeDecodeError:  # text in some national encoding
            continue
        if name == "xmp-data" and turned:
            value = exif.upright_xmp(value)
        metadata[name] = (image.get_typeof(name), value)
    for name in ("xres", "yres"):
        if image.get(name) != 1:  # libvips' word for a file that says nothing
            metadata[name] = (pyvips.GValue.gdouble_type, image.get(name))
    return metadata


def _fill_transparent(image: pyvips.Image) -> pyvips.Image:
    """Give wholly transparent pixels the colour of the nearest visible ones, and far ones the mean of all visible.

    Files leave black or white there; a network spreads it over the visible edge as a fringe, and training crops it.
    """
    count = image.bands - 1
    colour, alpha = image[0] if count == 1 else image[:count], image[count]
    weight = alpha / (65535 if image.format == "ushort" else 255)
    share = weight.avg()
    if not share:  # nothing is visible
        return image
    mean = [band.avg() / share + 0.5 for band in (colour * weight).bandsplit()]
    filled = (alpha == 0).ifthenelse((colour * 0 + mean).cast(image.format), colour)
    for sigma in (12, 2):  # far pixels coarsely, near ones finely
        around = weight.gaussblur(sigma, min_ampl=0.01, precision="float")
        mean = (colour * weight).gaussblur(sigma, min_ampl=0.01, precision="float") / around
        filled = ((alpha == 0) & (around > 1e-4)).ifthenelse((mean + 0.5).cast(image.format), filled)
    return filled.bandjoin(alpha).copy(interpretation=image.interpretation)


def write(path, image: np.ndarray) -> None:
    """Write a uint8 or uint16 picture as the format of the path's ending, whole or not at all.

    Raises:
        ImageError: it cannot be written.
    """
    image = image[..., None] if image.ndim == 2 else image
    options = {"Q": 95} if Path(path).suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    try:
        with write_aside(path) as temporary:
            from_array(image).write_to_file(temporary, **options)
    except (pyvips.Error, OSError) as error:
        raise ImageError(f"{path}: cannot write it ({reason(error)})") from None
