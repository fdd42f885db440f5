"""Run by test_strategy.py as a program of its own: TensorFlow's devices and workers are set up once a process.

python distributed_run.py FOLDER STRATEGY[,STRATEGY]: trains a tiny GAN by each, which leaves its weights in FOLDER.
"""

import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf

from srgan_tf import compat
from srgan_tf.models import discriminators
from srgan_tf.training import callbacks, loop
from srgan_tf.training import strategy as strategies
from srgan_tf.training.recipes import Recipe

# SGD tells a wrong gradient where Adam would not; the clip bites at every step of G. Batch norm is synchronised in G;
# in D, over its last 2x2 pixels, it would make much of float32's rounding within a few steps.
RECIPE = Recipe(
    *("tiny", 4),
    **{"blocks": 1, "channels": 4, "batch": 8, "crop": 32, "validate_every": 2, "ema_decay": 0.9},
    **{"optimizer": "SGD", "learning_rate": 0.02, "clip_norm": 0.2, "sync_batch_norm": True},
    **{"discriminator": True, "pooled": True, "spectral_norm": True, "adversarial": "relativistic"},
    **{"adversarial_weight": 0.1, "features": "1,1", "feature_network": "vgg16", "pixel_weight": 1.0},
)


# An eighth of the paper's filters in D.
discriminators.PLAN = tuple((filters // 8, stride) for filters, stride in discriminators.PLAN)


def main(folder: str, name: str) -> None:
    strategy = strategies.choose(name)
    data = os.path.join(folder, "data")
    model, _ = loop.train(
        RECIPE, os.path.join(folder, f"run-{name}"), data, validation=data, strategy=strategy, save_seconds=1e9
    )
    save(folder, name if strategies.is_chief(strategy) else f"{name}-other", model)


def save(folder: str, name: str, model) -> None:
    found = callbacks.variables_of(model)
    arrays = {f"{part}{i}": np.array(compat.local(v)) for part, values in found.items() for i, v in enumerate(values)}
    np.savez(os.path.join(folder, f"{name}.npz"), **arrays)


def die_at(step: int) -> None:
    counted = callbacks.Checkpoints.on_train_batch_end

    def count(self, batch, logs=None):
        counted(self, batch, logs)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.Checkpoints.on_train_batch_end = count


if __name__ == "__main__":
    if "DIE_AT" in os.environ:
        die_at(int(os.environ["DIE_AT"]))
    if "TF_CONFIG" not in os.environ:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    for name in sys.argv[2].split(","):
        main(sys.argv[1], name)
        if name == "one":
            keras.utils.set_random_seed(RECIPE.seed)
            save(sys.argv[1], "start", loop.build(RECIPE))
