"""The generator of ESRGAN (Wang et al. 2018, arXiv 1809.00219): residual in residual dense blocks, no batch norm."""

import math

import keras

from srgan_tf.choices import SCALES
from srgan_tf.models.base import BaseGenerator

RESIDUAL = 0.2  # scale of the residual of each dense block, and of each three of them (section 3.1)


@keras.saving.register_keras_serializable("srgan_tf")
class RRDB(BaseGenerator):
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

    Call:
        As for `Generator`: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], not clipped.

    Raises:
        ValueError: the architecture does not have this scale or size.
    """

    scales = (1, *SCALES)

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
        super().__init__(scale, degradation, **kwargs)
        growth = max(1, channels // 2) if growth is None else growth
        if min(blocks, channels, growth) < 1:
            raise ValueError(
                f"blocks, channels and growth must be at least 1, not {blocks!r}, {channels!r} and {growth!r}"
            )
        if unshuffle not in (1, 2, 4) or (unshuffle > 1 and scale == 3):
            raise ValueError(f"unshuffle must be 1, 2 or 4, and 1 for scale 3, not {unshuffle!r}")
        self.blocks, self.channels, self.growth = blocks, channels, growth
        self.unshuffle, self.plus, self.tile_multiple = unshuffle, plus, unshuffle
        # 0.1 × He initialisation, "empirically ... easier to train" (section 3.1).
        start = keras.initializers.VarianceScaling(2 * 0.1**2)
        convs = {"head/conv": self._conv(channels, "head/conv")}
        for dense in self._dense_blocks():
            for i in range(5):
                name = f"{dense}/conv{i}"
                convs[name] = self._conv(growth if i < 4 else channels, name, start)
            if plus:
                convs[f"{dense}/skip"] = self._conv(growth, f"{dense}/skip", start, 1)
        self.factors = [3] if scale == 3 else [2] * int(math.log2(scale * unshuffle))
        self.below = int(math.log2(unshuffle))  # of the factors, those that undo the unshuffle
        names = ["trunk/conv", *(f"upsample{i}/conv" for i in range(len(self.factors))), "refine/conv"]
        convs |= {name: self._conv(channels, name) for name in names}
        self.convs = {**convs, "tail/conv": self._conv(3, "tail/conv")}
        self.build((None, None, None, 3))

    @staticmethod
    def _conv(filters: int, name: str, kernel_initializer=None, size: int = 3) -> keras.layers.Conv2D:
        # PyTorch's default, as in the authors' code: Keras' default would give SR ten times the range.
        start = kernel_initializer or keras.initializers.VarianceScaling(1 / 3, distribution="uniform")
        return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=start, name=name.replace("/", "_"))

    def _dense_blocks(self) -> list[str]:
        return [f"block{i:02d}/dense{j}" for i in range(self.blocks) for j in range(3)]

    def named_layers(self):
        return dict(self.convs)

    def trunk(self, lr, ops):
        x = skip = ops.conv(ops.unshuffle(lr, self.unshuffle) if self.unshuffle > 1 else lr, "head/conv")
        for i, dense in enumerate(self._dense_blocks()):
            if i % 3 == 0:
                entered = x
            x = ops.add(x, self._dense(x, dense, ops), dense, RESIDUAL)
            if i % 3 == 2:
                x = ops.add(entered, x, dense.split("/")[0], RESIDUAL)
        x = ops.add(skip, ops.conv(x, "trunk/conv"), "trunk")
        for i in range(self.below):  # to LR's size; the tail takes over between upsampling and convolution
            x = ops.nearest(self._upsampled(x, i - 1, ops) if i else x, 2)
        return (ops.crop(x, lr) if self.below else x,)

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

    def get_config(self):
        names = ("blocks", "channels", "growth", "scale", "degradation", "unshuffle", "plus")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
