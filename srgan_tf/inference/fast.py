"""The generator made quick for inference: the same function with fewer and cheaper operations."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from srgan_tf.models.compact import Compact, enlarge
from srgan_tf.models.srresnet import Generator

# LR px a side of the pieces of the second half: 128 and the context on both sides. Overlap costs time, and size memory:
# on 2 cores with bfloat16, x4 of 1280x720 took 17.1 s with 102 px, 16.5 with 131, 16.3 with 206; of 128x128 0.265 s in
# 102 px, 0.250 in one piece, which took 161 MiB for 24.
PIECE = 134


@dataclass(frozen=True)
class Span:
    """A tile along one axis: it sees the pixels start to stop, and answers for those from first to last."""

    start: int
    stop: int
    first: int
    last: int


def spans(size: int, window: int, context: int, shrink: bool = True) -> list[Span]:
    """Tiles of one common length, at most `window` (that very length unless `shrink`), that cover `size` pixels.

    No tile reaches beyond the picture: the network pads with zeros at every layer there, and has to see the very
    border to do the same in a tile. Elsewhere each tile sees `context` pixels more than it answers for.
    """
    if size <= window:
        return [Span(0, size, 0, size)]
    count = -(-(size - 2 * context) // (window - 2 * context))
    step = -(-(size - 2 * context) // count) if shrink else window - 2 * context
    window = step + 2 * context
    starts = [min(i * step, size - window) for i in range(count)]
    cuts = [0, *(start + context + step for start in starts[:-1]), size]
    return [Span(start, start + window, first, last) for start, first, last in zip(starts, cuts, cuts[1:])]


def tiled(function, x, window, context, scale: int, map=map, shrink: bool = True) -> np.ndarray:
    """function(x), [1, height, width, channels] → [1, scale * height, scale * width, ...], tile by tile.

    window and context are numbers, or pairs of them for rows and columns; shrink is as of `spans`. A thread pool's
    `map` in place of Python's has several tiles in work at once.
    """
    (tall, wide), (above, beside) = np.broadcast_to(window, 2).tolist(), np.broadcast_to(context, 2).tolist()
    height, width = x.shape[1:3]
    if height <= tall and width <= wide:
        return np.asarray(function(x))
    columns = spans(width, wide, beside, shrink)
    places = [(row, column) for row in spans(height, tall, above, shrink) for column in columns]
    tiles = map(lambda at: function(x[:, at[0].start : at[0].stop, at[1].start : at[1].stop]), places)
    result = None
    for place, tile in zip(places, tiles):
        if result is None:
            result = np.empty((1, scale * height, scale * width, tile.shape[-1]), np.asarray(tile).dtype)
        here = [slice(scale * s.first, scale * s.last) for s in place]
        there = [slice(scale * (s.first - s.start), scale * (s.last - s.start)) for s in place]
        result[:, here[0], here[1]] = tile[:, there[0], there[1]]
    return result


def mean_of_flips(function, lr: np.ndarray) -> np.ndarray:
    """The mean SR over the eight flips and quarter turns of LR [n, height, width, bands], each turned back."""
    total = np.float32(0)
    for turns in range(4):
        for step in (1, -1):
            sr = function(np.rot90(lr, turns, (1, 2))[:, :, ::step])
            total = total + np.rot90(sr[:, :, ::step], -turns, (1, 2))
    return total / np.float32(8)


def fold_batch_norm(generator: Generator) -> Generator:
    """The same function at inference without batch norm: each is multiplied into the convolution before it."""
    if not generator.batch_norm:
        return generator
    arrays = generator.get_arrays()
    for conv, norm, epsilon in _norms(generator):
        gamma, beta, mean, variance = (arrays.pop(f"{norm}/{name}") for name in _NORM)
        factor = gamma / np.sqrt(variance + epsilon)
        arrays[f"{conv}/kernel"] = arrays[f"{conv}/kernel"] * factor
        arrays[f"{conv}/bias"] = (arrays[f"{conv}/bias"] - mean) * factor + beta
    result = _like(generator, batch_norm=False)
    result.set_arrays(arrays)
    return result


def add_batch_norm(generator: Generator) -> Generator:
    """The same function at inference with the paper's batch norms, which leave everything as it is."""
    if generator.batch_norm:
        return generator
    arrays, result = generator.get_arrays(), _like(generator, batch_norm=True)
    for _, norm, epsilon in _norms(result):
        for name, value in zip(_NORM, (1, 0, 0, 1 - epsilon)):
            arrays[f"{norm}/{name}"] = np.full(generator.channels, value, np.float32)
    result.set_arrays(arrays)
    return result


_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def _norms(generator: Generator) -> list[tuple[str, str, float]]:
    """Each convolution's name, its batch norm's, and the norm's epsilon."""
    pairs = [(f"{b.name}/conv{i}", f"{b.name}/bn{i}", b.bn1) for b in generator.residual_blocks for i in (1, 2)]
    pairs.append(("trunk/conv", "trunk/bn", generator.trunk_bn))
    return [(conv, norm, layer.epsilon) for conv, norm, layer in pairs]


