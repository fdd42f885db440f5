"""Other projects' models without TensorFlow: converted once, kept by hash, run by LiteRT."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from srgan_tf.cli import upscale
from srgan_tf.cli.main import program
from srgan_tf.data.levels import to_levels
from srgan_tf.errors import ExportError, WeightsError
from srgan_tf.export import parity
from srgan_tf.inference import converted
from srgan_tf.inference.loading import choose_engine, load_runner
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.io import images
from srgan_tf.models import published, weights

DATA = Path(__file__).parent / "data"
EXPECTED = np.load(DATA / "expected.npz")
# What `python -c` runs as where TensorFlow is not installed.
WITHOUT = "import sys; sys.modules['tensorflow'] = None; from srgan_tf.cli import main; "


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "srgan_tf" / "engines"


@pytest.fixture
def few_photographs(monkeypatch):
    few = lambda *which, photographs=parity.photographs: photographs(*which)[:1]  # noqa: E731
    monkeypatch.setattr(parity, "photographs", few)


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    images.write(path, EXPECTED["lr"])
    return path


def run(*words: str) -> None:
    command = program("upscale")
    command.main(*command.parse([*map(str, words)]))


def without_tensorflow(*words: str) -> subprocess.CompletedProcess:
    code = f"{WITHOUT}sys.argv = ['srgan-tf', 'upscale', *sys.argv[1:]]; main.command()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def make_other(path: Path, made: Path) -> None:
    """Write a second model of the same architecture, with a weight that `split_outliers` moves in both."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if "/data/" in name:
                values = np.frombuffer(content, np.float32)
                values = (values * rng.uniform(0.5, 1.5, values.shape)).astype(np.float32)
                if name.endswith("/3"):  # [8, 8, 3, 3]: the first filter's centre
                    values[4] = 150 * np.median(np.abs(values[:72]))
                content = values.tobytes()
            new.writestr(name, content)


