"""Real-ESRGAN's small generator, SRVGGNetCompact: convolutions and PReLU at LR size (Wang et al. 2021's code)."""

import keras

from srgan_tf.choices import SCALES
from srgan_tf.models.compact import NearIdentity, UpsampledResidual

layers = keras.layers


@keras.saving.register_keras_serializable("srgan_tf")
class SRVGG(UpsampledResidual):
    """A plain stack of 3x3 convolutions with PReLU that predicts a residual over nearest-neighbour upsampling.

    As published at the defaults (realesr-animevideov3: 621,424 weights); realesr-general-x4v3 has 32 blocks. Community
    models call 16 blocks of 64 channels Compact, 8 of 64 UltraCompact and 8 of 24 SuperUltraCompact.

    Args:
        blocks: convolutions between the first and the last.
        channels: feature maps.
        scale: 1, 2, 3, 4 or 8.
        degradation: as for `BaseGenerator`.

    Call:
        As for `Generator`: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], not clipped.

    Raises:
        ValueError: the architecture does not have this scale or size.
    """

    scales = (1, *SCALES)
    upsampling = "nearest"

    def __init__(self, blocks: int = 16, channels: int = 64, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.parts = {}
        for name in self._names():
            conv, start = f"{name}_conv", NearIdentity()
            self.parts[f"{name}/conv"] = layers.Conv2D(channels, 3, padding="same", kernel_initializer=start, name=conv)
            slope = keras.initializers.Constant(0.25)  # PyTorch's default
            self.parts[f"{name}/prelu"] = layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_prelu")
        # Small, so that SR starts near the upsampled LR.
        start = keras.initializers.VarianceScaling(0.02)
        last = layers.Conv2D(3 * scale**2, 3, padding="same", kernel_initializer=start, name="tail_conv")
        self.parts["tail/conv"] = last
        self.build((None, None, None, 3))

    def _names(self) -> list[str]:
        return ["head", *(f"block{i:02d}" for i in range(self.blocks))]

    def named_layers(self):
        return dict(self.parts)

    def trunk(self, lr, ops):
        head, *blocks = self._names()
        x = ops.stem(lr, f"{head}/conv", f"{head}/prelu")
        for block in blocks:
            x = ops.prelu(ops.conv(x, f"{block}/conv"), f"{block}/prelu")
        return ops.residue(x, "tail/conv"), lr
