"""The demo as typed, and the benchmark scripts: minutes each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words, cwd=ROOT) -> str:
    data = os.environ.get("SRGAN_TF_DATA", ROOT / "srgan_tf/photos")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SRGAN_TF_DATA": str(data)}
    ran = subprocess.run([sys.executable, *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


@pytest.mark.slow
def test_the_demo_as_typed(tmp_path):
    run(ROOT / "train.py", cwd=tmp_path)
    rows = (tmp_path / "runs/demo/evaluation/results.md").read_text()
    scores = dict(re.findall(r"\| heldout +\| (\S+) +\| +([\d.]+) \|", rows))
    # The README: bicubic 28.22, the SRResNet 28.98, the GAN 28.52. Other processors round otherwise.
    assert float(scores["bicubic"]) == 28.22
    assert float(scores["demo"]) == pytest.approx(28.52, abs=0.25)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    run(ROOT / "export.py", "--weights=compact", "--kinds=float32,int8", f"--output={folder}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("engines.py", str(ROOT / "srgan_tf/photos/heldout")), "LiteRT float32"),
        (("degraded.py", "--weights=compact"), "JPEG 75"),
        (("false_alarms.py", str(ROOT / "srgan_tf/photos/heldout")), "bicubic: 0 of 4"),
        (("pipeline.py",), "batches"),
        (("scaling.py", "2"), "images"),
    ],
)
def test_benchmark_scripts_run(words, said):
    assert said in run(ROOT / "benchmarks" / words[0], *words[1:])


@pytest.mark.slow
def test_the_benchmark_of_upscaling_runs():
    if "SRGAN_TF_DATA" not in os.environ:
        pytest.skip("needs Set5 in $SRGAN_TF_DATA")
    assert "levels at most" in run(ROOT / "benchmarks/upscaling.py")


@pytest.mark.slow
def test_the_benchmark_of_lite_files_runs(exported):
    assert "XNNPACK" in run(ROOT / "benchmarks/lite.py", exported / "float32.tflite", exported / "int8_128.tflite")
