"""Small pictures of noise to train on."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_noise(folder: Path) -> Path:
    """Make the folder, with three pictures of 28x24 px in it."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for n in range(3):
        Image.fromarray(rng.integers(0, 256, (24, 28, 3), dtype=np.uint8)).save(folder / f"{n}.png")
    return folder
