"""`srgan-tf bulk` on a local Ray: from an object store and back, again, once more, and what it refuses."""

import json
import os
import re
import sys

import pytest
import runs
from pictures import broken, folder, whole
from PIL import Image
from s3_server import s3  # noqa: F401

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'srgan_tf[bulk]'")

from srgan_tf.planning import storage
from srgan_tf.planning.plan import Job


@pytest.fixture
def needs_ray():
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'srgan_tf[bulk]'")


def test_from_a_store_and_back(s3, tmp_path, needs_ray):  # noqa: F811
    folder(tmp_path / "in", 10, 2)
    for path in (tmp_path / "in").rglob("*.*"):
        storage.write(f"{s3}/in/{path.relative_to(tmp_path / 'in').as_posix()}", path.read_bytes())
    expected = runs.upscaled(tmp_path / "in", tmp_path)
    assert len(expected) == 10
    first = runs.run(f"{s3}/in", f"--output={s3}/out", cwd=tmp_path)
    assert first.returncode == 1 and "10 made" in first.stderr and "2 failed" in first.stderr, first.stderr
    assert len(re.findall(rf"^error: {s3}/in/00/\d+\.\w+: ", first.stderr, re.M)) == 2
    assert re.search(r"10 made in .* pictures/s, .* megapixels/s", first.stderr)
    system, path = storage.opened(f"{s3}/out")
    made = {key.partition("/out/")[2]: system.cat_file(key) for key in system.find(path)}
    note = json.loads(made.pop(".srgan_tf.jsonl"))
    assert note["options"]["quality"] == 95 and note["made_by"]
    assert made == expected

    again = runs.run(f"{s3}/in", f"--output={s3}/out", cwd=tmp_path)
    assert again.returncode == 1 and "0 made; 10 skipped" in again.stderr and "2 failed before" in again.stderr

    letters = [json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines()]
    assert [letter["attempt"] for letter in letters] == [1, 1]
    storage.write(letters[0]["source"], whole(3))
    once_more = runs.run("--retry=failed.jsonl", f"--output={s3}/out", cwd=tmp_path)
    assert once_more.returncode == 1 and "1 made" in once_more.stderr and "1 failed" in once_more.stderr
    assert storage.exists(letters[0]["target"])
    last = json.loads((tmp_path / "failed.jsonl").read_text().splitlines()[-1])
    assert (last["source"], last["attempt"]) == (letters[1]["source"], 2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "give pictures, folders, patterns or URLs"),
        (["in", "--retry=failed.jsonl"], 2, "or only --retry=FILE"),
        (["in", "--output=in"], 1, "--output=in: is also an input"),
        (["in", "--output=memory://out"], 1, "workers do not share this process's memory"),
        (["in", "--output=nosuch://out"], 1, "nosuch://out: cannot open this file system"),
        (["in", "--scale=5"], 1, "scale must be at most the model's 4"),
        (["--retry=nowhere.jsonl"], 1, "--retry=nowhere.jsonl: no such file; give the --failed of that run"),
        (["in", "--address=127.0.0.1:1"], 1, "--address=127.0.0.1:1: no Ray cluster responds"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, code, said, tmp_path, needs_ray):
    folder(tmp_path / "in", 1)
    done = runs.run(*words, cwd=tmp_path)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert not list(tmp_path.glob("failed.jsonl"))


