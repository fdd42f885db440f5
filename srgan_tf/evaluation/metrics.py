"""PSNR and SSIM as in super-resolution papers: on the Y channel, with the border shaved; and Keras metrics.

Pictures are [batch, height, width, 3] (RGB) or [batch, height, width, 1] (grey, scored as it is), 0-255. Functions
return one score per picture.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from srgan_tf.data.levels import to_uint8
from srgan_tf.evaluation import lpips


def luma(images, rounded: bool = True) -> tf.Tensor:
    """Y of MATLAB's `rgb2ycbcr` for uint8 pictures: 16-235, rounded as there or not; float32 [..., 1]."""
    images = tf.cast(images, tf.float32)
    if images.shape[-1] == 1:
        return images
    weights = tf.constant([[65.481], [128.553], [24.966]]) / 255
    y = 16 + tf.tensordot(images, weights, 1)
    return tf.floor(y + 0.5) if rounded else y


def _shaved(images, shave: int) -> tf.Tensor:
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    return images[:, shave : height - shave, shave : width - shave]


def _prepare(hr, sr, shave: int, y_channel: bool):
    channel = luma if y_channel else lambda images: tf.cast(images, tf.float32)
    return [_shaved(channel(images), shave) for images in (hr, sr)]


def psnr(hr, sr, shave: int = 4, y_channel: bool = True) -> tf.Tensor:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal pictures.

    Args:
        hr, sr: pictures of one size, 0-255.
        shave: border left out, in pixels; the scale by convention.
        y_channel: score Y alone, as papers do, or all channels.
    """
    hr, sr = _prepare(hr, sr, shave, y_channel)
    error = tf.reduce_mean(tf.math.squared_difference(hr, sr), axis=[1, 2, 3])
    return 10 * tf.math.log(255.0**2 / error) / tf.math.log(10.0)


def ssim(hr, sr, shave: int = 4, y_channel: bool = True) -> tf.Tensor:
    """Structural similarity (Wang et al. 2004), Gaussian 11x11 window of sigma 1.5; arguments as for `psnr`.

    The usual form: windows lie inside the picture, which must be 11 px high and wide after shaving. The paper's tables
    use `ssim_daala`, which is some 0.03 to 0.05 higher on Set14.
    """
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    return _structure(*_prepare(hr, sr, shave, y_channel), tf.constant(window / window.sum()), "VALID")


def ssim_daala(hr, sr, shave: int = 4) -> tf.Tensor:
    """Structural similarity as computed by *daala*'s `dump_ssim`, which the paper used (section 3.1); float32 [batch].

    The Gaussian window grows with the (shaved) picture: sigma is 1.5/256 of its height. Windows extend over the border,
    weighted by the part inside. Taps are multiples of 1/256, as in the tool.

    Y is not rounded: this reproduces the paper's bicubic rows on Set5 and Set14 to the last digit (.8211 and .7486),
    and its nearest-neighbour rows within .0005. With rounding, all four are .0005 to .0013 too low.
    """
    hr, sr = (_shaved(luma(images, rounded=False), shave) for images in (hr, sr))
    return _structure(hr, sr, _daala_window(tf.shape(hr)[1], tf.shape(hr)[2]), "SAME")


def _daala_window(height, width) -> tf.Tensor:
    """Return the taps that do not round to 0; the centre absorbs the rounding error."""
    sigma = tf.cast(height, tf.float64) * 1.5 / 256
    smallest = np.sqrt(np.pi / 2) / 256 * sigma
    reach = tf.where(smallest < 1, tf.floor(sigma * tf.sqrt(-2 * tf.math.log(tf.minimum(smallest, 1)))), 0)
    reach = tf.minimum(tf.cast(reach, tf.int32), tf.minimum(height, width) - 1)
    offsets = tf.cast(tf.range(1, reach + 1), tf.float64)
    side = tf.floor(256 / (np.sqrt(2 * np.pi) * sigma) * tf.exp(-0.5 * (offsets / sigma) ** 2) + 0.5)
    return tf.concat([side[::-1], [256 - 2 * tf.reduce_sum(side)], side], 0) / 256


def _structure(x, y, window, padding: str) -> tf.Tensor:
    """Average SSIM over windows, weighted by their share inside the picture, and over channels."""
    # float64: variances are small differences of large squares.
    x, y = tf.cast(x, tf.float64), tf.cast(y, tf.float64)
    shape = tf.shape(x)
    planes = tf.stack([x, y, x * x, y * y, x * y, tf.ones_like(x)])
    planes = tf.reshape(tf.transpose(planes, [0, 1, 4, 2, 3]), [-1, shape[1], shape[2], 1])
    for kernel in (window[:, None, None, None], window[None, :, None, None]):
        planes = tf.nn.conv2d(planes, kernel, 1, padding)
    planes = tf.reshape(planes, tf.concat([[6, shape[0], shape[3]], tf.shape(planes)[1:3]], 0))
    inside = planes[5]
    mean_x, mean_y, square_x, square_y, product = (planes[i] / inside for i in range(5))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    contrast = (2 * (product - mean_x * mean_y) + c2) / (variances + c2)
    scores = tf.reduce_sum(inside * luminance * contrast, [1, 2, 3]) / tf.reduce_sum(inside, [1, 2, 3])
    return tf.cast(scores, tf.float32)


# Scores of evaluations, by their column in `tables`: functions of HR, SR and the shaved border.
SCORES = {"psnr_y": psnr, "ssim_y": ssim, "ssim_daala": ssim_daala}
SCORES_RGB = {
    "psnr_rgb": functools.partial(psnr, y_channel=False),
    "ssim_rgb": functools.partial(ssim, y_channel=False),
}


class _PictureMetric(keras.metrics.Mean):
    """Mean score of pictures in the range of G's output, [-1, 1]; they are rounded to uint8 before scoring.

    Args:
        shave: border left out, in pixels; the scale by convention.
    """

    def __init__(self, name: str, shave: int = 4, **kwargs):
        super().__init__(name=name, **kwargs)
        self.shave = shave

    def score(self, hr, sr) -> tf.Tensor:
        raise NotImplementedError

    def update_state(self, y_true, y_pred, sample_weight=None):
        scores = self.score(_shaved(to_uint8(y_true), self.shave), _shaved(to_uint8(y_pred), self.shave))
        return super().update_state(scores, sample_weight)

    def get_config(self):
        return {**super().get_config(), "shave": self.shave}


@keras.saving.register_keras_serializable("srgan_tf")
class PSNR(_PictureMetric):
    """Mean `psnr` on Y in dB, for `compile(metrics=[PSNR()])`: HR and SR in [-1, 1]."""

    def __init__(self, name: str = "psnr_y", **kwargs):
        super().__init__(name, **kwargs)

    def score(self, hr, sr):
        return psnr(hr, sr, shave=0)


@keras.saving.register_keras_serializable("srgan_tf")
class SSIM(_PictureMetric):
    """Mean `ssim` on Y, for `compile(metrics=[SSIM()])`: HR and SR in [-1, 1]."""

    def __init__(self, name: str = "ssim_y", **kwargs):
        super().__init__(name, **kwargs)

    def score(self, hr, sr):
        return ssim(hr, sr, shave=0)


@keras.saving.register_keras_serializable("srgan_tf")
class LPIPS(_PictureMetric):
    """Mean `lpips.distance`, for `compile(metrics=[LPIPS()])`: HR and SR in [-1, 1].

    Args:
        network: "alex" or "vgg".
    """

    def __init__(self, name: str | None = None, network: str = "alex", **kwargs):
        super().__init__(name or f"lpips_{network}", **kwargs)
        self.network = network

    def score(self, hr, sr):
        return lpips.distance(hr, sr, self.network)

    def get_config(self):
        return {**super().get_config(), "network": self.network}
