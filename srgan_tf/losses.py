"""The parts of the generator's loss (section 2.2). Pictures are float [batch, height, width, 3] in [-1, 1]."""

import tensorflow as tf

PIXEL_LOSSES = ("mse", "mae")


def pixel_loss(hr: tf.Tensor, sr: tf.Tensor, kind: str) -> tf.Tensor:
    """Mean squared error (equation 4), or mean absolute error, which converges faster (Lim et al. 2017)."""
    if kind == "mse":
        return tf.reduce_mean(tf.math.squared_difference(hr, sr))
    return tf.reduce_mean(tf.abs(hr - sr))
