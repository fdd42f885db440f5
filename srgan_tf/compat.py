"""What differs between the two stacks, Keras 3 on TensorFlow 2.16+ and Keras 2.15 on 2.15, and between systems."""

import ctypes

import keras
import tensorflow as tf

KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
if KERAS_3 and keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"srgan_tf needs Keras on TensorFlow, but KERAS_BACKEND is {keras.backend.backend()!r}; "
        "unset it or set KERAS_BACKEND=tensorflow"
    )

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def set_precision(name: str) -> None:
    """Set the global Keras dtype policy, one of PRECISIONS, for the layers made after this call."""
    keras.mixed_precision.set_global_policy(name)


def tf_variable(variable) -> tf.Variable:
    """The TensorFlow variable behind a Keras one."""
    return variable.value if KERAS_3 else variable


def with_loss_scaling(optimizer):
    """Wrap an optimizer for float16, whose gradients underflow unless the loss is scaled up first."""
    if KERAS_3:
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return keras.mixed_precision.LossScaleOptimizer(optimizer)


def scale_loss(optimizer, loss: tf.Tensor) -> tf.Tensor:
    """The loss as it must be differentiated for this optimizer; the loss itself unless it scales."""
    if not hasattr(optimizer, "inner_optimizer"):
        return loss
    return optimizer.scale_loss(loss) if KERAS_3 else optimizer.get_scaled_loss(loss)


def unscaled_gradients(optimizer, gradients: list) -> list:
    """The true gradients, given those of `scale_loss`: what norms are logged of."""
    if not hasattr(optimizer, "inner_optimizer"):
        return gradients
    if KERAS_3:
        scale = tf.convert_to_tensor(optimizer.dynamic_scale)
        return [g / tf.cast(scale, g.dtype) for g in gradients]
    return optimizer.get_unscaled_gradients(gradients)


def apply_gradients(optimizer, scaled: list, unscaled: list, variables: list) -> None:
    """Take one optimizer step. Keras 3's loss-scaling optimizer divides by the scale itself."""
    optimizer.apply_gradients(zip(scaled if KERAS_3 else unscaled, variables))


def keep_memory() -> None:
    """Have glibc keep the pages of freed tensors: fetching them anew each step cost a tenth of it on 2 cores."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    for parameter in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        mallopt(parameter, 2**31 - 1)
