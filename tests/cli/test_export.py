"""export.py as people run it, and what it says when it cannot."""

import sys
from pathlib import Path

import forks
import pytest
import tensorflow as tf

from srgan_tf.errors import ExportError, WeightsError
from srgan_tf.export import bundle, tflite
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    weights.save_weights(Generator(blocks=1, channels=4, scale=2), path)
    return path


def run(*arguments):
    return forks.run([sys.executable, str(ROOT / "export.py"), *map(str, arguments)], capture_output=True, text=True)


def test_exports_checks_and_reports(tiny, tmp_path):
    done = run("--weights", tiny, "--output", tmp_path / "out", "--kinds=float32,int8", "--int8_sizes=32")
    assert (done.returncode, done.stderr) == (0, "")
    names = ["float32.tflite", "int8_32.tflite"]
    lines = [line.split("|") for line in done.stdout.splitlines()[2:4]]
    assert [line[1].strip() for line in lines] == names
    assert all((tmp_path / "out" / name).exists() for name in names)
    text = (tmp_path / "out" / "report.md").read_text()
    assert done.stdout.splitlines()[3] in text and "µs/useful px, 16 of context" in text
    assert not list((tmp_path / "out").rglob(".partial*"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--weights=srresnet"], "give --output"),
        (["--weights=srresnet", "--output=x", "--kinds=int4"], "not 'int4'"),
        (["--weights=srresnet", "--output=x", "--int8_sizes=128,huge"], "not 'huge'"),
        (["--weights=srresnet", "--output=x", "--gpu_sizes=8"], "--gpu_sizes takes"),
        (["--weights=srresnet", "--output=x", "--kinds="], "--kinds knows"),
        (["--weights=srresnet", "--output=x", "--int8_sizes="], "--int8_sizes takes"),
        (["--weights=srresnet", "--output=x", "stray"], "unexpected argument 'stray'"),
        (["--no_such_flag"], "--help"),
    ],
)
def test_wrong_flags_are_one_line(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_a_full_disk_is_one_line(tiny, tmp_path):
    words = ["export.py", f"--weights={tiny}", f"--output={tmp_path / 'out'}", "--kinds=saved_model"]
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        f"sys.argv = {words!r}; runpy.run_path({str(ROOT / 'export.py')!r}, run_name='__main__')"
    )
    done = forks.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cannot write" in done.stderr, done.stderr
    assert not any((tmp_path / "out" / "saved_model").iterdir())


def test_what_cannot_be_is_said(tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="cannot make this folder"):
        bundle.export(tiny, tmp_path / "file" / "out", ["float32"])
    with pytest.raises(WeightsError, match="no such weights"):
        bundle.export("nothing", tmp_path / "out", ["float32"])


@pytest.mark.parametrize(
    "kind, message", [("float32", r"of 255 from its generator"), ("int8", "dB from its generator")]
)
def test_what_is_worse_than_it_may_be_is_not_left(tiny, tmp_path, monkeypatch, kind, message):
    class Ruined(tflite.Exported):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.arrays["trunk/conv/bias"] = self.arrays["trunk/conv/bias"] + 1

    monkeypatch.setattr(tflite, "Exported", Ruined)
    with pytest.raises(ExportError, match=message):
        bundle.export(tiny, tmp_path, [kind], [32])
    assert not list(tmp_path.iterdir())
