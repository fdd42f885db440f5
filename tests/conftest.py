import os
from pathlib import Path

import benchmark_files
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder that holds Set5 and Set14; they state no licence, so they are not in the repository."""
    return benchmark_files.need("Set5").parent
