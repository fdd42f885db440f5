"""A benchmark of noisy and compressed pictures: `python benchmarks/degraded.py FOLDER`, of the bundled held-out ones.

Writes FOLDER/HR and FOLDER/LR_x4: LR by bicubic, once as JPEG of quality 40, once with Gaussian noise of 10 of 255.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from srgan_tf.data.bicubic import downscale
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.io import images

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder, rng = Path(sys.argv[1]), np.random.default_rng(0)
    for name in ("HR", "LR_x4"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in sorted((PHOTOS / "heldout").glob("*.jpg")):
        hr = images.read(path)
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        lr = downscale(hr[None], 4).numpy()[0]
        noisy = np.clip(np.rint(lr + rng.normal(0, 10, lr.shape)), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / "LR_x4" / f"{path.stem}-noise.png")
        Image.fromarray(lr.astype(np.uint8)).save(folder / "lr.jpg", quality=40)
        Image.open(folder / "lr.jpg").save(folder / "LR_x4" / f"{path.stem}-jpeg.png")
        for kind in ("noise", "jpeg"):
            Image.fromarray(hr).save(folder / "HR" / f"{path.stem}-{kind}.png")
    (folder / "lr.jpg").unlink()
    print(f"python evaluate.py --weights=srgan,srgan-real --benchmark={folder.name} --data_dir={folder.parent} --sheet")
