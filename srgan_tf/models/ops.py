"""Backend-neutral ops in which generators are defined once.

`KerasOps` calls the model's layers, `Survey` counts receptive field and multiply-adds, and `inference.fast` and
`export.tflite` compute with arrays. So one definition serves training, inference and export.
"""

from dataclasses import dataclass, replace

import keras
import tensorflow as tf


class Ops:
    """The operations that a generator's definition may use. Pictures are [batch, height, width, channels].

    `name` is a layer of `BaseGenerator.named_layers`; for `add`, `concat` and the like it names the result, whose range
    exporters record.
    """

    def conv(self, x, name: str, relu: bool = False):
        """Zero-padded convolution of stride 1, then ReLU if `relu`."""
        raise NotImplementedError

    def norm(self, x, name: str):
        """Batch norm; x itself if the generator has none."""
        return x

    def prelu(self, x, name: str):
        """PReLU with one slope per channel."""
        raise NotImplementedError

    def stem(self, lr, conv: str, prelu: str):
        """Apply the first convolution and PReLU."""
        return self.prelu(self.conv(lr, conv), prelu)

    def leaky_relu(self, x, name: str):
        """max(x, 0.2 x)."""
        return tf.nn.leaky_relu(x, 0.2)

    def silu(self, x, name: str):
        """x * sigmoid(x)."""
        return tf.nn.silu(x)

    def add(self, x, y, name: str, scale: float = 1.0):
        """x + scale * y: a residual connection, in x's precision."""
        return x + tf.cast(y, x.dtype) * scale if scale != 1 else x + tf.cast(y, x.dtype)

    def gate(self, x, y, name: str):
        """x * (sigmoid(y) - 1/2): attention without weights."""
        return x * (tf.sigmoid(tf.cast(y, x.dtype)) - 0.5)

    def concat(self, xs: list, name: str):
        """Concatenate along the channels."""
        return tf.concat(xs, -1)

    def shuffle(self, x, block: int):
        """Pixel shuffle: channels / block², height and width * block."""
        return tf.nn.depth_to_space(x, block) if block > 1 else x

    def centre(self, lr, colour: tuple, name: str):
        """LR minus a colour, before any padding by zeros."""
        return lr - tf.constant(colour, lr.dtype)

    def unshuffle(self, lr, block: int):
        """Pixel unshuffle of whole blocks: channels * block², height and width / block."""
        return tf.nn.space_to_depth(lr, block)

    def nearest(self, x, factor: int):
        """Nearest-neighbour upsampling."""
        return enlarge(x, factor, "nearest")

    def picture(self, x, name: str, activation: str | None = None):
        """Apply the last convolution and a Keras activation: SR, float32 in [-1, 1], not clipped."""
        raise NotImplementedError

    def residue(self, x, name: str):
        """Apply the last convolution of a residual over upsampled LR: float32."""
        raise NotImplementedError

    def onto_enlarged(self, residue, lr, scale: int, method: str = "bilinear"):
        """Add the residual to upsampled LR ("bilinear" or "nearest"): SR, float32 in [-1, 1], not clipped."""
        return enlarge(tf.cast(lr, tf.float32) * 2 - 1, scale, method) + residue


def enlarge(x, scale: int, method: str) -> tf.Tensor:
    """Upsample: [batch, height, width, channels] → [batch, scale * height, scale * width, channels]."""
    size = [n or tf.shape(x)[axis] for axis, n in zip((1, 2), x.shape[1:3])]
    return tf.image.resize(x, [scale * n for n in size], method) if scale > 1 else x


