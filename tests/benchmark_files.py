"""Where tests find Set5 and Set14, which have no licence and so are not in the repository."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(os.environ.get("SRGAN_TF_DATA", "nowhere"))


def need(benchmark: str) -> Path:
    """The benchmark's folder; the test is skipped without it."""
    if not (ROOT / benchmark / "LR_x4").is_dir():
        pytest.skip(f"needs {benchmark} (HR and LR_x4): see CONTRIBUTING.md, and set SRGAN_TF_DATA")
    return ROOT / benchmark


def pictures(benchmark: str):
    """HR and LR x4 as uint8 [1, height, width, 3 or 1], read without the package."""
    for path in sorted((need(benchmark) / "HR").glob("*.png")):
        pair = [np.asarray(Image.open(p)) for p in (path, path.parent.parent / "LR_x4" / path.name)]
        yield tuple(array[None, :, :, None] if array.ndim == 2 else array[None] for array in pair)
