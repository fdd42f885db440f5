"""Describe this machine for a bug report: processor, versions, and what each engine would do.

srgan-tf doctor                    tries the graphics processor anew and remembers what it finds

The graphics processor is tried in a process of its own, with a time limit.
"""

import platform
from contextlib import suppress
from importlib import metadata

from srgan_tf import __version__, machine
from srgan_tf.cli import Program, fail, import_tensorflow

_PACKAGES = ("ai-edge-litert", "numpy", "pyvips", "pyvips-binary", "tensorflow", "keras")


def define(flag) -> None:
    pass


def main(flags, arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; doctor takes none", 2)
    for name, text in report().items():
        print(f"{name + ':':14}{text}")


def report() -> dict[str, str]:
    """Return the lines, by heading."""
    from srgan_tf.inference import gpu_probe
    from srgan_tf.inference.loading import choose_engine

    found, versions = gpu_probe.find(), {}
    gpu_probe.pays.cache_clear()
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    lines = {
        "srgan-tf": f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "processor": machine.processor(),
        "litert": f"{'8-bit weights' if machine.has_int8() else 'float32'} on the CPU",
        "gpu": _gpu(found),
        "adapter": found.get("adapter") or "none found",
        "drivers": gpu_probe.drivers() or "none",
        "tensorflow": "not installed: pip install 'srgan_tf[train]'",
    }
    if "tensorflow" in versions:
        import_tensorflow()
        lines["tensorflow"] = f"{'bfloat16' if machine.has_bfloat16() else 'float32'} by --precision=auto"
    chosen = choose_engine("srgan")
    lines["auto"] = f"--engine={chosen} for shipped weights" + (f": {found['reason']}" * (chosen == "litert"))
    return lines


def _gpu(found: dict) -> str:
    from srgan_tf.inference.gpu_probe import MODEL, SIDE

    if "seconds" not in found:
        return found["reason"]
    gpu, cpu = found["seconds"]
    compared = f"{MODEL} on {SIDE}x{SIDE} px in {gpu:.2g} s, CPU {cpu:.2g} s, {found['apart']} of 255 apart"
    return f"all operations in float32, {compared}"


command = Program(main, define, __doc__)
