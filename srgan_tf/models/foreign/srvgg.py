"""SRVGGNetCompact of Real-ESRGAN: Compact, UltraCompact, SuperUltraCompact, realesr-general-x4v3."""

from srgan_tf.models.foreign import layers


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return configuration and weights of an `SRVGG`; None if the state is of another architecture.

    Raises:
        ValueError: it is a variant that is not supported.
    """
    count = max((int(name.split(".")[1]) for name in state if name.split(".")[0] == "body" and _plain(name)), default=0)
    wanted = {f"body.{i}.weight" for i in range(count + 1)} | {f"body.{i}.bias" for i in range(0, count + 1, 2)}
    if count < 4 or set(state) != wanted:
        return None
    convs = [layers.conv(state, f"body.{i}") for i in range(0, count + 1, 2)]
    slopes = [layers.floats(state[f"body.{i}.weight"]) for i in range(1, count, 2)]
    layers.colours(convs[0][0].shape[2])
    scale = layers.scale_of(convs[-1])
    names = ["head", *(f"block{i:02d}" for i in range(len(convs) - 2)), "tail"]
    convs[-1] = layers.doubled(layers.before_shuffle(convs[-1], scale))
    arrays = layers.named({f"{name}/conv": conv for name, conv in zip(names, convs)})
    arrays |= {f"{name}/prelu/alpha": slope for name, slope in zip(names, slopes)}
    config = {"generator": "SRVGG", "blocks": len(convs) - 2, "channels": convs[0][0].shape[3], "scale": scale}
    return config, arrays


def _plain(name: str) -> bool:
    return name.split(".")[1].isdecimal() and name.count(".") == 2
