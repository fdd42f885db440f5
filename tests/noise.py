"""Small pictures of noise to train on."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_noise(folder: Path, side: int = 24) -> Path:
    """Make the folder, with three pictures in it, by default of 28x24 px."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for n in range(3):
        Image.fromarray(rng.integers(0, 256, (side, side + 4, 3), dtype=np.uint8)).save(folder / f"{n}.png")
    return folder
