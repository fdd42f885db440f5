"""Moving pictures: read as others read them, written so that others read the same."""

import io
from contextlib import suppress

import numpy as np
import pytest
import pyvips
from PIL import Image, features

from srgan_tf.errors import ImageError
from srgan_tf.io import animations, images
from srgan_tf.io.opened import Animation

KINDS = ["GIF", "WEBP", "PNG", *(["AVIF"] if features.check("avif") else [])]
DELAYS = (100, 50, 200, 40)


def frames(count: int = 4, alpha: bool = False) -> list[np.ndarray]:
    """A square that moves over few colours, so that GIF holds them exactly."""
    made = []
    for i in range(count):
        frame = np.zeros((24, 32, 4), np.uint8) if alpha else np.full((24, 32, 4), (40, 90, 160, 255), np.uint8)
        frame[8:16, 4 + 5 * i : 12 + 5 * i] = (200, 30, 60, 255)
        made.append(frame if alpha else frame[..., :3])
    return made


def file_of(kind: str, pictures: list[np.ndarray], **options) -> bytes:
    file, (first, *rest) = io.BytesIO(), map(Image.fromarray, pictures)
    options = {"duration": DELAYS, "loop": 0, "lossless": kind == "WEBP", "quality": 100} | options
    first.save(file, kind, save_all=True, append_images=rest, **options)
    return file.getvalue()


def by_pillow(data: bytes, bands: int) -> tuple[list[np.ndarray], list[float], int | None]:
    with Image.open(io.BytesIO(data)) as file:
        shown, delays = [], []
        for number in range(file.n_frames):
            file.seek(number)
            file.load()
            shown.append(np.asarray(file.convert("RGBA"))[..., :bands])
            delays.append(file.info["duration"])
        return shown, delays, file.info.get("loop")


def near(one, other, kind: str) -> bool:
    """Whether visible colours and alpha agree; on average where the format is lossy."""
    one, other = (np.asarray(x).astype(int) for x in (one, other))
    seen = (one[..., 3:] > 0) if one.shape[-1] == 4 else 1
    differences = np.abs(one * seen - other * seen)
    return differences.mean() < 8 if kind in ("AVIF", "WEBP lossy") else differences.max() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_frames_and_delays_are_read_as_they_were_drawn(kind, alpha):
    drawn = frames(alpha=alpha)
    picture = images.load(file_of(kind, drawn, **({"disposal": 2} if kind == "GIF" and alpha else {})), moving=True)
    assert picture.animation.delays == DELAYS and picture.animation.plays == 0
    for _ in range(2):  # each pass decodes anew
        read = list(picture.animation.frames())
        assert len(read) == len(drawn) and {one.shape for one in read} == {drawn[0].shape}
        assert all(near(a, b, kind) for a, b in zip(drawn, read))


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_gif_frames_are_composed_as_pillow_composes_them(disposal):
    rng, patches = np.random.default_rng(disposal), []
    for i in range(5):  # parts with holes, over one another
        patch = np.zeros((24, 32, 4), np.uint8)
        patch[2 * i : 2 * i + 9, 3 * i : 3 * i + 12] = (*rng.integers(0, 256, 3), 255)
        patches.append(patch)
    data = file_of("GIF", patches, disposal=disposal, duration=100)
    expected, *_ = by_pillow(data, 4)
    read = list(images.load(data, moving=True).animation.frames())
    read = read if read[0].shape[2] == 4 else [np.dstack([one, np.full((24, 32), 255)]) for one in read]
    assert all(near(a, b, "GIF") for a, b in zip(expected, read))


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_what_is_written_is_read_alike_by_others(source, target, tmp_path):
    animation = images.load(
        file_of(source, frames(), **({} if source == "AVIF" else {"loop": 3})), moving=True
    ).animation
    # GIF counts repetitions, the others how often it is shown; AVIF of Pillow repeats for ever.
    plays = {"GIF": 4, "AVIF": 0}.get(source, 3)
    assert animation.plays == plays
    path = tmp_path / f"a.{target.lower()}"
    animations.write(path, animation.frames(), animation, {}, 100)
    data = path.read_bytes()
    shown, delays, loop = by_pillow(data, 3)
    assert delays == list(DELAYS) and len(shown) == 4
    assert loop == (None if target == "AVIF" else plays - 1 if target == "GIF" and plays else plays)
    kind = "AVIF" if "AVIF" in (source, target) else "WEBP lossy" if target == "WEBP" else target
    assert all(near(a, b, kind) for a, b in zip(frames(), shown))
    if target in ("GIF", "WEBP"):
        roll = pyvips.Image.new_from_buffer(data, "", n=-1)
        assert roll.get("delay") == list(DELAYS) and roll.get("n-pages") == 4 and roll.get("page-height") == 24


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "WEBP"])  # FFmpeg has no reader of moving WebP
def test_ffmpeg_reads_the_same(kind, tmp_path):
    av = pytest.importorskip("av")
    animation = images.load(file_of("PNG", frames()), moving=True).animation
    path = tmp_path / f"a.{kind.lower()}"
    animations.write(path, animation.frames(), animation, {}, 100)
    with av.open(str(path)) as file:
        stream = file.streams.video[-1]  # AVIF has its first frame in one of its own as well
        decoded = list(file.decode(stream))
        times = [float(frame.pts * stream.time_base) * 1000 for frame in decoded]
    assert times == pytest.approx([0, 100, 150, 350], abs=1)
    assert all(near(a, frame.to_ndarray(format="rgb24"), kind) for a, frame in zip(frames(), decoded))


