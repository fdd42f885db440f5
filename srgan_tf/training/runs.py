"""A run's folder: its lock, and `run.json` with its settings and the versions of each start."""

import dataclasses
import importlib.metadata
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

from srgan_tf.errors import TrainingError
from srgan_tf.io import files
from srgan_tf.training.recipes import Recipe

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def held(folder):
    """Lock a run's folder, creating it if missing; the lock file names this process. An error leaves no empty folder.

    Raises:
        TrainingError: another process holds the lock, or the folder cannot be created.
    """
    path = Path(folder) / ".lock"
    is_new = not path.parent.exists()
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
        try:
            yield
        finally:
            if is_new and list(path.parent.iterdir()) == [path]:
                path.unlink()
                path.parent.rmdir()


def claim(output: Path, recipe: Recipe, fingerprint: str, init) -> dict:
    """Return the run's record: a new one, or the existing one if its settings are the same.

    Raises:
        TrainingError: the existing one is damaged, or has other settings.
    """
    settings = {**dataclasses.asdict(recipe), "data": fingerprint, "init": str(init) if init is not None else None}
    path = output / "run.json"
    if not path.exists():
        return {"settings": settings, "versions": _versions(), "started": time.ctime()}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        # Fields newer than the run have their defaults.
        there = {f.name: f.default for f in dataclasses.fields(Recipe)} | run["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainingError(f"{path} is damaged; give another --output or remove it") from None
    changed = {
        name: f"{there.get(name)!r} before, {now!r} now" for name, now in settings.items() if there.get(name) != now
    }
    if list(changed) == ["steps"]:
        raise TrainingError(
            f"{output} is a run of {there['steps']} steps, which its learning rate follows; to continue from its "
            f"weights, give --init={output} and another --output"
        )
    if changed:
        text = "; ".join(f"{name}: {what}" for name, what in changed.items())
        raise TrainingError(f"{output} has a run with other settings ({text}); give another --output")
    return run


def write(output: Path, run: dict, step: int) -> None:
    """Write `run.json`, adding this start of the run, at `step`."""
    lives = run.get("lives")
    life = {"step": step, "time": time.ctime(), "versions": _versions()}
    run = {**run, "lives": [*(lives if isinstance(lives, list) else []), life]}
    try:
        output.mkdir(parents=True, exist_ok=True)
        with files.write_aside(output / "run.json") as temporary:
            Path(temporary).write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{output}: cannot write there ({files.reason(error)})") from None


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy", "pillow")}
