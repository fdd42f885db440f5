"""The program as people run it, and files as the world damages them."""

import ctypes
import errno
import io
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import forks
import numpy as np
import pytest
import tensorflow as tf
from lite_models import lite_file, unit_function
from PIL import Image

from srgan_tf.cli import batch
from srgan_tf.errors import ImageError
from srgan_tf.export import tflite
from srgan_tf.inference import pictures, upscaling
from srgan_tf.io import images
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tiny_npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    weights.save_weights(Generator(blocks=1, channels=4), path)
    return path


@pytest.fixture(scope="module")
def tiny(tiny_npz):
    """The same for LiteRT, which is ready sooner."""
    path = tiny_npz.with_suffix(".tflite")
    path.write_bytes(tflite.convert(weights.load(tiny_npz), "engine"))
    return path


def command(*arguments):
    return [sys.executable, str(ROOT / "upscale.py"), *map(str, arguments)]


def run(*arguments, **options):
    return forks.run(command(*arguments), capture_output=True, timeout=120, **options)


def picture(side=20):
    return np.random.default_rng(0).integers(0, 256, (side, side + 4, 3)).astype(np.uint8)


def test_help_needs_no_tensorflow():
    process = subprocess.run([sys.executable, "-X", "importtime", ROOT / "upscale.py", "--help"], capture_output=True)
    assert process.returncode == 0 and b"--output" in process.stdout
    assert b"absl" in process.stderr  # imports are listed
    assert b"tensorflow" not in process.stderr and b"pyvips" not in process.stderr


def test_usage_errors_exit_with_2():
    assert run().returncode == 2
    assert run("--no_such_flag", "a.png").returncode == 2
    done = run("--fast", "--weights=srgan", "a.png")
    assert done.returncode == 2 and b"--fast chooses the models; omit it, or --weights" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["", "a.png"], "is empty; give ."),  # an unset variable would mean the working folder
        (["a.png", "--output="], "is empty; give ."),
        (["-", "--output=folder"], "standard output, or to a file name"),
        (["a.png", "--output=q.png", "--format=jpg"], "contradicts --format=jpg"),
        (["a.png", "--suffix=/../b"], "a suffix has no folders"),
        (["a.png", "--output=-"], "--output=-: only what comes from standard input"),
        (["-", "--compare"], "--compare writes a second file"),
        (["a.png", "--blend="], "--blend names no weights"),
        (["a.png", "--blend_amount=0.7"], "--blend names no weights"),
        (["a.png", "--memory=1e300"], "--memory=1e300: 1e+300 is not a number in the range"),
        (["a.png", "--max_megapixels=1e308"], "--max_megapixels=1e308: 1e+308 is not a number in the range"),
        (["a.png", "--quiet=maybe"], "--quiet=maybe: Non-boolean argument to boolean flag (--help"),
    ],
)
def test_contradictions_are_wrong_usage(words, said, tmp_path):
    images.write(tmp_path / "a.png", picture(8))
    done = run(*words, "--weights=compact", cwd=tmp_path, text=True)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_scale_beyond_the_models_is_one_line(tmp_path, tiny):
    images.write(tmp_path / "a.png", picture())
    done = run(tmp_path / "a.png", "--scale=5", "--weights", tiny, "--output", tmp_path / "out")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"at most the model's 4" in done.stderr


def test_what_a_format_cannot_hold_is_refused_before_computing(tmp_path, tiny):
    images.write(tmp_path / "wide.png", np.zeros((1, 4096, 3), np.uint8))  # WebP ends at 16,383 pixels a side
    done = run(tmp_path / "wide.png", "--format=webp", "--quiet", "--weights", tiny, "--output", tmp_path / "out")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"more than webp can hold" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_trees_skips_and_failures(tmp_path, tiny):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    images.write(folder / "a.png", picture())
    images.write(folder / "a.jpg", picture())
    Image.fromarray(picture()).save(folder / "a.gif")
    (folder / "empty.png").write_bytes(b"")
    arguments = (tmp_path / "in", "--output", tmp_path / "out", "--weights", tiny)
    first = run(*arguments, "nowhere.png", "--compare")
    assert first.returncode == 1
    assert b"empty.png: the file is empty" in first.stderr and b"nowhere.png: no such file" in first.stderr
    assert b"Traceback" not in first.stderr and b"3 made" in first.stderr
    made = {path.name for path in (tmp_path / "out" / "deep").iterdir()}
    compared = {"a_x4_compare.png", "a_x4.jpg_compare.png", "a_x4.gif_compare.png"}  # one each
    assert made == compared | {"a_x4.png", "a_x4.jpg", "a_x4.gif"}
    assert images.read(tmp_path / "out" / "deep" / "a_x4.jpg").shape == (80, 96, 3)
    (folder / "empty.png").unlink()
    again = run(*arguments)
    assert again.returncode == 0 and b"3 skipped" in again.stderr


