import numpy as np
import pytest

from srgan_tf.training import losses

RNG = np.random.default_rng(0)
REAL, FAKE = (RNG.normal(mean, 2, (5, 1)).astype(np.float32) for mean in (1, -1))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_standard_losses_are_the_papers_logarithms():
    assert float(losses.generator_loss(REAL, FAKE)) == pytest.approx(np.mean(-np.log(sigmoid(FAKE))), rel=1e-4)
    expected = np.mean(-np.log(sigmoid(REAL))) + np.mean(-np.log(1 - sigmoid(FAKE)))
    assert float(losses.discriminator_loss(REAL, FAKE)) == pytest.approx(expected, rel=1e-4)


def test_relativistic_losses():
    more, less = sigmoid(FAKE - REAL.mean()), sigmoid(REAL - FAKE.mean())
    expected_g = (np.mean(-np.log(more)) + np.mean(-np.log(1 - less))) / 2
    assert float(losses.generator_loss(REAL, FAKE, "relativistic")) == pytest.approx(expected_g, rel=1e-4)
    expected_d = np.mean(-np.log(less)) + np.mean(-np.log(1 - more))
    assert float(losses.discriminator_loss(REAL, FAKE, "relativistic")) == pytest.approx(expected_d, rel=1e-4)


def test_smoothing_moves_the_best_answer_for_hr():
    at = np.linspace(-6, 6, 2401, dtype=np.float32)[:, None]
    values = [
        float(losses.discriminator_loss(x[None], np.full((1, 1), -9.0, x.dtype), label_smoothing=0.1)) for x in at
    ]
    assert sigmoid(at[int(np.argmin(values))]) == pytest.approx(0.9, abs=0.002)


def test_pixel_losses_and_total_variation():
    hr, sr = RNG.uniform(-1, 1, (2, 2, 6, 5, 3)).astype(np.float32)
    assert float(losses.pixel_loss(hr, sr, "mse")) == pytest.approx(np.mean((hr - sr) ** 2), rel=1e-4)
    assert float(losses.pixel_loss(hr, sr, "mae")) == pytest.approx(np.mean(np.abs(hr - sr)), rel=1e-4)
    expected = (np.abs(np.diff(sr, axis=1)).sum() + np.abs(np.diff(sr, axis=2)).sum()) / 2
    assert float(losses.total_variation(sr)) == pytest.approx(expected, rel=1e-4)


def test_phase_loss_sees_what_repeats_everywhere_and_not_what_differs_from_place_to_place():
    hr = RNG.uniform(-0.5, 0.5, (2, 64, 48, 3)).astype(np.float32)
    rows, columns = np.indices((64, 48))
    for pattern in (rows % 2 * 2 - 1, columns // 2 % 2 * 2 - 1, (rows + columns) % 2 * 2 - 1, np.ones((64, 48))):
        sr = hr + 0.01 * pattern[..., None].astype(np.float32)
        assert float(losses.phase_loss(hr, sr, 4)) == pytest.approx(0.01, rel=1e-3)
    noise = RNG.normal(0, 0.01, hr.shape).astype(np.float32)
    # The mean absolute value of a normal variable is sqrt(2 / pi) of its deviation, here of a mean of 8x8.
    assert float(losses.phase_loss(hr, hr + noise, 4)) == pytest.approx(0.01 / 8 * np.sqrt(2 / np.pi), rel=0.1)
    assert float(losses.phase_loss(hr[:, :8, :8], hr[:, :8, :8] + 0.01, 4)) == pytest.approx(0.01, rel=1e-3)


def test_texture_loss_asks_for_contrast_and_not_for_place():
    hr = {(1, 2): RNG.normal(0, 1, (2, 64, 48, 5)), (3, 3): RNG.normal(2, 3, (2, 16, 12, 7))}
    hr = {layer: features.astype(np.float32) for layer, features in hr.items()}
    assert float(losses.texture_loss(hr, hr)) == 0
    half = {layer: features.mean() + (features - features.mean()) / 2 for layer, features in hr.items()}
    assert float(losses.texture_loss(hr, half)) == pytest.approx(0.5, rel=1e-3)
    brighter = {layer: features + 1 for layer, features in hr.items()}
    assert float(losses.texture_loss(hr, brighter)) < 1e-3
    elsewhere = {layer: np.roll(features, features.shape[1] // 2, 1) for layer, features in hr.items()}
    assert float(losses.texture_loss(hr, elsewhere)) < 0.25  # what windows of 256 and of 16 numbers differ by chance


def test_texture_loss_is_that_of_numpys_windows():
    hr, sr = (RNG.uniform(0, 1, (1, 32, 24, 3)).astype(np.float32) for _ in range(2))
    for layer, side in (((1, 2), 16), ((2, 2), 8), ((5, 3), 2)):
        tall, wide = (range(0, length - side + 1, side // 2) for length in (32, 24))
        of = [np.array([x[0, y : y + side, z : z + side].std((0, 1)) for y in tall for z in wide]) for x in (hr, sr)]
        expected = np.abs(of[0] - of[1]).mean() / of[0].mean()
        assert float(losses.texture_loss({layer: hr}, {layer: sr})) == pytest.approx(expected, rel=1e-3)
    small = hr[:, :8, :8], sr[:, :8, :8]  # smaller than a window: all of it is one
    of = [each.std((1, 2)) for each in small]
    expected = np.abs(of[0] - of[1]).mean() / of[0].mean()
    assert float(losses.texture_loss(*({(1, 2): each} for each in small))) == pytest.approx(expected, rel=1e-3)
    assert float(losses.texture_loss(*({(5, 3): each[:, :1, :1]} for each in small))) == 0