def _like(generator: Generator, batch_norm: bool) -> Generator:
    names = ("blocks", "channels", "scale", "output_activation", "degradation")
    return Generator(**{name: getattr(generator, name) for name in names}, batch_norm=batch_norm)


class FastGenerator:
    """A generator as two compiled functions of any size: LR → features, and features → SR.

    Batch norm is folded, and PReLU is `maximum(x, a x)`, the same for slopes a ≤ 1. The first function holds most of
    the context and has small tensors; the second holds most of the memory and needs `tail_context` alone, so that it
    can run on much smaller pieces, which stay in the processor's cache.

    Args:
        generator: the network.
        dtype: of the convolutions, tf.float32 or tf.bfloat16. The first and the last one and the sums of the residual
            blocks are always float32: half a level of 255 is below bfloat16's resolution near 1.
    """

    def __init__(self, generator: Generator, dtype=tf.float32):
        self.scale, self.context = generator.scale, generator.context
        # What is left of the context after the trunk: half or third pixels count as whole ones.
        self.tail_context = generator.context - (4 + 2 * generator.blocks + 1)
        folded = fold_batch_norm(generator)
        arrays = folded.get_arrays()
        self._compile(folded, arrays, dtype, tf.TensorSpec([None, None, None, generator.channels], dtype))

    def _compile(self, generator, arrays: dict, dtype, features: tf.TensorSpec) -> None:
        self.generator, self._dtype, self.precision = generator, dtype, dtype.name
        self._weights = {
            name: tf.constant(array, tf.float32 if name.startswith(("head/", "tail/")) else dtype)
            for name, array in arrays.items()
        }
        # The signature leaves sizes open: one graph serves every tile of every picture.
        picture = tf.TensorSpec([None, None, None, 3], tf.float32)
        self.trunk = tf.function(self._trunk, input_signature=[picture])
        self.tail = tf.function(self._tail, input_signature=[features])

    def __call__(self, lr) -> np.ndarray:
        """LR float [1, height, width, 3] in [0, 1] → SR float32 [1, scale * height, scale * width, 3] in [-1, 1]."""
        return tiled(self.tail, self.trunk(lr), PIECE, self.tail_context, self.scale)

    def _conv(self, x, name: str):
        kernel, bias = self._weights[f"{name}/kernel"], self._weights[f"{name}/bias"]
        return tf.nn.bias_add(tf.nn.conv2d(tf.cast(x, kernel.dtype), kernel, 1, "SAME"), bias)

    def _prelu(self, x, name: str):
        slope = self._weights[f"{name}/alpha"]
        if tf.reduce_all(slope <= 1):
            return tf.maximum(x, slope * x)
        return tf.nn.relu(x) - slope * tf.nn.relu(-x)

    def _trunk(self, lr):
        x = skip = self._prelu(self._conv(lr, "head/conv"), "head/prelu")
        for block in self.generator.residual_blocks:
            y = self._prelu(self._conv(x, f"{block.name}/conv1"), f"{block.name}/prelu")
            x = x + tf.cast(self._conv(y, f"{block.name}/conv2"), x.dtype)
        return tf.cast(tf.cast(self._conv(x, "trunk/conv"), x.dtype) + skip, self._dtype)

    def _tail(self, x):
        generator = self.generator
        for i in range(len(generator.upsample_convs)):
            x = tf.nn.depth_to_space(self._conv(x, f"upsample{i}/conv"), generator.shuffle)
            x = self._prelu(x, f"upsample{i}/prelu")
        kernel, bias = self._weights["tail/conv/kernel"], self._weights["tail/conv/bias"]
        return generator.activation(generator.tail_conv.in_columns(tf.cast(x, kernel.dtype), kernel) + bias)


class FastCompact(FastGenerator):
    """`FastGenerator` for `Compact`, whose second function is the pixel shuffle and bilinear interpolation alone."""

    def __init__(self, generator: Compact, dtype=tf.float32):
        self.scale, self.context, self.tail_context = generator.scale, generator.context, 1
        features = tf.TensorSpec([None, None, None, 3 * generator.scale**2 + 3], tf.float32)
        self._compile(generator, generator.get_arrays(), dtype, features)

    def _trunk(self, lr):
        x = lr
        for conv in self.generator.convs:
            x = tf.nn.relu(self._conv(x, conv.name))
        return tf.concat([tf.cast(self._conv(x, "last"), tf.float32), lr * 2 - 1], -1)

    def _tail(self, x):
        return tf.nn.depth_to_space(x[..., :-3], self.scale) + enlarge(x[..., -3:], self.scale)


def fast(generator, dtype=tf.float32) -> FastGenerator:
    """The fast form of a `Generator` or `Compact`."""
    return (FastCompact if isinstance(generator, Compact) else FastGenerator)(generator, dtype)
