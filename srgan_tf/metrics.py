"""PSNR and SSIM as super-resolution papers take them: on the rounded Y channel, the border shaved off.

Pictures are [batch, height, width, 3] (RGB) or [batch, height, width, 1] (grey, scored as it is), 0-255. Each
function gives one score a picture.
"""

import tensorflow as tf


def to_uint8(sr) -> tf.Tensor:
    """A generator's output in [-1, 1] as uint8, clipped and rounded half up."""
    levels = tf.floor((tf.cast(sr, tf.float32) + 1) * 127.5 + 0.5)
    return tf.cast(tf.clip_by_value(levels, 0, 255), tf.uint8)


def luma(images) -> tf.Tensor:
    """Y of MATLAB's `rgb2ycbcr` for uint8 pictures: 16-235, rounded; float32 [..., 1]."""
    images = tf.cast(images, tf.float32)
    if images.shape[-1] == 1:
        return images
    weights = tf.constant([[65.481], [128.553], [24.966]]) / 255
    return tf.floor(16 + tf.tensordot(images, weights, 1) + 0.5)


def _prepare(hr, sr, shave: int, y_channel: bool):
    channel = luma if y_channel else lambda images: tf.cast(images, tf.float32)
    height, width = tf.shape(hr)[1], tf.shape(hr)[2]
    return [channel(images)[:, shave : height - shave, shave : width - shave] for images in (hr, sr)]


def psnr(hr, sr, shave: int = 4, y_channel: bool = True) -> tf.Tensor:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal pictures.

    Args:
        hr, sr: pictures of one size, 0-255.
        shave: border left out, in pixels; the scale by convention.
        y_channel: score Y alone (the papers' way) or all channels.
    """
    hr, sr = _prepare(hr, sr, shave, y_channel)
    error = tf.reduce_mean(tf.math.squared_difference(hr, sr), axis=[1, 2, 3])
    return 10 * tf.math.log(255.0**2 / error) / tf.math.log(10.0)


def ssim(hr, sr, shave: int = 4, y_channel: bool = True) -> tf.Tensor:
    """Structural similarity (Wang et al. 2004), Gaussian 11x11 window of sigma 1.5; arguments as for `psnr`.

    The usual form. The paper's table 2 used the *daala* tool's, which reads some 0.03 to 0.05 higher on Set14.
    """
    hr, sr = _prepare(hr, sr, shave, y_channel)
    return tf.image.ssim(hr, sr, max_val=255.0)
