"""Two devices and two workers train what one does. The runs are programs of their own: see distributed_run.py."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import forks
import numpy as np
import pytest
from PIL import Image
from ports import free_port

from srgan_tf.errors import StrategyError
from srgan_tf.training import strategy as strategies

PROGRAM = Path(__file__).parents[1] / "distributed_run.py"


def start(folder, names, **environment):
    return forks.Popen(
        [sys.executable, str(PROGRAM), str(folder), names],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_workers(folder, *environments):
    """Two on loopback, on ports that are free."""
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(2)]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    return [start(folder, "multiworker", TF_CONFIG=c, **e) for c, e in zip(configs, environments)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The runs of one device and of two devices, beside their data."""
    folder = tmp_path_factory.mktemp("strategy")
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    for n in range(3):
        small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
        small.resize((56, 48), Image.Resampling.BICUBIC).save(folder / "data" / f"{n}.png")
    process = start(folder, "one,mirrored")
    assert process.wait(timeout=600) == 0, process.communicate()[1]
    return folder


def state(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        return {part: file[part] for part in file.files}


def assert_close(folder, one, other):
    """The same to float tolerance, beside how far training has come from its start."""
    start, one, other = (state(folder, name) for name in ("start", one, other))
    assert one.keys() == other.keys()
    for part in {name.rstrip("0123456789") for name in one} - {"optimizer", "d_optimizer"}:
        a, b, origin = (np.concatenate([s[n].ravel() for n in one if n.startswith(part)]) for s in (one, other, start))
        assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(a - origin), part


@pytest.mark.matrix
def test_two_devices_follow_one(folder):
    """2 x batch 4 and 1 x batch 8: weights, statistics and average of G, weights of D, and logs."""
    assert_close(folder, "one", "mirrored")
    logs = [np.genfromtxt(folder / f"run-{n}" / "log.csv", delimiter=",", names=True) for n in ("one", "mirrored")]
    assert len(logs[0]) == 2
    for name in [n for n in logs[0].dtype.names if not n.startswith("ratio")]:  # those are means of ratios
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-4, err_msg=name)


@pytest.mark.slow
def test_a_lost_worker_ends_the_other_and_both_go_on(folder):
    """In two lives two workers end as two devices do in one, with the same weights; the chief alone writes."""
    chief, other = start_workers(folder, {}, {"DIE_AT": "3"})
    try:
        _, stderr = chief.communicate(timeout=600)
    finally:
        chief.kill()
        other.kill()
    assert other.wait() == -signal.SIGKILL and chief.returncode == 1
    assert "another worker was lost at step 3. Start all of them again" in stderr
    checkpoints = folder / "run-multiworker" / "checkpoints"
    assert [path.name for path in checkpoints.glob("step-*")] == ["step-00000002"]
    again = start_workers(folder, {}, {})
    errors = [process.communicate(timeout=600)[1] for process in again]
    assert [process.returncode for process in again] == [0, 0], errors
    assert all("resuming at step 2 of 4" in error for error in errors)
    ours, others = state(folder, "multiworker"), state(folder, "multiworker-other")
    for name in ours:
        np.testing.assert_array_equal(ours[name], others[name], err_msg=name)
    assert_close(folder, "mirrored", "multiworker")
    rows = (folder / "run-multiworker" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "2", "4"]


@pytest.mark.parametrize("config", ["", "{", '{"cluster": {"worker": ["a:1", "b:1"]}}'])
def test_missing_or_damaged_tf_config_is_told(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(StrategyError, match="TF_CONFIG"):
        strategies.choose("multiworker")


def test_batch_that_does_not_come_apart_is_refused():
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(StrategyError, match="--batch=16 is not divisible by 3"):
        strategies.distribute(Three, 16, None)
