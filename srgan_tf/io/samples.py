"""Rescale samples of any dtype to uint8 or uint16."""

import numpy as np

from srgan_tf.io import spill


def stretch(pixels: np.ndarray, highest: int) -> np.ndarray:
    """Rescale levels from 0 to `highest` to the whole range of uint8 (up to 255) or uint16."""
    dtype = np.uint8 if highest <= 255 else np.uint16
    top = np.iinfo(dtype).max
    if highest == top:
        return pixels.astype(dtype, copy=False)
    if highest > 65_535:
        return np.concatenate([(rows * (top / highest) + 0.5).astype(dtype) for rows in np.array_split(pixels, 16)])
    return (np.arange(65_536, dtype=np.float64).clip(0, highest) * top / highest + 0.5).astype(dtype)[pixels]


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
