"""Processes that do the same work in turns, and the rows of the table that come of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).parent
PEERS = HERE / "peers"
ENVIRONMENT = Path(os.environ.get("SRGAN_TF_PEERS", HERE / ".peers"))
OURS = ("in_srgan_tf", "in_keras")  # scripts that run in this environment


def python_of(script: str) -> str:
    if script in OURS:
        return sys.executable
    if not (ENVIRONMENT / "bin" / "python").exists():
        print(f"making {ENVIRONMENT} for the others …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        pip = [ENVIRONMENT / "bin" / "pip", "install", "-q", "-r", PEERS / "requirements.txt"]
        subprocess.run(pip, check=True)
    return str(ENVIRONMENT / "bin" / "python")


class Contender:
    """A process that makes a function ready and calls it when told (see peers/worker.py)."""

    def __init__(self, name: str, script: str, job: dict):
        self.name, self.seconds, self.peak, self.versions = name, [], None, {}
        command = [python_of(script), str(PEERS / f"{script}.py"), json.dumps(job)]
        paths = [os.environ.get("PYTHONPATH", ""), str(PEERS), str(HERE.parent)]
        environment = {**os.environ, "PYTHONPATH": ":".join(filter(None, paths)), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            command,
            stdin=-1,
            stdout=-1,
            stderr=None if os.environ.get("SRGAN_TF_VERBOSE") else subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.alive = "versions" in self._answer()

    def _answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("@"):
                found = json.loads(line[1:])
                self.versions |= found.get("versions", {})
                return found
        self.alive = False
        return {}

    def go(self, counts: bool = True) -> None:
        seconds = self._ask("go").get("seconds")
        if seconds and counts:
            self.seconds.append(seconds)

    def end(self) -> None:
        self.peak = self._ask("end").get("peak_mib")
        self._process.kill()
        self._process.wait()

    def _ask(self, word: str) -> dict:
        if not self.alive:
            return {}
        try:
            print(word, file=self._process.stdin, flush=True)
        except OSError:
            self.alive = False
            return {}
        return self._answer()

    def summary(self) -> dict:
        if not self.seconds:
            return {"failed": True, **self.versions}
        low, median, high = (round(float(s), 5) for s in np.percentile(self.seconds, [25, 50, 75]))
        figures = {"seconds": median, "quartiles": [low, high], "peak_mib": self.peak}
        return {**figures, **self.versions}


def in_turns(contenders: list[tuple], rounds: int, together: bool = True) -> dict[str, dict]:
    """The summaries by name. A first call each, which compiles, is not counted."""
    groups = [contenders] if together else [[one] for one in contenders]
    result = {}
    for group in groups:
        alive = [Contender(*one) for one in group]
        for number in range(rounds + 1):
            for one in alive:
                one.go(counts=number > 0)
        for one in alive:
            one.end()
            result[one.name] = one.summary()
            print(f"  {one.name:24} {result[one.name]}", flush=True)
    return result


def mirrored(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture of this size: cut, or mirrored where it is too small."""
    missing = [(0, max(0, side - have)) for side, have in zip((height, width), picture.shape)]
    return np.pad(picture, [*missing, (0, 0)], "symmetric")[:height, :width]


def row(name: str, what: str, goal: str, measured: str, met: bool, **details) -> dict:
    print(f"{name}: {measured} ({'met' if met else 'missed'}: {goal})", flush=True)
    return {"id": name, "what": what, "goal": goal, "measured": measured, "met": bool(met), **details}
