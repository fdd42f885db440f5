"""What the processor and the system under us offer."""

import ctypes
from pathlib import Path


def has_bfloat16() -> bool:
    """Whether the device that TensorFlow computes on multiplies bfloat16 in hardware."""
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return capability >= (8, 0)
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:  # not Linux
        return False
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def keep_memory() -> None:
    """Have glibc keep the pages of freed tensors: fetching them anew each step cost a tenth of it on 2 cores."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    for parameter in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        mallopt(parameter, 2**31 - 1)
