"""A worker, without a cluster: on the in-memory file system, from URL to URL."""

import json
import os
from uuid import uuid4

import numpy as np
import pytest
from pictures import broken, whole

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'srgan_tf[bulk]'")

import srgan_tf
from srgan_tf import machine
from srgan_tf.bulk import work
from srgan_tf.planning import storage


@pytest.fixture(scope="module")
def worker():
    with pytest.MonkeyPatch.context() as patch:  # the tests' own process keeps its threads
        patch.setattr(machine, "limit_threads", lambda threads: None)
        patch.setattr(machine, "set_int8", lambda has: None)
        made = work.Worker(work.Settings("compact"))
    return made


def done(worker, root, *names):
    batch = {"number": np.arange(len(names)), "source": [f"{root}/{name}" for name in names]}
    batch["target"] = [f"{root}/out/{name}" for name in names]
    return [result for row in worker(batch) for result in json.loads(row["results"][0])]


def test_pictures_are_made_skipped_and_refused(worker):
    root = f"memory://{uuid4().hex}"
    storage.write(f"{root}/a.png", whole(0))
    storage.write(f"{root}/b.png", broken(2))
    storage.write(f"{root}/out/c.png", b"there")
    results = done(worker, root, "a.png", "b.png", "c.png", "d.png")
    assert [result["state"] for result in results] == [work.MADE, work.FAILED, work.THERE, work.FAILED]
    assert [result["number"] for result in results] == [0, 1, 2, 3] and results[0]["pixels"] == 16 * 20 * 20
    assert results[1]["reason"].startswith(f"{root}/b.png: not a readable picture")
    assert results[3]["reason"] == f"{root}/d.png: no such file"
    assert storage.read(f"{root}/out/a.png") == srgan_tf.upscale_bytes(whole(0), "compact", "a.png")[0]
    assert storage.read(f"{root}/out/c.png") == b"there"


def test_all_workers_round_weights_or_none_does(monkeypatch):
    """As the driver's processor says, so that pictures do not depend on which worker made them."""
    monkeypatch.setattr(machine, "limit_threads", lambda threads: None)
    for int8, precision in ((True, "8-bit weights"), (False, "float32")):
        monkeypatch.setattr(machine, "_int8", None)
        made = work.Worker(work.Settings("compact", int8=int8))
        assert made._upscaler.precision == precision


def test_a_full_output_is_told_apart(worker, monkeypatch):
    root = f"memory://{uuid4().hex}"
    storage.write(f"{root}/a.png", whole(0))

    def full(*_):
        raise storage.FullError("out: No space left on device")

    monkeypatch.setattr(storage, "write", full)
    (result,) = done(worker, root, "a.png")
    assert result["state"] == work.FULL and "No space" in result["reason"]


def test_a_bug_fails_one_picture(worker, monkeypatch):
    root = f"memory://{uuid4().hex}"
    storage.write(f"{root}/a.png", whole(0))
    monkeypatch.setattr(storage, "write", lambda *_: 1 // 0)
    (result,) = done(worker, root, "a.png")
    assert result["state"] == work.FAILED
    assert result["reason"].startswith(f"{root}/a.png: unexpected ZeroDivisionError: ")


def test_results_are_gathered_for_as_long_as_was_asked(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(work.time, "monotonic", lambda: next(clock))
    rows = work.gathered(iter([{"number": i} for i in range(7)]), every=2.5)
    assert [len(json.loads(row["results"][0])) for row in rows] == [3, 3, 1]


def test_a_process_keeps_to_its_threads(monkeypatch):
    monkeypatch.setattr(machine, "_most", machine._most)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    machine.limit_threads(1)
    assert machine.cores() == 1 and os.environ["OMP_NUM_THREADS"] == "1"
