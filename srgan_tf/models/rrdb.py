"""The generator of ESRGAN (Wang et al. 2018, arXiv 1809.00219): residual in residual dense blocks, no batch norm."""

import math

import keras

from srgan_tf.choices import SCALES
from srgan_tf.models.base import BlockGenerator, conv_layer, upsampling_factors

RESIDUAL = 0.2  # scale of the residual of each dense block, and of each three of them (section 3.1)


@keras.saving.register_keras_serializable("srgan_tf")
class RRDB(BlockGenerator):
    """ESRGAN's generator, as published at the defaults (figures 3 and 4): 16,697,987 weights.

    A 3x3 convolution; `blocks` times three dense blocks of five 3x3 convolutions and LeakyReLU 0.2; a 3x3 convolution
    and the long skip; per factor of 2, nearest-neighbour upsampling, a 3x3 convolution and LeakyReLU; two 3x3
    convolutions. Real-ESRGAN (Wang et al. 2021) unshuffles LR first for scales 1 and 2; ESRGAN+ (Rakotonirina and
    Rasoanaivo 2020) adds residuals within a dense block.

    Args:
        blocks: residual in residual dense blocks; the paper's is 23 (and 16 in its smaller one).
        channels: feature maps.
        growth: feature maps that each convolution of a dense block adds; half of channels by default.
        scale: 1, 2, 4 or 8 by factors of 2, 3 at once.
        degradation: as for `BaseGenerator`.
        unshuffle: fold blocks of so many pixels a side into channels first, for speed; `scale * unshuffle` is made up
            by the upsampling.
        plus: ESRGAN+'s residuals within a dense block.

    Call: as for `Generator`.
    """

    scales = (1, *SCALES)
    arguments = ("blocks", "channels", "growth", "scale", "degradation", "unshuffle", "plus")

    def __init__(
        self,
        blocks: int = 23,
        channels: int = 64,
        growth: int | None = None,
        scale: int = 4,
        degradation: str = "bicubic",
        unshuffle: int = 1,
        plus: bool = False,
        **kwargs,
    ):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        growth = max(1, channels // 2) if growth is None else growth
        if growth < 1:
            raise ValueError(f"growth must be at least 1, not {growth!r}")
        if unshuffle not in (1, 2, 4) or (unshuffle > 1 and scale == 3):
            raise ValueError(f"unshuffle must be 1, 2 or 4, and 1 for scale 3, not {unshuffle!r}")
        self.growth, self.unshuffle, self.plus, self.tile_multiple = growth, unshuffle, plus, unshuffle
        # 0.1 × He initialisation, "empirically ... easier to train" (section 3.1).
        start = keras.initializers.VarianceScaling(2 * 0.1**2)
        convs = {"head/conv": conv_layer(channels, "head/conv")}
        for dense in (f"{block}/dense{j}" for block in self.block_names() for j in range(3)):
            for i in range(5):
                name = f"{dense}/conv{i}"
                convs[name] = conv_layer(growth if i < 4 else channels, name, start)
            if plus:
                convs[f"{dense}/skip"] = conv_layer(growth, f"{dense}/skip", start, 1)
        self.factors = upsampling_factors(scale * unshuffle)
        self.below = int(math.log2(unshuffle))  # of the factors, those that undo the unshuffle
        names = ["trunk/conv", *(f"upsample{i}/conv" for i in range(len(self.factors))), "refine/conv"]
        convs |= {name: conv_layer(channels, name) for name in names}
        self.convs = {**convs, "tail/conv": conv_layer(3, "tail/conv")}
        self.build((None, None, None, 3))

    def named_layers(self):
        return dict(self.convs)

    def trunk(self, lr, ops):
        x = skip = ops.conv(ops.unshuffle(lr, self.unshuffle) if self.unshuffle > 1 else lr, "head/conv")
        for block in self.block_names():
            y = x
            for dense in (f"{block}/dense{j}" for j in range(3)):
                y = ops.add(y, self._dense(y, dense, ops), dense, RESIDUAL)
            x = ops.add(x, y, block, RESIDUAL)
        x = ops.add(skip, ops.conv(x, "trunk/conv"), "trunk")
        for i in range(self.below):  # to LR's size; the tail takes over between upsampling and convolution
            x = ops.nearest(self._upsampled(x, i - 1, ops) if i else x, 2)
        return (x,)

    def _dense(self, x, dense: str, ops):
        seen, second = x, None
        for i in range(4):
            y = ops.leaky_relu(ops.conv(seen, f"{dense}/conv{i}"), f"{dense}/relu{i}")
            if self.plus and i == 1:
                y = second = ops.add(y, ops.conv(x, f"{dense}/skip"), f"{dense}/plus{i}")
            if self.plus and i == 3:
                y = ops.add(y, second, f"{dense}/plus{i}")
            seen = ops.concat([seen, y], f"{dense}/seen{i}")
        return ops.conv(seen, f"{dense}/conv4")

    @staticmethod
    def _upsampled(x, i: int, ops):
        return ops.leaky_relu(ops.conv(x, f"upsample{i}/conv"), f"upsample{i}")

    def tail(self, features, ops):
        (x,) = features
        for i, factor in enumerate(self.factors):
            if i >= self.below:
                x = ops.nearest(x, factor)
            if i >= self.below - 1:
                x = self._upsampled(x, i, ops)
        return ops.picture(ops.leaky_relu(ops.conv(x, "refine/conv"), "refine"), "tail/conv")
