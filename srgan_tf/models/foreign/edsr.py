"""EDSR under BasicSR's names (Lim et al. 2017)."""

import numpy as np

from srgan_tf.models.foreign import layers, residual

GENERATOR, KNOWN_AS = "EDSR", "EDSR, as in BasicSR"
VARIANTS = "scales 2, 3, 4 and 8; any blocks and channels"

_LEVELS, _MEAN = 255, np.array([0.4488, 0.4371, 0.4040], np.float32)  # it works on levels minus DIV2K's mean colour
_WIDE, _SCALED = 256, 0.1  # channels of the large model, whose residuals are scaled; no tensor states by how much


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return size and weights of an `EDSR`; None for others, ValueError for unknown variants."""
    if not {"conv_after_body.weight", "body.0.conv1.weight", "upsample.0.weight"} <= set(state):
        return None
    ups = [name for name in (f"upsample.{i}" for i in (0, 2, 4)) if f"{name}.weight" in state]
    found, size = residual.convert(state, "body", ups, ("trunk/conv", "conv_after_body"))
    scaled = _SCALED if size["channels"] >= _WIDE else 1
    for name in (name for name in found if name.endswith("conv2")):
        found[name] = scaled * found[name][0], scaled * found[name][1]
    found["head/conv"] = _LEVELS * found["head/conv"][0], found["head/conv"][1]
    kernel, bias = found["tail/conv"]
    found["tail/conv"] = layers.signed((kernel / _LEVELS, bias / _LEVELS + _MEAN))
    return size, layers.named(found)
