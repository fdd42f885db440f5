"""The program in processes of its own, and what it is held against."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*words):
    return [sys.executable, "-m", "srgan_tf", "bulk", "--weights=compact", "--memory=0.1", *map(str, words)]


def run(*words, cwd, **options):
    done = subprocess.run(command(*words), capture_output=True, text=True, cwd=cwd, env=environment(), **options)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(*words, cwd):
    return subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment())


def upscaled(source: Path, cwd: Path) -> dict[str, bytes]:
    """What upscale.py makes of a folder: path below its output → bytes."""
    words = [sys.executable, "-m", "srgan_tf", "upscale", str(source), "--output=by_upscale", "--weights=compact"]
    subprocess.run([*words, "--memory=0.1", "--quiet"], stderr=subprocess.PIPE, cwd=cwd, env=environment())
    return files(cwd / "by_upscale")


def files(folder: Path) -> dict[str, bytes]:
    """All results in a folder, and what should not be there; but not the programs' own notes."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".srgan_tf"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def below(process: int) -> dict[int, str]:
    """What runs below a process: number → what it is called."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # gone
            continue
    found, more = {process}, True
    while more:
        more = {child for child, parent in parents.items() if parent in found} - found
        found |= more
    return {number: names[number] for number in found - {process} if number in names}


def workers(driver: int) -> list[int]:
    """Processes of a driver's own Ray that upscale now."""
    return [number for number, name in below(driver).items() if name.startswith("ray::MapWorker")]


def until(condition, seconds: float = 120):
    """Wait for something; fail where it does not come."""
    ended = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ended, "waited in vain"
        time.sleep(0.1)
    return found


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def alive(processes: list[int]) -> list[int]:
    """Those of some processes that still run."""
    return [number for number in processes if Path(f"/proc/{number}/cmdline").exists()]
