"""The bar is one line that fits its terminal, whole lines a minute apart in a file, and nothing where quiet."""

import io

import pytest
import tqdm.std
from terminals import Terminal

from srgan_tf.progress import Bar, clock


@pytest.fixture
def now(monkeypatch):
    """The time by tqdm's clock, to be set."""
    seconds = [1000.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: seconds[0])
    monkeypatch.delenv("NO_COLOR", raising=False)
    return seconds


def test_a_terminals_line_is_coloured_renewed_and_never_wraps(now):
    stream = Terminal()
    with Bar(4, "Set5", unit="picture", stream=stream) as bar:
        for _ in range(4):
            now[0] += 10
            bar.move(1, "a long name " * 9)
    assert "\x1b[32m" in stream.getvalue() and stream.getvalue().endswith("\n")
    lines = stream.plain().rstrip("\n").split("\r")
    shown = [line for line in lines if line.strip()]
    assert max(map(len, lines)) == 60 and not any("\n" in line for line in shown)
    assert [line.count("█") for line in shown[:5]] == [0, 5, 10, 15, 20]
    assert shown[2].startswith("Set5  50% ") and "2/4 [00:20<00:20, 10.00s/pict" in shown[2]


def test_no_color_is_respected(now, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Bar(1, stream=stream).close()
    assert "\x1b[32m" not in stream.getvalue()


def test_what_is_said_stands_above_the_bar(now):
    stream = Terminal()
    bar = Bar(2, keep=False, stream=stream)
    now[0] += 1
    bar.move(1, "a.png")
    bar.say("error: b.png is empty")
    bar.close()
    text = stream.plain()
    before, said, after = text.partition("error: b.png is empty\n")
    assert said and before.split("\r")[-1] == "" and before.split("\r")[-2].strip() == ""  # on a line that is cleared
    assert "50%" in after and text.endswith("\r") and text.split("\r")[-2].strip() == ""  # redrawn; gone at the end


@pytest.mark.parametrize("kind", [io.StringIO, lambda: Terminal(columns=0)])
def test_a_log_has_a_whole_line_a_minute(now, kind):
    stream = kind()
    bar = Bar(600, unit="step", start=100, stream=stream)
    for _ in range(500):
        now[0] += 0.5
        bar.move(1, "loss/content 0.1")
    assert stream.getvalue().count("\n") == 4  # of 250 seconds
    bar.show("val 28.1 dB")
    bar.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5 and "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()
    assert (
        "220/600 [01:00<03:10,  2.00step/s, loss/content 0.1]" in lines[0]
        and lines[-1].startswith("100% ")
        and lines[-1].endswith(", val 28.1 dB]")
    )


def test_a_short_log_has_what_is_said_alone(now):
    stream = io.StringIO()
    with Bar(3, stream=stream) as bar:
        now[0] += 59
        bar.move(1, "a.png")
        bar.say("a.png → b.png")
    assert stream.getvalue() == "a.png → b.png\n"


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_quiet_says_errors_alone(now, kind):
    stream = kind()
    with Bar(3, quiet=True, stream=stream) as bar:
        now[0] += 100
        bar.move(3, "a.png")
        bar.show("b.png")
        bar.say("error: no")
    assert stream.getvalue() == "error: no\n"


@pytest.mark.parametrize("seconds,text", [(8.24, "8.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_clock(seconds, text):
    assert clock(seconds) == text
