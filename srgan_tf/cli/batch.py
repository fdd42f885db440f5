"""What `upscale` and `client` share: flags, progress, and upscaling a batch."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from absl import logging

from srgan_tf import choices
from srgan_tf.cli import fail
from srgan_tf.cli.plan import Job, plan
from srgan_tf.cli.record import Record
from srgan_tf.errors import ImageError, ModelError


def define(flag) -> None:
    """Define the flags of programs that upscale pictures."""
    flag.string(
        "output",
        "upscaled",
        "output folder, which keeps the inputs' folder structure; or, for one picture, a file",
    )
    flag.integer("scale", None, "enlargement factor (default: the model's own, 4)", lower_bound=1)
    flag.enum("format", None, choices.FORMATS, "output format (default: the input's)")
    flag.integer("quality", 95, "of JPEG, WebP and AVIF", lower_bound=1, upper_bound=100)
    flag.string("suffix", None, "appended to file names (default: _x4, or the scale)")
    flag.bool("overwrite", False, "recreate existing outputs instead of skipping them")
    flag.bool("compare", False, "also write NAME_compare.png: bicubic on the left, the result on the right")
    flag.enum(
        "back_projection",
        "auto",
        choices.BACK_PROJECTIONS,
        "correct the result so that it shrinks back to the input: full, colour (its low frequencies alone), none; "
        "auto: colour for JPEG and noise, else full",
    )
    flag.bool("ensemble", False, "self-ensemble over 8 flips and rotations: about 0.1 dB better, 8 times slower")
    flag.float("max_megapixels", 100.0, "refuse larger inputs (protects against decompression bombs)", lower_bound=0)
    flag.integer("page", None, "page or frame of multi-page files, from 1 (default: 1)", lower_bound=1)
    flag.bool("quiet", False, "print errors only")
    flag.bool("verbose", False, "print engine, precision and context")


class Stopped(Exception):
    """Raised in workers on shutdown so they delete partial output."""


class BatchProgress:
    """Show the progress of a batch, several pictures at once, and stop its workers on shutdown."""

    def __init__(self, files: int, quiet: bool):
        from srgan_tf.progress import Bar

        self.files, self.stopped, self._finished, self._share = files, False, 0, 0.0
        self._lock, self.bar = threading.Lock(), Bar(files, keep=False, quiet=quiet)

    def begin(self, name: str, tiles: int) -> Callable[[], None]:
        """Return what to call after each tile of a picture."""
        done = 0

        def tile() -> None:
            nonlocal done
            if self.stopped:
                raise Stopped
            with self._lock:
                done += 1
                self._reach(self._share + 1 / tiles, f"{name}: tile {done}/{tiles}")

        with self._lock:
            self._reach(self._share, f"{name}: tile 0/{tiles}")
        return tile

    def end(self) -> None:
        """Count one finished image, successful or failed."""
        with self._lock:
            self._finished += 1
            self._reach(max(self._share, self._finished))

    def _reach(self, share: float, text: str = "") -> None:
        self.bar.move(share - self._share, f"{min(self._finished + 1, self.files)}/{self.files} {text}".rstrip())
        self._share = share


def make(flags, job: Job, picture, pipeline, on_tile: Callable[[], None]) -> None:
    """Upscale one decoded picture to its job's target."""
    from srgan_tf.inference.pictures import result_suffix, write_picture
    from srgan_tf.io import encoding

    if job.target is None:
        if sys.stdout is None or sys.stdout.closed:
            raise ImageError("standard output is closed")
        suffix = result_suffix(f"x{picture.format}", flags.format)
        write_picture(pipeline, picture, sys.stdout.buffer, flags.quality, on_tile, str(job), suffix)
        sys.stdout.buffer.flush()
        return
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"{job.target.parent}: cannot create this folder ({error.strerror}); choose another --output"
        ) from None
    write_picture(pipeline, picture, job.target, flags.quality, on_tile)
    if flags.compare:
        encoding.write_comparison(job.compared, picture, job.target, pipeline.scale)


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except (AttributeError, ValueError, OSError):
        raise ImageError("standard input is closed") from None


