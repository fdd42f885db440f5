"""The parts of the generator's and the discriminator's losses (section 2.2).

Pictures are float [batch, height, width, 3] in [-1, 1]; `real` and `fake` are D's logits [batch, 1] of HR and SR.
The feature-space content loss is in `features.py`.
"""

import tensorflow as tf

from srgan_tf import compat

PIXEL_LOSSES = ("mse", "mae")
ADVERSARIAL_LOSSES = ("standard", "relativistic")


def pixel_loss(hr: tf.Tensor, sr: tf.Tensor, kind: str) -> tf.Tensor:
    """Mean squared error (equation 4), or mean absolute error, which converges faster (Lim et al. 2017)."""
    if kind == "mse":
        return tf.reduce_mean(tf.math.squared_difference(hr, sr))
    return tf.reduce_mean(tf.abs(hr - sr))


def total_variation(sr: tf.Tensor) -> tf.Tensor:
    """Sum of the absolute differences of neighbouring pixels, a picture's mean; the paper's weight is 2e-8."""
    return tf.reduce_mean(tf.image.total_variation(tf.convert_to_tensor(sr)))


def phase_loss(hr: tf.Tensor, sr: tf.Tensor, period: int, window: int = 8) -> tf.Tensor:
    """Mean absolute error of local mean colours, of each of the period x period pixel phases by itself.

    What pixel shuffling can draw over a picture repeats every `period` pixels (hatching, checkerboards; Odena et al.
    2016), and a shift of colour everywhere: both are all that is left of an error averaged over like phases. The
    means are of `window` x `window` periods, or of the whole picture where it has fewer; texture averages out.
    """
    phases = tf.nn.space_to_depth(hr - sr, period)
    sides = [min(window, side or window) for side in phases.shape[1:3]]
    return tf.reduce_mean(tf.abs(tf.nn.avg_pool2d(phases, sides, 1, "VALID")))


def generator_loss(real: tf.Tensor, fake: tf.Tensor, kind: str = "standard") -> tf.Tensor:
    """-log D(G(LR)) (equation 6).

    kind "relativistic": the average relativistic loss (Jolicoeur-Martineau 2018; ESRGAN), which asks whether SR
    looks more real than HR does on average. G then learns from HR too; for sharper texture where the standard
    loss stalls.
    """
    if kind == "standard":
        return tf.reduce_mean(tf.nn.softplus(-fake))
    more, less = fake - _batch_mean(real), real - _batch_mean(fake)
    return (tf.reduce_mean(tf.nn.softplus(-more)) + tf.reduce_mean(tf.nn.softplus(less))) / 2


def discriminator_loss(
    real: tf.Tensor, fake: tf.Tensor, kind: str = "standard", label_smoothing: float = 0.0
) -> tf.Tensor:
    """-log D(HR) - log(1 - D(G(LR))) (equation 2), or its relativistic form (see `generator_loss`).

    label_smoothing: HR's target is 1 - label_smoothing (one-sided: Salimans et al. 2016, section 3.4); 0.1 keeps
    an overconfident D from leaving G without a gradient.
    """
    if kind == "relativistic":
        real, fake = real - _batch_mean(fake), fake - _batch_mean(real)
    on_real = (1 - label_smoothing) * tf.nn.softplus(-real) + label_smoothing * tf.nn.softplus(real)
    return tf.reduce_mean(on_real) + tf.reduce_mean(tf.nn.softplus(fake))


def _batch_mean(logits: tf.Tensor) -> tf.Tensor:
    """Over the global batch, of which a replica has its share."""
    return compat.all_reduce_mean([tf.reduce_mean(logits)])[0]
