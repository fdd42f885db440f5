import os
import signal
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import benchmark_files
import pytest
from absl import logging
from swiftshader import software_gpu  # noqa: F401 - a fixture

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["VK_DRIVER_FILES"] = os.devnull  # no GPU but where a test asks for one
if "PYTEST_XDIST_WORKER" in os.environ:  # about one process per core, so one thread each
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "VIPS_CONCURRENCY"):
        os.environ.setdefault(name, "1")
ROOT = Path(__file__).parents[1]


def matrix(values, *always) -> list:
    """Return parameters of a test: `always` run by default, the others with `-m matrix`."""
    each = [(one, one if isinstance(one, tuple) else (one,)) for one in values]
    return [one if one in always else pytest.param(*parts, marks=pytest.mark.matrix) for one, parts in each]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    return (os.cpu_count() or 1) + 1  # some tests wait for processes and servers


def pytest_addoption(parser):
    parser.addoption("--part", help="K/N: run the tests whose names hash to K of N, for a share of a long matrix")


def pytest_collection_modifyitems(config, items):
    if part := config.getoption("--part"):
        k, n = map(int, part.split("/"))
        kept = [item for item in items if zlib.crc32(item.nodeid.encode()) % n == k % n]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


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


@contextmanager
def eager():
    """Run steps eagerly: of a few steps, tracing is most of the time. Not for what a graph could break."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eagerly():
    with eager():
        yield


@pytest.fixture
def small_discriminator(monkeypatch):
    """An eighth of the paper's filters in `Discriminator`."""
    from srgan_tf.models import discriminators

    plan = tuple((filters // 8, stride) for filters, stride in discriminators.PLAN)
    monkeypatch.setattr(discriminators, "PLAN", plan)


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder that holds Set5 and Set14; they state no licence, so they are not in the repository."""
    return benchmark_files.need("Set5").parent
