"""A GPU for tests, on any machine: SwiftShader, Vulkan in software, as Debian's Chromium brings it."""

import ctypes
import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("SRGAN_TF_SWIFTSHADER", "/usr/lib/chromium"))
DRIVER = FOLDER / "vk_swiftshader_icd.json"


def available() -> bool:
    if not DRIVER.exists():
        return False
    try:
        from ai_edge_litert.compiled_model import GpuOptions  # noqa: F401 - not in older versions
    except ImportError:
        return False
    return True


needed = pytest.mark.skipif(not available(), reason="needs SwiftShader: apt-get install chromium; and LiteRT 2.3")


@pytest.fixture
def software_gpu(monkeypatch):
    """SwiftShader for this process and those that it starts."""
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(name, str(DRIVER))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(FOLDER))  # of processes, for libvulkan.so.1
    ctypes.CDLL(str(FOLDER / "libvulkan.so.1"))  # of this one, where Dawn opens it by the same name
