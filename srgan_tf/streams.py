"""Standard streams as file descriptors, which native libraries write to as well."""

import ctypes
import errno
import os
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress


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


def leave_terminal() -> None:
    """Redirect terminal output to the null device: writing to a closed terminal raises OSError."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(silent, stream)
    os.close(silent)
