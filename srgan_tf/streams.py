"""Standard streams as file descriptors, which native libraries write to as well."""

import os
import stat
import sys
from contextlib import contextmanager


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


def open_closed() -> None:
    """Open closed standard streams on the null device: else a file opened later takes their numbers, and log lines.

    A wrapper's shell may have taken the number already, for a file to read from: such a stream is closed, too.
    """
    for stream in range(3):
        try:
            os.write(stream, b"") if stream else os.fstat(stream)
        except OSError:
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
