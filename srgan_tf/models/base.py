"""Base class of all generators."""

import math

import keras
import numpy as np
import tensorflow as tf

from srgan_tf import compat
from srgan_tf.choices import SCALES
from srgan_tf.models.context import LARGE, measure_context
from srgan_tf.models.ops import KerasOps, Ops, Survey, Trace, in_whole_blocks

_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


class BaseGenerator(keras.Model):
    """A generator: LR float [batch, height, width, 3] in [0, 1] → SR float32 in [-1, 1], `scale` times larger.

    A subclass creates its layers, calls `build((None, None, None, 3))` and implements four methods, from which
    training, weight files, fast inference, every export and the evaluation follow (`BlockGenerator` has the last):

    - `named_layers()`: the layers with weights, by flat name, in the order of the forward pass. Layers whose names
      begin with `head/` or `tail/` stay in float32 where others are computed in bfloat16.
    - `trunk(lr, ops)`: the part at LR's size, in terms of `ops.Ops`; returns a tuple of tensors.
    - `tail(features, ops)`: from these to SR; most of the memory, and a small receptive field.
    - `get_config()`: every argument of the constructor.

    Generators with batch norm also set `batch_norm` and implement `norms()`. A line in `models.GENERATORS` names the
    class.

    Args:
        scale: SR size over LR size: 2, 3, 4 or 8.
        degradation: of the training LR, "bicubic", "shrunk" or "real", for which "auto" back-projects; or "unknown", as
            of other projects' models, whose own colours it keeps.

    Attributes:
        scales: that the architecture has.
        tile_multiple: tiles must start at multiples of this many LR pixels, and their sides be multiples.
        rounding: in training, multiplier of the 8-bit quantisation step of what convolutions read; 0 disables.
        licence, origin: of the weights, "" where unknown; weight files and exports keep them.
    """

    batch_norm = False
    scales: tuple[int, ...] = SCALES
    tile_multiple = 1
    rounding = 0.0
    licence = origin = ""

    def __init__(self, scale: int = 4, degradation: str = "bicubic", **kwargs):
        compat.check_settings()
        super().__init__(**kwargs)
        if scale not in self.scales:
            raise ValueError(f"scale must be one of {', '.join(map(str, self.scales))}, not {scale!r}")
        self.scale, self.degradation, self._context = scale, degradation, None

    # Implemented by subclasses.

    def named_layers(self) -> dict[str, keras.layers.Layer]:
        raise NotImplementedError

    def trunk(self, lr, ops: Ops) -> tuple:
        raise NotImplementedError

    def tail(self, features: tuple, ops: Ops):
        raise NotImplementedError

    def norms(self) -> list[tuple[str, str]]:
        """Return pairs of names: a convolution, and the batch norm after it."""
        return []

    def equalised(self, kind: str) -> list[tuple[list[str], list[str], list[str]]]:
        """Return the groups of channels to equalise on export (cross-layer equalisation; docs/int8.md).

        A group is: tensors, by their names in the definition; the convolutions that write them; those that read them.
        kind: "int8", whose tensors all have 8 bits, or another, where only convolutions round what they read.
        """
        return []

    def start_as_interpolation(self) -> None:
        """Initialise the weights so that the output starts as an interpolation of the input.

        Raises:
            ValueError: this generator does not support it.
        """
        raise ValueError(f"interpolate_init: {type(self).__name__} does not support it")

    # Provided.

    def build(self, input_shape):
        """Create the weights; no shape depends on the picture's size."""
        self._survey()
        self.built = True

    def call(self, lr, training=False):
        if not tf.as_dtype(lr.dtype).is_floating:
            raise ValueError(f"LR must be float in [0, 1], not {lr.dtype}: levels / 255 (srgan_tf.upscale takes uint8)")
        ops = KerasOps(self.named_layers(), training, self.rounding if training else 0.0)
        return in_whole_blocks(lambda x: self.tail(self.trunk(x, ops), ops), lr, self.tile_multiple, self.scale)

    def _survey(self, tail_only: bool = False) -> tuple[Survey, float]:
        """Return the survey of all layers, and the receptive field of SR in LR, or in what the tail reads."""
        survey = Survey(self.named_layers())
        features = self.trunk(Trace(0, 1, 3), survey)
        if tail_only:
            features = tuple(Trace(0, 1, trace.channels) for trace in features)
        return survey, self.tail(features, survey).reach

    @property
    def context(self) -> int:
        """Overlap of tiles in LR pixels: the receptive field, or of a large one the part that counts, measured once."""
        if self.receptive_field <= LARGE:
            return self.receptive_field
        if self._context is None:
            self._context = min(self.receptive_field, measure_context(self))
        return self._context

    @property
    def receptive_field(self) -> int:
        """LR pixels on each side of a pixel that its SR depends on; 40 for the paper's."""
        return math.ceil(self._survey()[1])

    @property
    def tail_context(self) -> int:
        """Receptive field of the tail alone."""
        return math.ceil(self._survey(tail_only=True)[1])

    def multiply_adds(self, height: int = 720, width: int = 1280) -> int:
        """Return the multiply-adds of all convolutions for SR of this size in pixels."""
        return round(self._survey()[0].multiply_adds * height * width / self.scale**2)

    def named_weights(self) -> dict[str, tf.Variable]:
        """Return all variables by flat name, such as `block03/bn1/moving_mean`, as in weight files."""
        return {
            f"{name}/{variable.name.split('/')[-1].split(':')[0]}": variable
            for name, layer in self.named_layers().items()
            for variable in layer.weights
        }

    def get_arrays(self) -> dict[str, np.ndarray]:
        """Return the weights as float32 arrays by flat name; PReLU slopes as [channels]."""
        arrays = {n: np.array(compat.local(compat.tf_variable(v))) for n, v in self.named_weights().items()}
        return {name: array.reshape(-1) if name.endswith("alpha") else array for name, array in arrays.items()}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Set all weights from arrays by flat name (of any float type).

        Raises:
            ValueError: an array is missing, unknown, misshapen or not finite; nothing is set then.
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
        self._context = None
        for name, variable in variables.items():
            variable.assign(np.asarray(arrays[name], np.float32).reshape(variable.shape))

    def architecture(self) -> dict:
        """Return the part of the configuration on which SR depends, besides the weights."""
        without = ("name", "trainable", "dtype", "zero_init", "degradation")
        return {k: v for k, v in self.get_config().items() if k not in without}

    def freeze_batch_norm(self) -> None:
        """Use the running statistics in training too, and freeze them, scale and shift."""
        layers = self.named_layers()
        for _, norm in self.norms() if self.batch_norm else ():
            layers[norm].trainable = False

    def without_batch_norm(self) -> "BaseGenerator":
        """Return the same function at inference, with each batch norm folded into the convolution before it."""
        if not self.batch_norm:
            return self
        arrays, layers = self.get_arrays(), self.named_layers()
        for conv, norm in self.norms():
            gamma, beta, mean, variance = (arrays.pop(f"{norm}/{name}") for name in _NORM)
            factor = gamma / np.sqrt(variance + layers[norm].epsilon)
            arrays[f"{conv}/kernel"] = arrays[f"{conv}/kernel"] * factor
            arrays[f"{conv}/bias"] = (arrays[f"{conv}/bias"] - mean) * factor + beta
        return self.like(arrays, batch_norm=False)

    def with_batch_norm(self) -> "BaseGenerator":
        """Return the same function at inference, with batch norms that are the identity."""
        if self.batch_norm:
            return self
        result, arrays = self.like({}, batch_norm=True), self.get_arrays()
        layers = result.named_layers()
        for _, norm in result.norms():
            for name, value in zip(_NORM, (1, 0, 0, 1 - layers[norm].epsilon)):
                arrays[f"{norm}/{name}"] = np.full(getattr(layers[norm], name).shape, value, np.float32)
        result.set_arrays(arrays)
        return result

    def like(self, arrays: dict, **changes) -> "BaseGenerator":
        """Return a generator of this architecture, but for `changes` of its arguments, with other weights."""
        made = type(self)(**{**self.architecture(), "degradation": self.degradation, **changes})
        if arrays:
            made.set_arrays(arrays)
        made.licence, made.origin = self.licence, self.origin
        return made


