"""JPEG's quantisation tables and the quality that they stand for."""

import numpy as np

# The standard's example tables (ITU-T T.81, annex K.1) for luminance and chrominance, row by row, of quality 50.
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
    """libjpeg's quality, 1-100, at which steps are `ratio` times those of LUMA."""
    return max(1.0, 100 - 50 * ratio if ratio <= 1 else 50 / ratio)


def quality_of(segments) -> float | None:
    """The quality that a file's luminance table stands for: libjpeg's own number for libjpeg's tables, the nearest in
    the mean for those of cameras; None where it has none.

    Args:
        segments: markers and bodies, as of `jpeg.segments`.
    """
    for marker, body in segments:
        at = 0
        while marker == 0xDB and at < len(body):
            wide, number = body[at] >> 4, body[at] & 15
            table = np.frombuffer(body[at + 1 : at + 65 + 64 * bool(wide)], ">u2" if wide else "u1")
            if number == 0 and len(table) == 64:
                return quality(float(np.mean(table / LUMA[_zigzag()])))
            at += 65 + 64 * bool(wide)
    return None


def _zigzag() -> np.ndarray:
    """Of the 64 places of a table in a file, the row-by-row ones."""
    rows, columns = np.indices((8, 8))
    diagonal = rows + columns
    along = np.where(diagonal % 2, rows, columns)
    return np.lexsort((along.ravel(), diagonal.ravel()))
