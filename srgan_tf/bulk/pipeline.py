"""Upscale pictures by a pool of workers on Ray Data: https://docs.ray.io/en/latest/data/data.html.

Ray moves names and states, never pictures, so that its memory does not grow with their number.
"""

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as later releases do
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray logs to its files only

import pyarrow
import ray
from ray.data import ActorPoolStrategy, DataContext

from srgan_tf.bulk.work import FAILED, Settings, Worker
from srgan_tf.errors import StrategyError
from srgan_tf.io.files import reason
from srgan_tf.planning.plan import Job

PROGRAM = 700 << 20  # bytes of a worker without its tiles: docs/bulk.md
_RETRIES = 3  # per task whose worker died
_TOGETHER = 32  # pictures per task, at most
_DIED = "its worker died each time (out of memory, or a decoder crashed); try it alone by srgan-tf upscale"


@dataclass(frozen=True)
class JobResult:
    """Outcome of a job: a state of `work`, the reason of a failure or notes, pixels made, start and end (Unix time)."""

    job: Job
    state: str
    reason: str = ""
    pixels: int = 0
    began: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Pool:
    """Number of workers, and the resources of each."""

    workers: int
    threads: int = 1
    gpus: float = 0
    memory: int = 0


@contextmanager
def cluster(address: str | None = None, **options):
    """Connect to the Ray cluster at an address, or start one on this machine, which ends with the block.

    Raises:
        StrategyError: there is no cluster at the address.
    """
    options = {"log_to_driver": False, "logging_level": logging.ERROR, **options}
    if address is None:
        options = {"include_dashboard": False, "object_store_memory": 256 << 20, **options}
    try:
        if address and address.count(":") == 1:  # Ray would retry for minutes
            host, port = address.split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address or "local", **options)
    except Exception as error:  # Ray raises many types
        problem = "no Ray cluster responds; check the address and RAY_AUTH_TOKEN"
        raise StrategyError(f"--address={address}: {problem} ({error})") from None
    try:
        yield
    finally:
        ray.shutdown()


def pool(workers: int | None, threads: int, memory: int, gpu: bool) -> Pool:
    """Return as many workers as the cluster's cores, memory and GPUs allow.

    Args:
        workers: number of workers regardless of resources; for autoscaling clusters, the largest number.
        threads: cores per worker.
        memory: bytes per worker.
        gpu: use one GPU per worker if the cluster has any.

    Raises:
        StrategyError: no worker fits.
    """
    has = ray.cluster_resources()
    gpus = int(has.get("GPU", 0)) if gpu else 0
    fit = min(int(has.get("CPU", 1)) // threads, int(has.get("memory", memory)) // memory)
    fit = min(fit, gpus) if gpus else fit
    if fit < 1 and workers is None:
        raise StrategyError(
            f"no worker fits: each needs {threads} cores and {memory / 2**30:.1f} GiB, the cluster has "
            f"{has.get('CPU', 0):g} and {has.get('memory', 0) / 2**30:.1f}; lower --threads or --memory"
        )
    return Pool(workers or fit, threads, 1 if gpus else 0, memory)


def run(jobs: Sequence[Job], settings: Settings, pool: Pool, worker: type = Worker) -> Iterator[JobResult]:
    """Run the jobs; yield one result per job as it happens, in no order.

    A worker that dies is replaced, and its task repeated. A picture that kills its worker each time is tried alone, so
    that its neighbours are made, and fails.

    Raises:
        StrategyError: workers cannot start; says why.
    """
    left = range(len(jobs))
    together = max(1, min(_TOGETHER, len(jobs) // (4 * pool.workers)))
    seen = bytearray(len(jobs))
    for size in (together, 1):
        for result in _stream(jobs, left, size, settings, pool, worker):
            number = result.pop("number")
            if not seen[number]:  # a repeated task may report a picture twice
                seen[number] = 1
                yield JobResult(jobs[number], **result)
        left = [number for number in left if not seen[number]]
        if not left:
            return
    for number in left:
        yield JobResult(jobs[number], FAILED, f"{jobs[number].source}: {_DIED}")


def _stream(jobs: Sequence[Job], numbers: Sequence[int], size: int, settings: Settings, pool: Pool, worker: type):
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures are reported by `run`
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # `run` repeats what is missing
    context.target_max_block_size = 1  # deliver results at once, not at the end of a task
    blocks = [_table(jobs, numbers[i : i + size]) for i in range(0, len(numbers), size)]
    with warnings.catch_warnings():  # there is no other way to set max_task_retries yet
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
        raise StrategyError(f"workers cannot start or continue ({reason(error)}); see Ray's logs") from None


def _table(jobs: Sequence[Job], numbers: Sequence[int]) -> pyarrow.Table:
    some = [jobs[number] for number in numbers]
    return pyarrow.table(
        {
            "number": pyarrow.array(numbers, pyarrow.int64()),
            "source": [os.fsencode(job.source) for job in some],  # names need not be UTF-8
            "target": [os.fsencode(job.target) for job in some],
        }
    )
