"""The dead-letter file: whole lines, one writer, and what a kill left of it."""

import errno
import json
import os

import pytest

from srgan_tf.bulk import letters
from srgan_tf.errors import ImageError


def test_letters_are_there_as_they_come_and_the_last_counts(tmp_path):
    path = tmp_path / "logs" / "failed.jsonl"
    with letters.DeadLetterLog(path) as file:
        file.add("a.png", "a_x4.png", "a.png: the file is empty", 1)
        assert json.loads(path.read_text())["attempt"] == 1  # not only when it is closed
        file.add("a.png", "a_x4.png", "a.png: no such file", 2)
        with pytest.raises(ImageError, match=r"failed\.jsonl: another run writes to it"):
            letters.DeadLetterLog(path)
    assert letters.read(path) == {
        "a_x4.png": {"source": "a.png", "target": "a_x4.png", "reason": "a.png: no such file", "attempt": 2}
    }


def test_lines_cut_off_by_a_kill_spoil_no_other(tmp_path):
    path = tmp_path / "failed.jsonl"
    path.write_text('{"source": "a.png", "targ')
    with letters.DeadLetterLog(path) as file:
        file.add("b.png", "b_x4.png", "why", 1)
    assert set(letters.read(path)) == {"b_x4.png"}


def test_no_file_is_left_where_nothing_failed(tmp_path):
    with letters.DeadLetterLog(tmp_path / "failed.jsonl"):
        pass
    assert not list(tmp_path.iterdir()) and letters.read(tmp_path / "failed.jsonl") == {}
    (tmp_path / "mine.txt").touch()
    with letters.DeadLetterLog(tmp_path / "mine.txt"):
        pass
    assert (tmp_path / "mine.txt").exists()


def test_only_regular_files_hold_letters(tmp_path):
    """Devices and pipes never end, and an empty device would be deleted."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/full"):
        with pytest.raises(ImageError, match=r"--failed=.*: not a regular file, .*; give another"):
            letters.DeadLetterLog(path)
        with pytest.raises(ImageError, match="not a regular file"):
            letters.read(path)
    with pytest.raises(ImageError, match=r"--failed=.*: cannot write it \(.+\); give another"):
        letters.DeadLetterLog(tmp_path / "pipe" / "failed.jsonl")


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(letters, "append_line", full)
    path = tmp_path / "failed.jsonl"
    with (
        letters.DeadLetterLog(path) as file,
        pytest.raises(ImageError, match=r"--failed=.*No space left.*; free space"),
    ):
        file.add("b.png", "b_x4.png", "why", 1)
