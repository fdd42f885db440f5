"""A generator as .tflite files for devices, in a form whose int8 runs whole in XNNPACK."""

import itertools
import warnings
from collections import defaultdict

import numpy as np
import tensorflow as tf

from srgan_tf.data.bundled import photographs
from srgan_tf.export.metadata import with_metadata
from srgan_tf.inference.fast import fold_batch_norm
from srgan_tf.models.compact import Compact, enlarge
from srgan_tf.models.srresnet import fold

KINDS = ("float32", "float16", "dynamic", "int8")
# Percent of a tensor's values that may lie beyond each end of its int8 range. By trial on the paper's generator: int8
# loses .148 dB on Set5 with 0.05, .150 with 0.005, .160 with 0.001; on the compact one .10, .02 and .02.
CLIPPED = 0.005
# Times the median of its filter from which on a weight is `_part`ed from it: those that carry a picture through are
# 200 to 3,000 times it in generators that started as an interpolation, others at most 70 times.
LOUD = 100


def convert(generator, kind: str, size: int | None = None, name: str = "generator") -> bytes:
    """A .tflite model: LR [1, h, w, 3] → SR [1, scale * h, scale * w, 3].

    Args:
        generator: a `Generator` or `Compact` of any size and scale.
        kind: "float32", "float16" (weights stored in half precision) and "dynamic" (weights in 8 bits) take and give
            RGB in [0, 1] at any size; "int8" takes and gives uint8 RGB, 0-255, at one size.
        size: LR pixels a side, for int8.
        name: of the model, for its metadata.
    """
    arrays = prepare(generator)
    sides, mark = (None, None), _as_it_is
    if kind == "dynamic":
        _part(arrays)
    if kind == "int8":
        sides, mark = (size, size), _quantised(generator, arrays)
    function = tf.function(network(generator, arrays, mark), [tf.TensorSpec([1, *sides, 3], tf.float32, "lr")])
    # The weights are constants of the graph already: conversion fails on variables that int8 would have to read.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = converter.convert()
    return with_metadata(model, name, generator.scale, kind == "int8", f"{kind}; {generator.context} px of context")


def prepare(generator) -> dict[str, np.ndarray]:
    """The weights for `network`: batch norm folded, channels turned as they must be, the tail before the shuffle."""
    arrays = fold_batch_norm(generator).get_arrays()
    if isinstance(generator, Compact):
        return {**arrays, "last/kernel": arrays["last/kernel"] / 2, "last/bias": arrays["last/bias"] / 2}
    _turn_signs(generator, arrays)
    kernel = fold(arrays["tail/conv/kernel"], generator.shuffle).numpy()
    bias = np.tile(arrays["tail/conv/bias"], generator.shuffle**2)
    if generator.output_activation in (None, "linear"):  # [-1, 1] → [0, 1]
        kernel, bias = kernel / 2, (bias + 1) / 2
    return {**arrays, "tail/conv/kernel": kernel, "tail/conv/bias": bias}


def _as_it_is(x, name: str):
    return tf.clip_by_value(x, 0, 1) if name == "sr" else x