def test_converted_once_then_run_without_tensorflow(photo, tmp_path, cache, few_photographs, monkeypatch):
    weights, output = tmp_path / "4x-mine.pth", tmp_path / "large.png"
    shutil.copy(DATA / "compact-x4.pth", weights)
    refused = without_tensorflow(photo, f"--weights={weights}", f"--output={output}")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "4x-mine.pth: converting it, once, needs TensorFlow" in refused.stderr and not output.exists()
    monkeypatch.setattr("sys.argv", ["srgan-tf", "upscale"])
    run(photo, f"--weights={weights}", f"--output={tmp_path / 'first.png'}", "--quiet")
    (engine,) = cache.iterdir()
    weights.rename(tmp_path / "renamed.pth")  # the content counts
    done = without_tensorflow(photo, f"--weights={tmp_path / 'renamed.pth'}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    wanted = to_levels(EXPECTED["compact-x4.pth"].astype(np.float32)).astype(int)
    for path in (tmp_path / "first.png", output):
        assert np.abs(images.read(path).astype(int) - wanted).max() <= 2
    assert choose_engine(tmp_path / "renamed.pth") == "litert" and list(cache.iterdir()) == [engine]


def test_what_can_never_work_is_told_first(photo, tmp_path, cache, monkeypatch):
    """Not that TensorFlow is missing; and nothing is converted of a pair that does not fit."""
    (tmp_path / "cut.pth").write_bytes((DATA / "compact-x4.pth").read_bytes()[:999])
    done = without_tensorflow(photo, f"--weights={tmp_path / 'cut.pth'}", f"--output={tmp_path / 'large.png'}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cut off or damaged" in done.stderr
    monkeypatch.setattr("sys.argv", ["srgan-tf", "upscale"])
    x4, x1, other = (DATA / name for name in ("compact-x4.pth", "compact-x1.pth", "esrgan-x4.pth"))
    for words in ([f"--weights={x4},{x1}"], [f"--weights={x4}", f"--blend={other}"]):
        with pytest.raises(WeightsError, match="of different size"):
            run(photo, *words, f"--output={tmp_path / 'large.png'}")
    assert not cache.exists()


def test_two_blend_without_tensorflow(photo, tmp_path, cache, few_photographs, monkeypatch):
    """The pair is converted together; its blends are the Keras models'."""
    one, other = DATA / "compact-x4.pth", tmp_path / "other.pth"
    make_other(one, other)
    monkeypatch.setattr("sys.argv", ["srgan-tf", "upscale"])
    run(photo, f"--weights={one},{other}", f"--output={tmp_path / 'first.png'}", "--strength=1", "--quiet")
    assert len(list(cache.iterdir())) == 2
    for strength in ("0", "0.25", "1"):
        flags = [f"--weights={one},{other}", f"--strength={strength}", f"--output={tmp_path / f'{strength}.png'}"]
        done = without_tensorflow(photo, *flags)
        assert done.returncode == 0, done.stderr
        blended = weights.blend(weights.load(one), weights.load(other), float(strength))
        wanted = Upscaler(blended, precision="float32")(EXPECTED["lr"]).astype(int)
        assert np.abs(images.read(tmp_path / f"{strength}.png").astype(int) - wanted).max() <= 2
    assert len(list(cache.iterdir())) == 2 and choose_engine(one) == "tensorflow"  # by itself it was not converted


def test_a_model_beside_a_shipped_one_is_converted_by_itself(cache):
    one = DATA / "compact-x4.pth"
    assert converted.path_of(one, "srgan") == converted.path_of(one) != converted.path_of(one, DATA / "edsr-x4.pth")
    assert converted.path_of("srgan", one) is None


def test_other_content_is_another_file(tmp_path):
    one, other = tmp_path / "a.pth", tmp_path / "b.param"
    one.write_bytes(b"1")
    for name in ("b.param", "b.bin"):
        (tmp_path / name).write_bytes(b"1")
    paths = {converted.path_of(one), converted.path_of(other)}
    (tmp_path / "b.bin").write_bytes(b"22")
    paths.add(converted.path_of(other))
    one.write_bytes(b"33")
    assert len(paths | {converted.path_of(one)}) == 4
    (tmp_path / "b.bin").unlink()
    with pytest.raises(WeightsError, match=r"b\.bin: cannot read it"):
        converted.path_of(other)


def test_what_is_not_converted(tmp_path):
    (tmp_path / "own.npz").write_bytes(b"1")
    assert [converted.path_of(one) for one in ("srgan", tmp_path / "own.npz", tmp_path, 3)] == [None] * 4


def test_published_models_are_known_before_they_are_fetched(cache):
    (name, model), *_ = published.MODELS.items()
    assert converted.path_of(name).parent == cache and converted.path_of(name).name.startswith(model.sha256[:32])
    assert converted.find(name) is None and choose_engine(name) == "tensorflow"
    with pytest.raises(ValueError, match="converted models"):
        choose_engine(name, engine="litert")


def test_one_that_loses_too_much_runs_on_tensorflow(photo, tmp_path, cache, monkeypatch, few_photographs):
    monkeypatch.setitem(parity.LEAST, "engine", 200)
    flags = [f"--weights={DATA / 'compact-x4.pth'}", f"--output={tmp_path / 'large.png'}", "--quiet"]
    monkeypatch.setattr("sys.argv", ["srgan-tf", "upscale"])
    with pytest.raises(ExportError, match="dB from its generator"):
        run(photo, *flags, "--engine=litert")
    assert list(cache.iterdir()) == [] and not (tmp_path / "large.png").exists()
    run(photo, *flags)
    assert list(cache.iterdir()) == [] and images.read(tmp_path / "large.png").shape == (44, 40, 3)


def test_a_cache_that_cannot_be_written_leaves_it_to_tensorflow(photo, tmp_path, cache, monkeypatch):
    cache.parent.parent.write_text("a file in its place")
    flags = [f"--weights={DATA / 'compact-x4.pth'}", f"--output={tmp_path / 'large.png'}", "--quiet"]
    monkeypatch.setattr("sys.argv", ["srgan-tf", "upscale"])
    with pytest.raises(ExportError, match="cannot write it"):
        run(photo, *flags, "--engine=litert")
    run(photo, *flags)
    assert images.read(tmp_path / "large.png").shape == (44, 40, 3)


def test_a_damaged_engine_file_is_named(cache):
    path = converted.path_of(DATA / "compact-x4.pth")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\0" * 100)
    with pytest.raises(WeightsError, match=f"^{path}: damaged; delete it"):
        load_runner(DATA / "compact-x4.pth", "auto", "auto")


def test_tensorflow_runs_it_when_asked(cache):
    flags, _ = program("upscale").parse(["--engine=tensorflow"])
    upscale.convert_once([str(DATA / "compact-x4.pth")], flags)
    assert not cache.exists()
