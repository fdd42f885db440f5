"""MATLAB's `imresize(..., 'bicubic')` by integer factors, as convolutions on TensorFlow's device.

The low-resolution pictures of the literature were made by MATLAB, and scores on any other downscaling are not
comparable. The kernel is Keys' cubic (1981, a = -0.5), widened by the factor when
shrinking; taps are normalised; rows come first. uint8 pictures are rounded (half up) and clipped between the two
passes as well as after them, as MATLAB's are.
"""

import numpy as np
import tensorflow as tf

from srgan_tf.data import cubic

BORDERS = ("edge", "symmetric")


def downscale(images, scale: int, border: str = "edge") -> tf.Tensor:
    """Shrink pictures by an integer factor.

    Args:
        images: [batch, height, width, channels], uint8 or float of any range.
        scale: integer factor, at least 1. Sizes that it does not divide are rounded up, as in MATLAB.
        border: padding: "edge" (the common Set5 and Set14 files) or "symmetric" (mirrored with the edge pixel, newer
            MATLAB versions).

    Returns:
        [batch, ceil(height / scale), ceil(width / scale), channels] of the dtype of images. Float pictures are
        neither rounded nor clipped, and the result is differentiable.
    """
    return _resize(images, cubic.shrinking(scale), border, lambda size: -(-size // scale))


def enlarge(images, scale: int, border: str = "edge") -> tf.Tensor:
    """Enlarge pictures by an integer factor; arguments and result as for `downscale`, times scale."""
    return _resize(images, cubic.enlarging(scale), border, lambda size: size)


def _resize(images, how: cubic.Taps, border: str, steps) -> tf.Tensor:
    """Resize rows, then columns."""
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, not {border!r}")
    taps, first, stride = how.weights, how.first, how.stride
    images = tf.convert_to_tensor(images)
    eight_bit = images.dtype == tf.uint8
    # Taps of factors 2, 4 and 8 are dyadic, so float32 is exact; the others need float64 to round as MATLAB does.
    exact = np.array_equal(taps, taps.astype(np.float32))
    compute = tf.float64 if eight_bit and not exact else tf.float32
    batch, channels = tf.shape(images)[0], images.shape[-1]
    x = tf.transpose(tf.cast(images, compute), [0, 3, 1, 2])
    for axis in (2, 3):
        size = tf.shape(x)[axis]
        n = steps(size)
        # At least 2: on one column, TensorFlow 2.21's convolution with an odd number of taps reads beyond its input.
        index = tf.range(first, (tf.maximum(n, 2) - 1) * stride + first + len(taps))
        if border == "symmetric":
            index = tf.math.floormod(index, 2 * size)
            index = tf.minimum(index, 2 * size - 1 - index)
        x = tf.gather(x, tf.clip_by_value(index, 0, size - 1), axis=axis)
        height, width = tf.shape(x)[2], tf.shape(x)[3]
        kernel = taps[:, None, None, :] if axis == 2 else taps[None, :, None, :]
        strides = (stride, 1) if axis == 2 else (1, stride)
        x = tf.nn.conv2d(tf.reshape(x, [-1, height, width, 1]), tf.constant(kernel, compute), strides, "VALID")
        x = x[:, :n] if axis == 2 else x[:, :, :n]
        height, width, phases = tf.shape(x)[1], tf.shape(x)[2], taps.shape[1]
        if axis == 2:
            x = tf.reshape(tf.transpose(x, [0, 1, 3, 2]), [batch, channels, height * phases, width])
        else:
            x = tf.reshape(x, [batch, channels, height, width * phases])
        if eight_bit:
            x = tf.clip_by_value(tf.floor(x + 0.5), 0, 255)
    x = tf.ensure_shape(tf.transpose(x, [0, 2, 3, 1]), [None, None, None, channels])
    return tf.cast(x, images.dtype)