def network(generator, arrays: dict, mark=_as_it_is):
    """LR float32 [1, h, w, 3] in [0, 1] → SR in [0, 1], of CONV_2D, MUL, ADD and DEPTH_TO_SPACE, and the activation's.

    PReLU is x + relu((a - 1) x), the same for every slope a ≤ 1: XNNPACK (LiteRT 2.3) runs neither PRELU nor MAXIMUM
    in int8, but these two, and each has a range of its own. The last PReLU and convolution come before the last
    pixel shuffle: a quarter (or ninth) of the pixels with as many more channels fill a processor's registers, where
    3 outputs leave most of them empty.

    Args:
        arrays: of `prepare`.
        mark: sees each tensor that int8 has to know the range of, and its name; gives what takes its place.
    """

    def conv(x, name, sign=1):
        y = tf.nn.conv2d(x, sign * arrays[f"{name}/kernel"], 1, "SAME") + sign * arrays[f"{name}/bias"]
        if f"{name}/loud" not in arrays:
            return y
        chosen = mark(tf.nn.conv2d(x, arrays[f"{name}/chosen"], 1, "SAME"), f"{name}/chosen")
        loud = tf.nn.conv2d(chosen, sign * arrays[f"{name}/loud"], 1, "SAME")
        return mark(y, f"{name}/quiet/{sign}") + mark(loud, f"{name}/loud/{sign}")

    def compact(lr):
        x = lr = mark(lr, "lr")
        for layer in generator.convs:
            x = mark(tf.nn.relu(conv(x, layer.name)), layer.name)
        x = tf.nn.depth_to_space(mark(conv(x, "last"), "last"), generator.scale)
        return {"sr": mark(x + mark(enlarge(lr, generator.scale), "enlarged"), "sr")}

    if isinstance(generator, Compact):
        return compact
    shuffle, last = generator.shuffle, len(generator.upsample_convs) - 1

    def prelu(x, name, copies=1):
        x = mark(x, name)
        lifted = mark(tf.nn.relu(x * np.tile(arrays[f"{name}/alpha"] - 1, copies)), f"{name}/lifted")
        return mark(x + lifted, f"{name}/sum")

    def upscale(lr):
        lr = mark(lr, "lr")
        # The head's values below 0 are large, and small once PReLU is through: in one tensor with the others they
        # would cost all of these a bit. So each half has a convolution, which is cheap here, and its own range.
        above, below = (mark(tf.nn.relu(conv(lr, "head/conv", sign)), f"head/{sign}") for sign in (1, -1))
        x = skip = mark(above + mark(below * -arrays["head/prelu/alpha"], "head/below"), "head")
        for block in generator.residual_blocks:
            y = prelu(conv(x, f"{block.name}/conv1"), f"{block.name}/prelu")
            y = mark(conv(y, f"{block.name}/conv2"), f"{block.name}/conv2")
            x = mark(x + y, block.name)
        x = mark(mark(conv(x, "trunk/conv"), "trunk/conv") + skip, "trunk")
        for i in range(last):
            x = prelu(conv(x, f"upsample{i}/conv"), f"upsample{i}/prelu", shuffle**2)
            x = tf.nn.depth_to_space(x, shuffle)
        x = prelu(conv(x, f"upsample{last}/conv"), f"upsample{last}/prelu", shuffle**2)
        x = conv(x, "tail/conv")
        if generator.output_activation not in (None, "linear"):
            x = mark(generator.activation(mark(x, "tail")), "activation") * 0.5 + 0.5
        return {"sr": tf.nn.depth_to_space(mark(x, "sr"), shuffle)}

    return upscale


def _scale(arrays: dict, factors, makers, takers, copies: int = 1) -> None:
    """Multiply the channels that `makers` give, and divide them again where `takers` read them: the same function."""
    for name in makers:
        arrays[f"{name}/kernel"] = arrays[f"{name}/kernel"] * np.tile(factors, copies)
        arrays[f"{name}/bias"] = arrays[f"{name}/bias"] * np.tile(factors, copies)
    for name in takers:
        arrays[f"{name}/kernel"] = arrays[f"{name}/kernel"] / factors[:, None]


def _turn_signs(generator, arrays: dict) -> None:
    """Turn the channels of PReLU slopes above 1 round: PReLU(-y) = -(y + relu((a - 1) y)) there."""
    pairs = [(f"{b.name}/prelu", f"{b.name}/conv1", f"{b.name}/conv2", 1) for b in generator.residual_blocks]
    convs = [f"upsample{i}/conv" for i in range(len(generator.upsample_convs))]
    for i, (conv, taker) in enumerate(zip(convs, [*convs[1:], "tail/conv"])):
        pairs.append((f"upsample{i}/prelu", conv, taker, generator.shuffle**2))
    for prelu, conv, taker, copies in pairs:
        _scale(arrays, np.where(arrays[f"{prelu}/alpha"] > 1, np.float32(-1), 1), [conv], [taker], copies)


