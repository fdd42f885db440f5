import os
import signal
import sys
from pathlib import Path

import benchmark_files
import pytest
from absl import logging

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def process_as_it_was():
    """What a program called in the tests' own process sets for the whole of it: what is logged, what ends it."""
    verbosity, handler = logging.get_verbosity(), signal.getsignal(signal.SIGTERM)
    yield
    logging.set_verbosity(verbosity)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(autouse=True)
def same_draws():
    """A test's random weights are the same in every run: one draw in a hundred once missed a bound."""
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(1)


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder that holds Set5 and Set14; they state no licence, so they are not in the repository."""
    return benchmark_files.need("Set5").parent
