"""Videos: what FFmpeg (PyAV) reads of what was made, and of what it was made of, is the same but for the size."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import srgan_tf
from srgan_tf.cli import main
from srgan_tf.errors import ImageError
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.io import files, images

av = pytest.importorskip("av")
from srgan_tf.video import clip as clips  # noqa: E402
from srgan_tf.video import sink  # noqa: E402
from srgan_tf.video.source import Source  # noqa: E402

WIDTH, HEIGHT, RATE = 48, 32, 24
CHECKED_MALLOC = Path("/lib/x86_64-linux-gnu/libc_malloc_debug.so.0")


class Nearest:
    """A runner that repeats pixels, so that colours can be told exactly."""

    info = srgan_tf.Upscaler("compact")._default.runner.info
    scale, context, tile_overlap, max_tile, bytes_per_pixel, fixed_bytes, precision = 4, 0, 0, 1024, 1, 0, "exact"
    one_size = False

    def __call__(self, lr):
        return lr.repeat(4, 1).repeat(4, 2) * 2 - 1

    def map(self, call, items):
        return map(call, items)


class Upscaler:
    scale = 4

    def resolve(self, pixels, quality=None, subsampled=False):
        return Pipeline(Nearest(), 4, "none")


def pictures(count: int, size=(WIDTH, HEIGHT)) -> list[np.ndarray]:
    """A bright square over a dark ground, at a place of its own in each frame."""
    made = []
    for i in range(count):
        frame = np.full((size[1], size[0], 3), (30, 60, 90), np.uint8)
        frame[8:20, 4 + i % 24 : 16 + i % 24] = (200, 120, 40)
        made.append(frame)
    return made


def make(path, count=30, size=(WIDTH, HEIGHT), steps=(1000,), start=0, audio=False, subtitles=False, **context):
    """Write a video of frames `steps` ticks of 1/24,000 s apart."""
    settings = {"codec": "libx264", "pix_fmt": "yuv444p", "options": {"crf": "1"}} | context
    rotation, alpha = settings.pop("rotation", 0), settings.pop("alpha", None)
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Tïtle"
        video = out.add_stream(settings.pop("codec"), rate=RATE, options=settings.pop("options"))
        video.width, video.height = size
        for name, value in settings.items():
            setattr(video.codec_context, name, value)
        video.codec_context.time_base = Fraction(1, 24_000)
        if rotation:
            video.set_display_rotation(rotation)
        sound = out.add_stream("aac", rate=48_000, layout="mono") if audio else None
        if audio:
            sound.metadata["language"] = "deu"
            out.set_chapters(
                [{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}}]
            )
        at = start
        shown = pictures(24, size)
        for i in range(count):
            pixels = shown[i % 24]
            frame = av.VideoFrame.from_ndarray(
                np.dstack([pixels, pixels[..., 0]]) if alpha else pixels, "rgba" if alpha else "rgb24"
            )
            frame = frame.reformat(format=video.codec_context.pix_fmt, dst_colorspace=settings.get("colorspace"))
            frame.pts, frame.time_base = at, Fraction(1, 24_000)
            at += steps[i % len(steps)]
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound:
            wave = np.sin(np.arange(2 * at) * 440 * 2 * np.pi / 48_000).astype(np.float32)
            for i in range(0, len(wave) - 1024, 1024):
                part = av.AudioFrame.from_ndarray(wave[None, i : i + 1024], "fltp", "mono")
                part.sample_rate, part.pts, part.time_base = 48_000, i, Fraction(1, 48_000)
                out.mux(sound.encode(part))
            out.mux(sound.encode(None))
    return path


def upscale(path, target, codec="h264", crf=1, **options):
    made = clips.Clip(str(path), str(target), Upscaler(), {}, sink.Encoding(codec, crf), **options)
    made.make(lambda done: None)
    return made


def read(path) -> tuple[list[np.ndarray], list[Fraction]]:
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.pts * frame.time_base for frame in frames]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("steps", [(1000,), (1001,), (500, 2000, 1000)], ids=["24", "23.976", "variable"])
def test_times_are_kept_to_the_tick(tmp_path, ending, steps, monkeypatch):
    monkeypatch.setattr(clips, "SEGMENT", 7)
    make(tmp_path / f"a{ending}", steps=steps)
    made = upscale(tmp_path / f"a{ending}", tmp_path / f"b{ending}")
    before, times = read(tmp_path / f"a{ending}")
    after, kept = read(tmp_path / f"b{ending}")
    assert made.done == 30 and len(after) == 30 and kept == times
    assert after[0].shape == (4 * HEIGHT, 4 * WIDTH, 3)
    for one, sr in zip(before, after):
        assert np.abs(one.repeat(4, 0).repeat(4, 1).astype(int) - sr).mean() < 3
    assert not (tmp_path / f".srgan_tf-b{ending}").exists()


def packets(path, kind) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(one) for one in file.demux(**{kind: 0}) if one.size]


def test_sound_chapters_titles_and_rotation_go_along_untouched(tmp_path):
    make(tmp_path / "a.mp4", audio=True, rotation=90)
    upscale(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert packets(tmp_path / "a.mp4", "audio") == packets(tmp_path / "b.mp4", "audio")
    with av.open(str(tmp_path / "b.mp4")) as file, av.open(str(tmp_path / "a.mp4")) as before:
        assert file.metadata["title"] == "Tïtle" and file.streams.audio[0].language == "deu"
        assert [one["metadata"] for one in file.chapters()] == [{"title": "one"}]
        assert abs(file.duration - before.duration) < 1000
        assert next(file.decode(video=0)).rotation == next(before.decode(video=0)).rotation != 0


def test_subtitles_go_along_untouched(tmp_path):
    (tmp_path / "a.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,400\nHello\n\n2\n00:00:00,500 --> 00:00:00,900\nThere\n"
    )
    make(tmp_path / "a.mp4", audio=True)
    with (
        av.open(str(tmp_path / "a.mp4")) as video,
        av.open(str(tmp_path / "a.srt")) as text,
        av.open(str(tmp_path / "a.mkv"), "w") as out,
    ):
        kept = [*video.streams.video, *video.streams.audio, *text.streams.subtitles]
        copies = [out.add_stream_from_template(one, opaque=True) for one in kept]
        copies[2].metadata["language"] = "deu"
        for one, copy in zip(kept, copies):
            for packet in one.container.demux(one):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
            if one.type == "video":
                video.seek(0)
    upscale(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert packets(tmp_path / "b.mkv", "subtitles") == packets(tmp_path / "a.mkv", "subtitles") == [b"Hello", b"There"]
    assert packets(tmp_path / "b.mkv", "audio") == packets(tmp_path / "a.mkv", "audio")
    with av.open(str(tmp_path / "b.mkv")) as file:
        assert file.streams.subtitles[0].language == "deu"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, None], ids=["709", "601", "unstated"])
def test_colours_are_right_by_the_formulas_and_tagged(tmp_path, matrix, full):
    """Y'CbCr by ITU-T H.273, equations 2 and on, of what the file states; unstated is BT.601 below 720 rows."""
    red, blue = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    colours = {"colorspace": matrix or 2, "color_range": 2 if full else 1}
    make(tmp_path / "a.mkv", count=3, **colours)
    upscale(tmp_path / "a.mkv", tmp_path / "b.mkv")
    with av.open(str(tmp_path / "a.mkv")) as file, av.open(str(tmp_path / "b.mkv")) as made:
        before, after = next(file.decode(video=0)), next(made.decode(video=0))
        assert after.colorspace == (matrix or 6) and after.color_range == (2 if full else 1)
    y, cb, cr = (plane.astype(float) for plane in before.to_ndarray(channel_last=False))
    y, cb, cr = (
        (y / 255, (cb - 128) / 255, (cr - 128) / 255) if full else ((y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224)
    )
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    expected = 255 * np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], -1)
    source = Source(str(tmp_path / "a.mkv"), 10**8)
    _, rgb = next(iter(source.frames()))
    assert np.abs(rgb - expected.clip(0, 255)).max() <= 2
    luma = after.to_ndarray()[: 4 * HEIGHT].astype(float)
    assert np.abs(luma[::4, ::4] - before.to_ndarray(channel_last=False)[0]).mean() < 1.5


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        (
            {"color_trc": 16, "codec": "libx265", "pix_fmt": "yuv420p10le", "options": {"x265-params": "cutree=0"}},
            "HDR (PQ)",
        ),
        ({"codec": "libvpx-vp9", "pix_fmt": "yuva420p", "options": {}, "alpha": True}, "transparent"),
        ({"options": {"flags": "+ildct+ilme", "x264-params": "tff=1"}, "pix_fmt": "yuv420p"}, "interlaced"),
    ],
    ids=["hdr", "alpha", "interlaced"],
)
def test_what_cannot_be_made_right_is_refused_with_the_fix(tmp_path, context, problem):
    path = make(tmp_path / "a.mkv", count=4, **context)
    with pytest.raises(ImageError, match=problem.replace("(", r"\(").replace(")", r"\)")) as told:
        upscale(path, tmp_path / "b.mkv")
    assert "\n" not in str(told.value) and "ffmpeg" in str(told.value) and not (tmp_path / "b.mkv").exists()


