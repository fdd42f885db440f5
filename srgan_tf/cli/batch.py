"""What `upscale` and `client` share: flags, progress, and upscaling a batch."""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path, PurePath

from absl import logging

from srgan_tf import choices
from srgan_tf.cli import fail
from srgan_tf.errors import ImageError, ModelError
from srgan_tf.planning import storage
from srgan_tf.planning.manifest import Manifest
from srgan_tf.planning.plan import Job, Plan, is_file_name, plan
from srgan_tf.terminal import printable

SHARED = ("scale", "back_projection", "ensemble", "format", "quality", "page")  # flags that results depend on


def define(flag) -> None:
    """Define the flags of programs that upscale pictures."""
    about = "output folder, which keeps the inputs' folder structure; or, for one picture, a file"
    flag.string("output", "upscaled", about)
    flag.integer("scale", None, "enlargement factor (default: the model's own, 4)", lower_bound=1)
    flag.enum("format", None, choices.FORMATS, "output format (default: the input's)")
    flag.integer("quality", 95, "of JPEG, WebP and AVIF", lower_bound=1, upper_bound=100)
    flag.string("suffix", None, "appended to file names (default: _x4, or the scale)")
    flag.bool("overwrite", False, "recreate existing outputs instead of skipping them")
    flag.bool("compare", False, "also write NAME_compare.png: bicubic on the left, the result on the right")
    about = (
        "correct the result so that it shrinks back to the input: full, colour (its low frequencies alone), none; "
        "auto: colour for JPEG and noise, else full"
    )
    flag.enum("back_projection", "auto", choices.BACK_PROJECTIONS, about)
    flag.bool("fast", False, "a tenth of the time, slightly coarser texture: the models fast and fast-real")
    flag.bool("ensemble", False, "self-ensemble over 8 flips and rotations: about 0.1 dB better, 8 times slower")
    flag.float(
        "max_megapixels",
        100.0,
        "refuse larger inputs (protects against decompression bombs)",
        lower_bound=0,
        upper_bound=1e6,
    )
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

    def show(self, share: float, text: str) -> None:
        """Show which share of the one picture or video in work is done."""
        with self._lock:
            self._reach(self._finished + share, text)

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


def make(flags, job: Job, picture, pipeline, suffix: str, on_tile: Callable[[], None]) -> None:
    """Upscale one decoded picture to its job's target."""
    from srgan_tf.inference.pictures import as_bytes, write_picture
    from srgan_tf.io import encoding

    if job.target is None:
        if sys.stdout is None or sys.stdout.closed:
            raise ImageError("standard output is closed")
        _write_output(as_bytes(pipeline, picture, str(job), suffix, flags.quality, on_tile))
    elif storage.is_url(job.target):
        storage.write(job.target, as_bytes(pipeline, picture, str(job), suffix, flags.quality, on_tile))
    else:
        folder = Path(job.target).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{folder}: cannot create this folder ({error.strerror}); choose another --output"
            raise ImageError(message) from None
        write_picture(pipeline, picture, job.target, flags.quality, on_tile)
        if job.compared:
            encoding.write_comparison(job.compared, picture, job.target, pipeline.scale)


def _write_output(data: bytes) -> None:
    """Write all of a picture to standard output. Raises ImageError."""
    stream, left = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), memoryview(data)
    try:
        while left:  # an unbuffered stream, as by PYTHONUNBUFFERED, may take a part
            left = left[stream.write(left) :]
    except OSError as error:
        raise ImageError(f"standard output: cannot write it ({error.strerror})") from None


def _source(job: Job):
    """Return what `images.load` takes."""
    if job.source:
        return storage.Named(job.source, storage.read(job.source)) if storage.is_url(job.source) else job.source
    try:
        return sys.stdin.buffer.read()
    except (AttributeError, ValueError, OSError):
        raise ImageError("standard input is closed") from None


