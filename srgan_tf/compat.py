"""Differences between the two stacks: Keras 3 on TensorFlow 2.16+, Keras 2.15 on TensorFlow 2.15."""

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
if not KERAS_3:  # normalize_weights branches on a tensor; AutoGraph skips it
    SpectralNormalization.normalize_weights = tf.autograph.to_graph(SpectralNormalization.normalize_weights)


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch norm over the last axis by TensorFlow's fused kernel, which makes two passes where Keras 3 makes a dozen.

    The momentum of its running statistics is .9, not Keras' .99: those lag behind the weights by a hundred steps, which
    costs .5 dB of validation in a short run (the card of `srresnet`).
    """

    def __init__(self, momentum: float = 0.9, **kwargs):
        super().__init__(momentum=momentum, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (KERAS_3 and training and self.trainable) or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        # The kernel returns the sample variance, n / (n - 1) times the one Keras keeps.
        scale, offset = (tf.convert_to_tensor(v) for v in (self.gamma, self.beta))
        x, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=self.epsilon)
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
        variance *= tf.maximum(count - 1, 1) / count
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1 - self.momentum))
        return x


def set_monitor_mode(callbacks, names: tuple[str, ...]) -> None:
    """Set mode="max" on callbacks monitoring these metrics in mode "auto".

    Keras infers the mode from names that it knows, and minimises others.
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
    """Raise SettingsError if a global Keras setting is unsupported."""
    policy = keras.mixed_precision.global_policy().name
    settings.check(keras.backend.image_data_format(), keras.backend.floatx(), policy=policy)


def metric(identifier) -> keras.metrics.Metric:
    """Return a metric by its name, configuration or function; Keras 2.15 has only functions of some names."""
    found = keras.metrics.get(identifier)
    return found if isinstance(found, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(found, found.__name__)


def set_precision(name: str) -> None:
    """Set the global Keras dtype policy, one of `choices.TRAINING_PRECISIONS`, for the layers made after this call."""
    keras.mixed_precision.set_global_policy(name)


def tf_variable(variable) -> tf.Variable:
    """Return the TensorFlow variable behind a Keras variable."""
    return variable.value if KERAS_3 else variable


def is_legacy(optimizer) -> bool:
    """Return whether this is one of Keras 2's legacy optimizers, as tensorflow-addons' are."""
    return not KERAS_3 and isinstance(optimizer, keras.optimizers.legacy.Optimizer)


def build_optimizer(optimizer, variables: list) -> None:
    """Create an optimizer's slots for these variables."""
    if is_legacy(optimizer):
        optimizer._create_all_weights(variables)
    else:
        optimizer.build(variables)


def optimizer_variables(optimizer) -> list:
    """Return all state of a built optimizer."""
    return optimizer.weights if is_legacy(optimizer) else optimizer.variables


def learning_rate(optimizer) -> tf.Tensor:
    """Return the learning rate at the current step."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = optimizer.learning_rate
    return tf.convert_to_tensor(rate(optimizer.iterations) if callable(rate) else rate)


def local(value):
    """Return the first local copy of a value that several replicas hold."""
    return value.values[0] if isinstance(value, tf.distribute.DistributedValues) else value


def all_reduce_mean(tensors: list) -> list:
    """Average each tensor over all replicas, differentiably."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1 or not tensors:
        return tensors
    # identity places variable reads and constants on this device.
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, [tf.identity(tensor) for tensor in tensors])


def disable_all_reduce(optimizer):
    """Disable the optimizer's gradient all-reduce: `SRGAN` reduces them first, so that norms are those of the batch.

    Keras would clip each replica's gradients by their own norm and sum afterwards.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if KERAS_3 and tf.distribute.has_strategy():
        inner._all_reduce_sum_gradients = lambda pairs: pairs  # no public switch
    return optimizer


def step_logs(logs: dict) -> dict:
    """Return train_step's logs as Keras expects them: Keras 3 averages over axis 0 between workers."""
    workers = isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
    return {name: tf.reshape(value, [1]) for name, value in logs.items()} if KERAS_3 and workers else logs


def synchronize_batch_norm(network) -> None:
    """Make batch norm compute its statistics over the global batch rather than per replica."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
            layer.fused = False  # Keras 2.15's fused kernel sees one replica


def scale_loss(optimizer, loss: tf.Tensor) -> tf.Tensor:
    """Return the loss to differentiate: scaled if the optimizer scales."""
    if not hasattr(optimizer, "inner_optimizer"):
        return loss
    return optimizer.scale_loss(loss) if KERAS_3 else optimizer.get_scaled_loss(loss)


def unscaled_gradients(optimizer, gradients: list) -> list:
    """Return the true gradients, given those of `scale_loss`."""
    if not hasattr(optimizer, "inner_optimizer"):
        return gradients
    if KERAS_3:
        scale = tf.convert_to_tensor(optimizer.dynamic_scale)
        return [g / tf.cast(scale, g.dtype) for g in gradients]
    return optimizer.get_unscaled_gradients(gradients)


def apply_gradients(optimizer, scaled: list, unscaled: list, variables: list) -> None:
    """Apply one optimizer step. Keras 3's loss-scaling optimizer unscales by itself."""
    reduced = tf.distribute.get_strategy().num_replicas_in_sync > 1 and not KERAS_3
    options = {"experimental_aggregate_gradients": False} if reduced else {}  # see `disable_all_reduce`
    optimizer.apply_gradients(zip(scaled if KERAS_3 else unscaled, variables), **options)
