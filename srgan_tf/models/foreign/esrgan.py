"""ESRGAN, Real-ESRGAN and BSRGAN: RRDB under the names of three programs (Wang et al. 2018, 2021)."""

import itertools
import math
import re

from srgan_tf.models.foreign import layers

GENERATOR, KNOWN_AS = "RRDB", "ESRGAN, Real-ESRGAN, BSRGAN"
VARIANTS = (
    "scales 1, 2, 4 and 8; any blocks and channels; pixel unshuffle (RealESRGAN_x2plus);"
    " ESRGAN+; one colour channel: colours become grey by luma"
)

_DENSE = re.compile(r"(?:model\.1\.sub|RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)([123])\.conv([1-5]|1x1)(?:\.0)?$")
_TRUNK = re.compile(r"model\.1\.sub\.\d+$|trunk_conv$|conv_body$")
_ENDS = {"conv_first": 0, "HRconv": 98, "conv_hr": 98, "conv_last": 99}


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return size and weights of an `RRDB`; None for others, ValueError for unknown variants."""
    names = {name.rpartition(".")[0] for name in state}
    dense = {name: found for name in names if (found := _DENSE.match(name))}
    trunk = [name for name in names if _TRUNK.match(name)]
    ends = sorted((name for name in names - {*dense, *trunk} if _place(name) is not None), key=_place)
    if not dense or len(trunk) != 1 or len(ends) < 3:
        return None
    if others := names - {*dense, *trunk, *ends}:
        raise ValueError(f"it has a layer {min(others)!r} that ESRGAN's generator has not")
    head, *ups, refine, tail = ends
    new = {found: _new_name(*found.groups()) for found in dense.values()}
    found = {new[match]: layers.conv(state, name) for name, match in dense.items()}
    found |= {"trunk/conv": layers.conv(state, trunk[0]), "refine/conv": layers.conv(state, refine)}
    found |= {f"upsample{i}/conv": layers.conv(state, name) for i, name in enumerate(ups)}
    first, last = layers.conv(state, head), layers.conv(state, tail)
    if first[0].shape[2] in (1, 4, 16) and last[0].shape[3] == 1:  # as for black-and-white comics
        first, last = layers.from_grey(first), layers.to_grey(last)
    unshuffle = math.isqrt(first[0].shape[2] // 3) or 1
    layers.colours(first[0].shape[2], unshuffle)
    layers.colours(last[0].shape[3])
    found |= {"head/conv": layers.after_unshuffle(first, unshuffle), "tail/conv": layers.signed(last)}
    plus, channels = any(match[3] == "1x1" for match in dense.values()), first[0].shape[3]
    blocks, growth = len(dense) // (18 if plus else 15), found["block00/dense0/conv0"][0].shape[3]
    for i, j, k in itertools.product(range(blocks), range(3), range(5)):
        made = growth if k < 4 else channels
        layers.check(found, f"block{i:02d}/dense{j}/conv{k}", 3, channels + k * growth, made)
    for name in ("trunk", "refine", *(f"upsample{i}" for i in range(len(ups)))):
        layers.check(found, f"{name}/conv", 3, channels, channels)
    size = {"blocks": blocks, "channels": channels, "growth": growth, "scale": 2 ** len(ups) // unshuffle}
    return {**size, "unshuffle": unshuffle, "plus": plus}, layers.named(found)


def _place(name: str) -> int | None:
    """Return where in the forward pass a layer outside the dense blocks comes; None for other layers."""
    number = re.match(r"(?:model\.|conv_up|upconv)(\d+)$", name)
    return int(number[1]) if number else _ENDS.get(name)


def _new_name(block: str, dense: str, conv: str) -> str:
    last = "skip" if conv == "1x1" else f"conv{int(conv) - 1}"
    return f"block{int(block):02d}/dense{int(dense) - 1}/{last}"
