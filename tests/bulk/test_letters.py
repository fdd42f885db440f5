"""The dead-letter file: whole lines, one writer, and what a kill left of it."""

import json

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
    with pytest.raises(ImageError, match=r"--failed=.*: cannot write it"):
        letters.DeadLetterLog(tmp_path)
