"""What the programs that upscale many pictures share: flags, the plan of what to make, progress, the work itself."""

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
    flag.string(
        "output", "upscaled", "output folder, which keeps the input folders' trees; or, for one picture, a file name"
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
    flag.float(
        "max_megapixels", 100.0, "refuse larger inputs, as a protection against decompression bombs", lower_bound=0
    )
    flag.integer("page", None, "page or frame of multi-page files, from 1 (default: 1)", lower_bound=1)
    flag.bool("quiet", False, "print errors only")
    flag.bool("verbose", False, "print engine, precision and context")


class Stopped(Exception):
    """Raised in the threads at work when the run is to end, so that they remove what they have half written."""


class Watch:
    """Shows how far the pictures are, several of them in work at once, and stops them where the run is to end."""

    def __init__(self, files: int, quiet: bool):
        from srgan_tf.progress import Bar

        self.files, self.stopped, self._finished, self._share = files, False, 0, 0.0
        self._lock, self.bar = threading.Lock(), Bar(files, keep=False, quiet=quiet)

    def begin(self, name: str, tiles: int) -> Callable[[], None]:
        """What to call after each of a picture's tiles."""
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
        """Another picture is done, well or not."""
        with self._lock:
            self._finished += 1
            self._reach(max(self._share, self._finished))

    def _reach(self, share: float, text: str = "") -> None:
        self.bar.move(share - self._share, f"{min(self._finished + 1, self.files)}/{self.files} {text}".rstrip())
        self._share = share


def make(flags, job: Job, picture, upscaler, tile: Callable[[], None]) -> None:
    """Upscale one decoded picture to where its job says."""
    from srgan_tf.inference import one_picture, upscaling
    from srgan_tf.io import encoding

    if job.target is None:
        if sys.stdout is None or sys.stdout.closed:
            raise ImageError("standard output is closed")
        ending = one_picture.result_ending(f"x{picture.format}", flags.format)
        one_picture.write_into(sys.stdout.buffer, upscaler, picture, str(job), ending, flags.quality, tile)
        sys.stdout.buffer.flush()
        return
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{job.target.parent}: cannot make this folder ({error.strerror})") from None
    upscaling.write_upscaled(upscaler, picture, job.target, flags.quality, tile)
    if flags.compare:
        encoding.write_comparison(job.compared, picture, job.target, upscaler.scale)


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except (AttributeError, ValueError, OSError):
        raise ImageError("standard input is closed") from None


def work(
    flags, jobs: list[Job], upscaler, record: Record, at_once: int = 1, cancel=lambda: None
) -> tuple[int, list[str]]:
    """Do the jobs, `at_once` pictures together, with one more read ahead. Returns how many were made, and the errors.

    `cancel` is called where Ctrl-C or SIGTERM ends the work early, to cut short what the threads wait for.
    """
    from srgan_tf.io import images
    from srgan_tf.progress import clock

    watch, turns, problems = Watch(len(jobs), flags.quiet), threading.Semaphore(at_once), []

    def do(job: Job) -> bool:
        started = time.monotonic()
        try:
            source = job.source or _standard_input()
            picture = images.load(source, int(flags.max_megapixels * 1e6), flags.page, lenient=True)
            if picture.notes and not flags.quiet:
                watch.bar.say(f"note: {job}: {'; '.join(picture.notes)}")
            with turns:
                started = time.monotonic()
                height, width, bands = picture.pixels.shape
                one, found = upscaler.suited(picture.pixels, picture.quality)
                tiles = one.tiles(height, width, bands, picture.pixels.itemsize)
                make(flags, job, picture, one, watch.begin(str(job), tiles))
                if job.source and job.target:
                    record.add(job.source, job.target)
        except (ImageError, ModelError, MemoryError, OSError) as error:
            if not watch.stopped:
                problems.append(" ".join(str(error).split()))
                watch.bar.say(f"error: {problems[-1]}")
            return False
        finally:
            watch.end()
        if not flags.quiet:
            size = f"{width * upscaler.scale} x {height * upscaler.scale}"
            where = job.target or "standard output"
            facts = [size, clock(time.monotonic() - started), *([found] if found else [])]
            watch.bar.say(f"{job} → {where} ({', '.join(facts)})")
        return True

    pool = ThreadPoolExecutor(at_once + 1)
    try:
        return sum(done.result() for done in [pool.submit(do, job) for job in jobs]), problems
    except BaseException:
        watch.stopped = True
        cancel()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        watch.bar.close()


def begin(flags, arguments: list[str]) -> None:
    """What comes before the model is loaded."""
    if not arguments:
        fail("give pictures, folders or patterns to upscale, or - for standard input (--help shows examples)", 2)
    stop_as_on_ctrl_c()
    logging.set_verbosity(logging.ERROR if flags.quiet else logging.INFO if flags.verbose else logging.WARNING)


def stop_as_on_ctrl_c() -> None:
    """Where the system ends this process: leave no half files."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def one_or_two(flags, name: str) -> tuple[str, ...]:
    """The models that a flag names: one, or two, for clean and for degraded pictures."""
    models = tuple(flags[name].value.split(","))
    if len(models) > 2 or not all(models):
        fail(f"--{name}={flags[name].value}: give one, or two separated by a comma", 2)
    return models


def upscaler_of(flags, model, **options):
    """The `Upscaler` that the flags ask for."""
    from srgan_tf.inference import upscaling

    return upscaling.Upscaler(
        model, scale=flags.scale, back_projection=flags.back_projection, ensemble=flags.ensemble, **options
    )


def run_all(flags, arguments: list[str], upscaler, made_by: dict, at_once: int = 1, cancel=lambda: None) -> None:
    """Make all pictures that the arguments ask for, say how it went, and exit with 1 where some failed.

    made_by: what results depend on beside the flags that are shared: the model.
    """
    from srgan_tf.inference.one_picture import result_ending
    from srgan_tf.io import files
    from srgan_tf.progress import clock

    started, output = time.monotonic(), Path(flags.output)
    suffix = f"_x{upscaler.scale}" if flags.suffix is None else flags.suffix
    shared = ("scale", "back_projection", "ensemble", "format", "quality", "page")
    one_file = files.is_picture(output) and not output.is_dir()
    record = Record(output.parent if one_file else output, made_by | {name: flags[name].value for name in shared})

    ending_of = partial(result_ending, format=flags.format)
    jobs, problems = plan(arguments, output, suffix, ending_of, record.results())
    todo, there, unknown = [], 0, 0
    for job in jobs:
        if job.source and job.target and job.target.exists() and job.target.samefile(str(job.source)):
            problems.append(f"{job.target}: is the picture itself; give another --output")
        elif flags.overwrite or job.source is None or job.target is None or not os.path.lexists(job.target):
            todo.append(job)
        elif differs := record.differs(job.source, job.target):
            problems.append(f"{job.target}: there already, but {differs}; --overwrite makes it anew")
        elif differs is None:
            unknown += 1
        else:
            there += 1
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    made, failed = work(flags, todo, upscaler, record, at_once, cancel) if todo else (0, [])
    if not flags.quiet:
        parts = [f"{made} made in {clock(time.monotonic() - started)}"]
        parts += [f"{there} skipped, there already (--overwrite makes them anew)"] * bool(there)
        parts += [f"{unknown} kept, not made by this program (--overwrite replaces them)"] * bool(unknown)
        parts += [f"{len(problems + failed)} failed"] * bool(problems + failed)
        print("; ".join(parts), file=sys.stderr)
    if problems or failed:
        sys.exit(1)
