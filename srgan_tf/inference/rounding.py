"""Round convolution weights to 8 bits. Importing this needs no TensorFlow."""

import numpy as np


def in_levels(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights as integer multiples of a step per filter, whose largest weight is 127 steps.

    Neighbouring pixels of a channel are nearly equal, so rounding errors of its weights add up. Therefore the weights
    nearest to a rounding boundary are rounded the other way until the sum per filter and channel is within half a step
    of the exact one: the kernel-wise part of SQuant (Guo et al. 2022, arXiv 2202.07471).

    Args:
        kernels: [filters, height, width, channels].

    Returns:
        int8 levels of the same shape, and float32 steps [filters].
    """
    steps = np.maximum(np.abs(kernels).max((1, 2, 3)), 1e-12).astype(np.float32) / 127
    exact = (kernels / steps[:, None, None, None]).reshape(len(kernels), -1, kernels.shape[3])
    levels = np.rint(exact)
    left = exact - levels
    more = np.rint(left.sum(1, keepdims=True))
    for sign in (1, -1):
        rank = np.argsort(np.argsort(-sign * left, 1), 1)
        levels += sign * (rank < sign * more)
    return np.clip(levels, -127, 127).astype(np.int8).reshape(kernels.shape), steps


def on_grid(kernels: np.ndarray) -> np.ndarray:
    """Return the values that `in_levels` represents, for kernels [height, width, channels, filters] as in Keras."""
    levels, steps = in_levels(np.moveaxis(kernels, -1, 0))
    return np.moveaxis(levels * steps[:, None, None, None], 0, -1)
