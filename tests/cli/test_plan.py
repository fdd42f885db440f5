"""Names of results: one each, whatever the order of the arguments, and nothing of its own taken for a source."""

import itertools
import os

import pytest

from srgan_tf.cli.plan import plan
from srgan_tf.io import files


def ending_of(path):
    return ".png" if path.suffix != ".jpg" else ".jpg"


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def planned(root, *arguments, output="out", **options):
    jobs, problems = plan([str(root / a) for a in arguments], root / output, "_x4", ending_of, **options)
    return {
        job.source.relative_to(root).as_posix(): job.target.relative_to(root / output).as_posix() for job in jobs
    }, problems


def test_one_name_in_several_folders(tmp_path):
    touch(tmp_path, "d1/a.png", "d2/a.png", "deep/d1/a.png", "d2/sub/b.png", "d1/c.png")
    for order in itertools.permutations(["d1", "d2", "deep/d1"]):
        made, problems = planned(tmp_path, *order)
        assert not problems and len(set(made.values())) == 5
        assert made["d1/c.png"] == "c_x4.png" and made["d2/sub/b.png"] == "sub/b_x4.png"
        assert made["d2/a.png"] == "d2/a_x4.png" and made["deep/d1/a.png"] == "deep/d1/a_x4.png"
        assert made["d1/a.png"].endswith("/d1/a_x4.png")


def test_one_name_with_several_endings(tmp_path):
    touch(tmp_path, "a.png", "a.gif", "a.jpg", "a.tif")
    made, _ = planned(tmp_path, "")
    assert made == {"a.png": "a_x4.png", "a.gif": "a.gif_x4.png", "a.jpg": "a_x4.jpg", "a.tif": "a.tif_x4.png"}


def test_names_that_differ_in_case_alone_need_no_folders(tmp_path):
    touch(tmp_path, "a.png", "A.png")
    assert planned(tmp_path, "")[0] == {"a.png": "a_x4.png", "A.png": "A_x4.png"}


def test_a_picture_named_twice_is_made_once(tmp_path):
    touch(tmp_path, "d/sub/a.png")
    assert (
        planned(tmp_path, "d", "d/sub/a.png")[0]
        == planned(tmp_path, "d/sub/a.png", "d")[0]
        == {"d/sub/a.png": "sub/a_x4.png"}
    )


def test_what_is_no_source(tmp_path):
    touch(tmp_path, "a.png", "a_x4.png", "._a.jpg", ".partial-x.png", ".cache/b.png", "out/a_x4.png")
    made, problems = planned(tmp_path, "", earlier=[tmp_path / "a_x4.png"])
    assert made == {"a.png": "a_x4.png"} and not problems
    made, problems = planned(tmp_path, "", output=".", earlier=[tmp_path / "a_x4.png"])
    assert set(made) == {"a.png", "out/a_x4.png"} and not problems
    for name in ("._a.jpg", "a_x4.png"):  # named outright
        assert set(planned(tmp_path, name, earlier=[tmp_path / "a_x4.png"])[0]) == {name}


def test_patterns_in_folders_with_brackets(tmp_path):
    touch(tmp_path, "holiday [2024]/a.png", "holiday [2024]/b.jpg")
    made, problems = planned(tmp_path, "holiday [2024]/*.png")
    assert made == {"holiday [2024]/a.png": "a_x4.png"} and not problems


def test_one_bad_argument_leaves_the_others(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "sub/b.png", "locked/c.png")
    walk = os.walk

    def cramped(folder, onerror=None, **options):
        for root, folders, names in walk(folder, onerror=onerror, **options):
            if "locked" in folders:  # root may read everything, so it is acted
                folders.remove("locked")
                onerror(PermissionError(13, "Permission denied", os.path.join(root, "locked")))
            yield root, folders, names

    monkeypatch.setattr(files.os, "walk", cramped)
    made, problems = planned(tmp_path, "", "x" * 300 + ".png", "nowhere.png")
    assert set(made) == {"a.png", "sub/b.png"}
    assert [next(w for w in ("too long", "cannot read this folder", "no such file") if w in p) for p in problems] == [
        *("cannot read this folder", "too long", "no such file")
    ]


def test_names_too_long_for_the_disk_are_told_before_computing(tmp_path):
    touch(tmp_path, "y" * 245 + ".png", "a.png")
    made, problems = planned(tmp_path, "")
    assert set(made) == {"a.png"} and len(problems) == 1 and "too long" in problems[0]


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_names_that_are_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    touch(folder, "a.png")
    jobs, problems = plan([str(folder)], tmp_path / "out", "_x4", ending_of)
    assert len(jobs) == 1 and not problems
