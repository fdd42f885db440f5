"""Read ncnn's models, a .param file with its .bin beside it: layers in order, which get PyTorch's names."""

from srgan_tf.models.foreign.pytorch import Tensor

START = b"7767517"  # of a .param file
_DTYPES = {0: "<f4", 0x01306B47: "<f2"}  # by the tag before a kernel


def read(param: str, weights: bytes) -> dict[str, Tensor]:
    """Return the weights under the names of a Compact or a Real-ESRGAN.

    Args:
        param, weights: the content of the two files.

    Raises:
        ValueError: it is of another architecture, quantised or damaged.
    """
    lines = [line.split() for line in param.splitlines()[2:] if line.strip()]
    kinds = [kind for kind, *_ in lines]
    if any(kind == "Interp" and float(_settings(line).get("1", 1)) < 1 for kind, line in zip(kinds, lines)):
        raise ValueError("it shrinks its result; take the model of its full scale")
    names = _names(kinds)
    content, at, state = memoryview(weights), 0, {}
    for kind, line in zip(kinds, lines):
        if kind not in ("Convolution", "PReLU"):
            continue
        name, settings, dtype = next(names, ""), _settings(line), "<f4"
        filters = count = int(settings["0"])
        shape: tuple[int, ...] = (filters,)
        if kind == "Convolution":
            tag, at = int.from_bytes(content[at : at + 4], "little"), at + 4
            if tag not in _DTYPES:
                raise ValueError(f"a kernel has the tag {tag:#x}: quantised models are not read")
            dtype, count, size = _DTYPES[tag], int(settings["6"]), int(settings["1"])
            shape = (filters, count // (filters * size**2), size, size)
        state[f"{name}.weight"] = Tensor.contiguous(dtype, shape, content[at:])
        at += -(-count * int(dtype[2]) // 4) * 4  # kept at multiples of 4 bytes
        if kind == "Convolution":
            state[f"{name}.bias"] = Tensor.contiguous("<f4", (filters,), content[at:])
            at += 4 * filters
    if at != len(content):
        raise ValueError(f"its .bin has {len(content)} bytes, and its layers {at}")
    return state


def _settings(line: list[str]) -> dict[str, str]:
    """Return a layer's settings by number, which follow its kind, its name and its inputs and outputs."""
    return dict(field.split("=", 1) for field in line[4 + int(line[2]) + int(line[3]) :])


def _names(kinds: list[str]):
    """Yield the names of the layers with weights."""
    convs, ups = kinds.count("Convolution"), kinds.count("Interp")
    if "PReLU" in kinds:
        yield from (f"body.{i}" for i in range(convs + kinds.count("PReLU")))
    yield "conv_first"
    for i in range((convs - 4 - ups) // 15):
        yield from (f"body.{i}.rdb{j}.conv{k}" for j in (1, 2, 3) for k in range(1, 6))
    yield from ("conv_body", *(f"conv_up{i + 1}" for i in range(ups)), "conv_hr", "conv_last")
