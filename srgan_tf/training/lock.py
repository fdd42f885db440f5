"""Allow one run per folder, by a lock that ends with its process."""

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
    """Lock a run's folder, creating it if missing; the lock file names this process.

    Raises:
        TrainingError: another process holds the lock, or the folder cannot be created.
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
                raise TrainingError(f"{folder}: {owner} is training in it; stop it, or give another --output") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