def work(
    flags, jobs: list[Job], upscaler, manifest: Manifest, at_once: int = 1, cancel=lambda: None, clips=None
) -> tuple[int, list[str]]:
    """Run the jobs, and one picture read ahead; return the number of results and the errors; see `run_all`."""
    from srgan_tf.inference.pictures import frames_of, notes_of, resolve, suffix_for
    from srgan_tf.io import images
    from srgan_tf.progress import clock

    progress, turns, problems = BatchProgress(len(jobs), flags.quiet), threading.Semaphore(at_once), []

    def do(job: Job) -> bool:
        started = time.monotonic()
        try:
            if job.is_clip and clips:
                with turns:
                    started, (size, description) = time.monotonic(), clips(job, progress)
            else:
                started, size, description = do_picture(job)
            if job.source and job.target:
                manifest.add(job.source, job.target)
        except (ImageError, ModelError, MemoryError, OSError) as error:
            if not progress.stopped:
                problems.append(" ".join(str(error).split()))
                progress.bar.say(f"error: {problems[-1]}")
            return False
        finally:
            progress.end()
        if not flags.quiet:
            where = job.target or "standard output"
            facts = [size, clock(time.monotonic() - started), *([description] if description else [])]
            progress.bar.say(f"{job} → {where} ({', '.join(facts)})")
        return True

    def do_picture(job: Job) -> tuple[float, str, str]:
        source = _source(job)
        picture = images.load(source, int(flags.max_megapixels * 1e6), flags.page, lenient=True, moving=True)
        suffix = PurePath(job.target).suffix if job.target else suffix_for("", picture, flags.format)
        notes = notes_of(picture, f"x{suffix}")
        if notes and not flags.quiet:
            progress.bar.say(f"note: {job}: {'; '.join(notes)}")
        with turns:
            started = time.monotonic()
            height, width, bands = picture.pixels.shape
            pipeline = resolve(upscaler, picture)
            frames = frames_of(picture, f"x{suffix}")
            tiles = frames * pipeline.num_tiles(height, width, bands, picture.pixels.itemsize)
            make(flags, job, picture, pipeline, suffix, progress.begin(str(job), tiles))
        return started, f"{width * upscaler.scale} x {height * upscaler.scale}", pipeline.description

    pool = ThreadPoolExecutor(at_once + 1)
    try:
        made = [pool.submit(do, job) for job in jobs]
        while wait(made, timeout=1).not_done:  # its handler runs here, also if another thread took the signal
            pass
        return sum(done.result() for done in made), problems
    except BaseException as error:
        progress.stopped = True
        cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        for _ in range(at_once):  # jobs in work remove their partial output
            turns.acquire()
        running = [job for job in made if job.running()]
        if wait(running, timeout=1).not_done:  # reads of a pipe cannot be interrupted
            progress.bar.close()
            os._exit(error.code if isinstance(error, SystemExit) else 130)
        raise
    finally:
        pool.shutdown()
        progress.bar.close()


def begin(flags, arguments: list[str]) -> None:
    """Check arguments and set up logging, before a model is loaded."""
    from srgan_tf.io import encoding

    if not arguments:
        fail("no input: give pictures, folders or patterns, or - for standard input (--help shows examples)", 2)
    check_names(flags, arguments)
    if flags.output == "-":
        fail("--output=-: only what comes from standard input (-) goes to standard output; name a file", 2)
    one_file = is_file_name(flags.output)
    if "-" in arguments and flags["output"].present and not one_file:
        fail(f"--output={flags.output}: what comes from standard input goes to standard output, or to a file name", 2)
    if "-" in arguments and not one_file and "compare" in flags and flags.compare:
        fail("--compare writes a second file; give --output=NAME for what comes from standard input", 2)
    if one_file and flags.format and encoding.format_of(flags.output) != encoding.format_of(f"x.{flags.format}"):
        fail(f"--output={flags.output} contradicts --format={flags.format}; omit one", 2)
    logging.set_verbosity(logging.ERROR if flags.quiet else logging.INFO if flags.verbose else logging.WARNING)


