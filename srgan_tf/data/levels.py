"""Convert between integer levels (uint8, uint16) and ranges ([0, 1] of LR, [-1, 1] of SR and HR).

Rounding is half up, as in MATLAB. Importing this needs no TensorFlow; the functions on tensors do.
"""

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in JPEG (ITU-R BT.601)


def to_unit(levels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 → float32 in [0, 1]."""
    return levels.astype(np.float32) / np.iinfo(levels.dtype).max


def to_levels(unit: np.ndarray, dtype=np.uint8) -> np.ndarray:
    """float in [0, 1] → uint8 or uint16, clipped and rounded."""
    return np.floor(np.clip(unit, 0, 1) * np.iinfo(dtype).max + 0.5).astype(dtype)


def to_signed(unit: np.ndarray) -> np.ndarray:
    """[0, 1] → [-1, 1]."""
    return unit * 2 - 1


def from_signed(signed: np.ndarray) -> np.ndarray:
    """[-1, 1] → [0, 1]."""
    return (signed + 1) / 2


def to_lr_range(lr):
    """uint8 LR → the generator's input, a float32 tensor in [0, 1] (section 3.2)."""
    import tensorflow as tf

    return tf.cast(lr, tf.float32) / 255


def to_hr_range(hr):
    """uint8 HR → the generator's output range, a float32 tensor in [-1, 1] (section 3.2)."""
    import tensorflow as tf

    return tf.cast(hr, tf.float32) / 127.5 - 1


def to_uint8(sr):
    """SR in [-1, 1] → a uint8 tensor, clipped and rounded."""
    import tensorflow as tf

    levels = tf.floor((tf.cast(sr, tf.float32) + 1) * 127.5 + 0.5)
    return tf.cast(tf.clip_by_value(levels, 0, 255), tf.uint8)