def test_delays_that_a_format_cannot_hold_are_rounded_without_drift(tmp_path):
    animation = images.load(file_of("WEBP", frames(), duration=33), moving=True).animation
    animations.write(tmp_path / "a.gif", animation.frames(), animation, {}, 95)
    assert by_pillow((tmp_path / "a.gif").read_bytes(), 3)[1] == [30, 40, 30, 30]
    thirds = images.load(file_of("PNG", frames(), duration=100 / 3), moving=True).animation
    animations.write(tmp_path / "a.png", thirds.frames(), thirds, {}, 95)
    assert by_pillow((tmp_path / "a.png").read_bytes(), 3)[1] == pytest.approx([100 / 3] * 4)


def test_a_picture_before_an_apngs_frames_is_none_of_them():
    data = file_of("PNG", frames(), default_image=True, duration=100)
    picture = images.load(data, moving=True)
    assert len(picture.animation.delays) == 3
    np.testing.assert_array_equal(next(picture.animation.frames()), frames()[1])


def test_equal_frames_stay_as_many_as_they_were(tmp_path):
    still = [frames()[0]] * 3
    for name in ("a.gif", "a.png"):  # libwebp joins them
        animation = Animation(lambda: iter(still), (100.0, 100.0, 100.0), 0)
        animations.write(tmp_path / name, animation.frames(), animation, {}, 95)
        assert len(by_pillow((tmp_path / name).read_bytes(), 3)[0]) == 3, name


def test_without_being_asked_for_frames_the_first_is_taken_and_the_others_are_told():
    for kind in KINDS:
        picture = images.load(file_of(kind, frames()))
        assert picture.animation is None and picture.notes == ["the first of 4 frames; --page=N chooses another"]
        third = images.load(file_of(kind, frames()), page=3, moving=True)
        assert third.animation is None and not third.notes
        assert near(frames()[2], third.rgb(), kind)
        with pytest.raises(ImageError, match="no frame 5, but 4"):
            images.load(file_of(kind, frames()), page=5)


def test_a_gif_that_was_cut_off_keeps_its_whole_frames():
    """As many as Pillow decodes without an error."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), np.uint8)
    data = file_of("gif", list(noise))
    for share in np.linspace(0.3, 0.99, 24):
        cut = data[: int(share * len(data))]
        with Image.open(io.BytesIO(cut)) as file:
            whole, decoded = 0, []
            with suppress(OSError, EOFError, IndexError):
                for number in range(4):
                    file.seek(number)
                    decoded.append(np.asarray(file.convert("RGB")))
                    whole += 1
        picture = images.load(cut, moving=True)
        found = [picture.pixels] if picture.animation is None else list(picture.animation.frames())
        assert len(found) == whole > 0 and "all whole frames were kept" in picture.notes[0]
        assert all((one == other).all() for one, other in zip(found, decoded))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_animation_is_refused_in_one_line(kind):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (24, 32, 3)).astype(np.uint8) for _ in range(4)]
    data = file_of(kind, noise)
    for i in range(40):
        try:
            picture = images.load(data[: int(len(data) * (0.3 + 0.017 * i))], moving=True)
        except ImageError as error:
            assert "\n" not in str(error) and " object at 0x" not in str(error)
            continue
        assert kind == "GIF" and picture.notes == [
            "it lacks its end, or other bytes follow; all whole frames were kept"
        ]
        kept = list(picture.animation.frames()) if picture.animation else [picture.pixels]
        assert len(kept) < 4
        whole = list(images.load(data, moving=True).animation.frames())
        assert all(near(a, b, "GIF") for a, b in zip(kept, whole))
