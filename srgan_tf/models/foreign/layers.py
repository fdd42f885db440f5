"""Convert layers from PyTorch's layout to ours. Kernels: [out, in, h, w] → [h, w, in, out].

Others' generators return SR in [0, 1], ours in [-1, 1]: `signed` and `doubled` fold 2 y - 1 and 2 y into a convolution.
"""

import math

import numpy as np

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
Conv = tuple[np.ndarray, np.ndarray]  # kernel and bias


def floats(tensor) -> np.ndarray:
    """Return a tensor as float32 of its own memory."""
    return np.array(tensor.array(), np.float32)


def conv(state: dict, name: str) -> Conv:
    """Return a convolution; one without bias gets zeros.

    Raises:
        ValueError: it is none.
    """
    kernel = floats(state[f"{name}.weight"])
    if kernel.ndim != 4:
        raise ValueError(f"{name} is no convolution")
    bias = floats(state[f"{name}.bias"]) if f"{name}.bias" in state else np.zeros(len(kernel), np.float32)
    return kernel.transpose(2, 3, 1, 0), bias


def check(found: dict[str, Conv], name: str, size: int, before: int, after: int) -> None:
    """Raise ValueError unless a kernel has this shape: a file's few large layers must not ask for many."""
    if name not in found or found[name][0].shape != (size, size, before, after):
        raise ValueError(f"{name} is missing, or not a {size}x{size} convolution of {before} to {after} channels")


def signed(layer: Conv) -> Conv:
    """Fold 2 y - 1."""
    return 2 * layer[0], 2 * layer[1] - 1


def doubled(layer: Conv) -> Conv:
    """Fold 2 y."""
    return 2 * layer[0], 2 * layer[1]


def from_grey(layer: Conv) -> Conv:
    """Let a convolution that reads grey, in blocks of any size, read RGB, by luma."""
    return np.concatenate([part * layer[0] for part in _LUMA], axis=2), layer[1]


def to_grey(layer: Conv) -> Conv:
    """Let a convolution that makes grey make RGB of it."""
    return layer[0].repeat(3, 3), layer[1].repeat(3)


def before_shuffle(layer: Conv, block: int) -> Conv:
    """Reorder the filters of a convolution before a pixel shuffle: PyTorch has a pixel's colours far apart."""
    order = _order(layer[0].shape[3], block)
    return layer[0][..., order], layer[1][order]


def after_unshuffle(layer: Conv, block: int) -> Conv:
    """Reorder what a convolution reads after a pixel unshuffle."""
    return layer[0][:, :, _order(layer[0].shape[2], block)], layer[1]


def _order(channels: int, block: int) -> np.ndarray:
    return np.arange(channels).reshape(-1, block**2).T.ravel()


def named(layers: dict[str, Conv]) -> dict[str, np.ndarray]:
    """Return arrays by flat name, as in weight files."""
    arrays = {}
    for name, (kernel, bias) in layers.items():
        arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    return arrays


def scale_of(layer: Conv) -> int:
    """Return the side of the blocks of RGB pixels that a convolution makes before a pixel shuffle."""
    scale = max(1, math.isqrt(layer[0].shape[3] // 3))
    colours(layer[0].shape[3], scale)
    return scale


def colours(channels: int, block: int = 1) -> None:
    """Raise ValueError unless so many channels are RGB, in blocks of pixels."""
    if channels != 3 * block**2:
        raise ValueError(f"it has {channels / block**2:g} colour channels, and only RGB is supported")
