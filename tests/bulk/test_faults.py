"""What goes wrong in the middle of a run: whatever it is, each good picture is made once, the same as by upscale.py,
and each broken one is told of once."""

import json
import random
import shutil
import subprocess

import pytest
import runs
from pictures import broken, folder

pytest.importorskip("ray", reason="Ray is not installed: pip install 'srgan_tf[bulk]'")
pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'srgan_tf[bulk]'")

pytestmark = pytest.mark.slow
GOOD, BAD = 580, 20


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A folder of 600 pictures, 20 of them broken, and what upscale.py makes of it."""
    root = tmp_path_factory.mktemp("archive")
    folder(root / "in", GOOD, BAD)
    expected = runs.upscaled(root / "in", root)
    assert len(expected) == GOOD
    return root / "in", expected


@pytest.fixture
def source(archive, tmp_path):
    (tmp_path / "in").symlink_to(archive[0])
    return tmp_path / "in"


def made(root) -> int:
    return len(list((root / "out").rglob("*_x4.*")))


def letters(root, name="failed.jsonl") -> list[dict]:
    return [json.loads(line) for line in (root / name).read_text().splitlines()]


def check(root, expected) -> None:
    """All is there once, byte for byte; nothing else is, half files least of all."""
    found = runs.files(root / "out")
    assert set(found) == set(expected)
    assert [name for name in found if found[name] != expected[name]] == []
    told = letters(root)
    assert len(told) == len({letter["target"] for letter in told}) == BAD
    assert all(letter["attempt"] == 1 and letter["reason"] for letter in told)


def test_workers_killed_five_times(archive, source, tmp_path):
    run, killed_at = runs.start("in", "--output=out", cwd=tmp_path), []
    for moment in sorted(random.Random(1).sample(range(20, 480), 5)):
        runs.until(lambda moment=moment: made(tmp_path) >= moment)
        worker = random.choice(runs.until(lambda: runs.workers(run.pid)))
        runs.kill(worker)
        killed_at.append(made(tmp_path))
        runs.until(lambda worker=worker: worker not in runs.workers(run.pid))
    _, said = run.communicate(timeout=300)
    assert run.returncode == 1 and killed_at[-1] < GOOD, said
    check(tmp_path, archive[1])
    print(f"killed when {killed_at} were made; {said.splitlines()[-1]}")


def test_the_driver_killed_twice(archive, source, tmp_path):
    killed_at = []
    for moment in (100, 300):
        run = runs.start("in", "--output=out", cwd=tmp_path)
        runs.until(lambda moment=moment: made(tmp_path) >= moment)
        others = runs.workers(run.pid)
        runs.kill(run.pid)
        run.wait()
        runs.until(lambda others=others: not runs.alive(others))  # they end with their driver
        killed_at.append(made(tmp_path))
    assert killed_at[-1] < GOOD
    last = runs.run("in", "--output=out", cwd=tmp_path)
    assert f"{GOOD - killed_at[-1]} made" in last.stderr and f"{killed_at[-1]} skipped" in last.stderr, last.stderr
    for half in (tmp_path / "out").rglob(".partial-*"):  # of the kill; swept by runs of an hour later
        half.unlink()
    check(tmp_path, archive[1])
    print(f"killed when {killed_at} were made; {last.stderr.splitlines()[-1]}")


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(archive, source, tmp_path):
    (tmp_path / "out").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path / "out")])
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        full = runs.run("in", "--output=out", cwd=tmp_path)
        there = made(tmp_path)
        assert full.returncode == 1 and 0 < there < GOOD
        assert "No space left on device; free space, then run the same command again" in full.stderr
        assert not list((tmp_path / "out").rglob(".partial-*"))
        subprocess.run(["mount", "-o", "remount,size=40m", str(tmp_path / "out")], check=True)
        again = runs.run("in", "--output=out", cwd=tmp_path)
        assert f"{there} skipped" in again.stderr, again.stderr
        check(tmp_path, archive[1])
        print(f"full after {there}; {again.stderr.splitlines()[-1]}")
    finally:
        subprocess.run(["umount", str(tmp_path / "out")], check=True)


def test_a_source_that_vanishes_is_told_of_and_taken_up(archive, tmp_path):
    shutil.copytree(archive[0], tmp_path / "in")
    run = runs.start("in", "--output=out", cwd=tmp_path)
    runs.until(lambda: made(tmp_path) >= 50)
    (tmp_path / "in").rename(tmp_path / "away")
    run.communicate(timeout=300)
    there, told = made(tmp_path), letters(tmp_path)
    assert run.returncode == 1 and there < GOOD and there + len(told) == GOOD + BAD
    assert sum("no such file" in letter["reason"] for letter in told) > 100
    (tmp_path / "away").rename(tmp_path / "in")
    again = runs.run("--retry=failed.jsonl", "--output=out", cwd=tmp_path)
    assert f"{GOOD - there} made" in again.stderr, again.stderr
    found = runs.files(tmp_path / "out")
    assert found == archive[1]
    print(f"vanished after {there}; {again.stderr.splitlines()[-1]}")


def test_two_runs_on_one_output(archive, source, tmp_path):
    first = runs.start("in", "--output=out", cwd=tmp_path)
    second = runs.start("in", "--output=out", "--failed=second.jsonl", cwd=tmp_path)
    runs.until(lambda: (tmp_path / "failed.jsonl").exists())
    third = runs.run("in", "--output=out", cwd=tmp_path)
    assert third.returncode == 1 and "failed.jsonl: another run writes to it" in third.stderr
    for run in (first, second):
        _, said = run.communicate(timeout=300)
        assert run.returncode == 1 and f"{BAD} failed" in said, said
        print(said.splitlines()[-1])
    check(tmp_path, archive[1])
    assert len(letters(tmp_path, "second.jsonl")) == BAD


def test_the_broken_pictures_are_not_all_alike():
    assert len({broken(i)[:8] for i in range(BAD)}) > 5
