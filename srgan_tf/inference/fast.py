"""A generator compiled for inference: its description in fewer and cheaper operations."""

import keras
import numpy as np
import tensorflow as tf

from srgan_tf.inference.tiling import tiled
from srgan_tf.models.base import BaseGenerator
from srgan_tf.models.ops import Ops, conv_in_columns, in_whole_blocks

# LR px per side of the tail's pieces: 128 and its receptive field. x4 of 1280x720 took 16.5 s with 131 px, 17.1 with
# 102 and 16.3 with 206 (2 cores, bfloat16).
PIECE = 134


class FastOps(Ops):
    """Compute with constants; batch norm must be folded. PReLU is `maximum(x, a x)`, the same for slopes a ≤ 1.

    Args:
        arrays: the weights by flat name.
        dtype: of the convolutions, except those of `head/` and `tail/`, which like the residual sums are float32: half
            of 1/255 is below bfloat16's resolution near 1.
    """

    def __init__(self, arrays: dict[str, np.ndarray], dtype):
        self._gentle = {name for name, array in arrays.items() if (array <= 1).all()}
        self.weights = {
            name: tf.constant(array, tf.float32 if name.startswith(("head/", "tail/")) else dtype)
            for name, array in arrays.items()
        }

    def conv(self, x, name, relu=False):
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        x = tf.nn.bias_add(tf.nn.conv2d(tf.cast(x, kernel.dtype), kernel, 1, "SAME"), bias)
        return tf.nn.relu(x) if relu else x

    def prelu(self, x, name):
        slope = self.weights[f"{name}/alpha"]
        if f"{name}/alpha" in self._gentle:
            return tf.maximum(x, slope * x)
        return tf.nn.relu(x) - slope * tf.nn.relu(-x)

    def concat(self, xs, name):
        return tf.concat([tf.cast(x, xs[-1].dtype) for x in xs], -1)

    def picture(self, x, name, activation=None):
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        return keras.activations.get(activation)(conv_in_columns(tf.cast(x, kernel.dtype), kernel) + bias)

    def residue(self, x, name):
        return tf.cast(self.conv(x, name), tf.float32)


class FastGraph:
    """Compile a generator to two functions of any size: `trunk`, LR → features, and `tail`, features → SR.

    The trunk has most of the receptive field and small tensors; the tail has most of the memory and `tail_context`
    alone, so that it can run on much smaller pieces, which stay in the processor's cache.

    Args:
        generator: the network.
        dtype: of the convolutions, tf.float32 or tf.bfloat16 (see `FastOps`).
    """

    def __init__(self, generator: BaseGenerator, dtype=tf.float32):
        self.generator, self.precision = generator.without_batch_norm(), dtype.name
        self.scale, self.context, self.tail_context = generator.scale, generator.context, generator.tail_context
        self._ops, self._dtype = FastOps(self.generator.get_arrays(), dtype), dtype
        # Open sizes: one graph serves every tile of every picture.
        picture = tf.TensorSpec([None, None, None, 3], tf.float32)
        self.trunk = tf.function(self._trunk, input_signature=[picture], autograph=False)
        features = self.trunk.get_concrete_function().outputs[0]
        spec = tf.TensorSpec([None, None, None, features.shape[-1]], features.dtype)
        self.tail = tf.function(self._tail, input_signature=[spec], autograph=False)

    def __call__(self, lr) -> np.ndarray:
        """LR float [1, height, width, 3] in [0, 1] → SR float32 [1, scale * height, scale * width, 3] in [-1, 1]."""

        def network(whole):
            return tiled(self.tail, self.trunk(whole), PIECE, self.tail_context, self.scale)

        return np.asarray(in_whole_blocks(network, lr, self.generator.tile_multiple, self.scale))

    def _trunk(self, lr):
        """Return the tail's input as one tensor, so that it can be cut into pieces."""
        features = self.generator.trunk(lr, self._ops)
        self._channels = [x.shape[-1] for x in features]
        if len(features) == 1:
            return tf.cast(features[0], self._dtype)
        return tf.concat([tf.cast(x, tf.float32) for x in features], -1)

    def _tail(self, features):
        return self.generator.tail(tuple(tf.split(features, self._channels, -1)), self._ops)
