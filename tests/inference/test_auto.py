"""What is told from a picture, and what is chosen for it. Pillow's encoder is the judge of qualities."""

import io
import re

import numpy as np
import pytest
from PIL import Image, features

from srgan_tf import Upscaler, upscale
from srgan_tf.data import cubic
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.errors import WeightsError
from srgan_tf.inference import pictures
from srgan_tf.inference.condition import Condition, analyze
from srgan_tf.inference.litert import EngineRunner
from srgan_tf.inference.loading import load_runner
from srgan_tf.inference.upscaling import suitable_back_projection, suitable_share
from srgan_tf.io import images
from srgan_tf.io.jpeg import LUMA_STEPS, quality_of_table

HELDOUT = sorted((PHOTOS / "heldout").glob("*.jpg"))


def shrunk(path) -> np.ndarray:
    hr = images.read(path)
    height, width = (side // 4 * 4 for side in hr.shape[:2])
    small = cubic.resize(hr[:height, :width].astype(np.float32), cubic.shrinking(4))
    return np.clip(np.floor(small + 0.5), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def lrs() -> list[np.ndarray]:
    assert len(HELDOUT) == 4
    return [shrunk(path) for path in HELDOUT]


def as_jpeg(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_files_tell_the_quality_that_pillow_was_given(lrs, options):
    for quality in (25, 50, 75, 90, 95):
        told = images.load(as_jpeg(lrs[0], quality=quality, **options)).quality
        assert told == pytest.approx(quality, abs=1)
    assert images.load(str(HELDOUT[0])).quality > 80
    file = io.BytesIO()
    Image.fromarray(lrs[0]).save(file, "PNG")
    assert images.load(file.getvalue()).quality is None


def test_a_table_tells_its_quality():
    """Of 8 or 16 bits, as Pillow parses it; and a file without one."""
    steps = np.asarray(Image.open(io.BytesIO(as_jpeg(np.zeros((8, 8), np.uint8), quality=60))).quantization[0])
    assert quality_of_table(steps) == pytest.approx(60, abs=1)
    wide = as_jpeg(np.zeros((8, 8), np.uint8), qtables=[[int(step) * 100 for step in LUMA_STEPS]])
    assert images.load(wide).quality == pytest.approx(1, abs=1)
    assert quality_of_table(steps[:20]) is None and quality_of_table(None) is None


@pytest.mark.parametrize("quality", [30, 50, 75, 85])
@pytest.mark.parametrize("moved", [(0, 0), (3, 5)])
def test_pixels_tell_an_earlier_jpeg_and_its_quality(lrs, quality, moved):
    for lr in lrs:
        pixels = decoded(as_jpeg(lr, quality=quality))[moved[0] :, moved[1] :]
        assert analyze(pixels).jpeg == pytest.approx(quality, abs=4)


@pytest.mark.parametrize("path", HELDOUT)
def test_pixels_of_the_least_height_tell_it_too(path):
    """A grid of 8x8 blocks is looked for from 16 px on."""
    strip = decoded(as_jpeg(images.read(path)[200:216], quality=50))
    assert analyze(strip).jpeg == pytest.approx(50, abs=4)
    assert analyze(strip[:15]).jpeg is None


def test_a_file_saved_twice_has_the_lower_quality(lrs):
    once = decoded(as_jpeg(lrs[1], quality=50))
    assert analyze(once, quality=95).jpeg == pytest.approx(50, abs=4)
    assert analyze(decoded(as_jpeg(lrs[1], quality=85)), quality=40).jpeg == 40


def test_tables_of_other_makers_are_told_from_pixels(lrs):
    flat = [[12] * 64, [20] * 64]  # as of some cameras: all frequencies alike
    pixels = decoded(as_jpeg(lrs[0], qtables=flat))
    assert 40 < analyze(pixels).jpeg < 70


@pytest.mark.parametrize("sigma", [3, 6, 10])
def test_noise_is_measured(lrs, sigma):
    for seed, lr in enumerate(lrs):
        noise = np.random.default_rng(seed).normal(0, sigma, lr.shape)
        noisy = np.clip(np.rint(lr + noise), 0, 255).astype(np.uint8)
        assert analyze(noisy).noise == pytest.approx(sigma, rel=0.15)
        assert analyze(noisy.astype(np.uint16) * 257) == analyze(noisy)


def test_noise_shows_through_texture():
    """Of colours wholly, of grey by degrees: it may be the texture's own."""
    rng = np.random.default_rng(0)
    texture = rng.normal(0, 1, (256, 256, 1))
    for axis in (0, 1):
        texture = np.roll(texture, 1, axis) + 2 * texture + np.roll(texture, -1, axis)
    texture *= 12 / texture.std()

    def noise_of(sigma, channels):
        noise = rng.normal(0, sigma, (256, 256, channels))
        return analyze(np.clip(np.broadcast_to(128 + texture + noise, (256, 256, 3)), 0, 255).astype(np.uint8)).noise

    assert [noise_of(sigma, 3) for sigma in (2, 6, 10)] == pytest.approx([2, 6, 10], rel=0.05)
    grey = [noise_of(sigma, 1) for sigma in (0, 3.5, 5, 6)]  # per channel; of luma, 1.5 times as much
    assert grey == sorted(grey) and grey[0] == 0 and 0 < grey[1] < 3 and 6 < grey[3] < 10


def test_grain_of_one_colour_is_told_from_texture_by_its_strength(lrs):
    """Fine texture is alike in all channels, as is the grain of films and of noise that lost its colours."""
    for seed, lr in enumerate(lrs):
        grain = np.random.default_rng(seed).normal(0, 1, (*lr.shape[:2], 1))
        found = [analyze(np.clip(np.rint(lr + s * grain), 0, 255).astype(np.uint8)) for s in (1.5, 8)]
        assert [suitable_share(one) for one in found] == [0, 1]


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_noise_is_seen_where_colours_were_smoothed(lrs, kind, tmp_path):
    """4:2:0 takes it from the differences of the colours, and leaves it in luma."""
    if not features.check(kind.replace("jpeg", "jpg")):
        pytest.skip(f"this Pillow writes no {kind}")
    upscaler = Upscaler(fast=True)
    for seed, lr in enumerate(lrs):
        noisy = np.random.default_rng(seed).normal(lr, 6).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(tmp_path / f"a.{kind}", quality=98, subsampling="4:2:0")
        settled = pictures.resolve(upscaler, images.load(tmp_path / f"a.{kind}")).description
        assert int(re.search(r"noise (\d+)", settled)[1]) >= 5 and "fast-real" in settled


def test_clean_pictures_are_not_touched(lrs):
    for lr in (*lrs, *map(shrunk, sorted(PHOTOS.glob("*.jpg")))):
        height, width = (side // 4 * 4 for side in lr.shape[:2])
        by_area = lr[:height, :width].reshape(height // 4, 4, width // 4, 4, 3).mean((1, 3))
        for pixels in (lr, np.rint(by_area).astype(np.uint8), lr[..., :1]):
            found = analyze(pixels)
            assert suitable_share(found) == 0 and suitable_back_projection(found) == "full", found


def test_drawings_gradients_and_scraps_are_not_touched():
    ramp = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8)[:, None, None], (256, 256, 3))
    tiles = np.kron(np.random.default_rng(0).integers(0, 2, (32, 32, 1)), np.ones((8, 8, 3))).astype(np.uint8) * 255
    for pixels in (ramp, tiles, np.full((64, 64, 4), 7, np.uint8), np.zeros((1, 1, 1), np.uint8), ramp[:7, :7]):
        assert suitable_share(analyze(pixels)) == 0


def test_what_was_blurred_or_enlarged_before_is_told(lrs):
    for path, lr in zip(HELDOUT, lrs):
        height, width = lr.shape[:2]
        half = Image.fromarray(lr).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
        assert suitable_share(analyze(np.asarray(half.resize((width, height), Image.Resampling.BICUBIC)))) == 1, path


def test_shares_grow_with_the_damage_in_few_steps():
    by_quality = [suitable_share(Condition(jpeg=q)) for q in (98, 92, 88, 85, 75, 60, 30)]
    by_noise = [suitable_share(Condition(noise=n)) for n in (0, 2, 4, 6, 8, 10, 20)]
    for shares in (by_quality, by_noise):
        assert (
            shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1 and set(shares) <= {0, 0.25, 0.5, 0.75, 1}
        )
    assert str(Condition(74.2, 3.4)) == "JPEG 74, noise 3" and str(Condition()) == "clean"


def test_each_picture_gets_what_suits_it(lrs, tmp_path):
    upscaler, lr = Upscaler(fast=True), lrs[0][:64, :72]
    assert np.array_equal(upscaler(lr), Upscaler("fast")(lr))
    data = as_jpeg(lr, quality=50)
    real = Upscaler("fast-real", back_projection="colour")(decoded(data))
    assert np.array_equal(upscaler(decoded(data)), real)  # from the pixels
    (tmp_path / "photo.jpg").write_bytes(data)
    assert np.array_equal(upscale(str(tmp_path / "photo.jpg"), fast=True), real)  # from the file
    between = images.load(as_jpeg(lr, quality=88))
    one = upscaler.resolve(between.pixels, between.quality)
    assert one.description == "JPEG 88 → 50% fast-real, 50% fast"
    by_hand = Upscaler(fast=True, strength=0.5, back_projection="colour")(between.pixels)
    assert np.array_equal(one(between.pixels), by_hand)


def test_grey_alpha_and_16_bit(lrs):
    upscaler, lr = Upscaler(), lrs[2][:48, :56]
    for pixels in (lr[..., 0], lr[..., :2], np.dstack([lr, lr[..., 0]]), lr.astype(np.uint16) * 257):
        made = upscaler(pixels)
        assert made.dtype == pixels.dtype and made.shape == (4 * 48, 4 * 56, *pixels.shape[2:])
        assert np.array_equal(made, Upscaler("srgan")(pixels))


def test_a_model_is_opened_once_and_rests_while_another_works(lrs, monkeypatch):
    opened = []
    monkeypatch.setattr(EngineRunner, "__init__", _counting(EngineRunner.__init__, opened))
    upscaler, lr = Upscaler(), lrs[3][:48, :48]
    damaged = decoded(as_jpeg(lr, quality=40))
    first = [upscaler(pixels) for pixels in (lr, damaged)]
    again = [upscaler(pixels) for pixels in (lr, damaged)]
    assert len(opened) == 2 and all(map(np.array_equal, first, again))


def _counting(init, calls: list):
    def wrapped(self, *args, **options):
        calls.append(args)
        init(self, *args, **options)

    return wrapped


def test_fast_takes_the_smaller_pair_and_blends_it(lrs):
    fast, pixels = Upscaler(fast=True), lrs[0]
    for quality, names in ((None, "fast"), (60, "fast-real"), (88, "50% fast-real, 50% fast")):
        assert fast.resolve(pixels, quality).description.endswith(f"→ {names}")
    blended, *ends = (fast.resolve(pixels, quality)(pixels).astype(float) for quality in (88, 60, None))
    assert all(0.1 < np.abs(blended - end).mean() < np.abs(ends[0] - ends[1]).mean() for end in ends)
    with pytest.raises(ValueError, match="fast goes with model='auto'"):
        Upscaler("srgan", fast=True)


def test_two_models_of_ones_own(lrs):
    from srgan_tf.models.weights import shipped_file

    lr, files = lrs[0][:48, :48], tuple(str(shipped_file(name, ".tflite")) for name in ("compact", "srresnet"))
    upscaler = Upscaler(files)
    assert np.array_equal(upscaler(lr), Upscaler(files[0])(lr))
    half = images.load(as_jpeg(lr, quality=88))
    one = upscaler.resolve(half.pixels, half.quality)
    assert one.description == "JPEG 88 → srresnet.tflite"  # files do not blend: the nearer one
    assert np.array_equal(one(half.pixels), Upscaler(files[1], back_projection="colour")(half.pixels))


def test_two_runners_as_of_a_server(lrs):
    lr, runners = lrs[0][:48, :48], (load_runner("compact"), load_runner("srresnet"))
    upscaler = Upscaler(runners, back_projection="none")
    for pixels, runner in ((lr, runners[0]), (decoded(as_jpeg(lr, quality=40)), runners[1])):
        assert np.array_equal(upscaler(pixels), Upscaler(runner, back_projection="none")(pixels))


def test_wrong_strengths_and_pairs_are_named():
    with pytest.raises(ValueError, match="strength must be 0 to 1"):
        Upscaler("auto", strength=1.5)
    with pytest.raises(ValueError, match="goes with model='auto'"):
        Upscaler("srgan", strength=0.5)
    with pytest.raises(WeightsError, match="nowhere"):
        Upscaler(("srgan", "nowhere"))
