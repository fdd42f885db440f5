"""What the programs that upscale many pictures share: flags, the plan of what to make, progress, the work itself."""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from srgan_tf import choices
from srgan_tf.cli import fail, import_tensorflow
from srgan_tf.errors import ImageError, ModelError


def define(flag) -> None:
    flag.string("output", "upscaled", "folder to write to; the trees of input folders are kept in it")
    flag.integer("scale", None, "how much larger, where less than the weights' own 4 is wanted", lower_bound=1)
    flag.enum("format", None, choices.FORMATS, "format to write (default: the input's)")
    flag.integer("quality", 95, "of JPEG, WebP and AVIF", lower_bound=1, upper_bound=100)
    flag.string("suffix", None, "added to the names of the pictures (default: _x4, or whatever the scale is)")
    flag.bool("overwrite", False, "make anew what is there already, instead of skipping it")
    flag.bool("compare", False, "also write NAME_compare.png: bicubic left, ours right")
    flag.enum(
        "back_projection",
        "auto",
        choices.BACK_PROJECTIONS,
        "make SR shrink back to LR: full, true colours alone (for noisy LR: srgan-real's default), or none",
    )
    flag.bool("ensemble", False, "average over 8 flips and turns: about 0.1 dB better, 8 times slower")
    flag.float("max_megapixels", 100.0, "refuse larger inputs, which may be decompression bombs", lower_bound=0)
    flag.integer("page", None, "which page or frame of files with several, from 1 (default: 1)", lower_bound=1)
    flag.bool("quiet", False, "say nothing but errors")
    flag.bool("verbose", False, "say what is used: precision, tile size")


@dataclass(frozen=True)
class Job:
    """One picture to make: from where (None: standard input), to where (None: standard output), `--compare`d where."""

    source: Path | None
    target: Path | None
    compared: Path | None = None

    def __str__(self):
        return str(self.source or "standard input")


def plan(arguments: list[str], output: Path, suffix: str, format: str | None) -> tuple[list[Job], list[str]]:
    """The jobs that the arguments ask for, and what is wrong with the others."""
    from srgan_tf.io import encoding, files

    jobs, problems, targets = [], [], set()

    def free(folder, path, ending):
        target = folder / f"{path.stem}{suffix}{ending}"
        if target in targets:  # of files that differ in their ending alone
            target = folder / f"{path.name}{suffix}{ending}"
        targets.add(target)
        return target

    for argument in dict.fromkeys(arguments):
        if argument == "-":
            jobs.append(Job(None, None))
            continue
        try:
            found = files.find(argument)
        except ImageError as error:
            problems.append(str(error))
            continue
        base = Path(argument) if Path(argument).is_dir() else files.fixed_part(Path(argument))
        if base.resolve() != output.resolve():  # what an earlier run made is no input
            found = [path for path in found if output.resolve() not in path.resolve().parents or path == base]
        if not found:
            problems.append(f"{argument}: no pictures there ({', '.join(files.EXTENSIONS)})")

        def ending_of(path):
            return f".{format}" if format else encoding.format_of(path) or ".png"

        # Those that keep their ending come first, so that their names do not depend on what else is there.
        for path in sorted(found, key=lambda path: path.suffix.lower() != ending_of(path)):
            folder = output / (path.relative_to(base).parent if path != base else Path())
            jobs.append(Job(path, free(folder, path, ending_of(path)), free(folder, path, "_compare.png")))
    return jobs, problems


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
    from srgan_tf.inference import upscaling
    from srgan_tf.io import encoding

    if job.target is None:
        ending = f".{flags.format}" if flags.format else encoding.format_of(f"x{picture.format}") or ".png"
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"output{ending}"
            upscaling.write_upscaled(upscaler, picture, target, flags.quality, tile)
            with open(target, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        return
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{job.target.parent}: cannot make this folder ({error.strerror})") from None
    upscaling.write_upscaled(upscaler, picture, job.target, flags.quality, tile)
    if flags.compare:
        encoding.write_comparison(job.compared, picture, job.target, upscaler.scale)


def work(flags, jobs: list[Job], upscaler, at_once: int = 1, cancel=lambda: None) -> tuple[int, list[str]]:
    """Do the jobs, `at_once` pictures together, with one more read ahead. Returns how many were made, and the errors.

    `cancel` is called where Ctrl-C or SIGTERM ends the work early, to cut short what the threads wait for.
    """
    from srgan_tf.io import images
    from srgan_tf.progress import clock

    watch, turns, problems = Watch(len(jobs), flags.quiet), threading.Semaphore(at_once), []

    def do(job: Job) -> bool:
        started = time.monotonic()
        try:
            source = job.source or sys.stdin.buffer.read()
            picture = images.load(source, int(flags.max_megapixels * 1e6), flags.page, lenient=True)
            if picture.notes and not flags.quiet:
                watch.bar.say(f"note: {job}: {'; '.join(picture.notes)}")
            with turns:
                started = time.monotonic()
                height, width, bands = picture.pixels.shape
                tiles = upscaler.tiles(height, width, bands, picture.pixels.itemsize)
                make(flags, job, picture, upscaler, watch.begin(str(job), tiles))
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
            watch.bar.say(f"{job} → {where} ({size}, {clock(time.monotonic() - started)})")
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave as on Ctrl-C: no half files
    logging.set_verbosity(logging.ERROR if flags.quiet else logging.INFO if flags.verbose else logging.WARNING)
    import_tensorflow()


def upscaler_of(flags, model, **options):
    """The `Upscaler` that the flags ask for."""
    from srgan_tf.inference import upscaling

    return upscaling.Upscaler(
        model, scale=flags.scale, back_projection=flags.back_projection, ensemble=flags.ensemble, **options
    )


def run_all(flags, arguments: list[str], upscaler, at_once: int = 1, cancel=lambda: None) -> None:
    """Make all pictures that the arguments ask for, say how it went, and exit with 1 where some failed."""
    from srgan_tf.progress import clock

    started = time.monotonic()
    suffix = f"_x{upscaler.scale}" if flags.suffix is None else flags.suffix
    jobs, problems = plan(arguments, Path(flags.output), suffix, flags.format)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    todo = [job for job in jobs if flags.overwrite or job.target is None or not os.path.exists(job.target)]
    made, failed = work(flags, todo, upscaler, at_once, cancel) if todo else (0, [])
    if not flags.quiet:
        skipped = len(jobs) - len(todo)
        parts = [f"{made} made in {clock(time.monotonic() - started)}"]
        parts += [f"{skipped} skipped, there already (--overwrite makes them anew)"] * bool(skipped)
        parts += [f"{len(problems + failed)} failed"] * bool(problems + failed)
        print("; ".join(parts), file=sys.stderr)
    if problems or failed:
        sys.exit(1)
