"""A run's generator → srgan_tf/pretrained: `python -m tools.ship runs/mine srresnet`, after its card and scores.

Of several runs (`python -m tools.ship runs/one runs/other srgan`) the mean of their weights. The mean shift of each
colour, measured on the bundled training photographs, is taken off the last bias: a GAN's comes to .7 of 255. Saved in
half precision, with the paper's batch norms (which do nothing where a run had none), its SHA-256 beside the others'.
"""

import functools
import hashlib
import sys

import numpy as np

from srgan_tf.data.bundled import photographs
from srgan_tf.inference.loading import load_runner
from srgan_tf.models import weights


def mean(generators: list):
    """The generator whose weights are the mean of these."""
    numbered = enumerate(generators[1:], 2)
    return functools.reduce(lambda so_far, one: weights.blend(so_far, one[1], 1 / one[0]), numbered, generators[0])


def shift(generator) -> np.ndarray:
    """By how much the network alone shifts the mean of each colour, [3], in levels of 255 to two places."""
    runner, found = load_runner(generator, "float32", "tensorflow"), []
    for lr in photographs("train", generator.scale, 96):
        sr = (np.clip(runner(lr), -1, 1) + 1) / 2
        found.append(255 * (sr - lr.repeat(generator.scale, 1).repeat(generator.scale, 2)).mean((0, 1, 2)))
    return np.mean(found, 0).round(2)


def keep_colours(generator) -> None:
    arrays = generator.get_arrays()
    last = list(arrays)[-1]  # the bias of the last convolution: colours, of each pixel where a shuffle follows
    for _ in range(2):  # the first leaves up to a twentieth: colours clip
        arrays[last] = (arrays[last].reshape(-1, 3) - np.float32(shift(generator) / 127.5)).reshape(-1)
        generator.set_arrays(arrays)


if __name__ == "__main__":
    *runs, name = sys.argv[1:]
    generators = [weights.load(run).without_batch_norm() for run in runs]
    generator = mean(generators)
    generator.degradation = generators[-1].degradation
    keep_colours(generator)
    path = weights.PRETRAINED / f"{name}.npz"
    if generator.norms():
        generator = generator.with_batch_norm()
    weights.save_weights(generator, path, "float16")
    weights.write_checksums(weights.checksums() | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()})
    print(path, path.stat().st_size, "bytes; now python -m tools.engines")
