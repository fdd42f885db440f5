"""make FOLDER: HR/ and LR_x4/ of bundled held-out photographs. score FOLDER RUNS: JSON, PSNR and LPIPS of each."""

import json
import sys
from pathlib import Path

import numpy as np

from srgan_tf.data import bicubic
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.evaluation import lpips, metrics
from srgan_tf.io import images

what, folder = sys.argv[1], Path(sys.argv[2])
if what == "make":
    for path in sorted((PHOTOS / "heldout").glob("*.jpg")):
        hr = images.read(path)
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        for name, picture in (("HR", hr), ("LR_x4", bicubic.downscale(hr[None], 4).numpy()[0])):
            (folder / name).mkdir(parents=True, exist_ok=True)
            images.write(folder / name / f"{path.stem}.png", picture)
else:
    scores = {}
    for run in sys.argv[3].split(","):
        pairs = [
            (images.read(path)[None], images.read(folder / run / path.name)[None])
            for path in sorted((folder / "HR").glob("*.png"))
        ]
        psnr = np.mean([float(np.squeeze(metrics.psnr(hr, sr))) for hr, sr in pairs])
        distance = np.mean([float(np.squeeze(lpips.distance(hr, sr))) for hr, sr in pairs])
        scores[run] = {"psnr": psnr, "lpips": distance}
    print(json.dumps(scores))
