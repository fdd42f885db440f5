"""Export a generator to .tflite files, in a form whose int8 runs entirely in XNNPACK (docs/int8.md)."""

import warnings
from collections import defaultdict
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from srgan_tf.data.bundled import photographs
from srgan_tf.export.metadata import with_metadata
from srgan_tf.inference.lite_model import on_grid
from srgan_tf.models.base import BaseGenerator
from srgan_tf.models.ops import Ops, enlarge, fold, in_whole_blocks

# Percent of a tensor's values clipped at each end of its int8 range. The paper's generator loses .148 dB on Set5 with
# 0.05, .150 with 0.005, .160 with 0.001; compact .10, .02 and .02.
CLIPPED = 0.005
# Weights this many times the median of their filter are outliers: in generators initialised as an interpolation,
# weights that carry the picture are 200 to 3,000 times the median, others at most 70 times.
OUTLIER = 100


def convert(
    generator: BaseGenerator,
    kind: str,
    size: int | None = None,
    name: str = "generator",
    family: tuple[BaseGenerator, ...] = (),
    weights: str = "",
) -> bytes:
    """Return a .tflite model: LR [1, h, w, 3] → SR [1, scale * h, scale * w, 3].

    Args:
        generator: of any registered class, size and scale.
        kind: "float32", "float16" (weights stored in half precision), "dynamic" (weights in 8 bits) and "engine" take
            and give RGB in [0, 1]; "int8" takes and gives uint8 RGB, 0-255. "engine" is what
            `inference.litert` runs: float16, prepared for 8 bits, with the trunk's result marked.
        size: LR pixels per side; None for any, which int8 does not support.
        name: of the model, for its metadata.
        family: for "engine", others of the same architecture whose files shall blend with this one.
        weights: SHA-256 of the generator's weight file, stored in the model.
    """
    rounded = kind in ("dynamic", "engine")  # convolutions in 8 bits, all between them in float32
    network, mark = Exported(generator, kind == "engine", rounded), _as_it_is
    if rounded:
        networks = [network, *(Exported(other, False, True) for other in family)]
        equalise(networks, kind)
        split_outliers([one.arrays for one in networks])
    if kind == "dynamic":
        onto_levels(network.arrays)
    if kind == "int8":
        mark = fake_quantised(network)
    picture = tf.TensorSpec([1, size, size, 3], tf.float32, "lr")
    function = tf.function(lambda lr: network(lr, mark), [picture], autograph=False)
    # Weights are constants of the graph: int8 conversion fails on variables.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind in ("float16", "engine"):
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = converter.convert()
    return with_metadata(model, name, generator, kind, weights)


def _as_it_is(x, name: str):
    return tf.clip_by_value(x, 0, 1) if name == "sr" else x


class Exported:
    """A generator in the form of its .tflite files.

    `arrays` are the weights that `network(lr, mark)` computes with; passes below change them.

    Args:
        generator: the Keras model.
        tell_trunk: also return the trunk's result, as "features", if it is one tensor.
        one_prelu: as for `ExportOps`.
    """

    def __init__(self, generator: BaseGenerator, tell_trunk: bool = False, one_prelu: bool = False):
        self.generator, self._tell_trunk, self._one_prelu = generator.without_batch_norm(), tell_trunk, one_prelu
        self.arrays = self.generator.get_arrays()
        self._turned: set[str] = set()
        self(tf.zeros([1, 8, 8, 3]))  # moves the last convolution to [0, 1] and before the shuffle, once

    def __call__(self, lr, mark=_as_it_is) -> dict[str, tf.Tensor]:
        """LR float32 [1, h, w, 3] in [0, 1] → {"sr": SR in [0, 1]}.

        Args:
            mark: called with each tensor whose range int8 needs, and its name; returns its replacement.
        """
        ops = ExportOps(self.arrays, self._turned, mark, self._one_prelu)
        lr, told = mark(lr, "lr"), {}

        def network(whole):
            features = self.generator.trunk(whole, ops)
            if self._tell_trunk and len(features) == 1:
                told["features"] = features[0]
            return ops.plain(self.generator.tail(features, ops))

        block = 1 if self._tell_trunk else self.generator.tile_multiple  # our engine gives it whole blocks
        return {"sr": in_whole_blocks(network, lr, block, self.generator.scale), **told}


