"""Each part of the degradation against SciPy, Pillow or its own statistics."""

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from PIL import Image

from srgan_tf.data import degradation
from srgan_tf.data.bicubic import downscale
from srgan_tf.models.srresnet import Generator
from srgan_tf.training.model import SRGAN


@pytest.fixture(scope="module")
def pictures():
    """[2, 72, 88, 3] in [0, 1], of sizes that JPEG's blocks do not divide."""
    with Image.open(sorted((ROOT / "srgan_tf" / "photos" / "heldout").glob("*.jpg"))[0]) as image:
        array = np.asarray(image.convert("RGB"))
    return np.stack([array[:72, :88], array[100:172, 100:188]]).astype(np.float32) / 255


def test_blur_is_scipys_correlation(pictures):
    ndimage = pytest.importorskip("scipy.ndimage")
    kernels = np.random.default_rng(0).uniform(0, 1, (2, 21, 21)).astype(np.float32)
    ours = degradation.blur(pictures, kernels / 400)
    for picture, kernel, result in zip(pictures, kernels / 400, ours):
        expected = ndimage.correlate(picture, kernel[..., None], mode="mirror")
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_kernels_are_the_papers():
    scipy = pytest.importorskip("scipy")
    f = tf.constant
    half = f([10.0, 10.0])
    first, second = degradation.gaussian_kernels(
        f([1.5, 3.0]), f([1.5, 0.8]), f([0.0, math.pi / 6]), f([1.0, 1.0]), f([False, False]), half
    ).numpy()
    impulse = np.zeros((21, 21))
    impulse[10, 10] = 1
    np.testing.assert_allclose(first, scipy.ndimage.gaussian_filter(impulse, 1.5, truncate=8), atol=1e-6)
    y, x = np.mgrid[-10:11, -10:11]
    covariance = np.array([[(second * a * b).sum() for a in (x, y)] for b in (x, y)])
    values, vectors = np.linalg.eigh(covariance)
    np.testing.assert_allclose(np.sqrt(values), [0.8, 3.0], rtol=0.02)
    assert abs(vectors[1, 1] / vectors[0, 1]) == pytest.approx(math.tan(math.pi / 6), rel=0.02)
    cut = degradation.gaussian_kernels(f([3.0]), f([3.0]), f([0.0]), f([2.0]), f([True]), f([3.0])).numpy()[0]
    assert (cut > 0).sum() == 49 and cut[10, 13] / cut[10, 10] == pytest.approx(0.5)  # 1 / (1 + 1)
    sinc = degradation.sinc_kernels(f([2.0]), f([10.0])).numpy()[0]
    r = np.hypot(x, y)
    expected = np.where(r == 0, 1 / math.pi, 2 * scipy.special.j1(2 * r) / (2 * math.pi * np.maximum(r, 0.1)))
    np.testing.assert_allclose(sinc, expected / expected.sum(), atol=1e-5)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_is_libjpegs(pictures, quality):
    ours = np.asarray(degradation.jpeg(pictures, tf.fill([2], float(quality)))) * 255
    for picture, result in zip(pictures * 255, ours):
        file = io.BytesIO()
        Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", quality=quality, subsampling=2)
        theirs = np.asarray(Image.open(file), np.float32)
        # libjpeg computes in integers, and rounds colours once more.
        assert np.abs(result - theirs).mean() < 1 and np.abs((result - theirs) @ [0.299, 0.587, 0.114]).mean() < 0.5
        assert np.abs(result - picture).mean() == pytest.approx(np.abs(theirs - picture).mean(), rel=0.1)


def test_noise_has_the_strength_asked_for():
    grey = np.full((400, 32, 32, 3), 0.5, np.float32)
    found = {}
    for seed in range(8):
        ranges = {"noise": (20.0, 20.0 + 1e-3), "shot": (2.0, 2.0 + 1e-3)}
        noise = np.asarray(degradation._noise(degradation._Draws([seed, 0]), grey, ranges)) - 0.5
        alike = np.ptp(noise, axis=-1).max((1, 2)) == 0
        assert alike.mean() == pytest.approx(0.4, abs=0.1)
        found[round(float(noise.std() * 255))] = True
    assert set(found) == {20, round(2 * math.sqrt(128) / 256 * 255)}  # a Poisson count's deviation is its root


