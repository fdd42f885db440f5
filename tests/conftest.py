import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder that holds Set5 and Set14; they state no licence, so they are not in the repository."""
    folder = Path(os.environ.get("SRGAN_TF_DATA", ROOT.parent / "shared" / "data" / "eval"))
    if not (folder / "Set5").is_dir():
        pytest.skip(f"Set5 and Set14 are not at {folder} (set SRGAN_TF_DATA)")
    return folder