@dataclass(frozen=True)
class Shuffled:
    """A tensor before its pixel shuffle, which operations per channel may precede.

    A quarter (or ninth) of the pixels with more channels fill a processor's registers, which 3 outputs leave mostly
    empty.
    """

    x: tf.Tensor
    block: int


class ExportOps(Ops):
    """Compute in CONV_2D, MUL, ADD and DEPTH_TO_SPACE, and further operations of an architecture.

    PReLU is x + relu((a - 1) x), or x - relu((1 - a) x) for slopes a > 1: XNNPACK (LiteRT 2.3) runs neither PRELU nor
    MAXIMUM in int8, but these; each tensor has its own range.

    Args:
        arrays: the weights by flat name, with folded batch norm.
        turned: names of last convolutions that have this form already.
        mark: as for `Exported`.
        one_prelu: use XNNPACK's float32 PRELU, one pass over memory instead of two: 12% of the time beside 8-bit
            convolutions.
    """

    def __init__(self, arrays: dict, turned: set, mark, one_prelu: bool = False):
        self.arrays, self.turned, self.mark, self.one_prelu = arrays, turned, mark, one_prelu

    def plain(self, x):
        return tf.nn.depth_to_space(x.x, x.block) if isinstance(x, Shuffled) else x

    def _conv(self, x, name: str, sign: int = 1, relu: bool = False):
        y = tf.nn.conv2d(x, sign * self.arrays[f"{name}/kernel"], 1, "SAME") + sign * self.arrays[f"{name}/bias"]
        if f"{name}/outliers" not in self.arrays:
            return tf.nn.relu(y) if relu else y
        chosen = self.mark(tf.nn.conv2d(x, self.arrays[f"{name}/chosen"], 1, "SAME"), f"{name}/chosen")
        outliers = tf.nn.conv2d(chosen, sign * self.arrays[f"{name}/outliers"], 1, "SAME")
        end = f"{sign}/relu" if relu else sign
        y = self.mark(y, f"{name}/rest/{end}") + self.mark(outliers, f"{name}/outliers/{end}")
        return tf.nn.relu(y) if relu else y

    def conv(self, x, name, relu=False):
        return self.mark(self._conv(self.plain(x), name, relu=relu), name)

    def prelu(self, x, name):
        if isinstance(x, Shuffled):
            return Shuffled(self._prelu(x.x, name, x.block**2), x.block)
        return self._prelu(x, name, 1)

    def _prelu(self, x, name: str, copies: int):
        if self.one_prelu:
            slope = np.tile(self.arrays[f"{name}/alpha"], copies)
            return self.mark(tf.nn.relu(x) + -slope[None, None] * tf.nn.relu(-x), f"{name}/sum")  # becomes PRELU
        slope = np.tile(self.arrays[f"{name}/alpha"] - 1, copies)
        lifted = self.mark(tf.nn.relu(x * -np.abs(slope)), f"{name}/lifted")
        if (slope > 0).any():
            lifted = self.mark(lifted * np.where(slope > 0, np.float32(-1), np.float32(1)), f"{name}/turned")
        return self.mark(x + lifted, f"{name}/sum")

    def stem(self, lr, conv, prelu):
        """Give negative values, which PReLU shrinks, their own convolution and range: that saves a bit."""
        if self.one_prelu:
            return super().stem(lr, conv, prelu)
        above, below = (self.mark(self._conv(lr, conv, sign, relu=True), f"head/{sign}") for sign in (1, -1))
        return self.mark(above + self.mark(below * -self.arrays[f"{prelu}/alpha"], "head/below"), "head")

    def leaky_relu(self, x, name):
        return self.mark(super().leaky_relu(self.plain(x), name), name)

    def silu(self, x, name):
        open_ = self.mark(tf.sigmoid(self.plain(x)), f"{name}/sigmoid")
        return self.mark(self.plain(x) * open_, name)

    def add(self, x, y, name, scale=1.0):
        return self.mark(super().add(self.plain(x), self.plain(y), name, scale), name)

    def centre(self, lr, colour, name):
        return self.mark(super().centre(lr, colour, name), name)

    def gate(self, x, y, name):
        open_ = self.mark(tf.sigmoid(self.plain(y)), f"{name}/sigmoid")
        return self.mark(self.plain(x) * self.mark(open_ - 0.5, f"{name}/centred"), name)

    def concat(self, xs, name):
        return self.mark(super().concat([self.plain(x) for x in xs], name), name)

    def shuffle(self, x, block):
        return Shuffled(self.plain(x), block) if block > 1 else x

    def unshuffle(self, lr, block):
        """As a convolution, which takes one pixel too, as LiteRT's files of any size have at first; without padding."""
        channels = block**2 * lr.shape[-1]
        kernel = np.eye(channels, dtype=np.float32).reshape(block, block, -1, channels)
        return self.mark(tf.nn.conv2d(lr, kernel, block, "SAME"), "unshuffled")

    def nearest(self, x, factor):
        return super().nearest(self.plain(x), factor)

    def _settle(self, name: str, block: int, factor: float, shift: float) -> None:
        """Change a last convolution to factor * y + shift, before the shuffle, once."""
        if name in self.turned:
            return
        self.turned.add(name)
        kernel, bias = self.arrays[f"{name}/kernel"], self.arrays[f"{name}/bias"]
        self.arrays[f"{name}/kernel"] = factor * (fold(kernel, block).numpy() if block > 1 else kernel)
        self.arrays[f"{name}/bias"] = factor * np.tile(bias, block**2) + np.float32(shift)

    def picture(self, x, name, activation=None):
        block, linear = x.block if isinstance(x, Shuffled) else 1, activation in (None, "linear")
        self._settle(name, block, *((0.5, 0.5) if linear else (1, 0)))  # [-1, 1] → [0, 1], after the activation
        y = self._conv(x.x if isinstance(x, Shuffled) else x, name)
        if not linear:
            y = self.mark(keras.activations.get(activation)(self.mark(y, "tail")), "activation") * 0.5 + 0.5
        y = self.mark(y, "sr")
        return Shuffled(y, block) if block > 1 else y

    def residue(self, x, name):
        self._settle(name, 1, 0.5, 0)
        return self.conv(x, name)

    def onto_enlarged(self, residue, lr, scale, method="bilinear"):
        return self.mark(self.plain(residue) + self.mark(enlarge(lr, scale, method), "enlarged"), "sr")


