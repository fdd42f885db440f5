"""Networks of residual blocks without batch norm, as BasicSR names them."""

import math

from srgan_tf.models.foreign import layers


def convert(state: dict, body: str, ups: list[str], third: tuple[str, str]) -> tuple[dict[str, layers.Conv], dict]:
    """Return convolutions by our names, and the network's size.

    Args:
        body: prefix of the blocks' names.
        ups: names of the upsampling convolutions, in order.
        third: our and their name of the one beside head, blocks, upsampling and tail.

    Raises:
        ValueError: a layer is missing, unknown or misshapen.
    """
    blocks = len({name.split(".")[1] for name in state if name.startswith(f"{body}.")})
    names = {"head/conv": "conv_first", "tail/conv": "conv_last", third[0]: third[1]}
    names |= {f"block{i:02d}/conv{j}": f"{body}.{i}.conv{j}" for i in range(blocks) for j in (1, 2)}
    ups_here = [f"upsample{i}/conv" for i in range(len(ups))]
    names |= dict(zip(ups_here, ups))
    if unknown := {name.rpartition(".")[0] for name in state} - set(names.values()):
        raise ValueError(f"it has a layer {min(unknown)!r} that is not supported")
    found = {ours: layers.conv(state, theirs) for ours, theirs in names.items()}
    channels = found["head/conv"][0].shape[3]
    factors = [math.isqrt(found[name][0].shape[3] // channels) for name in ups_here]
    if factors != [3] and set(factors) != {2}:
        raise ValueError(f"it enlarges by {' and '.join(map(str, factors))}; supported are 3, or factors of 2")
    for name, factor in zip(ups_here, factors):
        layers.check(found, name, 3, channels, channels * factor**2)
        found[name] = layers.before_shuffle(found[name], factor)
    for name in found.keys() - {"head/conv", "tail/conv", *ups_here}:
        layers.check(found, name, 3, channels, channels)
    layers.colours(found["head/conv"][0].shape[2])
    layers.colours(found["tail/conv"][0].shape[3])
    return found, {"blocks": blocks, "channels": channels, "scale": math.prod(factors)}
