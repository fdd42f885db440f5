"""Seconds for four times the size of a picture of one megapixel, 1024x1024, by each of the shipped weights.

    python benchmarks/megapixel.py [--weights=compact,fast,srgan]

Models run as `srgan-tf upscale` runs them, on pixels, after a small picture that makes them ready; medians of
--repeat runs on all cores. Prints a Markdown table and names the processor.
"""

import argparse
import statistics
import time

import numpy as np
from contenders import mirrored

from srgan_tf import Upscaler, machine
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.evaluation.tables import markdown
from srgan_tf.io import images
from srgan_tf.models import weights


def megapixel() -> np.ndarray:
    """A bundled photograph, mirrored until it fills 1024x1024."""
    return mirrored(images.read(PHOTOS / "heldout" / "coffee.jpg"), 1024, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default=",".join(weights.shipped()), help="separated by commas")
    parser.add_argument("--repeat", type=int, default=1)
    given = parser.parse_args()
    picture, rows = megapixel(), []
    for name in given.weights.split(","):
        upscaler, times = Upscaler(name), []
        upscaler(picture[:64, :64])
        for _ in range(given.repeat):
            started = time.perf_counter()
            upscaler(picture)
            times.append(time.perf_counter() - started)
        rows.append([name, upscaler.precision, f"{statistics.median(times):.1f}"])
        print(*rows[-1], flush=True)
    table = markdown(["weights", "arithmetic", "s/MP"], *rows, left=2)
    print(f"\n{table}\n\n{machine.processor()}, {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
