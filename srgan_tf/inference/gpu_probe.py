"""Whether the GPU pays: tried once per device and driver in a process of its own, and remembered. No TensorFlow.

A driver may crash or hang, so a child process with a time limit tries it. Software adapters, results that differ
from the CPU's, and devices slower than the CPU are not used; `--engine=gpu` uses any.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from absl import logging

from srgan_tf import __version__, machine
from srgan_tf.io import files

LIMIT = 60  # seconds
MODEL, SIDE = "srgan", 128  # LR px per side of the tile
_PICTURE = Path(__file__).parents[1] / "photos" / "heldout" / "coffee.jpg"


@functools.cache
def pays() -> bool:
    """Return whether "auto" takes the GPU; logs once per device and driver why not."""
    if not _allowed or not (device := drivers()):
        return False
    if (found := _read().get(device)) is None:
        found = find()
        if found["reason"]:
            logging.warning("continuing on the CPU: %s; --engine=gpu tries the GPU again", found["reason"])
    elif found["reason"]:
        logging.info("continuing on the CPU: %s", found["reason"])
    return not found["reason"]


_allowed = True


def forbid() -> None:
    """Let `pays` return False, as where many processes share a machine."""
    global _allowed
    _allowed = False
    pays.cache_clear()


def find() -> dict:
    """Try the GPU and remember the finding.

    Returns:
        `reason` why "auto" does not take it, "" if it does; and if known `adapter`, `apart`, the largest difference
        from the CPU of 255, and `seconds` of GPU and CPU for one tile.
    """
    found = ask([sys.executable, "-m", __name__, MODEL, str(SIDE)])
    if device := drivers():
        _write(_read() | {device: found})
    return found


def forget() -> None:
    """Have the next run with "auto" try the GPU anew, if it is known not to pay."""
    known, device = _read(), drivers()
    if device in known and known[device]["reason"]:
        _write({other: found for other, found in known.items() if other != device})
        pays.cache_clear()


def ask(command: list[str], limit: float | None = None) -> dict:
    """Run the child process, for at most `limit` seconds; return its finding, as `find` does."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    options = {"env": {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}, "timeout": limit or LIMIT}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    except subprocess.TimeoutExpired:
        return {"reason": f"the GPU driver timed out after {limit or LIMIT:g} s"}
    except OSError as error:
        return {"reason": f"the GPU could not be tried ({error.strerror})"}
    try:
        return _judged(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        if -done.returncode in set(signal.Signals):
            return {"reason": f"the GPU driver crashed ({signal.Signals(-done.returncode).name})"}
        return {"reason": f"the check of the GPU failed (exit code {done.returncode})"}


def _judged(found: dict) -> dict:
    """Add to what a child measured the reason not to use the GPU."""
    from srgan_tf.inference.gpu import APART, is_software

    adapter, reason = found.get("adapter") or "the GPU", found.get("reason", "")
    name = adapter.split(",")[0]
    if is_software(adapter):
        reason = f"{name} is a software adapter"
    elif not reason and not found["apart"] <= APART:
        reason = f"{name} gives results that differ from the CPU's by {found['apart']} of 255"
    elif not reason and found["seconds"][0] >= found["seconds"][1]:
        reason = f"{name} is slower than the CPU ({' s against '.join(f'{n:.2g}' for n in found['seconds'])} s)"
    return found | {"reason": reason}


def drivers() -> str:
    """Identify devices and drivers, and the versions of this package and LiteRT; "" without a driver."""
    found = machine.gpu_drivers()
    with suppress(metadata.PackageNotFoundError):
        return "; ".join([__version__, metadata.version("ai-edge-litert"), *found]) if found else ""
    return ""


def cache_file() -> Path:
    """Return the file that findings are kept in."""
    return machine.cache_folder() / "gpu.json"


def _read() -> dict:
    try:
        known = json.loads(cache_file().read_text(encoding="utf-8"))
        return {device: found for device, found in known.items() if isinstance(found["reason"], str)}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def _write(known: dict) -> None:
    with suppress(OSError):  # the next run tries again
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        with files.write_aside(cache_file()) as temporary:
            Path(temporary).write_text(json.dumps(known), encoding="utf-8")


def measure(name: str, side: int, software: bool = False) -> dict:
    """Run shipped weights on a bundled photograph on GPU and CPU; what the child process does.

    Args:
        name: of shipped weights.
        side: LR pixels of the square tile.
        software: run software adapters too, which takes long.
    """
    import numpy as np

    from srgan_tf.errors import GpuError
    from srgan_tf.inference.gpu import GpuRunner, is_software
    from srgan_tf.inference.litert import EngineRunner
    from srgan_tf.inference.model_info import ModelInfo
    from srgan_tf.io import images
    from srgan_tf.models import weights

    content = weights.read_shipped(name, ".tflite")
    try:
        gpu = GpuRunner(content, name, ModelInfo.from_tflite(content))
        if is_software(gpu.adapter) and not software:
            return {"adapter": gpu.adapter}
        lr = images.read(_PICTURE)[None, :side, :side]
        apart = np.abs(gpu(lr).astype(int) - EngineRunner(content, name, "float32")(lr)).max()
    except (GpuError, MemoryError) as error:
        return {"reason": str(error).removeprefix("--engine=gpu: ").partition("; ")[0]}
    cpu, seconds = EngineRunner(content, name), []
    for runner in (gpu, cpu):
        times = []
        for _ in range(3):
            started = time.perf_counter()
            runner(lr)
            times.append(time.perf_counter() - started)
        seconds.append(min(times))
    return {"adapter": gpu.adapter, "apart": int(apart), "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), "--software" in sys.argv)))
