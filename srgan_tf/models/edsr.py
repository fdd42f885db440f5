"""The generator of EDSR (Lim et al. 2017, arXiv 1707.02921): residual blocks without batch norm."""

import keras

from srgan_tf.models.base import BlockGenerator, conv_layer, upsampling_factors


@keras.saving.register_keras_serializable("srgan_tf")
class EDSR(BlockGenerator):
    """EDSR's baseline at the defaults: 1,517,571 weights. EDSR itself has 32 blocks of 256 channels.

    A 3x3 convolution on LR minus DIV2K's mean colour; `blocks` residual blocks of two 3x3 convolutions with ReLU
    between; a 3x3 convolution and the long skip; per factor of 2 (or 3) a 3x3 convolution and a pixel shuffle; a 3x3
    convolution.

    Args:
        blocks: residual blocks.
        channels: feature maps.
        scale: 2, 4 or 8 by factors of 2, 3 at once.
        degradation: as for `BaseGenerator`.

    Call: as for `Generator`.
    """

    mean = (0.4488, 0.4371, 0.4040)
    around = ("trunk/conv",)  # convolutions beside head, blocks, upsampling and tail

    def __init__(self, blocks: int = 16, channels: int = 64, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.factors = upsampling_factors(scale)
        small = keras.initializers.VarianceScaling(2 * 0.1**2)  # blocks start near the identity
        self.parts = {"head/conv": conv_layer(channels, "head/conv")}
        for name in (f"{block}/conv{i}" for block in self.block_names() for i in (1, 2)):
            self.parts[name] = conv_layer(channels, name, small)
        for i, factor in enumerate(self.factors):
            self.parts[f"upsample{i}/conv"] = conv_layer(channels * factor**2, f"upsample{i}/conv")
        self.parts |= {name: conv_layer(channels, name) for name in self.around}
        self.parts["tail/conv"] = conv_layer(3, "tail/conv")
        self._add_parts()
        self.build((None, None, None, 3))

    def _add_parts(self) -> None:
        """Add further layers to `parts`."""

    def named_layers(self):
        return dict(self.parts)

    def _residual_blocks(self, x, ops):
        for block in self.block_names():
            x = ops.add(x, ops.conv(ops.conv(x, f"{block}/conv1", relu=True), f"{block}/conv2"), block)
        return x

    def trunk(self, lr, ops):
        head = ops.conv(ops.centre(lr, self.mean, "centred"), "head/conv")
        return (ops.add(head, ops.conv(self._residual_blocks(head, ops), "trunk/conv"), "trunk"),)

    def tail(self, features, ops):
        (x,) = features
        for i, factor in enumerate(self.factors):
            x = ops.shuffle(ops.conv(x, f"upsample{i}/conv"), factor)
        return ops.picture(x, "tail/conv")
