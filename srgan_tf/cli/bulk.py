"""Upscale pictures by the million, on Ray: on this machine or a cluster, from and to disks and object stores.

srgan-tf bulk photos --output=large                        on this machine's cores
srgan-tf bulk s3://in/2024 "s3://in/scans/*.tif" --output=s3://out --address=ray-head:6379
srgan-tf bulk --retry=failed.jsonl --output=large          retry what failed before

Run the same command again after any interruption: it makes what is missing. Pictures that fail are listed in a file,
and are only tried again with --retry. Needs `pip install 'srgan_tf[bulk]'`; docs/bulk.md describes clusters.

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

import math
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

from srgan_tf import machine, terminal
from srgan_tf.cli import Program, batch, end, fail, upscale
from srgan_tf.errors import ImageError, need
from srgan_tf.planning import storage
from srgan_tf.planning.manifest import Manifest
from srgan_tf.planning.plan import Job, Plan, without_existing


def define(flag) -> None:
    def unless_left_out(kind, name, *rest, **options) -> None:
        if name not in ("compare", "blend", "blend_amount", "verbose"):
            kind(name, *rest, **options)

    upscale.define(SimpleNamespace(**{name: partial(unless_left_out, kind) for name, kind in vars(flag).items()}))
    flag.string("failed", "failed.jsonl", "dead-letter file: one line of JSON per failed picture")
    flag.string("retry", None, "dead-letter file whose pictures are tried again; excludes other inputs")
    flag.string("address", None, "host:port of a Ray cluster's head, or auto (default: Ray on this machine alone)")
    flag.integer("workers", None, "worker processes, one model each (default: as many as fit)", lower_bound=1)
    flag.integer("threads", 1, "cores per worker", lower_bound=1)


def main(flags, arguments: list[str]) -> None:
    if bool(arguments) == bool(flags.retry):
        fail("give pictures, folders, patterns or URLs, or only --retry=FILE (--help shows examples)", 2)
    batch.check_names(flags, arguments)
    if "-" in arguments:
        fail("-: bulk reads no standard input; use srgan-tf upscale", 2)
    need("ray", "srgan-tf bulk", "bulk")
    need("fsspec", "srgan-tf bulk", "bulk")
    from srgan_tf.bulk import letters, pipeline
    from srgan_tf.inference import converted, gpu_probe

    if flags.retry and not os.path.exists(flags.retry):
        raise ImageError(f"--retry={flags.retry}: no such file; give the --failed of that run")
    gpu_probe.forbid()  # all workers on one engine; --engine=gpu asks for it
    names = upscale.names_of(flags)
    if flags.address and flags.engine == "auto" and any(map(converted.path_of, names)):
        flags.engine = "tensorflow"  # other machines have not what this one converted
    upscale.convert_once(list(names), flags)
    engine = upscale.prepare(names, flags)
    with letters.DeadLetterLog(flags.failed) as failed:
        planned, before, manifest = plan(flags, arguments, names, engine)
        made, count = "0 made", 0
        if planned.jobs:
            with ExitStack() as stack:
                with terminal.postponed(end), terminal.silence():  # Ray logs to stderr, and a signal could crash it
                    stack.enter_context(pipeline.cluster(flags.address))
                need_bytes = int(flags.memory * 2**30) + pipeline.PROGRAM
                pool = pipeline.pool(flags.workers, flags.threads, need_bytes, flags.engine != "litert")
                manifest.add_all()
                made, count = work(flags, names, planned.jobs, pool, failed)
    if not flags.quiet:
        unused = (len(planned.problems), "arguments or names not used")
        again = f"(--retry={flags.failed} tries them again)"
        failures = (count, f"failed {again}"), (before, f"failed before {again}")
        print(batch.summary(made, planned, unused, *failures), file=sys.stderr)
    if planned.problems or count or before:
        sys.exit(1)


def plan(flags, arguments: list[str], names: tuple[str, ...], engine: str) -> tuple[Plan, int, Manifest]:
    """Plan the run; return the plan, the number of jobs left out as they failed before, and the manifest.

    Loads the model, so that its errors appear once and not per worker.
    """
    from srgan_tf.bulk import letters
    from srgan_tf.inference.upscaling import Upscaler

    if flags.output.startswith("memory:"):
        raise ImageError(f"--output={flags.output}: workers do not share this process's memory; give a folder or URL")
    output, sources = storage.absolute(flags.output), [storage.absolute(argument) for argument in arguments]
    if output in sources:
        raise ImageError(f"--output={flags.output}: is also an input; give another folder")
    upscaler = Upscaler(upscale.model_of(names), **upscale.options(flags))
    manifest = batch.manifest_of(flags, output, upscaler, upscale.identity(names, flags, engine))
    if (differs := manifest.changed()) and not flags.overwrite:
        raise ImageError(f"--output={flags.output}: {differs}; give another folder, or --overwrite")
    known = letters.read(flags.retry or flags.failed)
    if flags.retry:
        below = [letter for target, letter in known.items() if target == output or target.startswith(f"{output}/")]
        if not below:
            fix = "give the output of that run"
            raise ImageError(f"--retry={flags.retry}: lists no pictures of --output={flags.output}; {fix}")
        planned = Plan([Job(letter["source"], letter["target"], attempts=letter["attempt"]) for letter in below])
        return (planned if flags.overwrite else without_existing(planned, output, manifest)), 0, manifest
    planned = batch.plan_of(flags, sources, output, upscaler.scale, manifest)
    attempts = {target: letter["attempt"] for target, letter in known.items()}
    jobs = [replace(job, attempts=attempts.get(job.target, 0)) for job in planned.jobs]
    planned.jobs = jobs if flags.overwrite else [job for job in jobs if not job.attempts]
    return planned, len(jobs) - len(planned.jobs), manifest


def work(flags, names: tuple[str, ...], jobs: list[Job], pool, failed) -> tuple[str, int]:
    """Run the jobs, record failures as they happen; return a summary of what was made, and the number of failures."""
    from srgan_tf.bulk import pipeline
    from srgan_tf.bulk import work as states
    from srgan_tf.progress import Bar, clock

    model, pixels_limit = upscale.model_of(names), int(flags.max_megapixels * 1e6)
    own = {"threads": pool.threads, "int8": machine.has_int8(), "overwrite": flags.overwrite}
    settings = states.Settings(model, upscale.options(flags), flags.quality, flags.page, pixels_limit, **own)
    began, ended, pixels, count = math.inf, 0.0, 0, dict.fromkeys((states.MADE, states.THERE, states.FAILED), 0)
    if not flags.quiet:
        print(f"{len(jobs)} pictures to make by {pool.workers} workers of {pool.threads} cores", file=sys.stderr)
    with Bar(len(jobs), unit="pictures", keep=False, quiet=flags.quiet) as bar:
        for result in pipeline.run(jobs, settings, pool):
            if result.state == states.FULL:
                raise ImageError(result.reason)
            count[result.state] += 1
            if result.ended:  # the speed excludes starting workers
                began, ended = min(began, result.began), max(ended, result.ended)
            pixels += result.pixels
            if result.state == states.FAILED:
                failed.add(result.job.source, result.job.target, result.reason, result.job.attempts + 1)
                bar.say(f"error: {result.reason}")
            elif result.reason and not flags.quiet:
                bar.say(f"note: {result.job}: {result.reason}")
            bar.move(1)
    seconds = max(ended - began, 1e-3)
    rate = f"{count[states.MADE] / seconds:.2f} pictures/s, {pixels / seconds / 1e6:.2f} megapixels/s written"
    made = f"{count[states.MADE]} made in {clock(seconds)}, {rate}"
    others = f", {count[states.THERE]} made meanwhile by another run" * bool(count[states.THERE])
    return made + others, count[states.FAILED]


command = Program(main, define, __doc__)