def test_results_of_others_and_of_other_options_are_not_taken_for_done(tmp_path, tiny):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        images.write(tmp_path / name / "a.png", picture())
    out = tmp_path / "out"
    arguments = ("--output", out, "--weights", tiny)
    assert run(tmp_path / "one", *arguments).returncode == 0
    other = run(tmp_path / "two" / "a.png", *arguments)
    assert other.returncode == 1 and b"a_x4.png: exists, but it was made of" in other.stderr
    assert b"one/a.png; --overwrite" in other.stderr.replace(os.sep.encode(), b"/")
    coarser = run(tmp_path / "one", *arguments, "--back_projection=none")
    assert coarser.returncode == 1 and b"--back_projection was auto" in coarser.stderr
    both = run(tmp_path / "one", tmp_path / "two", *arguments)
    assert both.returncode == 0 and b"2 made" in both.stderr  # told apart by their folders
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.png")} == {"a_x4.png", "one/a_x4.png", "two/a_x4.png"}
    again = run(tmp_path / "two", tmp_path / "one", *arguments)
    assert again.returncode == 0 and b"2 skipped" in again.stderr
    (out / ".srgan_tf.jsonl").unlink()
    assert b"2 kept, not in the manifest" in run(tmp_path / "one", tmp_path / "two", *arguments).stderr


def test_a_folder_that_is_its_own_output_is_enlarged_once(tmp_path, tiny):
    images.write(tmp_path / "a.png", picture())
    (tmp_path / "._a.jpg").write_bytes(b"what macOS keeps")
    (tmp_path / ".partial-1234.png").write_bytes(b"cut off")
    for words in (b"1 made", b"1 skipped"):
        done = run(tmp_path, "--output", tmp_path, "--weights", tiny, "--compare")
        assert done.returncode == 0 and words in done.stderr, done.stderr
    names = sorted(path.name for path in tmp_path.glob("[!.]*.png"))
    assert names == ["a.png", "a_x4.png", "a_x4_compare.png"]


def test_a_picture_is_never_written_over_itself(tmp_path, tiny):
    images.write(tmp_path / "a.png", picture())
    before = (tmp_path / "a.png").read_bytes()
    done = run(tmp_path / "a.png", "--output", tmp_path / "a.png", "--weights", tiny, "--overwrite")
    assert done.returncode == 1 and b"a.png: would overwrite its input; choose another --output" in done.stderr
    done = run(tmp_path, "--output", tmp_path, "--suffix=", "--weights", tiny, "--overwrite")
    assert done.returncode == 1 and (tmp_path / "a.png").read_bytes() == before


def test_an_output_with_a_pictures_ending_is_a_file(tmp_path, tiny):
    images.write(tmp_path / "a.png", picture())
    images.write(tmp_path / "b.png", picture())
    done = run(tmp_path / "a.png", "--output", tmp_path / "large.jpg", "--weights", tiny)
    assert done.returncode == 0 and images.read(tmp_path / "large.jpg").shape == (80, 96, 3)
    two = run(tmp_path / "a.png", tmp_path / "b.png", "--output", tmp_path / "both.png", "--weights", tiny)
    assert two.returncode == 1 and b"a file name takes one picture, not 2" in two.stderr


@pytest.mark.parametrize("flag", ["--max_megapixels=inf", "--memory=nan", "--memory=inf"])
def test_numbers_that_are_none_are_one_line(flag):
    done = run("a.png", flag)
    said = b"takes a finite number" if "nan" in flag else b"not a number in the range"
    assert done.returncode == 2 and said in done.stderr and done.stderr.count(b"\n") == 1


def test_closed_streams_are_one_line(tiny):
    command = shlex.join([sys.executable, str(ROOT / "upscale.py"), "-", f"--weights={tiny}", "--quiet"])
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "PNG")
    for closed, name in (("<&-", b"standard input"), (">&-", b"standard output")):
        done = subprocess.run(f"{command} {closed}", shell=True, input=file.getvalue(), capture_output=True)
        assert done.returncode == 1 and done.stderr == b"error: " + name + b" is closed\n", done.stderr


