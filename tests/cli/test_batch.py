"""What is shown of many pictures, of which several are in work at once."""

import itertools
import sys

import pytest
import tqdm.std
from terminals import Terminal

from srgan_tf.cli.batch import BatchProgress, Stopped


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(tqdm.std, "time", itertools.count().__next__)
    return Terminal()


def test_tiles_of_pictures_at_once_and_failures_add_up(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    watch = BatchProgress(4, quiet=False)
    one, two = watch.begin("one.png", 2), watch.begin("two.png", 4)
    one()
    two()
    two()
    watch.end()  # a third, which could not be read
    watch.bar.say("error: three.png: the file is empty")
    one()
    watch.end()
    two()
    two()
    watch.end()
    watch.begin("four.png", 1)()
    watch.end()
    watch.bar.close()
    text = terminal.plain()
    shares = [int(line.split("%")[0]) for line in text.split("\r") if "%" in line]
    assert shares == sorted(shares) and {0, 25, 50, 75, 100} <= set(shares)
    assert "1/4 two.png: tile" in text and "4/4 four.png: tile" in text
    before, _, after = text.partition("error: three.png: the file is empty\n")
    assert before.endswith(" \r") and "%" in after  # on a line of its own; then the bar again
    assert text.endswith(" \r")  # no bar is left


def test_names_do_not_command_the_terminal(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    watch = BatchProgress(1, quiet=True)
    watch.bar.say("error: a\x1b[2J\x9b31m caf\xe9 \u202f.png: no such file")
    assert terminal.getvalue() == "error: a\\x1b[2J\\x9b31m caf\xe9 \u202f.png: no such file\n"


def test_what_is_stopped_makes_no_more_tiles(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    watch = BatchProgress(1, quiet=True)
    tile = watch.begin("one.png", 2)
    tile()
    watch.stopped = True
    with pytest.raises(Stopped):
        tile()
    assert terminal.getvalue() == ""
