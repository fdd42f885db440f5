"""LR as people have it, made of HR by fixed seeds: uint8 RGB [height, width, 3], a quarter of HR's size."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from srgan_tf.data.bicubic import downscale

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


def twice(lr):
    """Saved as JPEG 60, cropped so that the blocks move, and saved again as JPEG 85."""
    grown = np.pad(jpeg(lr, 60), ((3, 0), (5, 0), (0, 0)), "edge")
    return jpeg(grown, 85)[3:, 5:]


def enlarged_before(lr):
    """Shrunk to half and enlarged again by Pillow's bicubic."""
    height, width = lr.shape[:2]
    small = Image.fromarray(lr).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def halftone(lr):
    """Printed with round dots 2.5 px apart, each ink's screen at an angle of its own, and scanned."""
    height, width = lr.shape[:2]
    y, x = np.mgrid[: 2 * height, : 2 * width]
    ink = np.asarray(Image.fromarray(lr).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)) / 255
    printed = []
    for colour, angle in enumerate(np.deg2rad((15, 75, 45))):
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        screen = (np.cos(2 * np.pi * along / 5) + np.cos(2 * np.pi * across / 5)) / 4 + 0.5
        printed.append(np.clip((ink[..., colour] - screen) * 4 + 0.5, 0, 1))
    scan = Image.fromarray((255 * np.stack(printed, -1)).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    return np.asarray(scan.resize((width, height), Image.Resampling.BOX))


PHOTOGRAPHS = {
    "clean": lambda hr, seed: bicubic(hr),
    "area": lambda hr, seed: area(hr),
    **{f"JPEG {q}": lambda hr, seed, q=q: jpeg(bicubic(hr), q) for q in (95, 85, 75, 60, 50, 30)},
    "area, JPEG 85": lambda hr, seed: jpeg(area(hr), 85),
    "JPEG 60, moved, JPEG 85": lambda hr, seed: twice(bicubic(hr)),
    **{f"noise {n}": lambda hr, seed, n=n: noisy(bicubic(hr), n, seed) for n in (3, 6, 10, 15)},
    "blur": lambda hr, seed: blurred(hr),
    "blur, noise 5, JPEG 70": lambda hr, seed: jpeg(noisy(blurred(hr), 5, seed), 70),
    "enlarged before": lambda hr, seed: enlarged_before(bicubic(hr)),
    "halftone": lambda hr, seed: halftone(bicubic(hr)),
}
SCREENSHOTS = {
    "text": lambda hr, seed: bicubic(hr),
    "text, area": lambda hr, seed: area(hr),
    "text, JPEG 75": lambda hr, seed: jpeg(bicubic(hr), 75),
}


def screenshot(seed: int) -> np.ndarray:
    """A page of words, 480x640, in one of four sizes and pairs of grey, by Pillow's own font."""
    rng, size = np.random.default_rng(seed), (28, 36, 48, 64)[seed % 4]
    paper, ink = ((255, 20), (250, 60), (30, 230), (240, 0))[seed % 4]
    words = ["the", "quick", "brown", "fox", "jumps", "Settings", "Cancel", "12:45", "Inbox", "receipt", "3.99", "EUR"]
    page = Image.new("RGB", (640, 480), (paper,) * 3)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for y in range(8, 480, int(size * 1.4)):
        colour = (ink,) * 3 if rng.random() < 0.7 else tuple(rng.integers(0, 200, 3).tolist())
        draw.text((10, y), " ".join(rng.choice(words, 12)), fill=colour, font=font)
    return np.asarray(page)
