"""The package by itself, in an empty environment: what it weighs, what it can do, and what it says of the rest."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from srgan_tf.data.bundled import PHOTOS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the repository in which the README's first block was pasted."""
    folder = tmp_path_factory.mktemp("install") / "copy"
    ignored = shutil.ignore_patterns(".git", ".venv*", "node_modules", "runs", "upscaled", "build", "*.egg-info")
    shutil.copytree(ROOT, folder, ignore=ignored)
    block = re.search(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[
        1
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("PYTHONPATH", None)
    subprocess.run(["bash", "-euc", block], cwd=folder, env=environment, check=True)
    return folder


@pytest.fixture(scope="module")
def programs(copy) -> Path:
    return copy / ".venv/bin"


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_upscaling_needs_no_tensorflow(copy, programs):
    packages = run(programs / "pip", "list", "--format=freeze").stdout.lower()
    assert "ai-edge-litert" in packages
    assert not [line for line in packages.splitlines() if line.startswith(("tensorflow", "keras", "matplotlib"))]
    with Image.open(PHOTOS / "heldout" / "coffee.jpg") as small, Image.open(copy / "upscaled/coffee_x4.jpg") as large:
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
