"""Frames of one clip: as if each were enlarged alone, drawn anew only where something changed."""

import io

import numpy as np
import pytest
from PIL import Image

import srgan_tf
from srgan_tf.inference.pictures import resolve
from srgan_tf.inference.steady import Steady, upscaled
from srgan_tf.io import images


@pytest.fixture(scope="module")
def upscaler():
    return srgan_tf.Upscaler("compact", precision="float32")


def clip(count: int = 5) -> list[np.ndarray]:
    """A photograph, over which a small square moves."""
    photo = np.asarray(Image.open("srgan_tf/photos/heldout/coffee.jpg").convert("RGB"))[100:260, 100:300]
    made = [photo.copy() for _ in range(count)]
    for i, frame in enumerate(made):
        frame[70:78, 20 + 3 * i : 28 + 3 * i] = (200, 30, 60)
    return made


def test_frames_are_as_if_made_alone_and_only_what_changed_is_drawn(upscaler):
    frames = clip()
    steady = Steady(upscaler.resolve(frames[0]))
    made = [steady(frame) for frame in frames]
    assert steady.pixels < 2.5 * frames[0][..., 0].size  # of 5 frames
    for frame, sr in zip(frames, made):
        assert np.abs(sr.astype(int) - upscaler(frame)).max() <= 1
    far = np.ones(made[0].shape[:2], bool)
    far[4 * 30 : 4 * 118, : 4 * 90] = False
    assert all(np.array_equal(made[0][far], sr[far]) for sr in made)


def test_equal_frames_are_drawn_once_and_ticked_all_the_same(upscaler):
    frames, ticks = [clip(1)[0]] * 4, []
    pipeline = upscaler.resolve(frames[0])
    made = list(upscaled(pipeline, frames, lambda: ticks.append(1)))
    steady = Steady(pipeline)
    for frame in frames:
        steady(frame)
    assert steady.pixels == frames[0][..., 0].size and all(sr is made[0] for sr in made)
    assert len(ticks) == 4 * pipeline.num_tiles(*frames[0].shape)


def test_noise_of_a_still_scene_is_averaged_and_motion_is_not(upscaler):
    rng, frames = np.random.default_rng(0), clip(12)
    noisy = [np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).round().astype(np.uint8) for frame in frames]
    steady = Steady(upscaler.resolve(frames[0]), noise=8)
    followed = [steady.follow(frame).copy() for frame in noisy]
    still = np.s_[100:, :]
    assert (followed[-1][still] - frames[-1][still]).std() < 0.6 * (
        noisy[-1][still].astype(float) - frames[-1][still]
    ).std()
    moving = np.s_[71:77, 59:61]  # where the square came last
    np.testing.assert_allclose(followed[-1][moving], noisy[-1][moving], atol=0.01)


def test_an_animation_becomes_one_of_the_same_timing(upscaler, tmp_path):
    frames, file = clip(4), io.BytesIO()
    first, *rest = map(Image.fromarray, frames)
    first.save(file, "PNG", save_all=True, append_images=rest, duration=[40, 80, 120, 160], loop=2)
    (tmp_path / "a.png").write_bytes(file.getvalue())
    srgan_tf.upscale(tmp_path / "a.png", upscaler, output=tmp_path / "a_x4.png")
    made, suffix = srgan_tf.upscale_bytes(file.getvalue(), upscaler, name="a.png")
    assert suffix == ".png" and made == (tmp_path / "a_x4.png").read_bytes()
    with Image.open(tmp_path / "a_x4.png") as shown:
        assert shown.n_frames == 4 and shown.info["loop"] == 2
        for number, frame in enumerate(frames):
            shown.seek(number)
            assert shown.info["duration"] == 40 * (number + 1)
            assert np.abs(np.asarray(shown.convert("RGB")).astype(int) - upscaler(frame)).max() <= 1


def test_what_cannot_move_gets_the_first_frame_and_says_so(upscaler, tmp_path):
    frames, file, notes = clip(3), io.BytesIO(), []
    first, *rest = map(Image.fromarray, frames)
    first.save(file, "PNG", save_all=True, append_images=rest)
    made, _ = srgan_tf.upscale_bytes(file.getvalue(), upscaler, format="jpg", notes=notes)
    assert notes == ["the first of 3 frames, as JPG does not move; GIF, WebP, PNG and AVIF do"]
    assert images.load(made).pixels.shape == (640, 800, 3)
    assert srgan_tf.upscale(file.getvalue(), upscaler).shape == (640, 800, 3)


def test_auto_is_settled_by_the_middle_frame():
    """The first of a clip is often dark."""
    frames, file = [np.zeros((48, 64, 3), np.uint8), *[clip(1)[0][:48, :64]] * 2], io.BytesIO()
    first, *rest = map(Image.fromarray, frames)
    first.save(file, "PNG", save_all=True, append_images=rest)
    seen = []

    class Stub:
        def resolve(self, pixels, quality, subsampled):
            seen.append(pixels)

    resolve(Stub(), images.load(file.getvalue(), moving=True))
    np.testing.assert_array_equal(seen[0], frames[1])