@pytest.mark.matrix
def test_flags_do_what_the_library_does(tmp_path, tiny_npz):
    tiny = tiny_npz
    """--blend, --blend_amount, --ensemble, --suffix, --memory, --quality, --max_megapixels and --verbose."""
    lr = np.asarray(Image.fromarray(picture()).resize((90, 110)))
    images.write(tmp_path / "a.png", lr)
    tf.keras.utils.set_random_seed(9)
    weights.save_weights(Generator(blocks=1, channels=4), tmp_path / "other.npz")
    mixed = weights.blend(weights.load(tiny), weights.load(tmp_path / "other.npz"), 0.25)
    expected = upscaling.Upscaler(mixed, precision="float32", ensemble=True)(lr)
    flags = (f"--blend={tmp_path / 'other.npz'}", "--blend_amount=0.25", "--ensemble", "--precision=float32")
    out = tmp_path / "out"
    done = run(tmp_path / "a.png", "--output", out, "--weights", tiny, *flags, "--suffix=.big", "--verbose")
    assert done.returncode == 0 and b"float32, " in done.stderr and b"px of context" in done.stderr
    assert np.abs(images.read(out / "a.big.png").astype(int) - expected).max() <= 1
    small = run(tmp_path / "a.png", "--output", out, "--weights", tiny, *flags, "--suffix=.tiles", "--memory=0.0001")
    assert small.returncode == 0  # in many tiles, the same but for rounding
    assert np.abs(images.read(out / "a.tiles.png").astype(int) - expected).max() <= 1
    sizes = []
    for quality in (30, 95):
        done = run(tmp_path / "a.png", "--output", out / f"{quality}.jpg", "--weights", tiny, f"--quality={quality}")
        assert done.returncode == 0
        sizes.append((out / f"{quality}.jpg").stat().st_size)
    assert sizes[0] < sizes[1] / 2
    refused = run(tmp_path / "a.png", "--output", out, "--weights", tiny, "--max_megapixels=0.009", "--suffix=.no")
    assert refused.returncode == 1 and b"limit of 0.009 megapixels" in refused.stderr


def test_standard_input_to_standard_output(tiny_npz):
    tiny = tiny_npz
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "PNG")
    process = run("-", "--weights", tiny, "--scale=2", input=file.getvalue())
    assert process.returncode == 0
    assert images.load(process.stdout).pixels.shape == (40, 48, 3)


class Part(io.RawIOBase):
    """Takes a few bytes per write, as a pipe may that is not buffered (PYTHONUNBUFFERED), up to its room."""

    def __init__(self, room=10**9):
        self.taken, self.room = b"", room

    def write(self, data):
        if len(self.taken) >= self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken += bytes(data[:1000])
        return min(len(data), 1000)


def test_standard_output_takes_all_or_the_program_fails(monkeypatch):
    whole, full = Part(), Part(3000)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=whole))
    batch._write_output(bytes(range(256)) * 20)
    assert whole.taken == bytes(range(256)) * 20
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=SimpleNamespace(raw=full)))
    with pytest.raises(ImageError, match=r"^standard output: cannot write it \(No space left on device\)$"):
        batch._write_output(bytes(5000))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux' always full device")
@pytest.mark.parametrize("words", [["upscale.py", "-"], ["-m", "srgan_tf", "models"], ["-m", "srgan_tf", "--version"]])
def test_a_full_disk_behind_standard_output_is_one_line(words, tiny, monkeypatch):
    words = [sys.executable, *words] + (["--quiet", f"--weights={tiny}"] if words[-1] == "-" else [])
    file = io.BytesIO()
    Image.fromarray(picture(8)).save(file, "PNG")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, input=file.getvalue(), stdout=full, stderr=subprocess.PIPE, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"standard output: cannot write" in done.stderr


@pytest.mark.matrix
def test_exported_models_are_weights_too(tmp_path):
    small, lr = Generator(blocks=1, channels=4), picture(50)
    samples = [lr[None, :32, :32].astype(np.float32) / 255]
    lite = lite_file(small, tmp_path / "int8.tflite", (1, 32, 32), samples)
    module = tf.Module()
    module.generator = small
    tf.saved_model.save(module, tmp_path / "saved", signatures={"float": unit_function(small)})
    images.write(tmp_path / "a.png", lr)
    expected = upscaling.Upscaler(small, precision="float32")(lr).astype(int)
    for model, levels in ((lite, 4), (tmp_path / "saved", 0.5)):
        done = run(tmp_path / "a.png", "--output", tmp_path, "--overwrite", "--weights", model)
        assert done.returncode == 0, done.stderr
        assert np.abs(images.read(tmp_path / "a_x4.png") - expected).mean() < levels


