"""Pairs to train on whose HR lies halfway to what a better teacher makes of their LR.

python -m tools.teach PHOTOS FOLDER [WEIGHTS]    then  train.py --init=srresnet --data=FOLDER/hr --data_lr=FOLDER/lr …

The teacher is the shipped `srresnet`, or other weights, with back-projection, averaged over the half turn and both
diagonals, in which a former `srresnet` was .17 dB better than alone on Set5. Training's own flips and turns bring the
other four symmetries of the square in.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from srgan_tf import Upscaler
from srgan_tf.data.bicubic import downscale
from srgan_tf.io import files, images


def teach(upscaler: Upscaler, lr: np.ndarray) -> np.ndarray:
    """LR uint8 [height, width, 3] → the teacher's SR, float32 0-255."""
    total = np.float32(0)
    for step in (1, -1):
        turned = lr[::step, ::step]
        sr = upscaler(turned) + upscaler(turned.swapaxes(0, 1)).swapaxes(0, 1).astype(np.float32)
        total = total + sr[::step, ::step]
    return total / 4


def make_pairs(upscaler: Upscaler, photos, folder: Path) -> None:
    """Write folder/hr and folder/lr; numbered, since photographs of two folders may have one name."""
    for kind in ("hr", "lr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(files.find(photos)):
        hr = images.read(path)
        height, width = (side // upscaler.scale * upscaler.scale for side in hr.shape[:2])
        hr = hr[:height, :width]
        lr = downscale(hr[None], upscaler.scale)[0].numpy()
        taught = np.rint((teach(upscaler, lr) + hr) / 2)
        for kind, pixels in (("hr", taught), ("lr", lr)):
            with files.write_aside(folder / kind / f"{number:04}-{path.stem}.png") as temporary:
                Image.fromarray(pixels.astype(np.uint8)).save(temporary)
        print(path, flush=True)


if __name__ == "__main__":
    photos, folder, weights = sys.argv[1], sys.argv[2], (*sys.argv[3:], "srresnet")[0]
    make_pairs(Upscaler(weights, back_projection="full"), photos, Path(folder))
