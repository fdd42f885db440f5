"""The progress line fits its terminal, and is plain text in a file."""

import io

import pytest

from srgan_tf import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminals_line_is_renewed_and_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    for share in (0, 0.5, 1):
        progress.draw(stream, share, "tile " * 30)
    lines = stream.getvalue().split("\r")[1:]
    assert [line.count("#") for line in lines] == [0, 10, 20]
    assert "\n" not in stream.getvalue() and all(len(line.removesuffix("\033[K")) == 39 for line in lines)


def test_a_files_lines_are_whole():
    stream = io.StringIO()
    progress.draw(stream, 0.25, "step 1")
    assert stream.getvalue() == "[#####...............] step 1\n"


@pytest.mark.parametrize("seconds,text", [(8.24, "8.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_clock(seconds, text):
    assert progress.clock(seconds) == text
