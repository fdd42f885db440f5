"""One command for all programs, and what every program owes whoever types it."""

import subprocess
import sys

import forks
import pytest
from conftest import ROOT

import srgan_tf
from srgan_tf.cli import main, typed

MODULE = ("-m", "srgan_tf")


def run(*words):
    start = subprocess.run if "-X" in words else forks.run
    return start([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_programs_share_a_process_and_no_flags():
    for name in main.PROGRAMS:
        main.program(name).flags()
    one, words = main.program("upscale").parse(["a.png", "--output=here", "--scale=2", "b.png"])
    other, _ = main.program("upscale").parse([])
    assert words == ["a.png", "b.png"]
    assert (one.output, one.scale) == ("here", 2) and (other.output, other.scale) == ("upscaled", None)
    assert main.program("client").flags()["scale"].value is None


def test_flags_may_be_spelt_with_hyphens_and_files_stay_as_they_are():
    words = ["a-b.png", "--back-projection=none", "--max-megapixels", "9", "--", "--a-b.png"]
    flags, files = main.program("upscale").parse(words)
    assert (flags.back_projection, flags.max_megapixels, files) == ("none", 9, ["a-b.png", "--a-b.png"])


def test_help_lists_the_programs_without_tensorflow():
    done = run("-X", "importtime", *MODULE, "--help")
    assert done.returncode == 0 and "absl" in done.stderr  # imports are listed
    assert not any(name in done.stderr for name in ("tensorflow", "keras", "pyvips", "numpy"))
    listed = [line.split(maxsplit=2) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for _, name, _ in listed] == list(main.PROGRAMS)
    assert all(text[0].isupper() and text.endswith(".") for *_, text in listed)


def test_help_without_docstrings():
    for words in ((*MODULE, "--help"), (*MODULE, "upscale", "--help")):
        done = run("-X", "faulthandler", "-OO", *words)
        assert done.returncode == 0 and done.stdout.strip() and done.stderr == ""


def test_help_behind_the_end_of_flags_is_a_file(tmp_path):
    done = run(*MODULE, "upscale", f"--output={tmp_path}", "--", "--help")
    assert done.returncode == 1 and done.stdout == "" and "--help: no such file" in done.stderr


def test_version():
    done = run(*MODULE, "--version")
    assert (done.returncode, done.stdout) == (0, f"srgan-tf {srgan_tf.__version__}\n")


@pytest.mark.parametrize("words", [[], ["enlarge"], ["--scale=2"]])
def test_a_sub_command_that_is_none_is_one_line(words):
    done = run(*MODULE, *words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == ""
    assert ", ".join(main.PROGRAMS) in done.stderr and all(repr(word) in done.stderr for word in words)


@pytest.mark.parametrize("name", main.PROGRAMS)
def test_each_program_has_help_and_refuses_unknown_flags(name):
    done = run(*MODULE, name, "--help")
    assert done.returncode == 0 and f"\npython -m srgan_tf {name} " in done.stdout and done.stderr == ""
    assert "srgan-tf" not in done.stdout and ("--output" in done.stdout or name in ("models", "doctor"))
    done = run(*MODULE, name, "--no_such_flag")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no_such_flag" in done.stderr


@pytest.mark.parametrize("name", ["train", "evaluate", "export", "upscale"])
def test_root_programs_are_the_same_under_their_own_name(name):
    done = run(f"{name}.py", "--help")
    expected = run(*MODULE, name, "--help").stdout.replace(f"python -m srgan_tf {name}", f"python {name}.py")
    assert done.returncode == 0 and done.stdout == expected


@pytest.mark.parametrize("name", ["train", "evaluate", "export"])
def test_stray_words_are_refused(name):
    done = run(*MODULE, name, "--output=x", "stray")
    assert done.returncode == 2 and "'stray'" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("started", "program", "words"),
    [
        (["train.py", "--steps=3"], ["python", "train.py"], ["--steps=3"]),
        (["/usr/bin/srgan-tf", "train", "--steps=3"], ["srgan-tf", "train"], ["--steps=3"]),
        (["/x/srgan_tf/__main__.py", "train"], ["python", "-m", "srgan_tf", "train"], []),
    ],
)
def test_a_command_can_be_typed_again(monkeypatch, started, program, words):
    monkeypatch.setattr(sys, "argv", started)
    assert typed() == (program, words)