def test_results_of_other_options_are_not_mixed(tmp_path, needs_ray):
    folder(tmp_path / "in", 1)
    done = runs.run("in", "--output=out", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folder(tmp_path / "in", 2)
    other = runs.run("in", "--output=out", "--quality=80", cwd=tmp_path)
    assert other.returncode == 1 and "--quality was 95; give another folder, or --overwrite" in other.stderr


def test_a_part_made_again_with_other_options_leaves_the_rest_known(tmp_path, needs_ray):
    folder(tmp_path / "in", 2)
    assert runs.run("in/00", "--output=out", cwd=tmp_path).returncode == 0
    part = runs.run("in/00/0.png", "--output=out", "--quality=80", "--overwrite", cwd=tmp_path)
    assert part.returncode == 0 and "1 made" in part.stderr, part.stderr
    rest = runs.run("in/00", "--output=out", "--quality=80", cwd=tmp_path)
    assert rest.returncode == 1 and "1_x4.jpg: exists, but --quality was 95" in rest.stderr, rest.stderr
    assert "1 skipped, made before" in rest.stderr


def test_one_picture_to_a_file_name_after_a_start_that_failed(tmp_path, needs_ray):
    folder(tmp_path / "in", 1)
    (path,) = (tmp_path / "in").rglob("*.*")
    failed = runs.run(str(path), "--output=out/b.png", "--quality=80", "--threads=5000", cwd=tmp_path)
    assert failed.returncode == 1 and "no worker fits" in failed.stderr
    done = runs.run(str(path), "--output=out/b.png", cwd=tmp_path)
    assert done.returncode == 0 and "1 made" in done.stderr, done.stderr
    with Image.open(tmp_path / "out/b.png") as made:
        assert made.format == "PNG"
    again = runs.run(str(path), "--output=out/b.png", cwd=tmp_path)
    assert again.returncode == 0 and "0 made; 1 skipped, made before" in again.stderr


def test_other_projects_models_are_converted_as_by_upscale(tmp_path, needs_ray, monkeypatch):
    folder(tmp_path / "in", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = runs.ROOT / "tests/models/foreign/data/compact-x4.pth"
    done = runs.run("in", f"--output={tmp_path / 'out'}", f"--weights={model}", cwd=tmp_path)
    assert done.returncode == 0 and "1 made" in done.stderr, done.stderr
    assert len(list((tmp_path / "cache/srgan_tf/engines").iterdir())) == 1
    assert "litert" in (tmp_path / "out/.srgan_tf.jsonl").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 or UTF-16 elsewhere")
def test_names_that_are_not_utf_8_and_notes_go_through(tmp_path, needs_ray):
    (tmp_path / "in").mkdir()
    good, bad = (tmp_path / "in" / os.fsdecode(name) for name in (b"caf\xe9.png", b"\xff\xfe.png"))
    good.write_bytes(whole(0))
    bad.write_bytes(broken(2))
    Image.new("RGBA", (8, 8), (9, 9, 9, 9)).save(tmp_path / "in/clear.png")
    done = runs.run("in", "--output=out", "--format=jpg", cwd=tmp_path)
    assert done.returncode == 1 and "2 made" in done.stderr and "1 failed" in done.stderr, done.stderr
    assert os.path.exists(os.fsencode(tmp_path) + b"/out/caf\xe9_x4.jpg")
    assert re.search("^note: .*clear.png: transparency became white", done.stderr, re.M)
    (letter,) = (json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines())
    assert letter["source"] == str(bad)
    bad.write_bytes(whole(1))
    again = runs.run("--retry=failed.jsonl", "--output=out", "--format=jpg", cwd=tmp_path)
    assert (again.returncode, "1 made" in again.stderr) == (0, True), again.stderr


@pytest.mark.parametrize("missing", ["ray", "fsspec"])
def test_a_missing_package_is_one_line_with_the_extra(missing, tmp_path, monkeypatch, capsys):
    from srgan_tf import errors
    from srgan_tf.cli import guarded, main

    found = errors.importlib.util.find_spec
    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    program = main.program("bulk")
    with pytest.raises(SystemExit) as ended:
        guarded(program.main, program.parse([])[0], ["a.png"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install 'srgan_tf[bulk]'" in said


class Poisoned:
    """A worker that dies of a certain picture, as of one that the decoder fails on or that fills the memory."""

    def __init__(self, settings):
        pass

    def __call__(self, batch):
        import os
        import time

        from srgan_tf.bulk import work

        def results():
            for number, source in zip(batch["number"], batch["source"]):
                if "poison" in str(source):
                    os._exit(1)
                times = {"began": time.time(), "ended": time.time()}
                yield {"number": int(number), "state": work.MADE, "reason": "", "pixels": 1, **times}

        return work.gathered(results())


@pytest.mark.slow
def test_a_picture_that_kills_its_worker_each_time_fails_alone(needs_ray):
    import ray

    from srgan_tf.bulk import pipeline, work

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    jobs = [Job("poison" if i == 5 else f"{i}", f"out/{i}") for i in range(40)]
    with pipeline.cluster(num_cpus=2):
        told = list(pipeline.run(jobs, work.Settings("none"), pipeline.Pool(2), Poisoned))
    assert sorted(one.job.target for one in told) == sorted(job.target for job in jobs)  # once each
    (failed,) = (one for one in told if one.state == work.FAILED)
    assert failed.job.source == "poison" and "its worker died each time" in failed.reason


class Unable:
    """A worker that cannot be made, as where a machine lacks the weights."""

    def __init__(self, settings):
        raise OSError("no such weights here")


@pytest.mark.slow
def test_workers_that_cannot_start_are_an_error_and_no_failures_of_pictures(needs_ray):
    import ray

    from srgan_tf.bulk import pipeline, work
    from srgan_tf.errors import StrategyError

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    jobs = [Job(f"{i}", f"out/{i}") for i in range(8)]
    said = r"workers cannot start.*OSError: no such weights here"
    with pipeline.cluster(num_cpus=2), pytest.raises(StrategyError, match=said):
        list(pipeline.run(jobs, work.Settings("none"), pipeline.Pool(2), Unable))


def test_broken_pictures_are_broken():
    """What the others rest on."""
    from srgan_tf.errors import ImageError
    from srgan_tf.io import images

    for number in range(20):
        with pytest.raises(ImageError):
            images.load(broken(number), lenient=True)
        assert images.load(whole(number)).pixels.shape[0] == 20
