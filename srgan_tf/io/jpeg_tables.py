"""JPEG's example quantisation tables, and the quality that a table stands for."""

import numpy as np

# ITU-T T.81, annex K.1: luminance and chrominance, row by row, at quality 50.
LUMA = np.array(
    (
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    )
)
CHROMA = np.array(
    (
        *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
        *(47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32),
    )
)


def quality(ratio: float) -> float:
    """Return libjpeg's quality, 1-100, at which steps are `ratio` times those of LUMA."""
    return max(1.0, 100 - 50 * ratio if ratio <= 1 else 50 / ratio)


def quality_of(table) -> float | None:
    """Return the quality of a luminance table of 64 steps, row by row: the nearest in the mean, None without one."""
    return quality(float(np.mean(np.asarray(table) / LUMA))) if table is not None and len(table) == 64 else None
