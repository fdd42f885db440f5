"""Samples of any type to levels of 8 or 16 bits: what range a file's numbers span, where its format does not say."""

import numpy as np

_DARKEST = 16  # a picture's brightest sample is not below this part of white; else the guess at the range is wrong
_ROWS = 256  # at a time: floats of a whole picture would need several times its memory


def stretch(pixels: np.ndarray, highest: int) -> np.ndarray:
    """Levels from 0 to `highest` as uint8 (up to 255) or uint16, spread over the whole range of that type."""
    dtype = np.uint8 if highest <= 255 else np.uint16
    top = np.iinfo(dtype).max
    if highest == top:
        return pixels.astype(dtype)
    if highest > 65_535:
        return np.concatenate([(rows * (top / highest) + 0.5).astype(dtype) for rows in np.array_split(pixels, 16)])
    table = (np.arange(65_536, dtype=np.float64).clip(0, highest) * top / highest + 0.5).astype(dtype)
    return table[pixels]


def levels(values: np.ndarray, colours: int) -> tuple[np.ndarray, list[str]]:
    """Floats, signed and 32-bit numbers [height, width, bands] as uint16 (or uint8), and notes of what was assumed.

    The numbers are scaled, not bent: they stay in the colour space that the file's profile states.

    Args:
        colours: the bands that are colour; any behind them, alpha, is scaled by itself.

    Raises:
        ValueError: the range cannot be told.
    """
    highest, kept, note = _range(values[..., :colours])
    notes = [note]
    tops = [highest] * values.shape[2]
    if values.shape[2] > colours:
        alpha = _range(values[..., colours:])[0] if values[..., colours:].any() else highest
        tops[colours:] = [alpha] * (values.shape[2] - colours)
    dtype = np.uint8 if kept == 255 else np.uint16
    scale = np.iinfo(dtype).max / np.array(tops, np.float64)
    result = np.empty(values.shape, dtype)
    for row in range(0, len(values), _ROWS):
        part = values[row : row + _ROWS] * scale
        result[row : row + _ROWS] = (part.clip(0, np.iinfo(dtype).max) + 0.5).astype(dtype)
    return result, [text for text in notes if text]


def _range(values: np.ndarray) -> tuple[float, int, str]:
    """The number that means white, the highest level to keep it as (255 or 65535), and a note."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("it holds values that are not numbers (NaN or infinite): replace them first")
    kind, bits = values.dtype.kind, values.dtype.itemsize * 8
    if kind == "f":
        return _float_range(values, low, high)
    if low < 0:
        raise ValueError(f"its samples reach from {low:g} to {high:g}, and signed ones have no agreed black and white")
    full = int(np.iinfo(values.dtype).max)
    for top in (255, 65_535):
        if top / _DARKEST <= high <= top < full:
            # Few pictures of 32 bits stay below 1/65536 of the range; files that hold smaller integers do.
            return top, top, f"{bits}-bit integers up to {high:.0f}, taken as 0-{top}"
    if 0 < high < full / _DARKEST:
        raise ValueError(
            f"its {bits}-bit samples end at {high:.0f}, and nothing says what is white: convert it to 16 bits"
        )
    return full, 255 if full < 256 else 65_535, f"{bits}-bit integers, taken as 0-{full}"


def _float_range(values: np.ndarray, low: float, high: float) -> tuple[float, int, str]:
    for top in (1, 255, 65_535):
        # A little outside is what sharpening leaves; a dark picture of the larger range is not below the smaller one.
        if high <= top * 1.05 and low >= -0.05 * top:
            outside = low < 0 or high > top
            if top > 1 and (high < top / _DARKEST or np.median(values[values > 0]) < 1):
                break  # or mostly below 1: light with bright spots, whose white nobody knows
            text = f"floating-point samples from {low:g} to {high:g}, taken as 0-{top}"
            return top, 65_535, text + (", what lies outside is cut off" if outside else "")
    raise ValueError(
        f"its floating-point samples reach from {low:g} to {high:g}, and nothing says what is white: scale it to 0-1"
    )
