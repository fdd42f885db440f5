"""Samples of pictures: NumPy's arrays as libvips' images, ranges of any dtype as uint8 or uint16, alpha."""

import numpy as np
import pyvips

from srgan_tf.io import spill


def from_array(pixels: np.ndarray) -> pyvips.Image:
    """View uint8 or uint16 [height, width] or [height, width, bands] as libvips' image."""
    height, width, bands = (*pixels.shape, 1)[:3]
    kind = "ushort" if pixels.dtype == np.uint16 else "uchar"
    return as_colour(pyvips.Image.new_from_memory(np.ascontiguousarray(pixels).data, width, height, bands, kind))


def as_colour(image: pyvips.Image) -> pyvips.Image:
    """Have libvips interpret bands as grey or RGB, with alpha."""
    names = ("grey16", "rgb16") if image.format == "ushort" else ("b-w", "srgb")
    return image.copy(interpretation=names[image.bands > 2])


def stretch(pixels: np.ndarray, highest: int) -> np.ndarray:
    """Rescale levels from 0 to `highest` to the whole range of uint8 (up to 255) or uint16."""
    dtype = np.uint8 if highest <= 255 else np.uint16
    top = np.iinfo(dtype).max
    if highest == top:
        return pixels.astype(dtype, copy=False)
    if highest > 65_535:
        return np.concatenate([(rows * (top / highest) + 0.5).astype(dtype) for rows in np.array_split(pixels, 16)])
    return (np.arange(65_536, dtype=np.float64).clip(0, highest) * top / highest + 0.5).astype(dtype)[pixels]


def stretch_shifted(image: pyvips.Image, bits: int) -> pyvips.Image:
    """Move white to its full level in samples of `bits` bits, which decoders shift up to 8 or 16."""
    room = 16 if image.format == "ushort" else 8
    if bits >= room:
        return image
    return as_colour(image.maplut(from_array(stretch(np.arange(2**room)[None] >> (room - bits), 2**bits - 1))))


def levels(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Rescale floats in 0-1 and integers over their whole range to uint16, with a note of what was assumed.

    No format states what is white. The numbers are scaled, not bent: they stay in the file's colour space.

    Raises:
        ValueError: they span another range.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("it holds values that are not numbers (NaN or infinite): replace them first")
    is_float = values.dtype.kind == "f"
    top = 1 if is_float else int(np.iinfo(values.dtype).max)
    # A little outside is what sharpening leaves; below a sixteenth, integers of fewer bits were stored in more.
    if low < -0.05 * is_float or high > 1.05 * top or (not is_float and 0 < high < top / 16):
        raise ValueError(
            f"its {values.dtype.name} samples reach from {low:g} to {high:g}, and nothing says what is white: "
            "scale it to 0-1, or convert it to 16 bits"
        )
    result = spill.empty(values.shape, np.uint16)
    for row in range(0, len(values), 256):  # floats of a whole picture would need several times its memory
        part = values[row : row + 256].astype(np.float64) * (65_535 / top)
        result[row : row + 256] = part.clip(0, 65_535) + 0.5
    outside = ", what lies outside is cut off" if low < 0 or high > top else ""
    return result, f"{values.dtype.name} samples from {low:g} to {high:g}, taken as 0-{top}{outside}"


def join_alpha(colour: pyvips.Image, alpha: pyvips.Image, is_associated: bool) -> pyvips.Image:
    """Join alpha to colour, which is divided by it where it was multiplied by it ("associated")."""
    image = as_colour(colour.bandjoin(alpha))
    if is_associated:
        top = 65_535 if image.format == "ushort" else 255
        image = as_colour(image.unpremultiply(max_alpha=top).rint().cast(colour.format))
    return image


def fill_transparent(image: pyvips.Image) -> pyvips.Image:
    """Give wholly transparent pixels the colour of the nearest visible ones, and far ones the mean of all visible.

    Files leave black or white there; a network spreads it over the visible edge as a fringe, and training crops it.
    """
    count = image.bands - 1
    colour, alpha = image[:count], image[count]
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
