"""LPIPS and PSNR of pictures as people have them: clean, compressed, noisy, blurred, printed, and of text.

    python benchmarks/degraded.py [--weights=srgan,srgan-real,auto] [--only="JPEG 75;noise 10"] [--data_dir=FOLDER]
    python benchmarks/degraded.py --sheet=real.jpg

HR are the bundled held-out photographs and, where it is found, Set14: none was trained on; and rendered pages of text.
Models run as `srgan-tf upscale` runs them ("auto-fast": with --fast), on JPEG files where JPEG is the condition's last.
Prints a Markdown table, a row per condition: LPIPS-Alex / PSNR on Y, means over the pictures, a border of 4 px left
out; and the LPIPS as a share of bicubic's. --sheet draws held-out ones.
"""

import argparse

import numpy as np
from degradations import PHOTOGRAPHS, SCALE, SCREENSHOTS, screenshot
from PIL import Image

from srgan_tf import Upscaler
from srgan_tf.data.benchmarks import BenchmarkError, find_benchmark
from srgan_tf.data.bicubic import enlarge
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.evaluation import lpips, metrics
from srgan_tf.evaluation.tables import markdown


def pictures(data_dir) -> list[np.ndarray]:
    """uint8 RGB HR, sides multiples of the scale."""
    pairs = find_benchmark(str(PHOTOS / "heldout"), SCALE)
    try:
        pairs += find_benchmark("Set14", SCALE, data_dir)
    except BenchmarkError:
        print("Set14 is not in --data_dir or $SRGAN_TF_DATA: the held-out photographs alone")
    return [np.broadcast_to(hr[0], (*hr.shape[1:3], 3)).copy() for hr, _ in (pair.read() for pair in pairs)]


def score(hr, sr) -> tuple[float, float]:
    hr, sr = hr[None], np.asarray(sr)[None]
    inner = (slice(None), slice(SCALE, -SCALE), slice(SCALE, -SCALE))
    return float(lpips.distance(hr[inner], sr[inner])[0]), float(metrics.psnr(hr, sr, SCALE)[0])


def sheet(path: str, hrs: list, models: dict) -> None:
    """A row a held-out photograph and condition: the middle of it by each model, and HR, zoomed twice."""
    rows, side = [], 44
    for seed, hr in enumerate(hrs[:4]):
        for condition in ("JPEG 75", "blur, noise 5, JPEG 70"):
            lr = PHOTOGRAPHS[condition](hr, seed)
            y, x = ((length - side) // 2 for length in lr.shape[:2])
            made = [np.asarray(model(lr)) for model in models.values()]
            crops = [picture[SCALE * y : SCALE * (y + side), SCALE * x : SCALE * (x + side)] for picture in (*made, hr)]
            rows.append(np.concatenate(crops, 1).repeat(2, 0).repeat(2, 1))
    Image.fromarray(np.concatenate(rows)).save(path, quality=92)
    print(f"{path}: {', '.join([*models, 'HR'])}; in turns JPEG 75, and blur, noise 5, JPEG 70")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="srgan,srgan-real,auto", help="separated by commas")
    parser.add_argument("--only", help="conditions, separated by semicolons (default: all)")
    parser.add_argument("--data_dir", help="where Set14 is (default: $SRGAN_TF_DATA)")
    parser.add_argument("--back_projection", default="auto")
    parser.add_argument("--sheet", help="picture file to draw, in place of the table")
    options = parser.parse_args()
    hrs, models = pictures(options.data_dir), {"bicubic": lambda lr: enlarge(lr[None], SCALE).numpy()[0]}
    for name in options.weights.split(","):
        model, fast = ("auto", True) if name == "auto-fast" else (name, False)
        models[name] = Upscaler(model, back_projection=options.back_projection, fast=fast)
    if options.sheet:
        return sheet(options.sheet, hrs, models)
    grid = {name: (hrs, degrade) for name, degrade in PHOTOGRAPHS.items()}
    grid |= {name: (list(map(screenshot, range(4))), degrade) for name, degrade in SCREENSHOTS.items()}
    print(f"{len(hrs)} photographs, 4 screenshots\n")
    rows = []
    for condition in options.only.split(";") if options.only else grid:
        found, (sharp, degrade) = [], grid[condition]
        lrs = [degrade(hr, seed) for seed, hr in enumerate(sharp)]
        last = condition.split(", ")[-1]
        quality = float(last.removeprefix("JPEG ")) if last.startswith("JPEG ") else None
        for model in models.values():
            ours = isinstance(model, Upscaler)
            made = [model.resolve(lr, quality)(lr) if ours else model(lr) for lr in lrs]
            found.append(np.mean(list(map(score, sharp, made)), 0))
        base = found[0][0]
        cells = [f"{lp:.3f} / {db:.2f}" + f" ({lp / base:.2f})" * (i > 0) for i, (lp, db) in enumerate(found)]
        rows.append([condition, *cells])
        print(*rows[-1], sep="  ", flush=True)
    print("\n" + markdown(["LPIPS / dB (share of bicubic's)", *models], *rows))


if __name__ == "__main__":
    main()
