"""Upscale pictures by the million, on Ray: on this machine or a cluster, from and to disks and object stores.

srgan-tf bulk photos --output=large                        on this machine's cores
srgan-tf bulk s3://in/2024 "s3://in/scans/*.tif" --output=s3://out --address=ray-head:6379
srgan-tf bulk --retry=failed.jsonl --output=large          retry what failed before

Run the same command again after any interruption: it makes what is missing. Pictures that fail are listed in a file,
and are only tried again with --retry. Needs `pip install 'srgan_tf[bulk]'`; docs/bulk.md describes clusters.

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

import json
import math
import sys
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

from srgan_tf.cli import Program, batch, fail, record, silence, upscale
from srgan_tf.errors import ImageError, need

MARK = ".srgan_tf_bulk.json"  # options of the results, in the output
_SHARED = ("scale", "precision", "engine", "back_projection", "ensemble", "format", "quality", "page")


def define(flag) -> None:
    upscale.define(_without(flag, "compare", "blend", "blend_amount", "verbose"))
    flag.string("failed", "failed.jsonl", "dead-letter file: one line of JSON per failed picture")
    flag.string("retry", None, "dead-letter file whose pictures are tried again; excludes other inputs")
    flag.string("address", None, "host:port of a Ray cluster's head, or auto (default: Ray on this machine alone)")
    flag.integer("workers", None, "worker processes, one model each (default: as many as fit)", lower_bound=1)
    flag.integer("threads", 1, "cores per worker", lower_bound=1)


def _without(flag, *names: str) -> SimpleNamespace:
    """Return `flag` without the named flags."""

    def chosen(define, name, *rest, **options):
        return None if name in names else define(name, *rest, **options)

    return SimpleNamespace(**{kind: partial(chosen, define) for kind, define in vars(flag).items()})


def main(flags, arguments: list[str]) -> None:
    if bool(arguments) == bool(flags.retry):
        fail("give pictures, folders, patterns or URLs, or only --retry=FILE (--help shows examples)", 2)
    need("ray", "srgan-tf bulk", "bulk")
    need("fsspec", "srgan-tf bulk", "bulk")
    batch.stop_as_on_ctrl_c()
    from srgan_tf.bulk import letters, pipeline

    scale = _scale(flags)
    with letters.DeadLetterLog(flags.failed) as failed:
        jobs, summary = plan(flags, arguments, scale)
        if jobs:
            with ExitStack() as stack:
                with silence():  # Ray logs to stderr
                    stack.enter_context(pipeline.cluster(flags.address))
                batch.stop_as_on_ctrl_c()  # replaces Ray's handler, which prints a C++ trace
                need_bytes = int(flags.memory * 2**30) + pipeline.PROGRAM
                pool = pipeline.pool(flags.workers, flags.threads, need_bytes, flags.engine != "litert")
                summary.update(work(flags, jobs, pool, failed))
    if not flags.quiet:
        print("; ".join(text for text in summary.values() if text), file=sys.stderr)
    if summary["problems"] or summary["failed"] or summary["before"]:
        sys.exit(1)


def _scale(flags) -> int:
    """Return the scale of results. Loads the model, so that its errors appear once and not per worker."""
    from srgan_tf.inference import upscaling

    upscale.prepare(upscale.names_of(flags), flags)
    with silence():
        return upscaling.Upscaler(model(flags), **options(flags)).scale


def model(flags) -> str | tuple[str, ...]:
    """Return the model argument of `Upscaler`."""
    names = upscale.names_of(flags)
    return names if len(names) == 2 else names[0]


def options(flags) -> dict:
    """Return the options of `Upscaler`."""
    names = ("scale", "precision", "engine", "back_projection", "strength", "ensemble")
    return {name: flags[name].value for name in names} | {"memory": int(flags.memory * 2**30)}


def plan(flags, arguments: list[str], scale: int) -> tuple[list, dict[str, str]]:
    """Return the jobs that are left, and lines for the final summary."""
    from srgan_tf.bulk import letters, storage

    if flags.output.startswith("memory:"):
        raise ImageError(f"--output={flags.output}: workers do not share this process's memory; give a folder or URL")
    there = storage.listed(flags.output)
    storage.sweep(flags.output, there)
    known, problems = letters.read(flags.retry or flags.failed), []
    jobs = _again(flags, known) if flags.retry else _named(flags, arguments, scale, known, problems)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    left = jobs if flags.overwrite else [job for job in jobs if storage.opened(job.target)[1] not in there]
    fresh = left if flags.overwrite or flags.retry else [job for job in left if not job.tried]
    if fresh:
        _mark(flags, there)
    skipped, before = len(jobs) - len(left), len(left) - len(fresh)
    return fresh, {
        "made": "0 made",
        "there": f"{skipped} skipped, made before (--overwrite makes them again)" * bool(skipped),
        "problems": f"{len(problems)} arguments or names not used" * bool(problems),
        "failed": "",
        "before": f"{before} failed before (--retry={flags.failed} tries them again)" * bool(before),
    }


def _named(flags, arguments: list[str], scale: int, known: dict[str, dict], problems: list[str]) -> list:
    """Return one job per picture of the arguments; append errors to `problems`."""
    from srgan_tf.bulk import storage
    from srgan_tf.bulk.pipeline import Job
    from srgan_tf.inference.pictures import result_suffix
    from srgan_tf.io.names import named

    found, wrong = storage.find(arguments, flags.output)
    problems += wrong
    suffix, (system, folder) = f"_x{scale}" if flags.suffix is None else flags.suffix, storage.opened(flags.output)
    jobs = []
    for one, name in named(found, suffix, partial(result_suffix, format=flags.format)).items():
        target = storage.url_of(system, f"{folder.rstrip('/')}/{name}")
        jobs.append(Job(found[one], target, known[target]["attempt"] if target in known else 0))
    return jobs


def _again(flags, known: dict[str, dict]) -> list:
    """Return one job per dead letter whose result belongs to the output."""
    from srgan_tf.bulk import storage
    from srgan_tf.bulk.pipeline import Job

    folder = storage.opened(flags.output)[1].rstrip("/")
    below = [target for target in known if storage.opened(target)[1].startswith(f"{folder}/")]
    if not below:
        raise ImageError(
            f"--retry={flags.retry}: lists no pictures of --output={flags.output}; give the output of that run"
        )
    return [Job(known[target]["source"], target, known[target]["attempt"]) for target in below]


def _mark(flags, there: dict[str, dict]) -> None:
    """Record the options in the output; refuse to add results of other options."""
    from srgan_tf.bulk import storage

    url = f"{flags.output.rstrip('/')}/{MARK}"
    now = {name: flags[name].value for name in _SHARED} | upscale.identity(upscale.names_of(flags), flags)
    if storage.opened(url)[1] in there and not flags.overwrite:
        differs = record.changed(json.loads(storage.read(url)), now)
        if differs:
            raise ImageError(f"--output={flags.output}: {differs}; give another folder, or --overwrite")
    else:
        storage.write(url, json.dumps(now).encode())


def work(flags, jobs: list, pool, failed) -> dict[str, str]:
    """Run the jobs, record failures as they happen, and return lines for the summary."""
    from srgan_tf.bulk import pipeline
    from srgan_tf.bulk import work as states
    from srgan_tf.progress import Bar, clock

    settings = states.Settings(
        model(flags),
        options(flags),
        quality=flags.quality,
        page=flags.page,
        max_pixels=int(flags.max_megapixels * 1e6),
        threads=pool.threads,
        overwrite=flags.overwrite,
    )
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
                failed.add(result.job.source, result.job.target, result.reason, result.job.tried + 1)
                bar.say(f"error: {result.reason}")
            bar.move(1)
    seconds = max(ended - began, 1e-3)
    rate = f"{count[states.MADE] / seconds:.2f} pictures/s, {pixels / seconds / 1e6:.2f} megapixels/s written"
    made = f"{count[states.MADE]} made in {clock(seconds)}, {rate}"
    others = f", {count[states.THERE]} made meanwhile by another run" * bool(count[states.THERE])
    summary = {"made": made + others, "failed": ""}
    if count[states.FAILED]:
        summary["failed"] = f"{count[states.FAILED]} failed (--retry={flags.failed} tries them again)"
    return summary


command = Program(main, define, __doc__)
