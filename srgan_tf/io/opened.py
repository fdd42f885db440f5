"""What the readers of the formats hand on, and the small things that they share."""

from dataclasses import dataclass, field

import numpy as np
import pyvips

BLOB = pyvips.GValue.blob_type


@dataclass
class Opened:
    """A picture as its format's reader leaves it.

    Attributes:
        image: grey, RGB or CMYK of 8 or 16 bits, alpha behind, with libvips' fields for metadata; not yet upright.
        format: ending of the format, such as ".png".
        notes: what was chosen or could not be kept, each a sentence's part.
        quality: 1-100, of a JPEG file by its tables.
    """

    image: pyvips.Image
    format: str
    notes: list[str] = field(default_factory=list)
    quality: float | None = None


class TooLarge(ValueError):
    """The picture has more pixels than are allowed."""

    def __init__(self, width: int, height: int):
        super().__init__(f"{width} x {height}")
        self.width, self.height = width, height


def from_array(pixels: np.ndarray) -> pyvips.Image:
    """libvips' view of uint8 or uint16 [height, width, bands]."""
    height, width, bands = pixels.shape
    kind = "ushort" if pixels.dtype == np.uint16 else "uchar"
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(pixels).data, width, height, bands, kind)
    return image.copy(interpretation=interpretation(bands, kind))


def interpretation(bands: int, kind: str) -> str:
    return ("b-w" if bands < 3 else "srgb") if kind == "uchar" else ("grey16" if bands < 3 else "rgb16")


def choose(count: int, page: int | None, kind: str) -> tuple[int, list[str]]:
    """The number, from 0, of the picture to take of several, and a note where others are left out.

    Raises:
        ValueError: there is no such picture.
    """
    if page is not None and not 1 <= page <= count:
        raise ValueError(f"it has no {kind} {page}, but {count}")
    if count > 1 and page is None:
        return 0, [f"the first of {count} {kind}s; --page=N chooses another"]
    return (page or 1) - 1, []


def stack(colour: pyvips.Image, alpha: pyvips.Image, associated: bool) -> pyvips.Image:
    """Colour with alpha behind it; colours that were multiplied by alpha ("associated") are divided again."""
    image = colour.bandjoin(alpha).copy(interpretation=interpretation(colour.bands + 1, colour.format))
    if associated:
        top = 65_535 if image.format == "ushort" else 255
        image = image.unpremultiply(max_alpha=top).rint().cast(colour.format)
        image = image.copy(interpretation=interpretation(image.bands, image.format))
    return image
