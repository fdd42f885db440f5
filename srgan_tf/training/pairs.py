"""Convert Keras' forms of a batch to LR and HR in the generator's ranges."""

import keras
import tensorflow as tf

from srgan_tf.data.bicubic import downscale
from srgan_tf.data.degradation import degrade, degrade_everyday, shrink
from srgan_tf.data.levels import to_hr_range, to_lr_range, to_uint8


def unpack(data) -> tuple[tf.Tensor | None, tf.Tensor]:
    """Return LR (None if not given) and HR of a step's data: HR, (HR,) or (LR, HR).

    Raises:
        ValueError: there are sample weights, or channels, dtypes or sizes do not fit.
    """
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError("sample_weight is not supported; leave it out")
    return (None, _picture(x, "HR")) if y is None else (_picture(x, "LR"), _picture(y, "HR"))


def _picture(array, name: str) -> tf.Tensor:
    if isinstance(array, (tuple, list, dict)):
        raise ValueError(f"{name} must be one array of pictures [batch, height, width, 3]")
    pictures = tf.convert_to_tensor(array)
    if pictures.shape.rank not in (4, None):
        raise ValueError(f"{name} must be pictures [batch, height, width, 3], not {list(pictures.shape)}")
    if pictures.shape.rank and pictures.shape[-1] not in (3, None):
        raise ValueError(f"{name} must be RGB, 3 channels, not {pictures.shape[-1]}; repeat grey three times")
    if pictures.dtype != tf.uint8 and not pictures.dtype.is_floating:
        raise ValueError(
            f"{name} must be uint8 in 0-255, or float (LR in [0, 1], HR in [-1, 1]), not {pictures.dtype.name}"
        )
    return tf.ensure_shape(pictures, [None, None, None, 3])  # Keras 2's generators have no static shape


def make_lr(hr: tf.Tensor, scale: int, degradation: str, everyday: float, seed: tf.Tensor) -> tf.Tensor:
    """Degrade uint8 HR [batch, height, width, 3] to uint8 LR.

    Args:
        hr: pictures in 0-255.
        scale: HR size over LR size.
        degradation, everyday: as for `SRGAN`.
        seed: two integers, of the random degradation.

    Raises:
        ValueError: the sides of HR, where they are static, are no multiples of the scale.
    """
    if any(side and side % scale for side in hr.shape[1:3]):
        raise ValueError(f"HR crops of {hr.shape[1]} x {hr.shape[2]} do not divide by the scale, {scale}; crop them so")

    def usual():
        if degradation == "bicubic":
            return downscale(hr, scale)
        return (shrink if degradation == "shrunk" else degrade)(hr, scale, seed)

    if not everyday:
        return usual()
    # A folded seed, so that the draws of either branch do not depend on this one.
    drawn = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, -1))
    return tf.cond(drawn < everyday, lambda: degrade_everyday(hr, scale, seed), usual)


def check_sizes(lr: tf.Tensor, hr: tf.Tensor, scale: int) -> None:
    """Raise ValueError if HR is not `scale` times as large as LR, as far as sizes are static."""
    for small, large in zip(lr.shape[1:3], hr.shape[1:3]):
        if small and large and large != scale * small:
            raise ValueError(f"HR {list(hr.shape)} is not {scale} times LR {list(lr.shape)}; pairs must be (LR, HR)")


_LR, _HR = "LR must be in [0, 1] (lr / 255)", "HR must be in [-1, 1] (hr / 127.5 - 1)"


def in_ranges(lr: tf.Tensor, hr: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Convert uint8 and check the range of floats: return LR in [0, 1] and HR in [-1, 1], float32.

    Raises:
        InvalidArgumentError: floats of another range; HR without a negative value that fits LR better as [0, 1].
    """
    lr = to_lr_range(lr) if lr.dtype == tf.uint8 else _checked(lr, 0.0, _LR)
    if hr.dtype == tf.uint8:
        return lr, to_hr_range(hr)
    small, large = tf.reduce_mean(lr), tf.reduce_mean(tf.cast(hr, tf.float32))
    return lr, _checked(hr, -1.0, _HR, tf.abs((large + 1) / 2 - small) <= tf.abs(large - small))


def as_levels(hr: tf.Tensor, first) -> tf.Tensor:
    """Return HR as uint8, to make LR of; first: whether this is the first step, whose crops have dark pixels."""
    return hr if hr.dtype == tf.uint8 else to_uint8(_checked(hr, -1.0, _HR, ~tf.cast(first, tf.bool)))


def _checked(pictures: tf.Tensor, low: float, wanted: str, bright=True) -> tf.Tensor:
    """Return float32 pictures, checked at run time; bright: whether none of their values may be below 0."""
    pictures = tf.cast(pictures, tf.float32)
    least, most = tf.reduce_min(pictures), tf.reduce_max(pictures)
    inside = (least >= low - 0.01) & (most <= 1.01) & (bright | (least < 0))
    check = tf.debugging.Assert(inside, [f"floats of {wanted}, or give uint8 in 0-255; a batch has", least, "to", most])
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(pictures)
