"""Real-ESRGAN's small generator, SRVGGNetCompact: convolutions and PReLU at LR size (Wang et al. 2021's code)."""

import keras

from srgan_tf.choices import SCALES
from srgan_tf.models.base import conv_layer
from srgan_tf.models.compact import NearIdentity, UpsampledResidual


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

    Call: as for `Generator`.
    """

    scales = (1, *SCALES)
    upsampling = "nearest"

    def __init__(self, blocks: int = 16, channels: int = 64, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(blocks, channels, scale, degradation, **kwargs)
        self.parts = {}
        for name in self._names():
            self.parts[f"{name}/conv"] = conv_layer(channels, f"{name}/conv", NearIdentity())
            slope = keras.initializers.Constant(0.25)  # PyTorch's default
            self.parts[f"{name}/prelu"] = keras.layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_prelu")
        self.parts["tail/conv"] = self._last(scale, "tail/conv")
        self.build((None, None, None, 3))

    def _names(self) -> list[str]:
        return ["head", *self.block_names()]

    def named_layers(self):
        return dict(self.parts)

    def trunk(self, lr, ops):
        head, *blocks = self._names()
        x = ops.stem(lr, f"{head}/conv", f"{head}/prelu")
        for block in blocks:
            x = ops.prelu(ops.conv(x, f"{block}/conv"), f"{block}/prelu")
        return ops.residue(x, "tail/conv"), lr
