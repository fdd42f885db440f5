"""The package by itself, in an empty environment: what it weighs, what it can do, and what it says of the rest."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from srgan_tf.data.bundled import PHOTOS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """The folder of programs of an environment that has the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("install")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={folder}", str(ROOT)], check=True)
    (wheel,) = folder.glob("srgan_tf-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([folder / "venv/bin/pip", "--disable-pip-version-check", "install", "-q", wheel], check=True)
    return folder / "venv/bin"


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_upscaling_needs_no_tensorflow(programs, tmp_path):
    packages = run(programs / "pip", "list", "--format=freeze").stdout.lower()
    assert "ai-edge-litert" in packages
    assert not [line for line in packages.splitlines() if line.startswith(("tensorflow", "keras", "matplotlib"))]
    ran = run(programs / "srgan-tf", "upscale", PHOTOS / "heldout" / "coffee.jpg", f"--output={tmp_path}")
    assert ran.returncode == 0, ran.stderr
    with Image.open(PHOTOS / "heldout" / "coffee.jpg") as small, Image.open(tmp_path / "coffee_x4.jpg") as large:
        assert large.size == (4 * small.width, 4 * small.height)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("train", "--recipe=demo"),
        ("export", "--output=out"),
        ("evaluate", "--weights=srgan"),
        ("upscale", "x.png", "--engine=tensorflow"),
    ],
)
def test_the_rest_names_the_extra_to_install(programs, words, tmp_path):
    ran = run(programs / "srgan-tf", *words)
    assert ran.returncode == 1 and ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("error: ") and "srgan_tf[train]" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["import srgan_tf; srgan_tf.SRGAN", "from srgan_tf import load"])
def test_names_that_need_tensorflow_say_so(programs, statement):
    ran = run(programs / "python", "-c", statement)
    assert ran.returncode == 1 and "srgan_tf[train]" in ran.stderr.splitlines()[-1]