@pytest.mark.parametrize(("size", "scale"), [((47, 31), 1), ((48, 32), 4)])
def test_odd_sides_are_padded_by_a_row(tmp_path, size, scale):
    class Odd(Upscaler):
        def resolve(self, pixels, quality=None, subsampled=False):
            return Pipeline(Nearest(), scale, "none")

    make(tmp_path / "a.mkv", count=3, size=size)
    made = clips.Clip(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), Odd(), {}, sink.Encoding())
    made.make(lambda done: None)
    height, width = read(tmp_path / "b.mkv")[0][0].shape[:2]
    assert (width, height) == tuple(side * scale + side * scale % 2 for side in size)


@pytest.mark.parametrize("codec", ["h265", "vp9", "av1", "mpeg4"])
def test_other_codecs(tmp_path, codec):
    if sink.CODECS.get(codec, codec) not in av.codecs_available:
        pytest.skip(f"this wheel of PyAV has no {codec}")
    make(tmp_path / "a.mkv", count=9)
    upscale(tmp_path / "a.mkv", tmp_path / "b.mkv", codec=codec, crf=20)
    frames, times = read(tmp_path / "b.mkv")
    assert len(frames) == 9 and times == read(tmp_path / "a.mkv")[1]
    for other in ("h999", "aac", "prores_ks"):  # unknown, of sound, and of other pixels
        with pytest.raises(
            ImageError, match=f"--codec={other}: PyAV has no such encoder of videos .*; use one of h264"
        ):
            sink.Encoding(other)


