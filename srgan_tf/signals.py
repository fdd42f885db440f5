"""Signals that end a program: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal."""

import os
import signal
import stat
from collections.abc import Callable

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def on_end(handler: Callable[[int], None]) -> None:
    """Call a handler, with the number, on each of these signals; those that `nohup` or a shell ignores stay ignored."""

    def handle(number: int, _) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            _leave_terminal()
        handler(number)

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def ignore() -> None:
    """Ignore these signals from now on, so that they do not interrupt what cleans up."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _leave_terminal() -> None:
    """Send what is still printed nowhere: a closed terminal raises OSError."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(silent, stream)
    os.close(silent)
