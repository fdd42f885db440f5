"""The dead-letter file: one line of JSON per failed picture, written as it happens."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from srgan_tf.errors import ImageError
from srgan_tf.planning.manifest import append_line, json_lines

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def read(path) -> dict[str, dict]:
    """Return the last letter of each target; {} if the file is missing. Damaged lines are skipped.

    Returns:
        target → {"source", "target", "reason", "attempt"}.

    Raises:
        ImageError: the file cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ImageError(f"{path}: cannot read it ({error.strerror})") from None
    kinds = {"source": str, "target": str, "reason": str, "attempt": int}
    whole = [one for one in json_lines(data) if all(isinstance(one.get(name), kind) for name, kind in kinds.items())]
    return {one["target"]: {name: one[name] for name in kinds} for one in whole}


class DeadLetterLog(AbstractContextManager):
    """Exclusive dead-letter log, deleted if empty.

    Raises:
        ImageError: another run uses it, or it cannot be written.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")  # noqa: SIM115 - held until `__exit__`
        except OSError as error:
            raise ImageError(f"--failed={self.path}: cannot write it ({error.strerror})") from None
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ImageError(f"--failed={self.path}: another run writes to it; give another --failed") from None

    def add(self, source: str, target: str, reason: str, attempt: int) -> None:
        """Record a failed picture."""
        append_line(self._file, {"source": source, "target": target, "reason": reason, "attempt": attempt})
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        if not self._file.seek(0, os.SEEK_END):
            self.path.unlink(missing_ok=True)
        self._file.close()
