"""Scores against scikit-image, against the paper's rows, and by hand."""

import keras
import numpy as np
import pytest
from benchmark_files import pictures

from srgan_tf.data.bicubic import enlarge
from srgan_tf.data.levels import to_uint8
from srgan_tf.evaluation import metrics


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(1)
    smooth = np.asarray(enlarge(rng.integers(0, 256, (2, 14, 11, 3), np.uint8), 4))
    noisy = np.clip(smooth + rng.normal(0, 9, smooth.shape), 0, 255).astype(np.uint8)
    noisy[:, :20, :20] = smooth[:, :20, :20] // 2  # a flat, dark patch, where SSIM's constants matter
    return smooth, noisy


def matlab_y(image):
    return np.floor(16 + image @ np.array([65.481, 128.553, 24.966]) / 255 + 0.5)


def test_luma_of_the_colour_cube():
    corners = np.array([[[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]]], np.uint8)
    assert np.asarray(metrics.luma(corners)).ravel().tolist() == [16, 235, 81, 145, 41]  # of MATLAB's manual


def test_to_uint8_rounds_half_up_and_clips():
    sr = np.array([-2.0, -1, 1, 2, (127.5 / 127.5) - 1, 0.5 / 127.5 - 1], np.float32)
    assert np.asarray(to_uint8(sr)).tolist() == [0, 0, 255, 255, 128, 1]


@pytest.mark.parametrize("y_channel", [True, False])
def test_psnr_by_hand(pair, y_channel):
    hr, sr = (matlab_y(p)[..., None] if y_channel else p.astype(float) for p in pair)
    error = ((hr - sr)[:, 4:-4, 4:-4] ** 2).mean((1, 2, 3))
    assert np.asarray(metrics.psnr(*pair, y_channel=y_channel)) == pytest.approx(
        10 * np.log10(255**2 / error), abs=1e-3
    )


def test_equal_pictures(pair):
    assert np.isinf(metrics.psnr(pair[0], pair[0])).all()
    assert np.asarray(metrics.ssim(pair[0], pair[0])) == pytest.approx(1)
    assert np.asarray(metrics.ssim_daala(pair[0], pair[0])) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["y", "rgb", "grey"])
def test_ssim_is_scikit_images(pair, kind):
    skimage = pytest.importorskip("skimage.metrics")
    pair = [p[..., :1] for p in pair] if kind == "grey" else pair
    ours = np.asarray(metrics.ssim(*pair, shave=3, y_channel=kind != "rgb"))
    for i, (hr, sr) in enumerate(zip(*pair)):
        if kind == "y":
            hr, sr = (matlab_y(image)[..., None] for image in (hr, sr))
        theirs = skimage.structural_similarity(
            hr[3:-3, 3:-3].astype(float),
            sr[3:-3, 3:-3].astype(float),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        assert ours[i] == pytest.approx(theirs, abs=1e-5)


def test_daala_window():
    # 256 px high: sigma 1.5, taps of 256 * the normal density, cut where they fall below half.
    window = np.asarray(metrics._daala_window(256, 300)) * 256
    assert window.tolist() == [2, 9, 28, 55, 68, 55, 28, 9, 2]
    assert np.asarray(metrics._daala_window(2, 300)).tolist() == [1]


@pytest.mark.parametrize(
    "benchmark, nearest, bicubic",
    [("Set5", 0.7552, 0.8211), pytest.param("Set14", 0.7100, 0.7486, marks=pytest.mark.matrix)],
)
def test_ssim_daala_gives_the_papers_rows(benchmark, nearest, bicubic):
    rows = []
    for hr, lr in pictures(benchmark):
        enlarged = lr.repeat(4, 1).repeat(4, 2), enlarge(lr, 4)
        rows.append([float(metrics.ssim_daala(hr, sr)[0]) for sr in enlarged])
    assert np.mean(rows, 0) == pytest.approx([nearest, bicubic], abs=0.0006)


@pytest.mark.parametrize("benchmark, wanted", [("Set5", 28.42), ("Set14", 25.99)])
def test_psnr_of_bicubic_is_the_literatures(benchmark, wanted):
    scores = [float(metrics.psnr(hr, enlarge(lr, 4))[0]) for hr, lr in pictures(benchmark)]
    assert np.mean(scores) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("metric", [metrics.PSNR, metrics.SSIM, metrics.LPIPS])
def test_keras_metrics_in_fit(pair, metric):
    hr = pair[0][:, :40, :40].astype(np.float32) / 127.5 - 1
    model = keras.Sequential([keras.layers.Conv2D(3, 3, padding="same")])
    model.compile(loss="mse", metrics=[metric(shave=2)])
    history = model.fit(hr, hr, batch_size=1, verbose=0, validation_data=(hr, hr)).history
    name = metric().name
    assert np.isfinite([history[name], history[f"val_{name}"]]).all()
    restored = metric.from_config(metric(shave=3).get_config())
    assert (restored.shave, restored.name) == (3, name)


def test_keras_metric_is_the_mean_of_the_function(pair):
    metric = metrics.PSNR(shave=2)
    for picture in range(2):
        hr, sr = (image[picture : picture + 1].astype(np.float32) / 127.5 - 1 for image in pair)
        metric.update_state(hr, sr)
    assert float(metric.result()) == pytest.approx(np.mean(metrics.psnr(*pair, shave=2)), abs=1e-3)
