"""LPIPS, the learned perceptual distance of Zhang et al. 2018 (version 0.1, linear heads), in TensorFlow."""

import functools

import numpy as np
import tensorflow as tf

from srgan_tf.models.weights import PRETRAINED

NETWORKS = {"alex": "lpips_alex.npz", "vgg": "vgg16.npz"}
SMALLEST = {"alex": 31, "vgg": 16}  # px; smaller pictures have no deepest features
# The normalisation of torchvision's networks, for RGB in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def distance(hr, sr, network: str = "alex") -> tf.Tensor:
    """Return LPIPS between pictures of one size; 0 for equal ones, lower is better. No border is shaved.

    Args:
        hr, sr: RGB [batch, height, width, 3] or grey [batch, height, width, 1], 0-255.
        network: "alex" (what papers print) or "vgg" (VGG-16).

    Returns:
        float32 [batch].

    Raises:
        ValueError: unknown network, or pictures below its least size (31 px for "alex", 16 px for "vgg").
    """
    return compare(features(hr, network), features(sr, network), network)


def features(images, network: str = "alex") -> list[tf.Tensor]:
    """Return the five normalised feature maps that `compare` takes, so that HR's are computed once."""
    if network not in NETWORKS:
        raise ValueError(f"LPIPS network must be one of {', '.join(NETWORKS)}, not {network!r}")
    images = tf.convert_to_tensor(images)
    if min(side or SMALLEST[network] for side in images.shape[1:3]) < SMALLEST[network]:
        raise ValueError(f"LPIPS ({network}) needs {SMALLEST[network]} px at least, not {images.shape[1:3]}")
    if images.shape[-1] == 1:
        images = tf.repeat(images, 3, axis=-1)
    return _features(tf.cast(images, tf.float32), network)


def compare(hr_features: list, sr_features: list, network: str = "alex") -> tf.Tensor:
    """Return LPIPS from `features`: squared differences weighted per channel, averaged over space and summed."""
    total = 0.0
    for i, (hr, sr) in enumerate(zip(hr_features, sr_features)):
        weighted = tf.math.squared_difference(hr, sr) * _arrays(network)[f"lpips/{i}"]
        total += tf.reduce_mean(tf.reduce_sum(weighted, -1), [1, 2])
    return total


@functools.cache
def _arrays(network: str) -> dict[str, tf.Tensor]:
    with np.load(PRETRAINED / NETWORKS[network]) as file, tf.init_scope():
        return {name: tf.constant(file[name].astype(np.float32)) for name in file.files}


# One graph for pictures of all sizes.
@tf.function(reduce_retracing=True, autograph=False)
def _features(images, network: str) -> list[tf.Tensor]:
    x = (images / 127.5 - 1 - tf.constant(SHIFT)) / tf.constant(SCALE)
    maps = _alex(x, _arrays(network)) if network == "alex" else _vgg(x, _arrays(network))
    return [y / (tf.norm(y, axis=-1, keepdims=True) + 1e-10) for y in maps]


def _conv(x, arrays, name: str, stride: int = 1, pad: int = 1) -> tf.Tensor:
    padding = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
    return tf.nn.relu(tf.nn.conv2d(x, arrays[f"{name}/kernel"], stride, padding) + arrays[f"{name}/bias"])


def _alex(x, arrays) -> list[tf.Tensor]:
    maps = [_conv(x, arrays, "conv1", stride=4, pad=2)]
    maps.append(_conv(tf.nn.max_pool2d(maps[-1], 3, 2, "VALID"), arrays, "conv2", pad=2))
    maps.append(_conv(tf.nn.max_pool2d(maps[-1], 3, 2, "VALID"), arrays, "conv3"))
    for name in ("conv4", "conv5"):
        maps.append(_conv(maps[-1], arrays, name))
    return maps


def _vgg(x, arrays) -> list[tf.Tensor]:
    maps = []
    for block, convs in enumerate((2, 2, 3, 3, 3), 1):
        x = x if block == 1 else tf.nn.max_pool2d(x, 2, 2, "VALID")
        for i in range(1, convs + 1):
            x = _conv(x, arrays, f"conv{block}_{i}")
        maps.append(x)
    return maps
