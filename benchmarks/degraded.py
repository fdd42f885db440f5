"""LPIPS and PSNR of pictures as people have them: clean, shrunk by area, compressed, blurred, noisy.

    python benchmarks/degraded.py --weights=srgan,srgan-real [--data_dir=FOLDER] [--sheet=real.jpg]

HR are the bundled held-out photographs and, where it is found, Set14: none was trained on. LR is made of them by fixed
seeds. Models run as `upscale.py` runs them. Prints two Markdown tables: LPIPS-Alex / PSNR on Y, means over the
pictures, a border of 4 px left out; and each LPIPS as a share of bicubic's. --sheet draws held-out ones.
"""

import argparse
import io

import numpy as np
from PIL import Image, ImageFilter

from srgan_tf import Upscaler
from srgan_tf.data.benchmarks import BenchmarkError, find_benchmark
from srgan_tf.data.bicubic import downscale, enlarge
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.evaluation import lpips, metrics
from srgan_tf.evaluation.tables import markdown

SCALE = 4


def bicubic(hr):
    return downscale(hr[None], SCALE).numpy()[0]


def area(hr):
    height, width = (side // SCALE for side in hr.shape[:2])
    return np.floor(hr.reshape(height, SCALE, width, SCALE, 3).mean((1, 3)) + 0.5).astype(np.uint8)


def blurred(hr):
    return bicubic(np.asarray(Image.fromarray(hr).filter(ImageFilter.GaussianBlur(2))))


def jpeg(lr, quality: int):
    file = io.BytesIO()
    Image.fromarray(lr).save(file, "JPEG", quality=quality)  # 4:2:0, Pillow's default
    return np.asarray(Image.open(file))


def noisy(lr, sigma: float, seed: int):
    noise = np.random.default_rng(seed).normal(0, sigma, lr.shape)
    return np.clip(np.rint(lr + noise), 0, 255).astype(np.uint8)


CONDITIONS = {
    "clean": lambda hr, seed: bicubic(hr),
    "area, JPEG 85": lambda hr, seed: jpeg(area(hr), 85),
    "JPEG 75": lambda hr, seed: jpeg(bicubic(hr), 75),
    "JPEG 50": lambda hr, seed: jpeg(bicubic(hr), 50),
    "blur, noise 5, JPEG 70": lambda hr, seed: jpeg(noisy(blurred(hr), 5, seed), 70),
    "noise 10": lambda hr, seed: noisy(bicubic(hr), 10, seed),
}


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
            lr = CONDITIONS[condition](hr, seed)
            y, x = ((length - side) // 2 for length in lr.shape[:2])
            made = [np.asarray(model(lr)) for model in models.values()]
            crops = [picture[SCALE * y : SCALE * (y + side), SCALE * x : SCALE * (x + side)] for picture in (*made, hr)]
            rows.append(np.concatenate(crops, 1).repeat(2, 0).repeat(2, 1))
    Image.fromarray(np.concatenate(rows)).save(path, quality=92)
    print(f"{path}: {', '.join([*models, 'HR'])}; in turns JPEG 75, and blur, noise 5, JPEG 70")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="srresnet,srgan,srgan-real", help="separated by commas")
    parser.add_argument("--data_dir", help="where Set14 is (default: $SRGAN_TF_DATA)")
    parser.add_argument("--back_projection", default="auto")
    parser.add_argument("--sheet", help="picture file to draw, in place of the tables")
    options = parser.parse_args()
    hrs, models = pictures(options.data_dir), {"bicubic": lambda lr: enlarge(lr[None], SCALE).numpy()[0]}
    models |= {name: Upscaler(name, back_projection=options.back_projection) for name in options.weights.split(",")}
    if options.sheet:
        return sheet(options.sheet, hrs, models)
    found = {name: {} for name in models}
    for condition, degrade in CONDITIONS.items():
        lrs = [degrade(hr, seed) for seed, hr in enumerate(hrs)]
        for name, model in models.items():
            scores = [score(hr, model(lr)) for hr, lr in zip(hrs, lrs)]
            found[name][condition] = tuple(np.mean(scores, 0))
    cells = [[name, *(f"{lp:.3f} / {db:.2f}" for lp, db in row.values())] for name, row in found.items()]
    print(f"{len(hrs)} pictures\n\n{markdown(['LPIPS / dB', *CONDITIONS], *cells)}\n")
    base = found["bicubic"]
    shares = {name: [f"{lp / base[c][0]:.2f}" for c, (lp, _) in row.items()] for name, row in found.items()}
    cells = [[name, *row] for name, row in shares.items() if name != "bicubic"]
    print(markdown(["LPIPS, share of bicubic's", *CONDITIONS], *cells))


if __name__ == "__main__":
    main()