def test_missing_weights_are_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("no weights")
    for path, said in (("none.npz", "no such weights"), ("text.npz", "no .npz file"), (".", "holds no weights")):
        process = run("a.png", "--weights", tmp_path / path, text=True)
        assert process.returncode == 1 and f"{tmp_path / path}: {said}" in process.stderr
        assert process.stderr.count("\n") == 1


def started(tmp_path, tiny):
    """A process that is writing the first of its many tiles, after each of which it can stop."""
    images.write(tmp_path / "large.png", picture(3000))
    words = command(tmp_path / "large.png", "--output", tmp_path / "out", "--weights", tiny)
    process = forks.Popen([*words, "--memory=0.05"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".partial-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def check_ended(process, number, folder):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number and b"Traceback" not in errors, errors
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "signals", [["SIGINT"] * 4, ["SIGTERM"], ["SIGHUP"]], ids=lambda names: f"{names[0]}{len(names)}"
)
def test_interrupting_leaves_no_half_file(signals, tmp_path, tiny):
    number = getattr(signal, signals[0])
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests run under nohup, so programs let this signal pass")
    process = started(tmp_path, tiny)
    for name in signals:
        process.send_signal(getattr(signal, name))
    check_ended(process, number, tmp_path / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("source", ["-", "pipe.png"])
def test_a_picture_that_never_comes_does_not_keep_the_program(number, source, tmp_path, tiny):
    """Reading a pipe cannot be interrupted from another thread."""
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests run under nohup, so programs let this signal pass")
    os.mkfifo(tmp_path / "pipe.png")
    words = command(source, "--weights", tiny, *(["--output", tmp_path / "out"] if source != "-" else []))
    process = forks.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while len(os.listdir(f"/proc/{process.pid}/task")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number


@pytest.mark.skipif(sys.platform != "linux", reason="needs tgkill and /proc")
def test_a_signal_that_another_thread_takes_ends_it_too(tmp_path, tiny):
    """Python's handlers run in the main thread, which such a signal does not wake."""
    process = started(tmp_path, tiny)
    other = max(int(thread) for thread in os.listdir(f"/proc/{process.pid}/task") if int(thread) != process.pid)
    assert ctypes.CDLL(None).tgkill(process.pid, other, signal.SIGTERM) == 0
    check_ended(process, signal.SIGTERM, tmp_path / "out")


def test_what_a_kill_left_is_removed_an_hour_later(tmp_path, tiny):
    images.write(tmp_path / "a.png", picture(8))
    (tmp_path / "out").mkdir()
    for name, age in ((".partial-old.png", 7200), (".partial-young.png", 60)):
        (tmp_path / "out" / name).write_bytes(b"x")
        os.utime(tmp_path / "out" / name, (time.time() - age,) * 2)
    assert run(tmp_path / "a.png", "--output", tmp_path / "out", "--weights", tiny).returncode == 0
    assert {path.name for path in (tmp_path / "out").glob(".partial*")} == {".partial-young.png"}


def test_signals_that_are_ignored_stay_so(monkeypatch):
    """As by `nohup`, and by shells for what runs in the background."""
    from srgan_tf import terminal

    told, before = {signal.SIGHUP: signal.SIG_IGN}, {}
    monkeypatch.setattr(signal, "getsignal", lambda number: told.get(number, signal.SIG_DFL))
    monkeypatch.setattr(signal, "signal", lambda number, handler: before.update({number: handler}))
    terminal.on_end(print)
    assert set(before) == {signal.SIGINT, signal.SIGTERM}


def test_errors_of_compiled_code_keep_their_own_traceback():
    """Such code has no module's name, which the handler of errors asked for."""
    from srgan_tf import cli

    with pytest.raises(ValueError, match="of a library"):
        cli.guarded(
            lambda *_: exec("raise ValueError('of a library')", {"__builtins__": {"ValueError": ValueError}}), None, []
        )


def test_signals_wait_for_what_they_would_crash():
    from srgan_tf import terminal

    kept, seen = {number: signal.getsignal(number) for number in terminal._ENDING}, []
    try:
        with terminal.postponed(seen.append):
            signal.raise_signal(signal.SIGTERM)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # as Ray does
            assert not seen
        assert seen == [signal.SIGTERM]
        signal.raise_signal(signal.SIGINT)
        assert seen[1:] == [signal.SIGINT]
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells")
def test_closed_standard_streams_do_no_harm(tmp_path, tiny):
    """A file opened later would take standard error's number, and log lines with it."""
    images.write(tmp_path / "a.png", picture(8))
    words = " ".join(map(shlex.quote, map(str, command(tmp_path / "a.png", "--output", tmp_path, "--weights", tiny))))
    for streams in ("2>&- >&- <&-", "2</dev/null --overwrite"):  # a shell's script may have taken the number
        assert subprocess.run(f"{words} {streams}", shell=True).returncode == 0
    assert images.read(tmp_path / "a_x4.png").shape == (32, 48, 3)


def originals() -> list[bytes]:
    files, small = [], Image.fromarray(picture(24))
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "TGA", "JPEG2000"):
        for mode in ("RGB", "L", "RGBA"):
            file = io.BytesIO()
            try:
                small.convert(mode).save(file, kind)
            except OSError:
                continue
            files.append(file.getvalue())
    return files


def mutated(data: bytes, rng) -> bytes:
    data = bytearray(data)
    match rng.integers(4):
        case 0:
            del data[rng.integers(len(data)) :]
        case 1:
            start = rng.integers(len(data))
            del data[start : start + rng.integers(1, 40)]
        case _:
            # Headers decide what a decoder does, so they take half of the hits.
            reach = 64 if rng.random() < 0.5 else len(data)
            for _ in range(rng.integers(1, 12)):
                data[rng.integers(min(reach, len(data)))] = rng.integers(256)
    return bytes(data)


@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files_are_made_or_refused(count, tiny, tmp_path):
    upscaler, rng, files = upscaling.Upscaler(str(tiny)), np.random.default_rng(count), originals()
    refused = 0
    for i in range(count):
        try:
            loaded = images.load(mutated(files[i % len(files)], rng), max_pixels=100_000)
            pictures.write_picture(upscaler.resolve(loaded.pixels), loaded, tmp_path / "made.png")
            (tmp_path / "made.png").unlink()
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 0 < refused < count
    assert not list(tmp_path.iterdir())


def test_what_was_chosen_is_told_and_can_be_chosen_otherwise(tmp_path, tiny):
    frames = [Image.fromarray(picture() // 8 + shade) for shade in (0, 200)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    arguments = (tmp_path / "a.tif", "--weights", tiny, "--overwrite", "--output", tmp_path)
    done = run(*arguments)
    assert done.returncode == 0 and b"a.tif: the first of 2 pages; --page=N chooses another" in done.stderr
    first = images.read(tmp_path / "a_x4.tif").mean()
    done = run(*arguments, "--page=2")
    assert done.returncode == 0 and b"note" not in done.stderr
    assert images.read(tmp_path / "a_x4.tif").mean() > first + 100
    done = run(*arguments, "--page=3", "--quiet")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"no page 3, but 2" in done.stderr


@pytest.mark.parametrize("output", ["file", "file/below", "/proc/none", "/proc"])
def test_an_output_that_cannot_be_written_is_one_line(tmp_path, tiny, output):
    images.write(tmp_path / "a.png", picture())
    (tmp_path / "file").write_text("kept")
    process = run(tmp_path / "a.png", "--quiet", "--output", tmp_path / output, "--weights", tiny)
    assert process.returncode == 1 and process.stderr.count(b"\n") == 1, process.stderr
    assert process.stderr.startswith(b"error: ") and output.encode() in process.stderr
    assert output != "file" or b"file: is a file; give a folder, or a name with a picture's ending" in process.stderr
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("options", ["size=256k", "ro"])
def test_a_full_or_read_only_disk_is_one_line(tmp_path, tiny, options):
    out = tmp_path / "out"
    out.mkdir()
    images.write(tmp_path / "a.png", picture(300))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", out]).returncode:
        pytest.skip("no mounting here")
    try:
        process = run(tmp_path / "a.png", "--output", out, "--weights", tiny)
        assert process.returncode == 1 and process.stderr.count(b"cannot write it") == 1, process.stderr
        assert b"Traceback" not in process.stderr and not list(out.iterdir())
    finally:
        subprocess.run(["umount", out])
