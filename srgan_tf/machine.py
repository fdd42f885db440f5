"""CPU, GPU and OS capabilities."""

import ctypes
import math
import os
import platform
import re
from contextlib import suppress
from pathlib import Path


def has_bfloat16() -> bool:
    """Return whether TensorFlow's device multiplies bfloat16 in hardware."""
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return capability >= (8, 0)
    return bool(_flags() & {"avx512_bf16", "amx_bf16"})


def has_int8() -> bool:
    """Return whether the processor has instructions for 8-bit dot products, several times as fast as float ones.

    AVX2 alone has none: there 8-bit weights take as long as float32 (docs/engines.md).
    """
    if _int8 is not None:
        return _int8
    return bool(_flags() & {"avx512_vnni", "avx512vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


def has_avx512() -> bool:
    """Return whether the processor has 512-bit vectors."""
    return "avx512f" in _flags()


def set_int8(has: bool) -> None:
    """Set what `has_int8` returns from now on, as where several machines are to make the same pictures."""
    global _int8
    _int8 = has


_int8: bool | None = None


def has_gpu() -> bool:
    """Return whether TensorFlow computes on a GPU. Imports TensorFlow only if a device file exists."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    try:
        import tensorflow as tf
    except ImportError:
        return False
    return bool(tf.config.list_physical_devices("GPU"))


def gpu_drivers() -> list[str]:
    """Identify the graphics devices and drivers of this machine; [] without a driver that LiteRT can use."""
    by_system = {"Linux": _on_linux, "Windows": _on_windows, "Darwin": lambda: [platform.mac_ver()[0]]}
    return by_system.get(platform.system(), list)()


_LAYERS = ("/usr/share", "/usr/local/share", "/etc", os.path.expanduser("~/.local/share"))
_DISPLAYS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"


def _on_linux() -> list[str]:
    """Return Vulkan's drivers with their times, the devices, and the kernel; [] without Vulkan."""
    chosen = os.environ.get("VK_DRIVER_FILES") or os.environ.get("VK_ICD_FILENAMES")
    found = [Path(path) for path in chosen.split(os.pathsep)] if chosen else []
    if not chosen:
        found = [path for layer in _LAYERS for path in sorted(Path(layer, "vulkan/icd.d").glob("*.json"))]
    manifests = [f"{path} {path.stat().st_mtime:.0f}" for path in found if path.is_file()]
    devices = []
    for folder in sorted(Path("/sys/class/drm").glob("card[0-9]*/device")):
        with suppress(OSError):
            devices.append(" ".join((folder / name).read_text().strip() for name in ("vendor", "device")))
    return [*manifests, *devices, platform.release()] if manifests else []


def _on_windows() -> list[str]:
    """Return the display adapters and their drivers' versions, as the registry has them."""
    import winreg

    found = []
    for number in range(16):
        with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{_DISPLAYS}\{number:04}") as key:
            found.append(" ".join(str(winreg.QueryValueEx(key, name)[0]) for name in ("DriverDesc", "DriverVersion")))
    return found


def _flags() -> set[str]:
    """Return the processor's features as Linux names them, or as NumPy does elsewhere."""
    try:
        return set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        from numpy._core._multiarray_umath import __cpu_features__ as features

        return {name.lower() for name, there in features.items() if there}


_TOLD = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")


def processor() -> str:
    """Describe the processor for bug reports: its name, the cores this process may use, and flags that count."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        name = found[1] if found else name
    return (
        f"{name}, {cores()} cores, flags: {' '.join(flag for flag in _TOLD if flag in _flags()) or 'none that count'}"
    )


def limit_threads(threads: int) -> None:
    """Limit this process to `threads` threads, for models opened and TensorFlow imported later."""
    global _most
    _most = threads
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "VIPS_CONCURRENCY"):
        os.environ[name] = str(threads)


_most = math.inf


def cores() -> int:
    """Return the physical cores that affinity, cgroup quota and `limit_threads` allow; at least 1."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return int(min(os.cpu_count() or 1, _most))
    seen = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            seen.add((topology / "thread_siblings_list").read_text())
        except OSError:
            seen.add(cpu)
    return max(1, int(min(len(seen), _quota(), _most)))


def _quota(groups: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the cgroup's CPU quota, version 2 or 1; infinite without one."""
    try:
        quota, period = (groups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((groups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return math.inf
    return math.inf if quota == "max" or int(quota) < 0 else int(quota) / int(period)


def cache_folder() -> Path:
    """Return the package's folder in the user's cache folder, which may not exist yet."""
    default = {"Windows": os.environ.get("LOCALAPPDATA", ""), "Darwin": "~/Library/Caches"}.get(platform.system(), "")
    return Path(os.environ.get("XDG_CACHE_HOME") or default or "~/.cache").expanduser() / "srgan_tf"


def keep_memory() -> None:
    """Keep freed pages in glibc; re-faulting them costs 10% per training step on 2 cores."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    for parameter in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        mallopt(parameter, 2**31 - 1)
