"""MSRResNet, BasicSR's SRResNet without batch norm, under its older and newer names."""

import numpy as np

from srgan_tf.models.foreign import layers, residual

GENERATOR, KNOWN_AS = "MSRResNet", "MSRResNet, as in BasicSR"
VARIANTS = "scales 2, 3 and 4; any blocks and channels"

_SLOPE = 0.1  # of its LeakyReLU


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return size and weights of an `MSRResNet`; None for others, ValueError for unknown variants."""
    for body, refine in (("body", "conv_hr"), ("recon_trunk", "HRconv")):
        if {f"{body}.0.conv1.weight", f"{refine}.weight", "upconv1.weight"} <= set(state):
            break
    else:
        return None
    ups = [name for name in ("upconv1", "upconv2") if f"{name}.weight" in state]
    found, size = residual.convert(state, body, ups, ("refine/conv", refine))
    found["tail/conv"] = layers.doubled(found["tail/conv"])
    arrays, slopes = layers.named(found), np.full(size["channels"], _SLOPE, np.float32)
    before = ("head", "refine", *(f"upsample{i}" for i in range(len(ups))))
    arrays |= {f"{name}/prelu/alpha": slopes for name in before}
    return size, arrays
