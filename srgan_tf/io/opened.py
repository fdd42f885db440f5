"""Result types and helpers of the format readers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyvips

_TYPES = {
    bytes: pyvips.GValue.blob_type,
    str: pyvips.GValue.refstr_type,
    int: pyvips.GValue.gint_type,
    float: pyvips.GValue.gdouble_type,
    list: pyvips.GValue.array_int_type,
}


class Animation(NamedTuple):
    """Frames of a moving picture, all of one size and number of bands.

    Attributes:
        frames: call it for an iterator over uint8 [height, width, 3 or 4], which decodes them anew.
        delays: how long each is shown, in ms.
        plays: how often they are shown; 0: for ever.
    """

    frames: Callable[[], Iterator[np.ndarray]]
    delays: tuple[float, ...]
    plays: int


class Opened(NamedTuple):
    """A picture as its reader leaves it: grey, RGB or CMYK of 8 or 16 bits, alpha behind, with libvips' metadata."""

    image: pyvips.Image  # not yet upright
    format: str
    notes: list[str]
    quality: float | None = None
    frames: int = 1  # of an animation, of which image is the first


@dataclass
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: uint8 or uint16 [height, width, bands]; bands are grey, grey + alpha, RGB or RGB + alpha. Read-only,
            and in a temporary file, where they are large.
        metadata: what goes along to the file made from it: libvips' field name → value; "per-mm" is the
            resolution across and down.
        format: ending of the format that it came in, such as ".png".
        notes: what was chosen among several, or could not be kept, each for one line to the user.
        quality: 1-100, of a JPEG file by its tables, None for others.
        animation: whose first frame it is, where all of them were asked for; else None.
    """

    pixels: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)
    format: str = ".png"
    notes: list[str] = field(default_factory=list)
    quality: float | None = None
    animation: Animation | None = None

    @property
    def has_alpha(self) -> bool:
        return self.pixels.shape[2] in (2, 4)

    def rgb(self) -> np.ndarray:
        """Convert to uint8 RGB [height, width, 3]; alpha is dropped, not blended."""
        colour = self.pixels[..., : self.pixels.shape[2] - self.has_alpha]
        if colour.dtype == np.uint16:
            colour = ((colour.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))


class TooLarge(ValueError):
    """Raised where a picture has more pixels than allowed; the message names the fix."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise TooLarge if a picture has more pixels than allowed."""
    if width * height > max_pixels:
        limit = f"more than the limit of {max_pixels / 1e6:g} megapixels"
        raise TooLarge(f"{width} x {height} pixels are {limit}; raise it (--max_megapixels) if you trust the file")


def with_fields(image: pyvips.Image, fields: dict[str, Any]) -> pyvips.Image:
    """Return the image with these of libvips' metadata fields, and without those that are None or b""."""
    image = image.copy()
    for name, value in fields.items():
        if name in image.get_fields():
            image.remove(name)
        if value is not None and value != b"":
            image.set_type(_TYPES[type(value)], name, value)
    return image


def choose(count: int, page: int | None, kind: str) -> tuple[int, list[str]]:
    """Return the number, from 0, of the picture to take, and a note if others than frames are left out.

    Raises:
        ValueError: there is no such page.
    """
    if page is not None and not 1 <= page <= count:
        raise ValueError(f"it has no {kind} {page}, but {count}")
    if count > 1 and page is None and kind != "frame":
        return 0, [f"the first of {count} {kind}s; --page=N chooses another"]
    return (page or 1) - 1, []
