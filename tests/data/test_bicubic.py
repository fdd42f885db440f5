import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srgan_tf.data import cubic
from srgan_tf.data.bicubic import downscale, enlarge
from srgan_tf.evaluation.metrics import psnr


def picture(path) -> np.ndarray:
    array = np.asarray(Image.open(path))
    return array[None, ..., None] if array.ndim == 2 else array[None]


@pytest.mark.parametrize("folder", ["LR_x2", "LR_x3", "LR_x4", "LR_x4_symmetric"])
@pytest.mark.parametrize("benchmark", ["Set5", "Set14"])
def test_every_pixel_is_matlabs(benchmarks, benchmark, folder):
    lr_paths = sorted((benchmarks / benchmark / folder).glob("*.png"))
    if not lr_paths:
        pytest.skip(f"{benchmark} has no {folder}")
    scale, border = int(folder[4]), "symmetric" if "symmetric" in folder else "edge"
    for path in lr_paths:
        hr = picture(benchmarks / benchmark / ("HR" if scale == 4 else f"HR_x{scale}") / path.name)
        np.testing.assert_array_equal(downscale(hr, scale, border), picture(path), err_msg=str(path))


@pytest.mark.parametrize(("benchmark", "expected"), [("Set5", 28.42), ("Set14", 25.99)])
def test_enlarging_scores_as_published(benchmarks, benchmark, expected):
    scores = []
    for path in sorted((benchmarks / benchmark / "HR").glob("*.png")):
        sr = enlarge(picture(benchmarks / benchmark / "LR_x4" / path.name), 4)
        scores.append(psnr(picture(path), sr, shave=4)[0])
    assert np.mean(scores) == pytest.approx(expected, abs=0.01)


def matrix_resize(x: np.ndarray, scale: int, border: str) -> np.ndarray:
    """Shrink the rows of a float array as MATLAB's documentation describes it, pixel by pixel."""
    n = x.shape[0]
    rows = []
    for i in range(-(-n // scale)):
        centre = (i + 0.5) * scale - 0.5
        taps = np.arange(int(np.floor(centre - 2 * scale)), int(np.ceil(centre + 2 * scale)) + 1)
        d = np.abs(taps - centre) / scale
        w = np.where(d <= 1, 1.5 * d**3 - 2.5 * d**2 + 1, np.where(d < 2, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2, 0))
        mirrored = np.where(taps % (2 * n) < n, taps % (2 * n), 2 * n - 1 - taps % (2 * n))
        source = mirrored if border == "symmetric" else np.clip(taps, 0, n - 1)
        rows.append((w[:, None] * x[source]).sum(0) / w.sum())
    return np.array(rows)


@pytest.mark.parametrize("border", ["edge", "symmetric"])
@pytest.mark.parametrize(("scale", "size"), [(2, (7, 10)), (3, (12, 5)), (4, (3, 22)), (5, (11, 10)), (8, (40, 9))])
def test_float_mode_at_any_size(scale, size, border):
    x = np.random.default_rng(0).uniform(-1, 1, size)
    expected = matrix_resize(matrix_resize(x, scale, border).T, scale, border).T
    result = downscale(x[None, ..., None].astype(np.float32), scale, border)
    np.testing.assert_allclose(result[0, ..., 0], expected, atol=2e-6)


def test_float_mode_is_differentiable_and_unclipped():
    x = tf.Variable(tf.random.stateless_normal((1, 16, 16, 3), seed=(1, 2)) * 300)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(downscale(x, 4))
    # Each output's taps sum to 1, so the gradients of all inputs sum to the number of outputs.
    assert float(tf.reduce_sum(tape.gradient(total, x))) == pytest.approx(4 * 4 * 3, rel=1e-5)
    assert np.abs(downscale(x, 4)).max() != np.round(np.abs(downscale(x, 4)).max())
    with pytest.raises(ValueError, match="border"):
        downscale(x, 4, "wrap")


def test_flat_pictures_stay_flat():
    flat = np.full((1, 13, 9, 3), 254, np.uint8)
    assert np.unique(downscale(flat, 3)).tolist() == [254]
    assert np.unique(enlarge(flat, 3)).tolist() == [254]


@pytest.mark.parametrize("taps", [cubic.shrinking(4), cubic.enlarging(4), cubic.shrinking_to(3, 4)])
def test_no_product_is_so_large_that_blas_shares_it_among_threads(monkeypatch, taps):
    """OpenBLAS does from 4 * 65,536 multiplications on (interface/gemm.c); they waited for LiteRT's threads."""
    sizes, matmul = [], np.matmul

    def spy(a, b, **options):
        sizes.append(a.shape[0] * a.shape[1] * b.shape[1])
        return matmul(a, b, **options)

    monkeypatch.setattr(np, "matmul", spy)
    cubic.resize(np.zeros((300, 500, 3), np.float32), taps)
    assert len(sizes) > 10 and max(sizes) <= 4 * 65_536
