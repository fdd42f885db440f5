"""The discriminator of Ledig et al. 2017, figure 4, and one on VGG features for short training runs."""

import keras
import tensorflow as tf

from srgan_tf import compat

layers = keras.layers

# (filters, stride) of the eight convolutions: the stride is 2 each time before the filters double.
PLAN = ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))


def _high_pass(shape, dtype=None):
    """Glorot initialisation minus each kernel's spatial mean: edge and texture filters.

    SR differs from HR in fine detail, a hundredth of a picture's variance. After low-pass filters D stays at chance for
    hundreds of steps; with these it reaches 0.75 against 0.25 in one hundred (frozen SRResNet, batch 16 of 48x48).
    """
    kernel = keras.initializers.GlorotUniform()(shape, dtype)
    return kernel - tf.reduce_mean(kernel, [0, 1], keepdims=True)


def leaky(x):
    """LeakyReLU 0.2, as throughout the paper's D."""
    return keras.activations.relu(x, 0.2)


@keras.saving.register_keras_serializable("srgan_tf")
class Discriminator(keras.Model):
    """Discriminator D, exactly the paper's at its defaults (figure 4): 23,565,505 trainable parameters.

    Eight 3x3 convolutions of 64 to 512 filters with LeakyReLU 0.2 and batch norm (on all but the first), Dense(1024),
    LeakyReLU, Dense(1). The losses apply the sigmoid.

    Args:
        crop: side of the pictures in pixels, a multiple of 16; the paper's is 96.
        pooled: average over space before the dense layers: any crop fits, and 18 of 23.6 million parameters go.
        spectral_norm: divide each weight matrix by its largest singular value, in place of batch norm (Miyato et al.
            2018). For runs in which D wins early.

    Call:
        pictures: float [batch, crop, crop, 3] in [-1, 1].
        Returns logits [batch, 1]; positive means HR.
    """

    def __init__(self, crop: int = 96, pooled: bool = False, spectral_norm: bool = False, **kwargs):
        super().__init__(**kwargs)
        if not pooled and (crop < 16 or crop % 16):
            raise ValueError(f"crop must be a multiple of 16, not {crop!r}; or use pooled=True")
        self.crop, self.pooled, self.spectral_norm = crop, pooled, spectral_norm
        wrap = compat.SpectralNormalization if spectral_norm else (lambda layer, **options: layer)
        initial = [_high_pass] + ["glorot_uniform"] * (len(PLAN) - 1)
        self.convs = [
            wrap(layers.Conv2D(filters, 3, stride, "same", name=f"conv{i}", kernel_initializer=kernel), name=f"sn{i}")
            for i, ((filters, stride), kernel) in enumerate(zip(PLAN, initial))
        ]
        norms = [] if spectral_norm else range(1, len(PLAN))
        self.norms = [compat.BatchNormalization(name=f"bn{i}") for i in norms]
        self.flatten = layers.GlobalAveragePooling2D() if pooled else layers.Flatten()
        self.dense1 = wrap(layers.Dense(1024, name="dense1"), name="sn_dense1")
        # Both dtypes: the wrapper casts its output.
        self.dense2 = wrap(layers.Dense(1, name="dense2", dtype="float32"), name="sn_dense2", dtype="float32")
        self.build((None, None if pooled else crop, None if pooled else crop, 3))

    def build(self, input_shape):
        channels = 3
        for i, (conv, (filters, _)) in enumerate(zip(self.convs, PLAN)):
            conv.build((None, None, None, channels))
            channels = filters
            if self.norms and i:
                self.norms[i - 1].build((None, None, None, channels))
        self.dense1.build((None, channels if self.pooled else channels * (self.crop // 16) ** 2))
        self.dense2.build((None, 1024))
        self.built = True

    def call(self, pictures, training=False):
        if not self.pooled and {*pictures.shape[1:3]} - {self.crop, None}:
            given = f"{pictures.shape[1]} x {pictures.shape[2]}"
            raise ValueError(
                f"this discriminator is for crops of {self.crop} px, not {given}; give crop, or pooled=True"
            )
        # Only spectral normalisation behaves differently in training.
        options = {"training": training} if self.spectral_norm else {}
        x = pictures
        for i, conv in enumerate(self.convs):
            x = conv(x, **options)
            if self.norms and i:
                x = self.norms[i - 1](x, training=training)
            x = leaky(x)
        x = leaky(self.dense1(self.flatten(x), **options))
        return self.dense2(x, **options)

    def get_config(self):
        config = super().get_config()
        return {**config, "crop": self.crop, "pooled": self.pooled, "spectral_norm": self.spectral_norm}


@keras.saving.register_keras_serializable("srgan_tf")
class FeatureDiscriminator(keras.Model):
    """Discriminator on VGG features, per position (Park et al. 2018; Sauer et al. 2021).

    It need not learn features first, and shares those of the content loss. Per layer: batch norm, 1x1 convolution,
    LeakyReLU 0.2; then batch norm, 3x3 convolution of stride 2 and LeakyReLU until all layers have half the size of the
    deepest one; and a 1x1 convolution.

    Args:
        layers: the (i, j) of the φi,j, as `FeatureNetwork.judged`.
        filters: of the convolutions between.

    Call:
        features: a list of float [batch, height, width, channels], the shallowest layer's first.
        Returns logits [batch, positions of all layers]; positive means HR.
    """

    def __init__(self, layers, filters: int = 64, **kwargs):
        super().__init__(**kwargs)
        self.feature_layers, self.filters = sorted(map(tuple, layers)), filters
        deepest, _ = self.feature_layers[-1]
        self.heads = [
            [
                (compat.BatchNormalization(name=f"{i}_{j}_bn{n}"), self._conv(filters, n, name=f"{i}_{j}_conv{n}"))
                for n in range(2 + deepest - i)
            ]
            for i, j in self.feature_layers
        ]
        self.logits = [self._conv(1, 0, name=f"{i}_{j}_logits", dtype="float32") for i, j in self.feature_layers]
        self.build(None)

    @staticmethod
    def _conv(filters, n, **options):
        return keras.layers.Conv2D(filters, *((3, 2) if n else (1, 1)), "same", **options)

    def build(self, input_shape):
        for (i, _), head, last in zip(self.feature_layers, self.heads, self.logits):
            channels = min(32 * 2**i, 512)  # VGG's
            for norm, conv in head:
                norm.build((None, None, None, channels))
                conv.build((None, None, None, channels))
                channels = self.filters
            last.build((None, None, None, channels))
        self.built = True

    def call(self, features, training=False):
        logits = []
        for head, last, x in zip(self.heads, self.logits, features):
            for norm, conv in head:
                x = leaky(conv(norm(x, training=training)))
            logits.append(tf.reshape(last(x), [tf.shape(x)[0], -1]))
        return tf.concat(logits, 1)

    def get_config(self):
        return {**super().get_config(), "layers": list(map(list, self.feature_layers)), "filters": self.filters}
