"""MSRResNet, the SRResNet of ESRGAN's authors: no batch norm, and a residual over bilinear upsampling."""

import keras

from srgan_tf.models.edsr import EDSR


@keras.saving.register_keras_serializable("srgan_tf")
class MSRResNet(EDSR):
    """BasicSR's MSRResNet: 1,517,571 weights at the defaults, and 256 slopes.

    A 3x3 convolution; `blocks` residual blocks as in `EDSR`; per factor of 2 (or 3) a 3x3 convolution and a pixel
    shuffle; two 3x3 convolutions; the result is added to bilinearly upsampled LR. LeakyReLU of slope 0.1 is a PReLU
    here, one slope per channel, and so can be trained.

    Args:
        blocks, channels, scale, degradation: as for `EDSR`.
    """

    around = ("refine/conv",)

    def _add_parts(self):
        for name in ("head", *(f"upsample{i}" for i in range(len(self.factors))), "refine"):
            slope = keras.initializers.Constant(0.1)
            self.parts[f"{name}/prelu"] = keras.layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_prelu")

    def trunk(self, lr, ops):
        return self._residual_blocks(ops.stem(lr, "head/conv", "head/prelu"), ops), lr

    def tail(self, features, ops):
        x, lr = features
        for i, factor in enumerate(self.factors):
            x = ops.prelu(ops.shuffle(ops.conv(x, f"upsample{i}/conv"), factor), f"upsample{i}/prelu")
        x = ops.prelu(ops.conv(x, "refine/conv"), "refine/prelu")
        return ops.onto_enlarged(ops.residue(x, "tail/conv"), lr, self.scale)