def check_names(flags, arguments: list[str]) -> None:
    """Refuse empty names, as of unset variables, which would mean the working folder, and other wrong ones."""
    if "" in arguments or not flags.output:
        fail("the name of an input, or --output, is empty; give . for the working folder", 2)
    if os.path.isfile(flags.output) and not is_file_name(flags.output):
        fail(f"--output={flags.output}: is a file; give a folder, or a name with a picture's ending")
    if flags.suffix and os.path.basename(flags.suffix) != flags.suffix:
        fail(f"--suffix={flags.suffix}: a suffix has no folders", 2)


def one_or_two(flags, name: str) -> tuple[str, ...]:
    """Return the models that a flag or --fast names: one, or two, for clean and for degraded pictures."""
    from srgan_tf.inference import upscaling

    if flags.fast and flags[name].present:
        fail(f"--fast chooses the models; omit it, or --{name}", 2)
    if flags.fast or flags[name].value == "auto":
        return upscaling.FAST if flags.fast else upscaling.SHIPPED
    models = tuple(flags[name].value.split(","))
    if len(models) > 2 or not all(models):
        fail(f"--{name}={flags[name].value}: give one, or two separated by a comma", 2)
    return models


def options(flags) -> dict:
    """Return the options of `Upscaler` that all programs have."""
    return {name: flags[name].value for name in ("scale", "back_projection", "ensemble")}


def summary(made: str, planned: Plan, *further: tuple[int, str]) -> str:
    """Return the last line of a batch: what was made, what the plan left out, and further counts that are not 0."""
    counts = (planned.made, "skipped, made before (--overwrite makes them again)")
    unknown = (planned.unknown, "kept, not in the manifest (--overwrite replaces them)")
    return "; ".join([made, *(f"{count} {what}" for count, what in (counts, unknown, *further) if count)])


def manifest_of(flags, output: str, upscaler, made_by: dict) -> Manifest:
    """Return the manifest of the results' folder. made_by: what results depend on besides the shared flags."""
    folder = (os.path.dirname(output) or ".") if is_file_name(output) else output
    return Manifest(folder, made_by | {name: flags[name].value for name in SHARED}, upscaler.precision)


def plan_of(flags, arguments: list[str], output: str, scale: int, manifest: Manifest, clips: bool = False) -> Plan:
    """Plan a batch as the flags ask for, print its problems, and remove what killed runs left."""
    from srgan_tf.inference.pictures import result_suffix
    from srgan_tf.io import files

    suffix = f"_x{scale}" if flags.suffix is None else flags.suffix
    suffix_of, compare = partial(result_suffix, format=flags.format), "compare" in flags and flags.compare
    planned = plan(arguments, output, suffix, suffix_of, manifest, flags.overwrite, compare, clips)
    for problem in planned.problems:
        print(f"error: {printable(problem)}", file=sys.stderr)
    files.sweep(os.path.dirname(job.target) for job in planned.jobs if job.target and not storage.is_url(job.target))
    return planned


def run_all(
    flags, arguments: list[str], upscaler, made_by: dict, at_once: int = 1, cancel=lambda: None, clips=None
) -> None:
    """Upscale all pictures that the arguments name, print a summary, and exit with 1 if some failed.

    Args:
        made_by: what results depend on besides the shared flags: the model.
        at_once: pictures in work.
        cancel: called when Ctrl-C or SIGTERM ends the batch early, to interrupt waiting threads.
        clips: makes the video of a job, and returns its size and what was found in it; None takes no videos.
    """
    from srgan_tf.progress import clock

    started, output = time.monotonic(), flags.output
    manifest = manifest_of(flags, output, upscaler, made_by)
    planned = plan_of(flags, arguments, output, upscaler.scale, manifest, clips is not None)
    if planned.jobs and storage.is_url(output):  # nothing can be appended there
        manifest.add_all()
    made, failed = work(flags, planned.jobs, upscaler, manifest, at_once, cancel, clips) if planned.jobs else (0, [])
    problems = len(planned.problems + failed)
    if not flags.quiet:
        for note in filter(None, (manifest.trouble, manifest.mixed() if made else "")):
            print(f"note: {printable(note)}", file=sys.stderr)
        took = clock(time.monotonic() - started)
        print(summary(f"{made} made in {took}", planned, (problems, "failed")), file=sys.stderr)
    if problems:
        sys.exit(1)
