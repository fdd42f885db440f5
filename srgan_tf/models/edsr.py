"""The generator of EDSR (Lim et al. 2017, arXiv 1707.02921): residual blocks without batch norm."""

import math

import keras

from srgan_tf.models.base import BaseGenerator


@keras.saving.register_keras_serializable("srgan_tf")
class EDSR(BaseGenerator):
    """EDSR's baseline at the defaults: 1,517,571 weights. EDSR itself has 32 blocks of 256 channels.

    A 3x3 convolution on LR minus DIV2K's mean colour; `blocks` residual blocks of two 3x3 convolutions with ReLU
    between; a 3x3 convolution and the long skip; per factor of 2 (or 3) a 3x3 convolution and a pixel shuffle; a 3x3
    convolution.

    Args:
        blocks: residual blocks.
        channels: feature maps.
        scale: 2, 4 or 8 by factors of 2, 3 at once.
        degradation: as for `BaseGenerator`.

    Call:
        As for `Generator`: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], not clipped.

    Raises:
        ValueError: the architecture does not have this scale or size.
    """

    mean = (0.4488, 0.4371, 0.4040)
    around = ("trunk/conv",)  # convolutions beside head, blocks, upsampling and tail

    def __init__(self, blocks: int = 16, channels: int = 64, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(scale, degradation, **kwargs)
        if blocks < 1 or channels < 1:
            raise ValueError(f"blocks and channels must be at least 1, not {blocks!r} and {channels!r}")
        self.blocks, self.channels = blocks, channels
        self.factors = [3] if scale == 3 else [2] * int(math.log2(scale))
        small = keras.initializers.VarianceScaling(2 * 0.1**2)  # blocks start near the identity
        self.parts = {"head/conv": self._conv(channels, "head/conv")}
        for name in (f"{block}/conv{i}" for block in self._names() for i in (1, 2)):
            self.parts[name] = self._conv(channels, name, small)
        for i, factor in enumerate(self.factors):
            self.parts[f"upsample{i}/conv"] = self._conv(channels * factor**2, f"upsample{i}/conv")
        self.parts |= {name: self._conv(channels, name) for name in self.around}
        self.parts["tail/conv"] = self._conv(3, "tail/conv")
        self._add_parts()
        self.build((None, None, None, 3))

    def _add_parts(self) -> None:
        """Add further layers to `parts`."""

    @staticmethod
    def _conv(filters: int, name: str, start=None) -> keras.layers.Conv2D:
        start = start or keras.initializers.VarianceScaling(1 / 3, distribution="uniform")  # PyTorch's default
        return keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=start, name=name.replace("/", "_"))

    def _names(self) -> list[str]:
        return [f"block{i:02d}" for i in range(self.blocks)]

    def named_layers(self):
        return dict(self.parts)

    def _residual_blocks(self, x, ops):
        for block in self._names():
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

    def get_config(self):
        names = ("blocks", "channels", "scale", "degradation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
