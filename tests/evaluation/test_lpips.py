"""LPIPS against figures measured with independent code, and its networks against Keras' own."""

import keras
import numpy as np
import pytest
from benchmark_files import pictures

from srgan_tf.data.bicubic import enlarge
from srgan_tf.evaluation import lpips


def test_bicubic_on_set5():
    scores = [lpips.distance(hr[:, 4:-4, 4:-4], enlarge(lr, 4)[:, 4:-4, 4:-4])[0] for hr, lr in pictures("Set5")]
    assert np.mean(scores) == pytest.approx(0.344, abs=0.002)


def test_vgg_is_keras_vgg():
    reference = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    arrays = {name: np.asarray(array) for name, array in lpips._arrays("vgg").items()}
    for layer in reference.layers:
        if "conv" in layer.name:
            block, i = layer.name[5], layer.name[-1]
            layer.set_weights([arrays[f"conv{block}_{i}/{part}"] for part in ("kernel", "bias")])
    names = ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]
    cut = keras.Model(reference.input, [reference.get_layer(name).output for name in names])

    hr, sr = np.random.default_rng(0).integers(0, 256, (2, 1, 37, 44, 3), np.uint8)
    # torchvision's normalisation; LPIPS' own constants are these, to three digits, on [-1, 1].
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    total = 0
    for i, (a, b) in enumerate(zip(*(cut((p / 255 - mean) / deviation) for p in (hr, sr)))):
        a, b = (np.asarray(y) / np.linalg.norm(y, axis=-1, keepdims=True) for y in (a, b))
        total += ((a - b) ** 2 @ arrays[f"lpips/{i}"]).mean()
    assert float(lpips.distance(hr, sr, "vgg")[0]) == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("network", lpips.NETWORKS)
def test_properties(network):
    hr, sr = np.random.default_rng(0).integers(0, 256, (2, 2, 48, 40, 1), np.uint8)
    scores = np.asarray(lpips.distance(hr, sr, network))
    assert scores.shape == (2,)
    assert (scores > 0.01).all()
    assert np.asarray(lpips.distance(hr, hr, network)) == pytest.approx(0)
    assert np.asarray(lpips.distance(sr, hr, network)) == pytest.approx(scores)
    assert np.asarray(lpips.distance(hr.repeat(3, -1), sr.repeat(3, -1), network)) == pytest.approx(scores)


def test_smallest_pictures():
    for network, side in lpips.SMALLEST.items():
        picture = np.zeros((1, side, side, 3), np.uint8)
        assert np.isfinite(lpips.distance(picture, picture, network)).all()
        with pytest.raises(ValueError, match=f"{side} px"):
            lpips.distance(picture[:, 1:], picture[:, 1:], network)


def test_other_network():
    with pytest.raises(ValueError, match="alex, vgg"):
        lpips.distance(np.zeros((1, 64, 64, 3)), np.zeros((1, 64, 64, 3)), "squeeze")
