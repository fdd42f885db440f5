"""What all generators share: their size, and their weights as one flat name → array dictionary."""

import numpy as np
import tensorflow as tf

from srgan_tf import compat


class NamedArrays:
    """A mixin for a Keras model with `named_weights`: all its variables by flat name, the names of the weight files."""

    def set_size(self, blocks: int, channels: int, scale: int) -> None:
        if scale not in (2, 3, 4, 8):
            raise ValueError(f"scale must be 2, 3, 4 or 8, not {scale!r}")
        if blocks < 1 or channels < 1:
            raise ValueError(f"blocks and channels must be at least 1, not {blocks!r} and {channels!r}")
        self.blocks, self.channels, self.scale = blocks, channels, scale

    def named_weights(self) -> dict[str, tf.Variable]:
        raise NotImplementedError

    def get_arrays(self) -> dict[str, np.ndarray]:
        """The weights as float32 arrays by flat name; PReLU slopes as [channels]."""
        arrays = {n: np.array(compat.local(compat.tf_variable(v))) for n, v in self.named_weights().items()}
        return {name: array.reshape(-1) if name.endswith("alpha") else array for name, array in arrays.items()}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Set all weights from arrays by flat name (of any float type).

        Raises:
            ValueError: names a missing, unknown, misshapen or non-finite array; nothing is set then.
        """
        variables = self.named_weights()
        if unknown := sorted(set(arrays) ^ set(variables)):
            raise ValueError(
                f"weights do not fit this generator: {unknown[0]!r} and {len(unknown) - 1} more names differ"
            )
        for name, variable in variables.items():
            if np.size(arrays[name]) != np.prod(variable.shape) or np.shape(arrays[name])[-1:] != variable.shape[-1:]:
                raise ValueError(f"weight {name!r} has shape {np.shape(arrays[name])}, not {tuple(variable.shape)}")
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"weight {name!r} is not finite")
        for name, variable in variables.items():
            variable.assign(np.asarray(arrays[name], np.float32).reshape(variable.shape))