def work(
    flags, jobs: list[Job], upscaler, record: Record, at_once: int = 1, cancel=lambda: None
) -> tuple[int, list[str]]:
    """Run the jobs, `at_once` pictures at a time plus one read ahead; return the number of results and the errors.

    `cancel` is called when Ctrl-C or SIGTERM ends the batch early, to interrupt waiting threads.
    """
    from srgan_tf.io import images
    from srgan_tf.progress import clock

    progress, turns, problems = BatchProgress(len(jobs), flags.quiet), threading.Semaphore(at_once), []

    def do(job: Job) -> bool:
        started = time.monotonic()
        try:
            source = job.source or _standard_input()
            picture = images.load(source, int(flags.max_megapixels * 1e6), flags.page, lenient=True)
            if picture.notes and not flags.quiet:
                progress.bar.say(f"note: {job}: {'; '.join(picture.notes)}")
            with turns:
                started = time.monotonic()
                height, width, bands = picture.pixels.shape
                pipeline = upscaler.resolve(picture.pixels, picture.quality)
                tiles = pipeline.num_tiles(height, width, bands, picture.pixels.itemsize)
                make(flags, job, picture, pipeline, progress.begin(str(job), tiles))
                if job.source and job.target:
                    record.add(job.source, job.target)
        except (ImageError, ModelError, MemoryError, OSError) as error:
            if not progress.stopped:
                problems.append(" ".join(str(error).split()))
                progress.bar.say(f"error: {problems[-1]}")
            return False
        finally:
            progress.end()
        if not flags.quiet:
            size = f"{width * upscaler.scale} x {height * upscaler.scale}"
            where = job.target or "standard output"
            facts = [size, clock(time.monotonic() - started), *([pipeline.description] if pipeline.description else [])]
            progress.bar.say(f"{job} → {where} ({', '.join(facts)})")
        return True

    pool = ThreadPoolExecutor(at_once + 1)
    try:
        return sum(done.result() for done in [pool.submit(do, job) for job in jobs]), problems
    except BaseException:
        progress.stopped = True
        cancel()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        progress.bar.close()


def begin(flags, arguments: list[str]) -> None:
    """Check arguments and set up signals and logging, before a model is loaded."""
    if not arguments:
        fail("no input: give pictures, folders or patterns, or - for standard input (--help shows examples)", 2)
    stop_as_on_ctrl_c()
    logging.set_verbosity(logging.ERROR if flags.quiet else logging.INFO if flags.verbose else logging.WARNING)


def stop_as_on_ctrl_c() -> None:
    """On SIGTERM, exit without leaving partial files."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def one_or_two(flags, name: str) -> tuple[str, ...]:
    """Return the models that a flag names: one, or two, for clean and for degraded pictures."""
    models = tuple(flags[name].value.split(","))
    if len(models) > 2 or not all(models):
        fail(f"--{name}={flags[name].value}: give one, or two separated by a comma", 2)
    return models


def upscaler_of(flags, model, **options):
    """Return the `Upscaler` that the flags ask for."""
    from srgan_tf.inference import upscaling

    return upscaling.Upscaler(
        model, scale=flags.scale, back_projection=flags.back_projection, ensemble=flags.ensemble, **options
    )


def run_all(flags, arguments: list[str], upscaler, made_by: dict, at_once: int = 1, cancel=lambda: None) -> None:
    """Upscale all pictures that the arguments name, print a summary, and exit with 1 if some failed.

    made_by: what results depend on besides the shared flags: the model.
    """
    from srgan_tf.inference.pictures import result_suffix
    from srgan_tf.io import files
    from srgan_tf.progress import clock

    started, output = time.monotonic(), Path(flags.output)
    suffix = f"_x{upscaler.scale}" if flags.suffix is None else flags.suffix
    shared = ("scale", "back_projection", "ensemble", "format", "quality", "page")
    one_file = files.is_picture(output) and not output.is_dir()
    record = Record(output.parent if one_file else output, made_by | {name: flags[name].value for name in shared})

    suffix_of = partial(result_suffix, format=flags.format)
    jobs, problems = plan(arguments, output, suffix, suffix_of, record.results())
    todo, there, unknown = [], 0, 0
    for job in jobs:
        if job.source and job.target and job.target.exists() and job.target.samefile(str(job.source)):
            problems.append(f"{job.target}: would overwrite its input; choose another --output")
        elif flags.overwrite or job.source is None or job.target is None or not os.path.lexists(job.target):
            todo.append(job)
        elif differs := record.differs(job.source, job.target):
            problems.append(f"{job.target}: exists, but {differs}; --overwrite replaces it")
        elif differs is None:
            unknown += 1
        else:
            there += 1
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    made, failed = work(flags, todo, upscaler, record, at_once, cancel) if todo else (0, [])
    if not flags.quiet:
        parts = [f"{made} made in {clock(time.monotonic() - started)}"]
        parts += [f"{there} skipped, made before (--overwrite makes them again)"] * bool(there)
        parts += [f"{unknown} kept, not made by this program (--overwrite replaces them)"] * bool(unknown)
        parts += [f"{len(problems + failed)} failed"] * bool(problems + failed)
        print("; ".join(parts), file=sys.stderr)
    if problems or failed:
        sys.exit(1)