def equalise(networks: list[Exported], kind: str) -> None:
    """Cross-layer equalisation (Nagel et al. 2019): give the channels of a tensor one range.

    Ranges of channels differ tenfold, and 8 bits have one step per tensor. Weights that write a channel are multiplied,
    and those that read it divided, by the same factor, which keeps the function. Networks of one architecture get the
    same factors.
    """
    groups = networks[0].generator.equalised(kind)
    if not groups:
        return
    seen = [measured(network, lambda x: np.abs(x).max((0, 1, 2))) for network in networks]
    for tensors, writers, readers in groups:
        reach = np.max([np.max(one[name], 0) / np.max(one[name]) for one in seen for name in tensors], 0)
        channels = networks[0].arrays[f"{readers[0]}/kernel"].shape[2]
        # With a pixel shuffle in between, several filters write a channel.
        reach = np.tile(reach.reshape(-1, channels).max(0), reach.size // channels)
        factors = (1 / np.maximum(reach, 0.01)).astype(np.float32)
        for arrays in (network.arrays for network in networks):
            for name in writers:
                arrays[f"{name}/kernel"] = arrays[f"{name}/kernel"] * factors
                arrays[f"{name}/bias"] = arrays[f"{name}/bias"] * factors
            for name in readers:
                arrays[f"{name}/kernel"] = arrays[f"{name}/kernel"] / factors[:channels, None]


def split_outliers(networks: list[dict]) -> None:
    """Outlier channel splitting: move weights far larger than the rest of their filter into small kernels.

    In 8 bits a filter has one step for all its weights. Where some carry the picture and others add detail (see
    `start_as_interpolation`), that step would erase the others. Outliers lie in few channels, near the centre: "chosen"
    selects these channels, "outliers" has their weights. Networks of one architecture, given by their arrays, split the
    same weights.
    """
    for name in [name.removesuffix("/kernel") for name in networks[0] if name.endswith("/kernel")]:
        kernels = [arrays[f"{name}/kernel"] for arrays in networks]
        sizes = [np.abs(kernel) for kernel in kernels]
        far = np.any([size > OUTLIER * _typical(size) for size in sizes], 0)
        if not far.any():
            continue
        channels, middle = np.flatnonzero(far.any((0, 1, 3))), far.shape[0] // 2
        reach = np.abs(np.argwhere(far)[:, :2] - middle).max()
        part = np.ix_(*[range(middle - reach, middle + reach + 1)] * 2, channels)
        for arrays, kernel in zip(networks, kernels):
            arrays[f"{name}/chosen"] = np.eye(kernel.shape[2], dtype=np.float32)[None, None, :, channels]
            arrays[f"{name}/outliers"] = (kernel * far)[part]
            arrays[f"{name}/kernel"] = kernel * ~far


def _typical(sizes: np.ndarray) -> np.ndarray:
    """Return the median of each filter's non-zero weights; half of a folded kernel may be padding."""
    return np.ma.median(np.ma.masked_equal(sizes, 0), (0, 1, 2)).filled(0)


def onto_levels(arrays: dict) -> None:
    """Round the kernels to the 8-bit values of `in_levels`, which the converter's rounding keeps."""
    kernels = ("/kernel", "/chosen", "/outliers")
    arrays |= {name: on_grid(array) for name, array in arrays.items() if name.endswith(kernels)}


def fake_quantised(network: Exported):
    """Return the `mark` of fake quantisation, with int8 ranges measured on the bundled photographs.

    Equalises and splits the network's arrays first. The converter's calibrator runs ADD and MAXIMUM in place and
    records their results as their inputs, which cost the paper's generator 2.6 dB on Set5 (TensorFlow 2.21).
    """
    equalise([network], "int8")
    split_outliers([network.arrays])
    onto_levels(network.arrays)
    ends = measured(network, lambda x: np.percentile(x, [CLIPPED, 100 - CLIPPED]))
    ranges = {name: (min(0, np.min(values)), max(1e-6, np.max(values))) for name, values in ends.items()}
    for rest in [name for name in ranges if "/rest/" in name and name.endswith("/relu")]:
        # ReLU drops sums below 0: what one part cannot lift above it, the other need not tell apart.
        outliers = rest.replace("/rest/", "/outliers/")
        (low, high), (least, most) = ranges[rest], ranges[outliers]
        ranges[rest], ranges[outliers] = (max(low, -most), high), (max(least, -high), most)
    ranges |= {name: (0, 255 / 256) for name in ranges if name.endswith("/sigmoid")}  # the only range of int8 LOGISTIC
    ranges |= dict.fromkeys(("lr", "unshuffled", "enlarged", "sr"), (0, 1))  # uint8 in and out are the picture's
    return lambda x, name: tf.quantization.fake_quant_with_min_max_args(x, *map(float, ranges[name]))


def measured(network: Exported, measure) -> dict[str, list]:
    """Return measure(x) of each marked tensor [1, h, w, channels] for each photograph, plain and saturated.

    Without saturated colours ranges are too small: a photograph of red pencils lost 5 dB.
    """
    seen = defaultdict(list)

    def mark(x, name):
        seen[name].append(measure(np.asarray(x)))
        return x

    for lr in photographs("train", network.generator.scale, 96):
        grey = lr.mean(-1, keepdims=True)
        for picture in (lr, np.clip(grey + 4 * (lr - grey), 0, 1)):
            network(tf.constant(picture), mark)
    return seen
