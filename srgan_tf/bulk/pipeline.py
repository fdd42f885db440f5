"""Pictures through a pool of workers on Ray: https://docs.ray.io/en/latest/data/data.html.

Ray moves names and results' states, never pictures, so that its memory is flat whatever their count.
"""

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tell nobody
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as later releases do
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray's own lines go to its log files

import pyarrow
import ray
from ray.data import ActorPoolStrategy, DataContext

from srgan_tf.bulk.work import FAILED, Settings, Worker
from srgan_tf.errors import StrategyError
from srgan_tf.io.files import reason

PROGRAM = 700 << 20  # bytes that a worker takes beside its tiles: docs/bulk.md
_RETRIES = 3  # of a task whose worker died
_TOGETHER = 32  # pictures a task, at most
_DIED = "its worker died each time: out of memory, or a decoder failed; try it alone, by upscale.py"


@dataclass(frozen=True)
class Job:
    """One picture to make, from URL to URL, and how often it was tried before."""

    source: str
    target: str
    tried: int = 0


@dataclass(frozen=True)
class Told:
    """What became of a job: a state of `work`, the reason of a failure, pixels made, seconds since 1970 of its work."""

    job: Job
    state: str
    reason: str = ""
    pixels: int = 0
    began: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Pool:
    """Workers, and what each is given of the cluster."""

    workers: int
    threads: int = 1
    gpus: float = 0
    memory: int = 0


@contextmanager
def cluster(address: str | None = None, **options):
    """A Ray cluster: one on this machine, which ends with the block, or the one at an address.

    Raises:
        StrategyError: there is none at the address.
    """
    options = {"log_to_driver": False, "logging_level": logging.ERROR, **options}
    if address is None:
        options = {"include_dashboard": False, "object_store_memory": 256 << 20, **options}
    try:
        if address and address.count(":") == 1:  # Ray would try for minutes
            host, port = address.split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address or "local", **options)
    except Exception as error:  # whatever Ray says of clusters that are not there
        raise StrategyError(
            f"--address={address}: no Ray cluster answers, or none to RAY_AUTH_TOKEN ({error})"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def pool(workers: int | None, threads: int, memory: int, gpu: bool) -> Pool:
    """As many workers as the cluster has cores, memory and GPUs for.

    Args:
        workers: so many, whatever is there; a cluster that grows is given its largest number.
        threads: of each. memory: bytes of each. gpu: use one each, where the cluster has any.

    Raises:
        StrategyError: not one worker fits.
    """
    has = ray.cluster_resources()
    gpus = int(has.get("GPU", 0)) if gpu else 0
    fit = min(int(has.get("CPU", 1)) // threads, int(has.get("memory", memory)) // memory)
    fit = min(fit, gpus) if gpus else fit
    if fit < 1 and workers is None:
        raise StrategyError(
            f"no worker fits: each takes {threads} cores and {memory / 2**30:.1f} GiB, the cluster has "
            f"{has.get('CPU', 0):g} and {has.get('memory', 0) / 2**30:.1f}; lower --threads or --memory"
        )
    return Pool(workers or fit, threads, 1 if gpus else 0, memory)


def run(jobs: Sequence[Job], settings: Settings, pool: Pool, worker: type = Worker) -> Iterator[Told]:
    """Do the jobs; what became of each comes as it happens, once, in no order.

    A worker that dies is replaced, and what it had in work is done again. What kills it each time is tried alone, so
    that its neighbours are made, and comes as a failure.

    Raises:
        StrategyError: workers cannot start; says why.
    """
    left = range(len(jobs))
    together = max(1, min(_TOGETHER, len(jobs) // (4 * pool.workers)))
    told = bytearray(len(jobs))
    for size in (together, 1):
        for result in _stream(jobs, left, size, settings, pool, worker):
            number = result.pop("number")
            if not told[number]:  # a task done again may tell of a picture twice, or pass over one
                told[number] = 1
                yield Told(jobs[number], **result)
        left = [number for number in left if not told[number]]
        if not left:
            return
    for number in left:
        yield Told(jobs[number], FAILED, f"{jobs[number].source}: {_DIED}")


def _stream(jobs: Sequence[Job], numbers: Sequence[int], size: int, settings: Settings, pool: Pool, worker: type):
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails comes back, and is told in a line
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # `run` takes up what is missing
    context.target_max_block_size = 1  # what a worker yields comes at once, not with the last of its task
    blocks = [_table(jobs, numbers[i : i + size]) for i in range(0, len(numbers), size)]
    with warnings.catch_warnings():  # max_task_retries has no other way in yet
        warnings.simplefilter("ignore", DeprecationWarning)
        made = ray.data.from_arrow(blocks).map_batches(
            worker,
            fn_constructor_args=(settings,),
            batch_size=None,
            compute=ActorPoolStrategy(size=min(pool.workers, len(blocks))),
            num_cpus=pool.threads,
            num_gpus=pool.gpus or None,
            memory=pool.memory or None,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
    try:
        for batch in made.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for results in batch["results"].to_pylist():
                yield from json.loads(results)
    except ray.exceptions.RayError as error:
        raise StrategyError(f"workers cannot start or go on: {reason(error)}") from None


def _table(jobs: Sequence[Job], numbers: Sequence[int]) -> pyarrow.Table:
    some = [jobs[number] for number in numbers]
    return pyarrow.table(
        {
            "number": pyarrow.array(numbers, pyarrow.int64()),
            "source": [job.source for job in some],
            "target": [job.target for job in some],
        }
    )
