"""Generators between the small one and the paper's: SPAN (Wan et al. 2023, arXiv 2311.12770), also with ReLU."""

import keras

from srgan_tf.choices import SCALES
from srgan_tf.models.base import conv_layer
from srgan_tf.models.compact import NearIdentity, UpsampledResidual


@keras.saving.register_keras_serializable("srgan_tf")
class SPAN(UpsampledResidual):
    """Swift parameter-free attention network: what a block adds also gates it (section 3); ReLU in place of SiLU.

    A 3x3 convolution; `blocks` times three 3x3 convolutions, whose result y turns x into (x + y) * (sigmoid(y) - 1/2);
    one more; a 1x1 convolution that reads the first convolution, this one, the first block and the first convolution of
    the last block; and a 3x3 one, whose pixel shuffle is added to bilinear upsampling. All at LR size. 426,288 weights
    at the defaults, the paper's smaller size. What the paper trains as three convolutions and folds is one here, which
    starts near the identity as in `Compact`.

    Args:
        blocks: of three convolutions.
        channels: feature maps.
        scale: 2, 3, 4 or 8.
        degradation: as for `BaseGenerator`.

    Call: as for `Generator`.
    """

    last = "last"

    def __init__(self, blocks: int = 6, channels: int = 48, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        names = [f"{block}/conv{i}" for block in self.block_names() for i in range(3)]
        self.convs = {name: conv_layer(channels, name, NearIdentity()) for name in ("head", *names, "end")}
        self.convs["fuse"] = conv_layer(channels, "fuse", keras.initializers.VarianceScaling(1.0), 1)
        self.convs[self.last] = self._last(scale, self.last)
        self.build((None, None, None, 3))

    def named_layers(self):
        return dict(self.convs)

    def trunk(self, lr, ops):
        return ops.residue(self._features(lr, ops), self.last), lr

    @staticmethod
    def _activated(x, name: str, ops):
        return ops.conv(x, name, relu=True)

    def _features(self, lr, ops):
        x = head = ops.conv(lr, "head")
        first = None
        for block in self.block_names():
            inner = self._activated(x, f"{block}/conv0", ops)
            y = ops.conv(self._activated(inner, f"{block}/conv1", ops), f"{block}/conv2")
            x = ops.gate(ops.add(x, y, block), y, f"{block}/gate")
            first = x if first is None else first
        seen = ops.concat([head, ops.conv(x, "end"), first, inner], "seen")
        return ops.conv(seen, "fuse")


@keras.saving.register_keras_serializable("srgan_tf")
class SPANSiLU(SPAN):
    """SPAN as published: SiLU, and SR by the last convolution alone, without upsampled LR.

    Args:
        centred: subtract DIV2K's mean colour from LR.
        blocks, channels, scale, degradation: as for `SPAN`; scale may also be 1.
    """

    scales = (1, *SCALES)
    last = "tail/conv"
    mean = (0.4488, 0.4371, 0.4040)
    arguments = (*SPAN.arguments, "centred")
    centred = False

    def __init__(
        self,
        blocks: int = 6,
        channels: int = 48,
        scale: int = 4,
        degradation: str = "bicubic",
        centred: bool = False,
        **kwargs,
    ):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.centred = centred

    @staticmethod
    def _activated(x, name, ops):
        return ops.silu(ops.conv(x, name), f"{name}/silu")

    def trunk(self, lr, ops):
        return (self._features(ops.centre(lr, self.mean, "centred") if self.centred else lr, ops),)

    def tail(self, features, ops):
        return ops.shuffle(ops.picture(features[0], self.last), self.scale)
