"""A small generator for phones: convolutions and ReLU, a twenty-fifth of the paper's weights."""

import itertools

import keras
import tensorflow as tf

from srgan_tf.models.base import BaseGenerator

layers = keras.layers


@keras.saving.register_keras_serializable("srgan_tf")
class NearIdentity(keras.initializers.HeNormal):
    """Identity plus 0.1 × He initialisation of 3x3 kernels; He's if channels in and out differ.

    That is a residual connection folded into its convolution, as in SESR (Bhardwaj et al. 2022).
    """

    def __call__(self, shape, dtype=None, **options):
        kernel = super().__call__(shape, dtype=dtype, **options)
        if shape[2] != shape[3]:
            return kernel
        identity = tf.eye(shape[2], dtype=kernel.dtype)[None, None]
        return 0.1 * kernel + tf.pad(identity, [[1, 1], [1, 1], [0, 0], [0, 0]])


class UpsampledResidual(BaseGenerator):
    """Base for generators predicting a residual over upsampled LR."""

    upsampling = "bilinear"

    def __init__(self, blocks: int, channels: int, scale: int, degradation: str, **kwargs):
        super().__init__(scale, degradation, **kwargs)
        if blocks < 1 or channels < 1:
            raise ValueError(f"blocks and channels must be at least 1, not {blocks!r} and {channels!r}")
        self.blocks, self.channels = blocks, channels

    def tail(self, features, ops):
        residue, lr = features
        return ops.onto_enlarged(ops.shuffle(residue, self.scale), lr, self.scale, self.upsampling)

    def get_config(self):
        names = ("blocks", "channels", "scale", "degradation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("srgan_tf")
class Compact(UpsampledResidual):
    """A plain stack of 3x3 convolutions at LR size that predicts a residual over bilinear upsampling.

    Like Du et al. 2021 (ABPN), made for int8 on phones: no batch norm, and ReLU, which int8 gets for free; 8 bits need
    only hold the residual. Over nearest-neighbour upsampling, where ABPN adds it, flat areas of so small a network show
    LR's pixels. 57,960 weights at the defaults.

    Args:
        blocks: 3x3 convolutions between the first and the last.
        channels: feature maps.
        scale: 2, 3, 4 or 8.
        degradation: as for `BaseGenerator`.

    Call:
        As for `Generator`: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], not clipped.

    Raises:
        ValueError: the architecture does not have this scale or size.
    """

    def __init__(self, blocks: int = 9, channels: int = 24, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.convs = [
            layers.Conv2D(channels, 3, padding="same", kernel_initializer=NearIdentity(), name=f"conv{i:02d}")
            for i in range(blocks + 1)
        ]
        # Small, so that SR starts near bilinear upsampling.
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
        """Each convolution's result, read by the next one only; other kinds than int8 do not need it."""
        if kind != "int8":
            return []
        return [([one], [one], [other]) for one, other in itertools.pairwise(self.named_layers())]
