"""Progress bars for training, upscaling and evaluation."""

import os
import sys
import threading
from typing import Any, TextIO

from tqdm import tqdm

from srgan_tf.terminal import printable

_COUNTED = "{desc}{percentage:3.0f}% {bar:20} {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
_SHARES = "{desc}{percentage:3.0f}% {bar:20} [{elapsed}<{remaining}{postfix}]"


class _Line(tqdm):
    monitor_interval = 0  # no thread; it would only refresh bars that skip updates


class _Lines(_Line):
    """Write whole lines, for logs, instead of refreshing one."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        self.fp.write(f"{self}\n")
        self.fp.flush()

    def close(self) -> None:
        self.disable = True


def _columns(stream: TextIO) -> int:
    """Return a terminal's width; 0 for other streams and for terminals without a size, as in some containers."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 0


class Bar:
    """Show a coloured bar on a terminal, one line per minute in a log, nothing if quiet. Thread-safe.

    Args:
        total: amount of work.
        name: label before the bar.
        unit: of total, shown with count and rate; None shows neither.
        start: amount done by an earlier run.
        keep: leave the bar on the terminal after closing.
        quiet: show only messages.
        stream: output; standard error by default.
    """

    def __init__(
        self,
        total: int,
        name: str = "",
        unit: str | None = None,
        start: int = 0,
        keep: bool = True,
        quiet: bool = False,
        stream: TextIO | None = None,
    ):
        self.stream = sys.stderr if stream is None else stream
        self._lock, self._lines = threading.Lock(), not _columns(self.stream)
        options: dict[str, Any] = {"mininterval": 60, "delay": 60}
        if not self._lines:
            colour = None if "NO_COLOR" in os.environ else "green"
            options = {"mininterval": 0.1, "dynamic_ncols": True, "colour": colour}
        self._bar = (_Lines if self._lines else _Line)(
            total=total,
            desc=f"{name} " if name else "",
            unit=unit or "it",
            bar_format=_COUNTED if unit else _SHARES,
            initial=start,
            leave=keep,
            disable=quiet,
            file=self.stream,
            position=0,
            miniters=0,
            **options,
        )

    def move(self, amount: float, text: str = "") -> None:
        """Advance by `amount` and show `text` beside the bar."""
        with self._lock:
            self._bar.set_postfix_str(printable(text), refresh=False)
            self._bar.update(amount)

    def show(self, text: str) -> None:
        """Refresh now, even in a log."""
        with self._lock:
            self._bar.set_postfix_str(text)

    def say(self, line: str) -> None:
        """Print a message above the bar."""
        line = printable(line)
        with self._lock:
            if self._lines or self._bar.disable:
                self.stream.write(f"{line}\n")
                self.stream.flush()
            else:
                tqdm.write(line, file=self.stream)

    def close(self) -> None:
        with self._lock:
            self._bar.close()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def clock(seconds: float) -> str:
    """Format a duration: "8.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min {int(seconds % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
