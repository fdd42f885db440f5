"""SPAN as published (Wan et al. 2023), whose convolutions are trained as three in a row beside a 1x1 one."""

import numpy as np

from srgan_tf.models.foreign import layers

GENERATOR, KNOWN_AS = "SPANSiLU", "SPAN"
VARIANTS = "scales 1, 2, 3, 4 and 8; with and without normalisation"

_LEVELS = 255  # SPAN with its mean colour reads levels


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return size and weights of a `SPANSiLU`; None for others, ValueError for unknown variants."""
    if not {"conv_1.sk.weight", "block_1.c1_r.sk.weight", "conv_cat.weight", "upsampler.0.weight"} <= set(state):
        return None
    names = {"head": "conv_1", "end": "conv_2"}
    blocks = len({name.split(".")[0] for name in state if name.startswith("block_")})
    names |= {f"block{i:02d}/conv{j}": f"block_{i + 1}.c{j + 1}_r" for i in range(blocks) for j in range(3)}
    found = {ours: _folded(state, theirs) for ours, theirs in names.items()}
    last, centred = layers.conv(state, "upsampler.0"), "no_norm" not in state
    layers.colours(found["head"][0].shape[2])
    scale = layers.scale_of(last)
    found["fuse"] = layers.conv(state, "conv_cat")
    found["tail/conv"] = layers.before_shuffle(layers.signed(last), scale)
    if centred:
        found["head"] = _LEVELS * found["head"][0], found["head"][1]
    channels = found["head"][0].shape[3]
    for name in found.keys() - {"head", "fuse", "tail/conv"}:
        layers.check(found, name, 3, channels, channels)
    return {"blocks": blocks, "channels": channels, "scale": scale, "centred": centred}, layers.named(found)


def _folded(state: dict, name: str) -> layers.Conv:
    """Fold 1x1, 3x3 and 1x1 convolutions in a row, and a 1x1 one beside them, into one of 3x3."""
    (first, b1), (middle, b2), (last, b3) = (layers.conv(state, f"{name}.conv.{i}") for i in range(3))
    beside, b4 = layers.conv(state, f"{name}.sk")
    kernel = np.einsum("im,hwmn,no->hwio", first[0, 0], middle, last[0, 0], optimize=True)
    kernel[1, 1] += beside[0, 0]
    return kernel, (np.einsum("m,hwmn->n", b1, middle) + b2) @ last[0, 0] + b3 + b4
