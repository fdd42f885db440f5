"""A generator for phones: a twenty-fifth of the paper's weights, of convolutions and ReLU alone."""

import itertools

import keras
import tensorflow as tf

from srgan_tf.models.base import BaseGenerator

layers = keras.layers


@keras.saving.register_keras_serializable("srgan_tf")
class NearIdentity(keras.initializers.HeNormal):
    """He's initial 3x3 kernels, and for as many channels out as in a little of them on top of the identity.

    That is a residual connection folded into its convolution, as in SESR (Bhardwaj et al. 2022).
    """

    def __call__(self, shape, dtype=None, **options):
        kernel = super().__call__(shape, dtype=dtype, **options)
        if shape[2] != shape[3]:
            return kernel
        identity = tf.eye(shape[2], dtype=kernel.dtype)[None, None]
        return 0.1 * kernel + tf.pad(identity, [[1, 1], [1, 1], [0, 0], [0, 0]])


class OntoEnlarged(BaseGenerator):
    """What generators share whose trunk ends in what LR enlarged bilinearly lacks of SR; of `blocks` and `channels`."""

    def __init__(self, blocks: int, channels: int, scale: int, degradation: str, **kwargs):
        super().__init__(scale, degradation, **kwargs)
        if blocks < 1 or channels < 1:
            raise ValueError(f"blocks and channels must be at least 1, not {blocks!r} and {channels!r}")
        self.blocks, self.channels = blocks, channels

    def tail(self, features, ops):
        residue, lr = features
        return ops.onto_enlarged(ops.shuffle(residue, self.scale), lr, self.scale)

    def get_config(self):
        names = ("blocks", "channels", "scale", "degradation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("srgan_tf")
class Compact(OntoEnlarged):
    """A plain stack of 3x3 convolutions at LR size, whose last gives what bilinear interpolation lacks of SR.

    Not the paper's: in the manner of Du et al. 2021 (ABPN), made for int8 on phones. No batch norm; ReLU, which costs
    int8 nothing; and 8 bits need only hold the difference from LR enlarged. Bilinear, for where so small a network
    leaves colours as they are, LR's repeated pixels would show. 57,960 weights at the defaults.

    Args:
        blocks: 3x3 convolutions between the first and the last.
        channels: feature maps.
        scale: 2, 3, 4 or 8.
        degradation: as of `BaseGenerator`.

    Call:
        As of `Generator`: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], not clipped.

    Raises:
        ValueError: at construction, for a scale or size that the architecture does not have.
    """

    def __init__(self, blocks: int = 9, channels: int = 24, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.convs = [
            layers.Conv2D(channels, 3, padding="same", kernel_initializer=NearIdentity(), name=f"conv{i:02d}")
            for i in range(blocks + 1)
        ]
        # He's start is for ReLU, which the last has not; less of it starts near LR enlarged.
        start = keras.initializers.VarianceScaling(0.02)
        self.last = layers.Conv2D(3 * scale**2, 3, padding="same", kernel_initializer=start, name="last")
        self.build((None, None, None, 3))

    def named_layers(self):
        return {layer.name: layer for layer in [*self.convs, self.last]}

    def trunk(self, lr, ops):
        x = lr
        for i in range(self.blocks + 1):
            x = ops.conv(x, f"conv{i:02d}", relu=True)
        return ops.residue(x, "last"), lr

    def equalised(self, kind):
        """Each convolution's result, which the next one alone reads; its channels are even enough but for int8."""
        if kind != "int8":
            return []
        return [([one], [one], [other]) for one, other in itertools.pairwise(self.named_layers())]
