"""The Beam pipeline of deploy/bulk by DirectRunner: upscale.py's files, letters for the others, and the rest alone."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install -r deploy/bulk/requirements.txt")
sys.path.insert(0, str(ROOT / "tests/bulk"))

import runs
from pictures import folder


def beam(cwd, *words):
    program = [sys.executable, str(ROOT / "deploy/bulk/beam_upscale.py"), "--weights=compact", "--failed=failed"]
    return subprocess.run(
        [*program, *words], capture_output=True, text=True, cwd=cwd, env=runs.environment(), timeout=300
    )


@pytest.mark.slow
def test_the_pipeline_on_this_machine(tmp_path):
    folder(tmp_path / "in", 20, 2)
    done = beam(tmp_path, "--input=in", "--output=out")
    assert done.returncode == 1 and "20 made; 0 skipped, made before; 2 failed" in done.stderr, done.stderr
    assert runs.files(tmp_path / "out") == runs.upscaled(tmp_path / "in", tmp_path)
    letters = [json.loads(line) for path in tmp_path.glob("failed-*.jsonl") for line in path.read_text().splitlines()]
    assert len(letters) == 2 and all(letter["reason"].startswith("in/00/") for letter in letters)
    (tmp_path / "out/00/1_x4.jpg").unlink()
    again = beam(tmp_path, "--input=in", "--output=out")
    assert "1 made; 19 skipped, made before; 2 failed" in again.stderr, again.stderr
    nothing = beam(tmp_path, "--input=out/00/none", "--output=out")
    assert nothing.returncode == 1 and nothing.stderr.endswith("error: --input=out/00/none: no pictures found\n")
