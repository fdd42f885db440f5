"""Sources found and results written on disks, in memory and on an S3-compatible server."""

import errno
import io
import os
import threading
import time
from uuid import uuid4

import pytest
from PIL import Image
from s3_server import s3  # noqa: F401

from srgan_tf.cli import main
from srgan_tf.errors import ImageError
from srgan_tf.io import files
from srgan_tf.planning import storage
from srgan_tf.planning.manifest import Manifest
from srgan_tf.planning.plan import plan

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'srgan_tf[bulk]'")


@pytest.fixture(params=["local", "memory", "s3"])
def root(request, tmp_path):
    """An empty folder's or prefix's URL."""
    if request.param == "local":
        return str(tmp_path)
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    return f"{request.getfixturevalue('s3')}/{uuid4().hex}"


def targets(root, *sources, output="out"):
    root = storage.absolute(root)
    output, manifest = f"{root}/{output}", Manifest(f"{root}/{output}", {})
    suffix_of = lambda name: ".jpg" if name.endswith(".jpg") else ".png"  # noqa: E731
    made = plan([f"{root}/{source}".rstrip("/") for source in sources], output, "_x4", suffix_of, manifest, True)
    return {
        job.source.removeprefix(f"{root}/"): job.target.removeprefix(f"{output}/") for job in made.jobs
    }, made.problems


def test_names_are_those_of_the_batch_and_results_are_no_sources(root):
    for key in ("d1/a.png", "d2/a.png", "d2/a.jpg", "d2/a.gif", "d2/sub/b.PNG", "d2/text.txt", "d2/.hid/c.png"):
        storage.write(f"{root}/{key}", b"x")
    storage.write(f"{root}/out/a_x4.png", b"x")
    expected = {
        "d1/a.png": "d1/a_x4.png",
        "d2/a.png": "d2/a_x4.png",
        "d2/a.jpg": "a_x4.jpg",
        "d2/a.gif": "a.gif_x4.png",
        "d2/sub/b.PNG": "sub/b_x4.png",
    }
    assert targets(root, "d1", "d2") == targets(root, "d2", "d1", "d2/sub/b.PNG") == (expected, [])
    assert set(targets(root, "")[0]) == set(expected)
    assert targets(root, "d2/*.png") == ({"d2/a.png": "a_x4.png"}, [])
    assert targets(root, "d2/text.txt") == ({"d2/text.txt": "text_x4.png"}, [])  # named outright
    made, problems = targets(root, "d1", "nowhere", "d2/*.bmp")
    assert set(made) == {"d1/a.png"}
    assert ["no such file" in problems[0], "no pictures found" in problems[1]] == [True, True]


def test_a_file_named_like_a_pattern_is_that_file(root):
    for name in ("a[1].png", "a1.png"):
        storage.write(f"{root}/{name}", b"x")
    assert targets(root, "a[1].png") == ({"a[1].png": "a[1]_x4.png"}, [])
    assert set(targets(root, "a[2].png", "a?.png")[0]) == {"a1.png"}


def test_what_is_written_is_there_and_listed_once(root):
    url = f"{root}/deep/er/a.png"
    assert not storage.existing(f"{root}/deep")(url)
    assert not storage.exists(url)
    storage.write(url, b"first")
    storage.write(url, b"second")
    assert storage.exists(url) and storage.read(url) == b"second"
    there = storage.existing(f"{root}/deep")
    assert there(url) and not there(f"{root}/deep/er/b.png")
    with pytest.raises(ImageError, match=r"b\.png: no such file"):
        storage.read(f"{root}/deep/b.png")


@pytest.mark.parametrize("where", ["local", "memory"])
def test_a_write_that_fails_leaves_nothing(where, tmp_path, monkeypatch):
    root = str(tmp_path) if where == "local" else f"memory://{uuid4().hex}"
    storage.write(f"{root}/a.png", b"before")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    place = (storage.Path, "write_bytes") if where == "local" else (storage.opened(root)[0], "mv")
    monkeypatch.setattr(*place, full)
    with pytest.raises(storage.FullError, match=r"a\.png: No space left.*run the same command again"):
        storage.write(f"{root}/a.png", b"after")
    system, path = fsspec.core.url_to_fs(root)
    assert [key.rpartition("/")[2] for key in system.find(path)] == ["a.png"]
    assert storage.read(f"{root}/a.png") == b"before"


def test_readers_never_see_half_a_file(root):
    url, kinds, seen, ended = f"{root}/a.png", (b"a" * 300_000, b"b" * 200_000), set(), threading.Event()
    storage.write(url, kinds[0])

    def look():
        while not ended.is_set():
            try:
                seen.add(storage.read(url))
            except ImageError:  # memory's rename is copy and delete
                assert url.startswith("memory:")

    reader = threading.Thread(target=look)
    reader.start()
    for i in range(30):
        storage.write(url, kinds[i % 2])
    ended.set()
    reader.join()
    assert seen and (seen <= set(kinds) or url.startswith("memory:"))


def test_old_left_overs_are_swept_and_young_ones_kept(tmp_path):
    for name, age in (
        (".partial-old.png", 7200),
        (".partial-young.png", 60),
        ("a.png", 7200),
        (".partial-model", 7200),
    ):
        (tmp_path / name).mkdir() if name == ".partial-dir" else (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    files.sweep([tmp_path, tmp_path / "none"])
    assert {path.name for path in tmp_path.iterdir()} == {".partial-young.png", "a.png"}


def test_unusable_urls_are_one_line(tmp_path):
    for url in ("nosuch://a/b", "gs://bucket/a"):
        with pytest.raises(ImageError, match=rf"^{url}: cannot open this file system") as told:
            storage.opened(url) if url.startswith("nosuch") else _without("gcsfs", url)
        assert "\n" not in str(told.value)
    problems = plan(["nosuch://a/b"], str(tmp_path), "_x4", str, Manifest(str(tmp_path), {})).problems
    assert len(problems) == 1 and problems[0].startswith("nosuch://a/b: ")


def _without(package, url):
    try:
        __import__(package)
    except ImportError:
        return storage.opened(url)
    pytest.skip(f"{package} is installed here")


def test_keys_that_paths_cannot_tell_apart_are_refused(s3):  # noqa: F811
    prefix = f"{s3}/{uuid4().hex}"
    for key in ("a/b.png", "a//b.png"):
        storage.write(f"{prefix}/{key}", b"x")
    made, problems = targets(prefix, "")
    assert set(made) == {"a/b.png"}
    assert len(problems) == 1 and "a//b.png: its key has empty or dotted parts" in problems[0]


def test_the_program_reads_and_writes_urls(root, capsys):
    file = io.BytesIO()
    Image.new("RGB", (9, 7), (90, 60, 30)).save(file, "PNG")
    root = storage.absolute(root)
    storage.write(f"{root}/in/a.png", file.getvalue())
    program = main.program("upscale")
    flags, arguments = program.parse([f"{root}/in", f"--output={root}/out", "--weights=compact"])
    program.main(flags, arguments)
    with Image.open(io.BytesIO(storage.read(f"{root}/out/a_x4.png"))) as made:
        assert made.size == (36, 28)
    program.main(flags, arguments)
    assert "0 made" in (said := capsys.readouterr().err.splitlines()[-1]) and "1 skipped, made before" in said
    flags, arguments = program.parse(
        [f"{root}/in", f"--output={root}/out", "--weights=compact", "--back-projection=none"]
    )
    with pytest.raises(SystemExit):
        program.main(flags, arguments)
    assert "a_x4.png: exists, but --back_projection was auto" in capsys.readouterr().err