class BlockGenerator(BaseGenerator):
    """A generator of equal `blocks` with `channels` feature maps.

    Args:
        blocks, channels: at least 1.
        scale, degradation: as for `BaseGenerator`.

    Raises:
        ValueError: the architecture does not have this scale or size.
    """

    arguments = ("blocks", "channels", "scale", "degradation")  # of the constructor, kept as attributes

    def __init__(self, blocks: int, channels: int, scale: int, degradation: str, **kwargs):
        super().__init__(scale, degradation, **kwargs)
        if blocks < 1 or channels < 1:
            raise ValueError(f"blocks and channels must be at least 1, not {blocks!r} and {channels!r}")
        self.blocks, self.channels = blocks, channels

    def block_names(self) -> list[str]:
        """Return the blocks' part of flat names."""
        return [f"block{i:02d}" for i in range(self.blocks)]

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self.arguments}}


def upsampling_factors(scale: int) -> list[int]:
    """Return the steps by which a tail upsamples: 3 at once, or factors of 2."""
    return [3] if scale == 3 else [2] * int(math.log2(scale))


def conv_layer(filters: int, name: str, start=None, size: int = 3) -> keras.layers.Conv2D:
    """Return a zero-padded convolution of this flat name.

    start: the initial kernel; by default PyTorch's, as in most authors' code: with Keras' default, SR of a network
    without batch norm would have ten times the range.
    """
    start = start or keras.initializers.VarianceScaling(1 / 3, distribution="uniform")
    return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=start, name=name.replace("/", "_"))
