"""What differs between the two stacks, Keras 3 on TensorFlow 2.16+ and Keras 2.15 on 2.15."""

import keras
import numpy as np
import tensorflow as tf

from srgan_tf import settings
from srgan_tf.errors import SettingsError

KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
if KERAS_3 and keras.backend.backend() != "tensorflow":
    settings.check_files()
    raise SettingsError(f"Keras' backend is {keras.backend.backend()!r}; srgan_tf needs KERAS_BACKEND=tensorflow")

SpectralNormalization = keras.layers.SpectralNormalization
if not KERAS_3:  # asks a tensor in an `if`, which `fit` leaves unconverted in Keras' own layers
    SpectralNormalization.normalize_weights = tf.autograph.to_graph(SpectralNormalization.normalize_weights)


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' own over the last axis. In training, Keras 3 has a dozen passes where TensorFlow's kernel has two.

    Its running statistics keep .9 of themselves a step, not Keras' .99: those lag behind the weights by a hundred,
    which costs validation .5 dB in a short run (the card of `srresnet`).
    """

    def __init__(self, momentum: float = 0.9, **kwargs):
        super().__init__(momentum=momentum, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (KERAS_3 and training and self.trainable) or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        # Its variance is that of a sample, n / (n - 1) times the one Keras keeps.
        scale, offset = (tf.convert_to_tensor(v) for v in (self.gamma, self.beta))
        x, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=self.epsilon)
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
        variance *= tf.maximum(count - 1, 1) / count
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1 - self.momentum))
        return x


def unpack(data) -> tuple:
    """(x, y, sample_weight) of what Keras hands to a step; None for what is not there."""
    where = keras.utils if KERAS_3 else tf.keras.utils
    return where.unpack_x_y_sample_weight(data)


def more_is_better(callbacks, names: tuple[str, ...]) -> None:
    """Have callbacks that watch one of these take more for better, where their user left that to Keras.

    Keras tells by the name or by classes of its own; of a score that it does not know, it takes less for better.
    """
    for callback in callbacks or ():
        if getattr(callback, "monitor", None) not in names:
            continue
        if getattr(callback, "mode", "auto") == "auto":
            callback.mode = "max"
        if getattr(callback, "monitor_op", None) is np.less:
            callback.monitor_op = np.greater
            if getattr(callback, "best", None) == np.inf:
                callback.best = -np.inf
            if hasattr(callback, "min_delta"):
                callback.min_delta = abs(callback.min_delta)


def check_settings() -> None:
    """Raise SettingsError where Keras is set to what the package cannot work with."""
    policy = keras.mixed_precision.global_policy() if not KERAS_3 else keras.config.dtype_policy()
    settings.check(keras.backend.image_data_format(), keras.backend.floatx(), policy=policy.name)


def set_precision(name: str) -> None:
    """Set the global Keras dtype policy, one of `choices.TRAINING_PRECISIONS`, for the layers made after this call."""
    keras.mixed_precision.set_global_policy(name)


def tf_variable(variable) -> tf.Variable:
    """The TensorFlow variable behind a Keras one."""
    return variable.value if KERAS_3 else variable


def is_legacy(optimizer) -> bool:
    """Whether it is of Keras 2's old kind, as tensorflow-addons' are."""
    return not KERAS_3 and isinstance(optimizer, keras.optimizers.legacy.Optimizer)


def build_optimizer(optimizer, variables: list) -> None:
    """Make an optimizer's slots for these variables."""
    if is_legacy(optimizer):
        optimizer._create_all_weights(variables)
    else:
        optimizer.build(variables)


def optimizer_variables(optimizer) -> list:
    """All state of a built optimizer."""
    return optimizer.weights if is_legacy(optimizer) else optimizer.variables


def learning_rate(optimizer) -> tf.Tensor:
    """At the present step."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = optimizer.learning_rate
    return tf.convert_to_tensor(rate(optimizer.iterations) if callable(rate) else rate)


def local(value):
    """This process' first copy of a TensorFlow variable or value, of which several replicas have one each."""
    return value.values[0] if isinstance(value, tf.distribute.DistributedValues) else value


def all_reduce_mean(tensors: list) -> list:
    """The mean of each tensor over all replicas, differentiable; the tensors themselves where there is but one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1 or not tensors:
        return tensors
    # By identity on this device: the reading of a variable, and a constant, are on none.
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, [tf.identity(tensor) for tensor in tensors])


def leave_aggregation(optimizer):
    """Have the optimizer take gradients as they come: `SRGAN` reduces them, so that norms are those of the batch.

    Keras would clip each replica's share by its own norm, and sum up afterwards.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if KERAS_3 and tf.distribute.has_strategy():
        inner._all_reduce_sum_gradients = lambda pairs: pairs  # has no public switch
    return optimizer


def step_logs(logs: dict) -> dict:
    """What train_step returns. Keras 3 means it over axis 0 between workers, which scalars do not have."""
    workers = isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
    return {name: tf.reshape(value, [1]) for name, value in logs.items()} if KERAS_3 and workers else logs


def synchronize_batch_norm(network) -> None:
    """Have batch norm take its statistics over all replicas' shares of the batch, not over each one's."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
            layer.fused = False  # Keras 2.15's fused kernel knows of its own replica only


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
    reduced = tf.distribute.get_strategy().num_replicas_in_sync > 1 and not KERAS_3
    options = {"experimental_aggregate_gradients": False} if reduced else {}  # see `leave_aggregation`
    optimizer.apply_gradients(zip(scaled if KERAS_3 else unscaled, variables), **options)
