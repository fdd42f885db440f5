"""Signals that end a program: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal."""

import signal
from collections.abc import Callable

from srgan_tf import streams

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def on_end(handler: Callable[[int], None]) -> None:
    """Call a handler, with the number, on each of these signals; those that `nohup` or a shell ignores stay ignored."""

    def handle(number: int, _) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            streams.leave_terminal()
        handler(number)

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


def ignore() -> None:
    """Ignore these signals from now on, so that they do not interrupt the clean-up."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
