"""The dead-letter file: one line of JSON per failed picture, written as it happens."""

import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from srgan_tf.errors import ImageError
from srgan_tf.io.files import reason
from srgan_tf.planning.manifest import append_line, json_lines

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def _check_regular(path, name) -> None:
    """Raise ImageError, with the name in front, where there is a device, a pipe or a folder."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ImageError(f"{name}: not a regular file, which lines are added to and read from; give another")


def read(path) -> dict[str, dict]:
    """Return the last letter of each target; {} if the file is missing. Damaged lines are skipped.

    Returns:
        target → {"source", "target", "reason", "attempt"}.

    Raises:
        ImageError: the file cannot be read.
    """
    _check_regular(path, path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ImageError(f"{path}: cannot read it ({reason(error)})") from None
    kinds = {"source": str, "target": str, "reason": str, "attempt": int}
    whole = [one for one in json_lines(data) if all(isinstance(one.get(name), kind) for name, kind in kinds.items())]
    return {one["target"]: {name: one[name] for name in kinds} for one in whole}


class DeadLetterLog(AbstractContextManager):
    """Exclusive dead-letter log; a new one is deleted if it stays empty.

    Raises:
        ImageError: another run uses it, or it cannot be written.
    """

    def __init__(self, path):
        self.path = Path(path)
        _check_regular(path, f"--failed={path}")
        self._is_new = not self.path.exists()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")  # noqa: SIM115 - held until `__exit__`
        except OSError as error:
            raise ImageError(f"--failed={self.path}: cannot write it ({reason(error)}); give another") from None
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ImageError(f"--failed={self.path}: another run writes to it; give another --failed") from None

    def add(self, source: str, target: str, problem: str, attempt: int) -> None:
        """Record a failed picture. Raises ImageError where the disk is full."""
        letter = {"source": source, "target": target, "reason": problem, "attempt": attempt}
        try:
            append_line(self._file, letter)
            self._file.flush()
        except OSError as error:
            fix = "free space, or give another --failed"
            raise ImageError(f"--failed={self.path}: cannot write it ({reason(error)}); {fix}") from None

    def __exit__(self, *_: object) -> None:
        if self._is_new and not os.fstat(self._file.fileno()).st_size:
            self.path.unlink(missing_ok=True)
        with suppress(OSError):  # what a full disk did not take
            self._file.close()