@pytest.mark.matrix
def test_degraded_pictures_are_reproducible_and_of_every_strength(pictures):
    hr = np.repeat((pictures[:, :, :64] * 255).astype(np.uint8)[:, :64], 4, axis=0)
    run = tf.function(lambda seed: degradation.degrade(hr, 4, seed))
    first = np.stack([run(tf.constant([0, step])) for step in range(12)])
    assert first.shape == (12, 8, 16, 16, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first[3], run(tf.constant([0, 3])))
    means = first.astype(float).mean((2, 3))
    assert np.abs(means - hr.astype(float).mean((1, 2))).max() < 30  # colours stay, whatever else does not
    errors = [np.abs(a - hr[:, 2::4, 2::4].astype(float)).mean((1, 2, 3)) for a in first]
    assert np.max(errors) > 2 * np.min(errors) and len({e.tobytes() for e in first.reshape(96, -1)}) == 96


def test_model_degrades_as_a_function_of_seed_and_step(pictures):
    hr = (pictures[:, :64, :64] * 255).astype(np.uint8)
    model = SRGAN(Generator(1, 4), degradation="real", seed=3)
    model.compile("sgd")
    lr, out = model.prepare(hr)
    np.testing.assert_array_equal(lr, np.float32(degradation.degrade(hr, 4, [3, 0])) / 255)
    np.testing.assert_allclose(out, hr / 127.5 - 1, atol=1e-6)
    model.train_step(hr)
    assert not np.array_equal(model.prepare(hr)[0], lr)
    np.testing.assert_array_equal(model.prepare((hr[:, ::4, ::4], hr))[0], np.float32(hr[:, ::4, ::4]) / 255)


@pytest.mark.matrix
def test_everyday_pictures_are_nearer_to_bicubics_than_the_second_order(pictures):
    hr = np.repeat((pictures[:, :64, :64] * 255).astype(np.uint8), 4, axis=0)
    plain = np.asarray(downscale(hr, 4), float)
    kinds = (degradation.degrade, degradation.degrade_everyday)
    run = {f: tf.function(lambda seed, f=f: f(hr, 4, seed)) for f in kinds}
    made = {f: np.stack([each(tf.constant([0, n])) for n in range(12)]) for f, each in run.items()}
    everyday = made[degradation.degrade_everyday]
    assert everyday.shape == (12, 8, 16, 16, 3) and everyday.dtype == np.uint8
    np.testing.assert_array_equal(everyday[3], run[degradation.degrade_everyday](tf.constant([0, 3])))
    second, first = (np.median(np.abs(made[f] - plain).mean((2, 3, 4))) for f in run)
    assert 1 < first < second / 2
    assert len({e.tobytes() for e in everyday.reshape(96, -1)}) > 80  # 4 % are shrunk and no more


def test_shrunk_batches_are_those_of_matlab_or_pillows_box_or_bilinear(pictures):
    hr = (pictures[:, :64, :64] * 255).astype(np.uint8)

    def by_pillow(filter_):
        return np.stack([np.asarray(Image.fromarray(one).resize((16, 16), filter_)) for one in hr])

    ways = [np.asarray(downscale(hr, 4)), by_pillow(Image.Resampling.BOX), by_pillow(Image.Resampling.BILINEAR)]
    model, chosen = SRGAN(Generator(1, 4), degradation="shrunk", seed=3), []
    model.compile("sgd")
    for step in range(60):
        model.optimizer.iterations.assign(step)
        lr = np.asarray(model.prepare(hr)[0]) * 255
        chosen.append(int(np.argmin([np.abs(lr - way).max() for way in ways])))
        assert np.abs(lr - ways[chosen[-1]]).max() < 1.01  # Pillow rounds between its two passes
    assert 20 <= chosen.count(0) <= 40 and min(chosen.count(1), chosen.count(2)) >= 7


@pytest.mark.matrix
def test_share_of_everyday_batches(pictures):
    hr = (pictures[:, :64, :64] * 255).astype(np.uint8)
    model = SRGAN(Generator(1, 4), seed=3, everyday=0.5)
    model.compile("sgd")
    plain, kinds = np.float32(downscale(hr, 4)) / 255, []
    for step in range(20):
        model.optimizer.iterations.assign(step)
        lr, everyday = np.asarray(model.prepare(hr)[0]), degradation.degrade_everyday(hr, 4, [3, step * 1024])
        kinds.append(np.array_equal(lr, np.float32(everyday) / 255))
        assert kinds[-1] or np.array_equal(lr, plain)
    assert 0.25 < np.mean(kinds) < 0.75
