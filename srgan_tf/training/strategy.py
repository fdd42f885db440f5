"""Training on several devices or machines by `tf.distribute`.

Every replica takes an equal share of the global batch, and after every step all hold the same weights, statistics and
averages (see `SRGAN.train_step`). So any worker's copy is the state of the run, one worker writes it, and a run may
resume on another number of devices.
"""

import functools
import os
import sys
import zlib
from contextlib import contextmanager

import tensorflow as tf

from srgan_tf import compat
from srgan_tf.choices import STRATEGIES
from srgan_tf.errors import StrategyError

# Errors that collectives raise when a peer is lost.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
LOST += (tf.errors.InternalError, tf.errors.FailedPreconditionError)


# Cached: a second strategy would reuse the numbers of the first one's collectives (TensorFlow issue 61314).
@functools.cache
def choose(name="auto") -> tf.distribute.Strategy:
    """Return the strategy of this name. Choose "multiworker" before TensorFlow computes anything.

    Args:
        name: "one" device; "mirrored": all GPUs of this machine, or its logical CPU devices; "multiworker": the
            machines in TF_CONFIG (see docs/scaling.md), each with all its GPUs; "auto": multiworker if TF_CONFIG lists
            several machines, else mirrored with several GPUs, else one. A `tf.distribute.Strategy` is returned as is.

    Raises:
        StrategyError: TF_CONFIG is missing or malformed, or TensorFlow is in use already.
    """
    if isinstance(name, tf.distribute.Strategy):
        return name
    if name not in STRATEGIES:
        raise StrategyError(f"--strategy must be one of {', '.join(STRATEGIES)}, not {name!r}")
    if name == "multiworker" or (name == "auto" and "TF_CONFIG" in os.environ):
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        try:
            cluster = resolver.cluster_spec().as_dict()
            addresses = [address for kind in ("chief", "worker") for address in cluster.get(kind, [])]
            mine = cluster[resolver.task_type][resolver.task_id] if addresses else None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise StrategyError(f"TF_CONFIG is malformed ({error!r}); see docs/scaling.md") from None
        if name == "multiworker" and not addresses:
            raise StrategyError("--strategy=multiworker needs TF_CONFIG in the environment; see docs/scaling.md")
        if len(addresses) > 1:
            print(f"{mine} of {', '.join(addresses)}: waiting for the others", file=sys.stderr)
            try:
                return tf.distribute.MultiWorkerMirroredStrategy(resolver)
            except RuntimeError as error:
                raise StrategyError(f"workers could not connect: {error}") from None
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name != "one" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def workers(strategy: tf.distribute.Strategy) -> int:
    """Return the number of processes that train together."""
    cluster = strategy.cluster_resolver.cluster_spec().as_dict() if strategy.cluster_resolver else {}
    return max(1, sum(len(cluster.get(kind, [])) for kind in ("chief", "worker")))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes files."""
    resolver = strategy.cluster_resolver
    if not resolver or not resolver.cluster_spec():
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def distribute(strategy: tf.distribute.Strategy, batch: int, make):
    """Return a dataset that gives each replica its share of the global batch.

    Args:
        strategy: of the run.
        batch: of all replicas together.
        make: `make(workers=, worker=)` returns the dataset of one worker's share of each batch.

    Raises:
        StrategyError: the batch is not divisible by the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch % replicas:
        raise StrategyError(f"--batch={batch} is not divisible by {replicas} devices")
    if replicas == 1:
        return make(workers=1, worker=0)

    def share(context):
        dataset = make(workers=context.num_input_pipelines, worker=context.input_pipeline_id)
        return dataset.rebatch(batch // replicas, drop_remainder=True)

    return strategy.distribute_datasets_from_function(share)


def replicate(strategy: tf.distribute.Strategy, dataset: tf.data.Dataset):
    """Replicate every element on all replicas."""
    if strategy.num_replicas_in_sync == 1:
        return dataset

    def copies(context):
        count = context.num_replicas_in_sync // context.num_input_pipelines
        return dataset.flat_map(lambda *element: tf.data.Dataset.from_tensors(element).repeat(count))

    return strategy.distribute_datasets_from_function(copies)


def agree(strategy: tf.distribute.Strategy, **values) -> None:
    """Wait for all workers and compare their values.

    Raises:
        StrategyError: values differ; names the first.
    """
    if workers(strategy) == 1:
        return
    mine = tf.constant([[zlib.crc32(repr(value).encode()) for value in values.values()]], tf.int64)
    gather = tf.function(lambda: tf.distribute.get_replica_context().all_gather(mine, axis=0))
    rows = compat.local(strategy.run(gather)).numpy()
    for (name, value), column in zip(values.items(), rows.T):
        if len(set(column)) > 1:
            raise StrategyError(
                f"the workers differ in {name} (here: {value}); all need the same command, data and --output folder"
            )


@contextmanager
def watched(strategy: tf.distribute.Strategy, position):
    """Turn errors of TensorFlow's collectives into one line: another worker was lost."""
    try:
        yield
    except LOST as error:
        if workers(strategy) == 1:
            raise
        reason = f"{type(error).__name__}: {error.message.strip().splitlines()[-1][:200]}"
        raise StrategyError(
            f"another worker was lost at step {position()}. Start all of them again by the same command: the run "
            f"resumes from its newest checkpoint ({reason})"
        ) from None
