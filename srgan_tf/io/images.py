"""Picture files to arrays, with all that a file carries beside its pixels.

Decoding is libvips': it keeps 16 bits and metadata where Pillow drops them. Pillow opens the few formats that libvips'
wheel leaves out, BMP above all.
"""

import io
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
from srgan_tf.io.files import reason, write_aside

MAX_PIXELS = 100_000_000  # a damaged or hostile header may promise terabytes

_KEPT = ("icc-profile-data", "exif-", "xmp-data", "iptc-data", "png-comment-", "gif-comment", "image-description")
_PILLOW_FORMATS = ("BMP", "DIB", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "ICO", "QOI")

pyvips.block_untrusted_set(True)  # loaders that libvips' authors would not let loose on strangers' files
pyvips.cache_set_max(0)  # the cache would keep pictures in memory that are done with
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `max_pixels` is the limit here
logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # what matters comes as an exception


@dataclass
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: uint8 or uint16 [height, width, bands]; bands are grey, grey + alpha, RGB or RGB + alpha.
        metadata: what goes along to the file made from it: libvips' field name → (type, value).
        format: ending of the format that it came in, such as ".png".
    """

    pixels: np.ndarray
    metadata: dict[str, tuple] = field(default_factory=dict)
    format: str = ".png"

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


def load(source, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a picture (the first frame, where there are several) with its depth, alpha and metadata.

    The EXIF orientation is applied; palettes become RGB, CMYK becomes sRGB.

    Args:
        source: a path, or what reads like one (`read_bytes`), or the bytes of a file.
        max_pixels: the largest height * width that is decoded.

    Raises:
        ImageError: the file is missing, unreadable, truncated, no picture or too large.
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
        image = _open(data, max_pixels)
        if image.width * image.height > max_pixels:
            raise ImageError(
                f"{name}: {image.width} x {image.height} pixels are more than the limit of {max_pixels / 1e6:g} "
                "megapixels; raise it (--max_megapixels) if you trust the file"
            )
        return _decode(image)
    except ImageError:
        raise
    except (pyvips.Error, OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as e:
        raise ImageError(f"{name}: not a readable picture ({reason(e)})") from None


def _open(data: bytes, max_pixels: int) -> pyvips.Image:
    try:
        return pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="truncated")
    except pyvips.Error as error:
        if error.message != "unable to load from buffer":  # `str(error)` may lack the cause, which threads share
            raise
    try:
        with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as image:
            if image.width * image.height > max_pixels:
                return pyvips.Image.black(image.width, image.height)  # refused by its size, before it is decoded
            return _from_pillow(image)
    except Image.UnidentifiedImageError:
        raise ValueError("no format known here") from None


def _from_pillow(image: Image.Image) -> pyvips.Image:
    info = image.info
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA") and not image.mode.startswith("I"):
        image = image.convert("RGBA" if "transparency" in info or image.mode in ("PA", "RGBa") else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I"):
        pixels = np.clip(pixels, 0, 65535).astype(np.uint16)
    dots = info.get("dpi", (0, 0))
    made = from_array(pixels.reshape(*pixels.shape[:2], -1))
    made = made.copy(**{name: n / 25.4 for name, n in zip(("xres", "yres"), dots) if n > 0})
    if info.get("icc_profile"):
        made.set_type(pyvips.GValue.blob_type, "icc-profile-data", info["icc_profile"])
    return made


def from_array(pixels: np.ndarray) -> pyvips.Image:
    """libvips' view of uint8 or uint16 [height, width, bands]."""
    height, width, bands = pixels.shape
    kind = "ushort" if pixels.dtype == np.uint16 else "uchar"
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(pixels).data, width, height, bands, kind)
    return image.copy(interpretation=_interpretation(bands, kind))


def _interpretation(bands: int, kind: str) -> str:
    return ("b-w" if bands < 3 else "srgb") if kind == "uchar" else ("grey16" if bands < 3 else "rgb16")


def _decode(image: pyvips.Image) -> Picture:
    loader = image.get("vips-loader") if "vips-loader" in image.get_fields() else "bmpload"
    # In memory from here on: turning upright needs random access, and errors of decoding come out.
    image = image.copy_memory().autorot()
    if image.interpretation == "cmyk":
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
        image.remove("icc-profile-data")
    alpha = image.hasalpha()
    if image.format not in ("uchar", "ushort") or image.interpretation not in ("b-w", "grey16", "srgb", "rgb16"):
        image = image.colourspace("grey16" if image.format == "ushort" and image.bands < 3 else "srgb")
        image = image.cast("uchar" if image.format != "ushort" else "ushort")
    if image.bands > 4 or (image.bands == 4 and not alpha):  # further channels of scientific pictures
        image = image[:3]
    if image.hasalpha():
        image = _fill_transparent(image)
    kept = {name for name in image.get_fields() if name.startswith(_KEPT)}
    metadata = {name: (image.get_typeof(name), image.get(name)) for name in kept}
    for name in ("xres", "yres"):
        if image.get(name) != 1:  # libvips' word for a file that says nothing
            metadata[name] = (pyvips.GValue.gdouble_type, image.get(name))
    pixels = image.numpy()
    ending = "." + loader.removesuffix("_buffer").removesuffix("load")
    return Picture(pixels.reshape(*pixels.shape[:2], -1), metadata, ending)


def _fill_transparent(image: pyvips.Image) -> pyvips.Image:
    """Give wholly transparent pixels the colour of the nearest visible ones.

    Files leave black or white there; a network spreads it over the visible edge as a fringe.
    """
    count = image.bands - 1
    colour, alpha = image[0] if count == 1 else image[:count], image[count]
    weight = alpha / (65535 if image.format == "ushort" else 255)
    filled = colour
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