def in_whole_blocks(network, lr, block: int, scale: int) -> tf.Tensor:
    """Return SR of LR of any size by a network of whole blocks of pixels: mirror LR at right and bottom, cut SR."""
    if all(side and side % block == 0 for side in lr.shape[1:3]) or block == 1:
        return network(lr)
    sides = [side or tf.shape(lr)[axis] for axis, side in zip((1, 2), lr.shape[1:3])]
    for axis, side in zip((1, 2), sides):
        at = tf.range(-(-side // block) * block)
        lr = tf.gather(lr, tf.maximum(tf.minimum(at, 2 * side - 2 - at), 0), axis=axis)
    return network(lr)[:, : scale * sides[0], : scale * sides[1]]


class KerasOps(Ops):
    """Call the layers of a Keras model.

    Args:
        layers: by name.
        training: whether batch norm uses the statistics of the batch.
        rounding: as for `BaseGenerator`.
    """

    def __init__(self, layers: dict[str, keras.layers.Layer], training: bool, rounding: float = 0.0):
        self.layers, self.training, self.rounding = layers, training, rounding

    def _read(self, x):
        """Return what a convolution reads; LR has 8 bits already."""
        return in_eight_bits(x, self.rounding) if self.rounding and x.shape[-1] > 3 else x

    def conv(self, x, name, relu=False):
        x = self.layers[name](self._read(x))
        return tf.nn.relu(x) if relu else x

    def norm(self, x, name):
        return self.layers[name](x, training=self.training) if name in self.layers else x

    def prelu(self, x, name):
        return self.layers[name](x)

    def picture(self, x, name, activation=None):
        layer, x = self.layers[name], self._read(x)
        x = layer(x, training=self.training) if isinstance(layer, OutputConv) else layer(x)
        # float32 under mixed precision too: half of 1/255 is below bfloat16's resolution near 1.
        return keras.activations.get(activation)(tf.cast(x, tf.float32))

    def residue(self, x, name):
        return tf.cast(self.layers[name](self._read(x)), tf.float32)


def in_eight_bits(x, times: float = 1.0):
    """Round x as LiteRT rounds what a convolution reads, with steps `times` as large; gradients pass unchanged.

    255 steps between the least and the largest value, 0 included (Jacob et al. 2018, arXiv 1712.05877, section 3).
    """
    least, most = tf.minimum(tf.reduce_min(x), 0), tf.maximum(tf.reduce_max(x), 0)
    step = tf.maximum((most - least) * times / 255, 1e-6)
    return x + tf.stop_gradient(tf.round(x / step) * step - x)


@dataclass(frozen=True)
class Trace:
    """A tensor of `Survey`: receptive field in LR pixels per side, pixels per LR pixel and axis, channels."""

    reach: float
    density: float
    channels: int


class Survey(Ops):
    """Count instead of computing: tensors are `Trace`s, and `multiply_adds` sums those per LR pixel.

    Layers that are not built yet are built for the channels that reach them.
    """

    def __init__(self, layers: dict[str, keras.layers.Layer]):
        self.layers, self.multiply_adds = layers, 0

    def _built(self, x: Trace, name: str) -> keras.layers.Layer:
        layer = self.layers[name]
        if not layer.built:
            layer.build((None, None, None, x.channels))
        return layer

    def conv(self, x, name, relu=False):
        height, width, channels, filters = self._built(x, name).kernel.shape
        self.multiply_adds += height * width * channels * filters * x.density**2
        return Trace(x.reach + (max(height, width) // 2) / x.density, x.density, filters)

    def norm(self, x, name):
        if name in self.layers:
            self._built(x, name)
        return x

    def prelu(self, x, name):
        self._built(x, name)
        return x

    def _unchanged(self, x, *_):
        return x

    leaky_relu = silu = centre = _unchanged

    def add(self, x, y, name, scale=1.0):
        return replace(x, reach=max(x.reach, y.reach))

    def gate(self, x, y, name):
        return self.add(x, y, name)

    def concat(self, xs, name):
        return Trace(max(x.reach for x in xs), xs[0].density, sum(x.channels for x in xs))

    def shuffle(self, x, block):
        return Trace(x.reach, x.density * block, x.channels // block**2)

    def unshuffle(self, lr, block):
        return Trace(lr.reach + block - 1, lr.density / block, lr.channels * block**2)

    def nearest(self, x, factor):
        return replace(x, density=x.density * factor)

    def picture(self, x, name, activation=None):
        return self.conv(x, name)

    def residue(self, x, name):
        return self.conv(x, name)

    def onto_enlarged(self, residue, lr, scale, method="bilinear"):
        return replace(residue, reach=max(residue.reach, lr.reach + 1))


def fold(kernel, block: int) -> tf.Tensor:
    """Return the equivalent kernel after `space_to_depth(block)`.

    [size, size, channels, filters] → [taps, taps, block² * channels, block² * filters].
    """
    size, _, channels, filters = kernel.shape
    lead = -(size // 2) % block
    taps = -(-(size + lead + block - 1) // block)
    kernels = []
    for row in range(block):
        for column in range(block):
            pads = [[lead + at, taps * block - size - lead - at] for at in (row, column)]
            shifted = tf.reshape(tf.pad(kernel, [*pads, [0, 0], [0, 0]]), [taps, block, taps, block, channels, -1])
            folded = tf.transpose(shifted, [0, 2, 1, 3, 4, 5])
            kernels.append(tf.reshape(folded, [taps, taps, block**2 * channels, filters]))
    return tf.concat(kernels, -1)


def conv_in_columns(x, kernel) -> tf.Tensor:
    """Convolve to few outputs in two parts: one convolution per kernel column, then a sum of shifted columns.

    Convolutions with few outputs run far below a processor's peak: without AVX-512 the paper's last one took 0.26 s
    this way on whole pictures, and 5.3 s with oneDNN.
    """
    rows, columns, channels, filters = kernel.shape
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3]), [rows, 1, channels, columns * filters])
    sums = tf.nn.conv2d(x, kernel, 1, "SAME")
    width, pad = tf.shape(x)[2], columns // 2
    sums = tf.pad(sums, [[0, 0], [0, 0], [pad, pad], [0, 0]])
    return tf.add_n([sums[:, :, i : i + width, i * filters : (i + 1) * filters] for i in range(columns)])


@keras.saving.register_keras_serializable("srgan_tf")
class OutputConv(keras.layers.Conv2D):
    """The last convolution: many channels in, 3 out, at the size of SR.

    In training it runs after `space_to_depth`: a quarter of the positions with four times the outputs (2.4 times as
    fast with gradients; 2 cores, bfloat16). At inference: `conv_in_columns`.

    Args:
        arguments, kwargs: of `Conv2D`.
        block: side of the blocks of pixels, which must divide the picture's.
    """

    def __init__(self, *arguments, block: int = 2, **kwargs):
        super().__init__(*arguments, **kwargs)
        self.block = block

    def get_config(self):
        return {**super().get_config(), "block": self.block}

    def call(self, inputs, training=False):
        inputs = tf.cast(inputs, self.compute_dtype)
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), self.compute_dtype)
        bias = tf.cast(tf.convert_to_tensor(self.bias), self.compute_dtype)
        if not training:
            return conv_in_columns(inputs, kernel) + bias
        folded = tf.nn.conv2d(tf.nn.space_to_depth(inputs, self.block), fold(kernel, self.block), 1, "SAME")
        return tf.nn.depth_to_space(folded, self.block) + bias
