"""SRVGGNetCompact of Real-ESRGAN: Compact, UltraCompact, SuperUltraCompact, realesr-general-x4v3."""

from srgan_tf.models.foreign import layers

GENERATOR, KNOWN_AS = "SRVGG", "Compact (SRVGGNetCompact), UltraCompact, SuperUltraCompact"
VARIANTS = "scales 1, 2, 3, 4 and 8; any blocks and channels"


def convert(state: dict) -> tuple[dict, dict] | None:
    """Return size and weights of an `SRVGG`; None for others, ValueError for unknown variants."""
    count = len({name.split(".")[1] for name in state if name.startswith("body.")}) - 1
    wanted = {f"body.{i}.weight" for i in range(count + 1)} | {f"body.{i}.bias" for i in range(0, count + 1, 2)}
    if count < 4 or set(state) != wanted:
        return None
    convs = [layers.conv(state, f"body.{i}") for i in range(0, count + 1, 2)]
    slopes = [layers.floats(state[f"body.{i}.weight"]) for i in range(1, count, 2)]
    layers.colours(convs[0][0].shape[2])
    scale = layers.scale_of(convs[-1])
    names = ["head", *(f"block{i:02d}" for i in range(len(convs) - 2)), "tail"]
    convs[-1] = layers.doubled(layers.before_shuffle(convs[-1], scale))
    found, channels = {f"{name}/conv": conv for name, conv in zip(names, convs)}, convs[0][0].shape[3]
    for name in names[1:-1]:
        layers.check(found, f"{name}/conv", 3, channels, channels)
    arrays = layers.named(found)
    arrays |= {f"{name}/prelu/alpha": slope for name, slope in zip(names, slopes)}
    return {"blocks": len(convs) - 2, "channels": channels, "scale": scale}, arrays
