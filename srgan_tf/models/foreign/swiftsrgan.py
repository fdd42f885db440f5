"""Swift-SRGAN (Krishnan and Krishnan 2021): the paper's generator with separable convolutions, folded on import."""

import numpy as np

from srgan_tf.models.foreign import layers

GENERATOR, KNOWN_AS = "Generator", "Swift-SRGAN"
VARIANTS = "scales 2, 4 and 8; its separable convolutions are folded"

_EPSILON = 1e-5  # PyTorch's, of batch norm


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return size and weights of a `Generator`; None for others, ValueError for unknown variants."""
    if not {"initial.cnn.depthwise.weight", "final_conv.pointwise.weight"} <= set(state):
        return None
    blocks, ups = (len({name.split(".")[1] for name in state if name.startswith(part)}) for part in ("residual.", "up"))
    head, tail = _folded(state, "initial.cnn"), _folded(state, "final_conv")
    layers.colours(head[0].shape[2])
    layers.colours(tail[0].shape[3])
    channels = head[0].shape[3]
    found, slopes = {"head/conv": head, "tail/conv": tail}, {"head": "initial"}
    for i in range(blocks):
        for j in (1, 2):
            found[f"block{i:02d}/conv{j}"] = _folded(state, f"residual.{i}.block{j}.cnn", f"residual.{i}.block{j}.bn")
        slopes[f"block{i:02d}"] = f"residual.{i}.block1"
    found["trunk/conv"] = _folded(state, "convblock.cnn", "convblock.bn")
    for i in range(ups):
        found[f"upsample{i}/conv"] = layers.before_shuffle(_folded(state, f"upsampler.{i}.conv"), 2)
        slopes[f"upsample{i}"] = f"upsampler.{i}"
        layers.check(found, f"upsample{i}/conv", 3, channels, 4 * channels)
    for name in found.keys() - {"head/conv", "tail/conv", *(f"upsample{i}/conv" for i in range(ups))}:
        layers.check(found, name, 3, channels, channels)
    arrays = layers.named(found)
    arrays |= {f"{ours}/prelu/alpha": layers.floats(state[f"{theirs}.act.weight"]) for ours, theirs in slopes.items()}
    size = {"blocks": blocks, "channels": channels, "scale": 2**ups}
    return {**size, "batch_norm": False, "output_activation": "tanh"}, arrays


def _folded(state: dict, name: str, norm: str = "") -> layers.Conv:
    """Fold a depthwise convolution, a 1x1 one, and a batch norm into one convolution."""
    (deep, before), (point, bias) = (layers.conv(state, f"{name}.{part}") for part in ("depthwise", "pointwise"))
    kernel, bias = np.einsum("hwic,cn->hwcn", deep, point[0, 0]), before @ point[0, 0] + bias
    if norm:
        parts = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (layers.floats(state[f"{norm}.{part}"]) for part in parts)
        factor = gamma / np.sqrt(variance + _EPSILON)
        kernel, bias = kernel * factor, (bias - mean) * factor + beta
    return kernel, bias
