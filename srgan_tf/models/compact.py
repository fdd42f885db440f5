"""A small generator for phones: convolutions and ReLU, a twenty-fifth of the paper's weights."""

import itertools

import keras
import tensorflow as tf

from srgan_tf.models.base import BlockGenerator, conv_layer


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


class UpsampledResidual(BlockGenerator):
    """Base for generators predicting a residual over upsampled LR, by a last convolution that starts near 0."""

    upsampling = "bilinear"

    @staticmethod
    def _last(scale: int, name: str) -> keras.layers.Conv2D:
        return conv_layer(3 * scale**2, name, keras.initializers.VarianceScaling(0.02))

    def tail(self, features, ops):
        residue, lr = features
        return ops.onto_enlarged(ops.shuffle(residue, self.scale), lr, self.scale, self.upsampling)


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

    Call: as for `Generator`.
    """

    def __init__(self, blocks: int = 9, channels: int = 24, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.convs = [conv_layer(channels, f"conv{i:02d}", NearIdentity()) for i in range(blocks + 1)]
        self.last = self._last(scale, "last")
        self.build((None, None, None, 3))

    def named_layers(self):
        return {layer.name: layer for layer in [*self.convs, self.last]}

    def trunk(self, lr, ops):
        x = lr
        for conv in self.convs:
            x = ops.conv(x, conv.name, relu=True)
        return ops.residue(x, "last"), lr

    def equalised(self, kind):
        """Each convolution's result, read by the next one only; other kinds than int8 do not need it."""
        if kind != "int8":
            return []
        return [([one], [one], [other]) for one, other in itertools.pairwise(self.named_layers())]