def _equalise(generator, arrays: dict, seen: dict) -> None:
    """Give the channels of the residual stream, which the head and all blocks add up, one range.

    One of them reaches ten times as far as another, and int8 has one step for all.
    """
    if isinstance(generator, Compact):
        names = [layer.name for layer in [*generator.convs, generator.last]]
        for name, reader in itertools.pairwise(names):
            reach = np.max(seen[name], 0) / np.max(seen[name])
            _scale(arrays, 1 / np.maximum(reach, 0.01), [name], [reader])
        return
    blocks = [block.name for block in generator.residual_blocks]
    reach = np.max([np.max(seen[name], 0) / np.max(seen[name]) for name in ("head", *blocks)], 0)
    stream = ["trunk/conv", *(f"{name}/conv2" for name in blocks)]
    readers = ["upsample0/conv", "trunk/conv", *(f"{name}/conv1" for name in blocks)]
    _scale(arrays, 1 / np.maximum(reach, 0.01), ["head/conv", *stream], readers)


def _part(arrays: dict) -> None:
    """Take the weights that are far larger than the rest of their kernels into small kernels of their own.

    A filter has one step for all its weights in 8 bits. Where some carry the picture through and the others add
    detail (as `start_as_interpolation` has it), that step would leave nothing of the others. The large ones lie in few
    channels, near the middle: "chosen" picks these channels, "loud" has their large weights, 0 for the others.
    """
    for name in [name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel")]:
        kernel = arrays[f"{name}/kernel"]
        loud = np.abs(kernel) > LOUD * np.median(np.abs(kernel), (0, 1, 2))
        if not loud.any():
            continue
        channels, middle = np.flatnonzero(loud.any((0, 1, 3))), kernel.shape[0] // 2
        reach = np.abs(np.argwhere(loud)[:, :2] - middle).max()
        part = np.ix_(*[range(middle - reach, middle + reach + 1)] * 2, channels)
        arrays[f"{name}/chosen"] = np.eye(kernel.shape[2], dtype=np.float32)[None, None, :, channels]
        arrays[f"{name}/loud"] = (kernel * loud)[part]
        arrays[f"{name}/kernel"] = kernel * ~loud


def _quantised(generator, arrays: dict):
    """The `mark` that rounds tensors to int8 ranges measured on the bundled photographs; equalises the arrays too.

    Not by the converter's calibrator: it runs ADD and MAXIMUM in place and takes their results for their inputs'
    values, which cost the paper's generator 2.6 dB on Set5 (TensorFlow 2.21).
    """
    _equalise(generator, arrays, _measured(generator, arrays, lambda x: np.abs(x).max((0, 1, 2))))
    _part(arrays)
    ends = _measured(generator, arrays, lambda x: np.percentile(x, [CLIPPED, 100 - CLIPPED]))
    ranges = {name: (min(0, np.min(values)), max(1e-6, np.max(values))) for name, values in ends.items()}
    for loud, quiet in ((f"head/conv/{part}/{sign}" for part in ("loud", "quiet")) for sign in (1, -1)):
        if loud in ranges:  # what it cannot lift above 0 is lost in the ReLU
            ranges[quiet] = (max(ranges[quiet][0], -ranges[loud][1]), ranges[quiet][1])
    ranges |= dict.fromkeys(("lr", "enlarged", "sr"), (0, 1))  # so that uint8 in and out are the pictures' own values
    return lambda x, name: tf.quantization.fake_quant_with_min_max_args(x, *map(float, ranges[name]))


def _measured(generator, arrays: dict, measure) -> dict[str, list]:
    """measure(x) of each marked tensor [1, h, w, channels] for each of the photographs, as it is and in loud colours.

    Without the latter, ranges end where no photograph has a pure colour: one of red pencils lost 5 dB.
    """
    seen = defaultdict(list)

    def mark(x, name):
        seen[name].append(measure(np.asarray(x)))
        return x

    run = network(generator, arrays, mark)
    for lr in photographs("train", generator.scale, 96):
        grey = lr.mean(-1, keepdims=True)
        for picture in (lr, np.clip(grey + 4 * (lr - grey), 0, 1)):
            run(tf.constant(picture))
    return seen
