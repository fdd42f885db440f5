"""Sources found and results written on disks, in memory and on an S3-compatible server."""

import errno
import os
import threading
import time
from uuid import uuid4

import pytest
from s3_server import s3  # noqa: F401

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'srgan_tf[bulk]'")

from srgan_tf.bulk import storage
from srgan_tf.errors import ImageError
from srgan_tf.io.names import named


@pytest.fixture(params=["local", "memory", "s3"])
def root(request, tmp_path):
    """An empty folder's or prefix's URL."""
    if request.param == "local":
        return str(tmp_path)
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    return f"{request.getfixturevalue('s3')}/{uuid4().hex}"


def targets(root, *sources, output="out"):
    found, problems = storage.find([f"{root}/{source}" for source in sources], f"{root}/{output}")
    names = named(found, "_x4", lambda path: ".png" if path.suffix != ".jpg" else ".jpg")
    return {found[one].rpartition(root.split("/")[-1])[2][1:]: str(name) for one, name in names.items()}, problems


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
    assert "is also an input" in targets(root, "d1", output="d1")[1][0]


def test_what_is_written_is_there_and_listed_once(root):
    assert storage.listed(f"{root}/none") == {}
    url = f"{root}/deep/er/a.png"
    assert not storage.exists(url)
    storage.write(url, b"first")
    storage.write(url, b"second")
    assert storage.exists(url) and storage.read(url) == b"second"
    (path,) = storage.listed(f"{root}/deep")
    system, wanted = storage.opened(url)
    assert path == wanted and storage.url_of(system, path).endswith("/deep/er/a.png")
    assert storage.read(storage.url_of(system, path)) == b"second"
    with pytest.raises(ImageError, match=r"b\.png: no such file"):
        storage.read(f"{root}/deep/b.png")


@pytest.mark.parametrize("where", ["local", "memory"])
def test_a_write_that_fails_leaves_nothing(where, tmp_path, monkeypatch):
    root = str(tmp_path) if where == "local" else f"memory://{uuid4().hex}"
    storage.write(f"{root}/a.png", b"before")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    system = storage.opened(root)[0]
    monkeypatch.setattr(*(storage.Path, "write_bytes") if where == "local" else (system, "mv"), full)
    with pytest.raises(storage.FullError, match=r"a\.png: No space left.*run the same command again"):
        storage.write(f"{root}/a.png", b"after")
    assert [path.rpartition("/")[2] for path in storage.listed(root)] == ["a.png"]
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
    for name, age in ((".partial-old.png", 7200), (".partial-young.png", 60), ("a.png", 7200)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    storage.sweep(str(tmp_path), storage.listed(str(tmp_path)))
    assert {path.name for path in tmp_path.iterdir()} == {".partial-young.png", "a.png"}


def test_unusable_urls_are_one_line(tmp_path):
    for url in ("nosuch://a/b", "gs://bucket/a"):
        with pytest.raises(ImageError, match=rf"^{url}: cannot open this file system") as told:
            storage.opened(url) if url.startswith("nosuch") else _without("gcsfs", url)
        assert "\n" not in str(told.value)
    _, problems = storage.find(["nosuch://a/b"], str(tmp_path))
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
    found, problems = storage.find([prefix], f"{s3}/out")
    assert [url.endswith("a/b.png") for url in found.values()] == [True]
    assert len(problems) == 1 and "a//b.png: its key has empty or dotted parts" in problems[0]