def test_what_an_encoder_refuses_is_one_line(tmp_path):
    make(tmp_path / "a.mkv", count=3)
    with pytest.raises(ImageError, match=r"a\.mkv: --codec=dvvideo: cannot encode 192x128 px \(.*\); give another"):
        upscale(tmp_path / "a.mkv", tmp_path / "b.mkv", codec="dvvideo")


def test_one_video_has_one_result(tmp_path):
    """x264 with AVX-512 gave others in larger pictures, also in a process alone."""
    rng, results = np.random.default_rng(0), []
    base = np.asarray(Image.fromarray(rng.integers(0, 256, (150, 200, 3), np.uint8)).resize((800, 600), Image.BICUBIC))
    make(tmp_path / "a.mkv", count=1, size=(800, 600), pix_fmt="yuv420p")
    source = Source(str(tmp_path / "a.mkv"), 10**8)
    for i in range(3):
        moving = ((1000 * t, np.ascontiguousarray(np.roll(base, 8 * t, 1))) for t in range(20))
        sink.encode(tmp_path / f"{i}.mp4", moving, source, sink.Encoding())
        results.append(packets(tmp_path / f"{i}.mp4", "video"))
    assert results[0] == results[1] == results[2]


@pytest.mark.skipif(not CHECKED_MALLOC.exists(), reason="no glibc with a malloc that checks itself")
@pytest.mark.parametrize("codec", sink.CODECS)
def test_encoders_keep_to_their_memory(tmp_path, codec):
    """x265 did not in narrow frames, and processes died of it, some in what they did next."""
    make(tmp_path / "a.mkv", count=9, size=(12, 8))
    code = "import sys, test_video; test_video.upscale(*sys.argv[1:])"
    checks = {"LD_PRELOAD": str(CHECKED_MALLOC), "MALLOC_CHECK_": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, tmp_path / "a.mkv", tmp_path / "b.mkv", codec]
    done = subprocess.run(command, env=os.environ | checks, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stop", [1, 9, 20, 29])
def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path, stop, monkeypatch):
    monkeypatch.setattr(clips, "SEGMENT", 8)
    make(tmp_path / "a.mp4", audio=True)
    upscale(tmp_path / "a.mp4", tmp_path / "whole.mp4")

    def halt(done):
        if done == stop:
            raise KeyboardInterrupt

    def clip():
        return clips.Clip(
            str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"), Upscaler(), {"weights": 1}, sink.Encoding(crf=1)
        )

    with pytest.raises(KeyboardInterrupt):
        clip().make(halt)
    again, drawn = clip(), []
    assert again.done == again.whole == stop // 8 * 8 and not (tmp_path / "b.mp4").exists()
    again.make(drawn.append)
    assert drawn == list(range(stop // 8 * 8 + 1, 31))
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        clip().make(halt)
    other = clips.Clip(
        str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"), Upscaler(), {"weights": 2}, sink.Encoding(crf=1)
    )
    assert other.done == 0  # made by other weights


def test_what_was_made_in_another_size_is_not_gone_on_with(tmp_path, monkeypatch):
    """Frames of two sizes would be joined: with --output=b.mp4 the name does not tell them apart."""
    monkeypatch.setattr(clips, "SEGMENT", 8)
    path = str(make(tmp_path / "a.mp4"))

    def clip(**options):
        class Scaled(Upscaler):
            def resolve(self, pixels, quality=None, subsampled=False):
                return Pipeline(Nearest(), **{"scale": 4, "back_projection": "none"} | options)

        return clips.Clip(path, str(tmp_path / "b.mp4"), Scaled(), {}, sink.Encoding())

    def halt(done):
        if done == 20:
            raise KeyboardInterrupt

    for options in ({"scale": 2}, {"back_projection": "full"}, {"ensemble": True}):
        with pytest.raises(KeyboardInterrupt):
            clip().make(halt)
        assert clip().done == 16 and clip(**options).done == 0


def test_a_damaged_end_keeps_what_can_be_read_and_says_how_much(tmp_path):
    path = make(tmp_path / "a.mp4", count=60, options={"crf": "1", "g": "5", "bf": "0"})
    data = path.read_bytes()
    with av.open(str(path)) as file:
        places = [packet.pos for packet in file.demux(video=0) if packet.size]
    start, end = places[40], max(places) + 8
    path.write_bytes(data[:start] + bytes(end - start) + data[end:])
    made = upscale(path, tmp_path / "b.mp4")
    assert 38 <= made.done < 60 and made.source.frames_stated == 60
    assert len(read(tmp_path / "b.mp4")[0]) == made.done


def test_half_a_file_without_its_index_is_made_as_far_as_it_goes(tmp_path):
    data = make(tmp_path / "a.mkv", count=90, audio=True).read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: len(data) // 2])
    with av.open(str(tmp_path / "b.mkv")) as file:
        expected = sum(1 for _ in file.decode(video=0))
    assert 10 < expected < 90 and upscale(tmp_path / "b.mkv", tmp_path / "c.mkv").done == expected


def test_a_full_disk_is_one_line_and_the_run_goes_on(tmp_path, monkeypatch):
    make(tmp_path / "a.mp4")
    monkeypatch.setattr(clips, "SEGMENT", 8)
    encode, calls = sink.encode, []

    def full(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return encode(*arguments)

    monkeypatch.setattr(sink, "encode", full)
    with pytest.raises(ImageError, match=r"b\.mp4: cannot write it \(No space left on device\)"):
        upscale(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert upscale(tmp_path / "a.mp4", tmp_path / "b.mp4").done == 30 and len(calls) == 5


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_damaged_containers_end_in_one_line(tmp_path, count):
    whole = make(tmp_path / "a.mp4", count=8, audio=True).read_bytes()
    rng, path, refused = np.random.default_rng(0), tmp_path / "b.mp4", 0
    for _ in range(count):
        data = bytearray(whole)
        if rng.random() < 0.3:
            del data[rng.integers(len(data)) :]
        else:
            at = rng.integers(len(data))
            data[at : at + rng.integers(1, 200)] = rng.bytes(rng.integers(1, 200))
        path.write_bytes(data)
        try:
            upscale(path, tmp_path / "c.mp4")
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused and not [one for one in tmp_path.iterdir() if one.name.startswith(".partial")]


def test_a_folder_of_clips_and_photographs_is_one_command(tmp_path, capfd):
    make(tmp_path / "in.mp4", count=5, pix_fmt="yuv420p")
    folder = tmp_path / "holiday"
    folder.mkdir()
    shutil.move(tmp_path / "in.mp4", folder / "clip.mp4")
    make(folder / "old.avi", count=5, pix_fmt="yuv420p", options={"bf": "0"})
    images.write(folder / "photo.png", pictures(1)[0])
    program = main.program("upscale")
    words = [str(folder), f"--output={tmp_path}/out", "--weights=compact", "--crf=30"]
    program.main(*program.parse(words))
    assert {one.name for one in (tmp_path / "out").iterdir() if one.name[0] != "."} == {
        *("clip_x4.mp4", "old_x4.mkv", "photo_x4.png")
    }
    said = capfd.readouterr().err
    assert "clip_x4.mp4 (192 x 128, 5 frames, " in said and "3 made" in said
    program.main(*program.parse(words))
    assert "3 skipped, made before" in capfd.readouterr().err
    program.main(*program.parse([str(folder / "clip.mp4"), *words[1:], "--compare", "--format=png", "--overwrite"]))
    assert "--format applies to pictures only; --compare applies to pictures only" in capfd.readouterr().err
    entry = json.loads((tmp_path / "out" / ".srgan_tf.jsonl").read_text().splitlines()[0])
    assert entry["options"]["crf"] == 30


def test_other_ways_in_say_that_videos_are_for_upscale(tmp_path):
    path = make(tmp_path / "a.mp4", count=3)
    with pytest.raises(ImageError, match=r"it is a video, .* srgan-tf upscale makes videos"):
        srgan_tf.upscale(path, "compact")
    assert not files.is_picture(path) and files.find(tmp_path) == []


@pytest.mark.matrix
def test_a_killed_program_goes_on(tmp_path):
    make(tmp_path / "a.mp4", count=400, size=(64, 48), pix_fmt="yuv420p")
    words = [sys.executable, "-m", "srgan_tf", "upscale", str(tmp_path / "a.mp4"), f"--output={tmp_path}/b.mp4"]
    words += ["--weights=compact"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    waited = time.monotonic()
    while not list(tmp_path.glob(".srgan_tf-b.mp4/0*.mov")) and process.poll() is None:
        time.sleep(0.05)
        assert time.monotonic() - waited < 120
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "b.mp4").exists()
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and "goes on at frame" in done.stderr, done.stderr
    assert len(read(tmp_path / "b.mp4")[0]) == 400


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_twenty_minutes_take_the_memory_of_four(tmp_path):
    path, resident = tmp_path / "a.mp4", []
    make(path, count=28_800, size=(32, 24), pix_fmt="yuv420p", options={"preset": "ultrafast"})

    def look(done):
        if done % 100 == 0:
            with open("/proc/self/statm") as file:
                resident.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)

    clips.Clip(str(path), str(tmp_path / "b.mp4"), Upscaler(), {}, sink.Encoding("h264", 30)).make(look)
    assert len(resident) == 288 and max(resident[-50:]) < max(resident[:58]) + 30  # MiB
