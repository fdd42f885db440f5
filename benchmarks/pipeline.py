"""Print how fast batches are delivered beside how fast steps consume them: `python benchmarks/pipeline.py FOLDER`.

The paper's batch (16 crops of 96x96) and generator; FOLDER holds HR pictures, the bundled ones by default.
"""

import os
import sys
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tensorflow as tf

from srgan_tf import machine
from srgan_tf.data.batches import Photos, patches
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.training.build import build
from srgan_tf.training.recipes import RECIPES


def rate(take, times: int) -> float:
    take()
    start = time.perf_counter()
    for _ in range(times):
        take()
    return times / (time.perf_counter() - start)


def rates(folder: str | None = None) -> tuple[float, float]:
    """Batches a second delivered, and steps a second that consume them."""
    machine.keep_memory()
    batches = iter(patches(Photos(folder or str(PHOTOS / "train"))))
    delivered = rate(lambda: next(batches), 200)
    model = build(RECIPES["srresnet"])
    step, batch = tf.function(model.train_step), next(batches)
    return delivered, rate(lambda: float(step(batch)["loss"]), 5)


if __name__ == "__main__":
    delivered, consumed = rates(*sys.argv[1:2])
    print(f"{delivered:.0f} batches/s delivered, {consumed:.2f} steps/s consumed: {delivered / consumed:.0f} times")
