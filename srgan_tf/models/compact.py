"""A generator for phones: a twenty-fifth of the paper's weights, of convolutions and ReLU alone."""

import keras
import tensorflow as tf

from srgan_tf.models.base import NamedArrays

layers = keras.layers


@keras.saving.register_keras_serializable("srgan_tf")
class NearIdentity(keras.initializers.HeNormal):
    """He's initial 3x3 kernels, and for as many channels out as in a little of them on top of the identity.

    That is a residual connection folded into its convolution, as in SESR (Bhardwaj et al. 2022).
    """

    def __call__(self, shape, dtype=None, **options):
        kernel = super().__call__(shape, dtype=dtype, **options)
        if shape[2] != shape[3]:
            return kernel
        identity = tf.eye(shape[2], dtype=kernel.dtype)[None, None]
        return 0.1 * kernel + tf.pad(identity, [[1, 1], [1, 1], [0, 0], [0, 0]])


@keras.saving.register_keras_serializable("srgan_tf")
class Compact(NamedArrays, keras.Model):
    """A plain stack of 3x3 convolutions at LR size, whose last gives what bilinear interpolation lacks of SR.

    Not the paper's: in the manner of Du et al. 2021 (ABPN), made for int8 on phones. No batch norm; ReLU, which costs
    int8 nothing; and 8 bits need only hold the difference from LR enlarged. Bilinear, for where so small a network
    leaves colours as they are, LR's repeated pixels would show. 57,960 weights at the defaults.

    Args:
        blocks: 3x3 convolutions between the first and the last.
        channels: feature maps.
        scale: 2, 3, 4 or 8.
        degradation: as of `Generator`.

    Call:
        As of `Generator`: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], not clipped.

    Raises:
        ValueError: at construction, for a scale or size that the architecture does not have.
    """

    batch_norm = False

    def __init__(self, blocks: int = 9, channels: int = 24, scale: int = 4, degradation: str = "bicubic", **kwargs):
        super().__init__(**kwargs)
        self.set_size(blocks, channels, scale)
        self.degradation = degradation
        self.convs = [
            layers.Conv2D(channels, 3, padding="same", kernel_initializer=NearIdentity(), name=f"conv{i:02d}")
            for i in range(blocks + 1)
        ]
        # He's start is for ReLU, which the last has not; less of it starts near LR enlarged.
        start = keras.initializers.VarianceScaling(0.02)
        self.last = layers.Conv2D(3 * scale**2, 3, padding="same", kernel_initializer=start, name="last")
        self.build((None, None, None, 3))

    def build(self, input_shape):
        for layer, channels in zip([*self.convs, self.last], [3, *[self.channels] * (self.blocks + 1)]):
            layer.build((None, None, None, channels))
        self.built = True

    def call(self, lr, training=False):
        x = lr
        for conv in self.convs:
            x = tf.nn.relu(conv(x))
        # float32 under mixed precision too: half a level of 255 is below bfloat16's resolution near 1.
        lacking = tf.cast(self.last(x), tf.float32)
        return enlarge(tf.cast(lr, tf.float32) * 2 - 1, self.scale) + tf.nn.depth_to_space(lacking, self.scale)

    @property
    def context(self) -> int:
        """LR pixels on each side of a pixel that its SR depends on: 11 at the defaults."""
        return self.blocks + 2

    def freeze_batch_norm(self) -> None:
        """Nothing: there is none. `Generator` has this method."""

    def named_weights(self) -> dict[str, tf.Variable]:
        """All variables by flat name, such as `conv03/kernel`: the names of the weight files."""
        return {f"{c.name}/{v}": getattr(c, v) for c in [*self.convs, self.last] for v in ("kernel", "bias")}

    def get_config(self):
        names = ("blocks", "channels", "scale", "degradation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def enlarge(lr, scale: int) -> tf.Tensor:
    """Bilinear interpolation: [batch, height, width, channels] → [batch, scale * height, scale * width, channels]."""
    size = [n or tf.shape(lr)[axis] for axis, n in zip((1, 2), lr.shape[1:3])]
    return tf.image.resize(lr, [scale * n for n in size], "bilinear")
