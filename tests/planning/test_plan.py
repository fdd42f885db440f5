"""Names of results: one each, whatever the order of the arguments, and nothing of its own taken for a source."""

import itertools
import os
import sys
import time
from pathlib import Path, PurePath

import pytest

from srgan_tf.io import files
from srgan_tf.planning.manifest import Manifest
from srgan_tf.planning.plan import Job, plan


def ending_of(path):
    return ".jpg" if path.endswith(".jpg") else ".png"


def noted(folder, *results):
    """A manifest that tells of these results."""
    manifest = Manifest(str(folder), {})
    for path in results:
        manifest.add(str(path), str(path))
    return manifest


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def planned(root, *arguments, output="out", manifest=None, compare=False):
    manifest = manifest or Manifest(str(root / output), {})
    made = plan([str(root / a) for a in arguments], str(root / output), "_x4", ending_of, manifest, True, compare)
    return {relative(job.source, root): relative(job.target, root / output) for job in made.jobs}, made.problems


def relative(path, root):
    return Path(path).relative_to(root).as_posix()


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


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_to_folders_are_followed_once(tmp_path):
    """They were passed over without a word."""
    touch(tmp_path, "in/a.png", "in/sub/b.png", "elsewhere/c.png", "elsewhere/deep/d.png")
    for name, there in {"in/more": "elsewhere", "in/again": "in/sub", "elsewhere/up": "in", "second": "in"}.items():
        (tmp_path / name).symlink_to(tmp_path / there)
    for argument in ("in", "second"):
        made, problems = planned(tmp_path, argument)
        found = {name.removeprefix(f"{argument}/") for name in made}
        assert not problems and found == {"a.png", "sub/b.png", "more/c.png", "more/deep/d.png"}


def test_names_that_differ_in_case_alone_need_no_folders(tmp_path):
    touch(tmp_path, "a.png", "A.png")
    assert planned(tmp_path, "")[0] == {"a.png": "a_x4.png", "A.png": "A_x4.png"}


@pytest.mark.parametrize(
    ("names", "ending", "made"),
    [
        (["x.JPG", "x.jpg"], ".jpg", {"x.JPG": "x_x4.jpg"}),
        (["x.gif", "x.png", "x.gif.png"], ".png", {"x.gif": "x.gif_x4.png", "x.png": "x_x4.png"}),
    ],
)
def test_results_of_one_name_are_not_written_over_each_other(tmp_path, names, ending, made):
    touch(tmp_path, *names)
    found = plan([str(tmp_path)], str(tmp_path / "out"), "_x4", lambda _: ending, Manifest(str(tmp_path / "out"), {}))
    assert {relative(job.source, tmp_path): relative(job.target, tmp_path / "out") for job in found.jobs} == made
    (left_out,) = set(names) - set(made)
    assert len(found.problems) == 1 and found.problems[0].startswith(f"{tmp_path / left_out}: its result would have")


def test_a_comparison_is_not_written_over_a_result(tmp_path):
    touch(tmp_path, "a.png", "a_x4_compare.png")
    manifest = Manifest(str(tmp_path / "out"), {})
    found = plan([str(tmp_path)], str(tmp_path / "out"), "", ending_of, manifest, compare=True)
    assert len(found.jobs) == 2 and not found.problems  # a_compare.png, and a_x4_compare.png
    touch(tmp_path, "a_compare.png")
    found = plan([str(tmp_path)], str(tmp_path / "out"), "", ending_of, manifest, compare=True)
    assert len(found.jobs) == 2 and "rename one of them" in found.problems[0]


def test_a_picture_named_twice_is_made_once(tmp_path):
    touch(tmp_path, "d/sub/a.png")
    assert (
        planned(tmp_path, "d", "d/sub/a.png")[0]
        == planned(tmp_path, "d/sub/a.png", "d")[0]
        == {"d/sub/a.png": "sub/a_x4.png"}
    )


