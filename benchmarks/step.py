"""What a step against a discriminator costs, by part: `python benchmarks/step.py [--recipe=srgan-photos] [--steps=8]`.

Times whole steps, then steps without D, then without VGG too, in turns; the differences are the parts' shares.
"""

import argparse
import dataclasses
import time

import numpy as np
import tensorflow as tf

from srgan_tf.evaluation.tables import markdown
from srgan_tf.training.build import build, feature_network
from srgan_tf.training.recipes import RECIPES

GENERATORS = {"compact": (9, 24), "srresnet": (16, 64)}  # blocks and channels
PIXELS = {"features": "", "judges": "pixels", "discriminator": False, "texture_weight": 0.0, "pixel_weight": 1.0}


def seconds(model, hr, steps: int) -> list[float]:
    """Return how long each step takes, after one that traces the graph."""
    step, times = tf.function(model.train_step, autograph=False), []
    for _ in range(steps + 1):
        start = time.perf_counter()
        for loss in step(hr).values():
            loss.numpy()
        times.append(time.perf_counter() - start)
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="srgan-photos")
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    rows = []
    for name, (blocks, channels) in GENERATORS.items():
        size = {"generator": name, "blocks": blocks, "channels": channels, "batch_norm": False}
        whole = dataclasses.replace(RECIPES[options.recipe], **size, updates="simultaneous")
        kinds = (whole, dataclasses.replace(whole, discriminator=False), dataclasses.replace(whole, **PIXELS))
        models = [build(kind, network=feature_network(kind) if kind.features else None) for kind in kinds]
        hr = np.random.default_rng(0).integers(0, 256, (whole.batch, whole.crop, whole.crop, 3), np.uint8)
        hr, times = tf.constant(hr), [[] for _ in models]
        for _ in range(2):
            for found, model in zip(times, models):
                found += seconds(model, hr, options.steps // 2)
        all_of_it, without_d, pixels = (float(np.median(found)) for found in times)
        parts = all_of_it, pixels, without_d - pixels, all_of_it - without_d
        rows.append([name, f"{models[0].generator.count_params():,}", *(f"{part:.2f}" for part in parts)])
    print(f"Seconds per step of {whole.batch} crops of {whole.crop} px, medians of {options.steps}:\n")
    print(markdown(["generator", "weights", "step", "G and pixels", "VGG's features", "D"], *rows))


if __name__ == "__main__":
    main()
