"""How many letters and digits can still be told apart after x4.

    python benchmarks/legibility.py [--weights=srresnet,srgan,srgan-real]

Each of 336 random characters of Pillow's own font stands in a cell of its own, dark on white, at HR sizes of 16 to 48
px (a capital of size 20 is 3.6 px high in LR). In SR, each cell is taken for the character whose HR rendering has the
highest correlation with it. Prints a Markdown table of the share taken for another. A reader has no such templates, and
guesses by the neighbours: compare models by it, not with people.
"""

import argparse

import numpy as np
from degradations import SCALE, area, bicubic, jpeg
from PIL import Image, ImageDraw, ImageFont

from srgan_tf import Upscaler
from srgan_tf.data.bicubic import enlarge
from srgan_tf.evaluation.tables import markdown

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
ROWS, COLUMNS, SIZES = 14, 24, (16, 20, 24, 32, 48)
CONDITIONS = {"clean": bicubic, "area": area, "JPEG 75": lambda hr: jpeg(bicubic(hr), 75)}


def drawn(text: str, size: int, place: np.ndarray) -> np.ndarray:
    """One character in its cell, grey levels [height, width]."""
    cell = Image.new("L", (size // SCALE * SCALE, int(size * 1.4) // SCALE * SCALE), 255)
    ImageDraw.Draw(cell).text((2 + int(place[0]), int(place[1])), text, fill=10, font=ImageFont.load_default(size))
    return np.asarray(cell)


def normalised(cells: np.ndarray) -> np.ndarray:
    flat = cells.reshape(len(cells), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="srresnet,srgan,srgan-real,auto", help="separated by commas")
    models = {"bicubic": lambda lr: enlarge(lr[None], SCALE).numpy()[0]}
    models |= {name: Upscaler(name) for name in parser.parse_args().weights.split(",")}
    table = []
    for condition, degrade in CONDITIONS.items():
        for size in SIZES:
            rng = np.random.default_rng(size)
            place, which = rng.integers(0, SCALE, 2), rng.integers(0, len(CHARACTERS), ROWS * COLUMNS)
            templates = np.stack([drawn(one, size, place) for one in CHARACTERS])
            height, width = templates.shape[1:]
            page = templates[which].reshape(ROWS, COLUMNS, height, width).swapaxes(1, 2)
            page = page.reshape(ROWS * height, COLUMNS * width)
            lr, wrong = degrade(np.repeat(page[..., None], 3, 2)), []
            for model in models.values():
                sr = np.asarray(model(lr))[..., 1].reshape(ROWS, height, COLUMNS, width).swapaxes(1, 2)
                taken = (normalised(sr.reshape(-1, height, width)) @ normalised(templates).T).argmax(1)
                wrong.append(f"{np.mean(taken != which):.3f}")
            table.append([condition, str(size), *wrong])
            print(*table[-1], flush=True)
    print("\n" + markdown(["LR", "Size", *models], *table))


if __name__ == "__main__":
    main()