def test_what_is_no_source(tmp_path):
    touch(tmp_path, "a.png", "a_x4.png", "._a.jpg", ".partial-x.png", ".cache/b.png", "out/a_x4.png")
    earlier = noted(tmp_path, tmp_path / "a_x4.png")
    made, problems = planned(tmp_path, "", manifest=earlier)
    assert made == {"a.png": "a_x4.png"} and not problems
    made, problems = planned(tmp_path, "", output=".", manifest=earlier)
    assert set(made) == {"a.png", "out/a_x4.png"} and not problems
    for name in ("._a.jpg", "a_x4.png"):  # named outright
        assert set(planned(tmp_path, name, manifest=earlier)[0]) == {name}


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
    touch(tmp_path, "y" * 249 + ".png", "z" * 246 + ".png", "a.png")
    made, problems = planned(tmp_path, "")
    assert set(made) == {"a.png", "z" * 246 + ".png"}
    assert len(problems) == 1 and "its result's name is too long" in problems[0]
    made, problems = planned(tmp_path, "", compare=True)
    assert set(made) == {"a.png"} and "its comparison's name is too long" in problems[1]


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_names_that_are_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    touch(folder, "a.png")
    made, problems = planned(tmp_path, folder.name)
    assert len(made) == 1 and not problems


def test_existing_results_are_told_apart(tmp_path):
    touch(tmp_path, "in/a.png", "in/b.png", "in/c.png", "in/d.png", "out/a_x4.png", "out/b_x4.png", "out/c_x4.png")
    before = Manifest(str(tmp_path / "out"), {"quality": 95})
    for name in "ab":
        before.add(str(tmp_path / f"in/{name}.png"), str(tmp_path / f"out/{name}_x4.png"))
    (tmp_path / "in/b.png").write_bytes(b"other")

    def again(**options):
        manifest = Manifest(str(tmp_path / "out"), {"quality": 95} | options)
        return plan([str(tmp_path / "in")], str(tmp_path / "out"), "_x4", ending_of, manifest)

    made = again()
    assert [relative(job.source, tmp_path) for job in made.jobs] == ["in/d.png"]
    assert (made.made, made.unknown) == (1, 1) and "b_x4.png: exists, but its source has changed" in made.problems[0]
    other = again(quality=80)
    assert "a_x4.png: exists, but --quality was 95; --overwrite replaces it" in other.problems[0]
    before.add_all()  # as `bulk` does, whose results have no lines of their own
    assert (again().made, again().unknown) == (1, 1)  # c_x4.png is older than that line
    touch(tmp_path, "out/c_x4.png")
    assert (again().made, again().unknown) == (2, 0)
    assert "c_x4.png: exists, but --quality was 95" in again(quality=80).problems[2]


def test_results_belong_to_the_run_that_made_them_and_not_to_the_last(tmp_path):
    """`bulk --overwrite` with other options, of a part or stopped, leaves results of both."""
    touch(tmp_path, *(f"in/{name}.png" for name in "abc"))

    def run(*names, bulk=True, **options):
        manifest = Manifest(str(tmp_path / "out"), options)
        if bulk:
            manifest.add_all()
        for name in names:
            touch(tmp_path, f"out/{name}_x4.png")
            if not bulk:
                manifest.add(str(tmp_path / f"in/{name}.png"), str(tmp_path / f"out/{name}_x4.png"))
            time.sleep(0.02)  # clocks of file systems are coarse

    def problems(**options):
        made = plan(
            [str(tmp_path / "in")], str(tmp_path / "out"), "_x4", ending_of, Manifest(str(tmp_path / "out"), options)
        )
        assert not made.jobs and not made.unknown
        return [PurePath(line.split(":")[0]).name for line in made.problems]

    run("a", "b", quality=95)
    run("c", quality=95)  # goes on
    assert problems(quality=95) == [] and len(problems(quality=80)) == 3
    run("a", quality=80)  # overwrites one
    assert problems(quality=80) == ["b_x4.png", "c_x4.png"] and problems(quality=95) == ["a_x4.png"]
    run("b", bulk=False, quality=80)
    assert problems(quality=80) == ["c_x4.png"]
    run("b", quality=70)  # replaces what has a line of its own
    assert problems(quality=70) == ["a_x4.png", "c_x4.png"]
    (tmp_path / "in/b.png").unlink()
    assert Manifest(str(tmp_path / "out"), {"quality": 80}).differs(
        *(str(tmp_path / x) for x in ("in/b.png", "out/b_x4.png"))
    )


def test_a_source_that_has_gone_stops_nothing(tmp_path):
    touch(tmp_path, "a.png", "a_x4.png")
    place = str(tmp_path / "a.png"), str(tmp_path / "a_x4.png")
    noted(tmp_path).add(*place)
    (tmp_path / "a.png").unlink()
    assert Manifest(str(tmp_path), {}).differs(*place) == ""
    noted(tmp_path).add(*place)
    assert Manifest(str(tmp_path), {}).differs(*place) == ""


