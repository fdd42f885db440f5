"""What connects a program to its terminal: standard streams, as file descriptors, and the signals that end it."""

import ctypes
import errno
import os
import re
import signal
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress

# Ctrl-C, SIGTERM, and SIGHUP of a closed terminal.
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def silence():
    """Silence stderr, including native libraries."""
    kept, silent = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)


@contextmanager
def captured():
    """Collect what stdout and stderr receive from native libraries; yields a function that returns it so far."""

    def text() -> str:
        _flush()
        file.seek(0)
        return file.read().decode(errors="replace")

    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    _flush()
    with tempfile.TemporaryFile() as file:
        kept = {number: os.dup(number) for number in (1, 2)}
        for number in kept:
            os.dup2(file.fileno(), number)
        try:
            yield text
        finally:
            _flush()
            for number, old in kept.items():
                os.dup2(old, number)
                os.close(old)


def _flush() -> None:
    """Write out C's own buffers, which would reach a restored stdout later."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)


def open_closed() -> None:
    """Open closed standard streams on the null device: else a file opened later takes their numbers, and log lines.

    A wrapper's shell may have taken the number already, for a file to read from: such a stream is closed, too.
    """
    for stream in range(3):
        try:
            os.write(stream, b"") if stream else os.fstat(stream)
        except OSError as error:
            if error.errno != errno.EBADF:  # a full disk, which is to be told
                continue
            null = os.open(os.devnull, os.O_RDWR)
            if null != stream:
                os.dup2(null, stream)
                os.close(null)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _leave() -> None:
    """Redirect terminal output to the null device: writing to a closed terminal raises OSError."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(silent, stream)
    os.close(silent)


def on_end(handler: Callable[[int], None]) -> None:
    """Call a handler, with the number, on each of these signals; those that `nohup` or a shell ignores stay ignored."""

    def handle(number: int, _) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            _leave()
        handler(number)

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


@contextmanager
def postponed(handler: Callable[[int], None]):
    """Delay these signals until the end of the block, then pass the first to `handler`, which stays installed."""
    seen: list[int] = []
    on_end(seen.append)
    try:
        yield
    finally:
        on_end(handler)  # the block may have set others
        if seen:
            handler(seen[0])


def ignore() -> None:
    """Ignore these signals from now on, so that they do not interrupt the clean-up."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def printable(text: str) -> str:
    """Return a line with its control characters escaped, which names of files may hold, and terminals would obey."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: rf"\x{ord(found[0]):02x}", text)
