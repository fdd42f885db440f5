"""One run a folder: a lock that its owner's death releases."""

import os
from contextlib import contextmanager
from pathlib import Path

from srgan_tf.errors import TrainingError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = ".lock"


@contextmanager
def held(folder):
    """Hold a run's folder, which is made where it is missing; the lock names this process.

    Raises:
        TrainingError: another process holds it, or the folder cannot be made.
    """
    path = Path(folder) / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held below
    except OSError as error:
        raise TrainingError(f"{folder}: cannot write there ({error.strerror})") from None
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                owner = file.read().strip() or "another process"
                raise TrainingError(f"{folder}: {owner} trains there; stop it, or give another --output") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