def test_a_comparison_that_is_missing_is_made(tmp_path):
    touch(tmp_path, "a.png", "out/a_x4.png")
    manifest = Manifest(str(tmp_path / "out"), {})
    manifest.add(str(tmp_path / "a.png"), str(tmp_path / "out/a_x4.png"))
    again = lambda: plan([str(tmp_path / "a.png")], str(tmp_path / "out"), "_x4", ending_of, manifest, compare=True)  # noqa: E731
    assert len(again().jobs) == 1
    touch(tmp_path, "out/a_x4_compare.png")
    assert (again().jobs, again().made) == ([], 1)


def test_damaged_lines_of_a_manifest_spoil_no_other(tmp_path):
    touch(tmp_path, "a.png", "a_x4.png")
    noted(tmp_path).add(str(tmp_path / "a.png"), str(tmp_path / "a_x4.png"))
    manifest = tmp_path / ".srgan_tf.jsonl"
    odd = [b"\xff\xfe", b"7", b'["a"]', b'{"result": 3, "options": {}}', b'{"result": "x", "options": []}', b'{"resu']
    manifest.write_bytes(b"\n".join([*odd[:3], manifest.read_bytes().strip(), *odd[3:]]))
    read = Manifest(str(tmp_path), {})
    assert read.differs(str(tmp_path / "a.png"), str(tmp_path / "a_x4.png")) == ""


def test_a_manifest_that_cannot_be_used_says_so(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / ".srgan_tf.jsonl").mkdir()  # root may read and write everything else
    made = Manifest(str(tmp_path), {})
    assert ".srgan_tf.jsonl: cannot read it" in made.trouble
    made.add(str(tmp_path / "a.png"), str(tmp_path / "a_x4.png"))
    assert "cannot write it" in made.trouble and "reruns do not know these results" in made.trouble
    assert Manifest(str(tmp_path / "new"), {}).trouble == ""


def test_options_that_bulk_kept_before_are_honoured(tmp_path):
    (tmp_path / ".srgan_tf_bulk.json").write_text('{"quality": 95, "engine": "auto"}')
    assert Manifest(str(tmp_path), {"quality": 95, "engine": "litert"}).changed() == ""
    assert Manifest(str(tmp_path), {"quality": 80, "engine": "litert"}).changed() == "--quality was 95"


def test_an_output_that_ends_in_a_slash_is_a_folder(tmp_path):
    touch(tmp_path, "a.png")
    found = plan([str(tmp_path / "a.png")], f"{tmp_path}/b.png/", "", ending_of, Manifest(f"{tmp_path}/b.png", {}))
    assert [job.target for job in found.jobs] == [f"{tmp_path}/b.png/a.png"]


def test_every_kind_that_is_read_is_found_in_folders(tmp_path):
    """As docs/reference/files.md lists them."""
    endings = "PNG apng jpg JPEG jpe jfif webp avif heic tif gif bmp tga ppm pgm pbm pnm ico qoi pcx sgi jp2 j2k"
    touch(tmp_path, *(f"{i}.{ending}" for i, ending in enumerate(endings.split())), "notes.txt")
    assert len(planned(tmp_path, "")[0]) == len(endings.split())


def test_a_pattern_that_is_none_is_one_line(tmp_path):
    touch(tmp_path, "a.png")
    _, problems = planned(tmp_path, "**.png")
    assert len(problems) == (sys.version_info < (3, 13)) and all("** stands alone" in one for one in problems)


def test_one_picture_to_a_file_name(tmp_path):
    touch(tmp_path, "a.png", "b.png")
    output = str(tmp_path / "big.jpg")
    made = plan([str(tmp_path / "a.png")], output, "_x4", ending_of, Manifest(str(tmp_path), {}), compare=True)
    assert made.jobs == [Job(str(tmp_path / "a.png"), output, str(tmp_path / "big_compare.png"))]
    made = plan([str(tmp_path)], output, "_x4", ending_of, Manifest(str(tmp_path), {}))
    assert not made.jobs and "a file name takes one picture, not 2" in made.problems[0]


def test_a_result_is_never_written_over_its_source(tmp_path):
    touch(tmp_path, "a.png")
    source = str(tmp_path / "a.png")
    made = plan([source], str(tmp_path), "", ending_of, Manifest(str(tmp_path), {}), overwrite=True)
    assert not made.jobs and "would overwrite its input" in made.problems[0]
