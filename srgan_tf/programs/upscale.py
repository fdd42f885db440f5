"""Upscale pictures of any size, kind and number.

python upscale.py photo.jpg                        makes upscaled/photo_x4.jpg
python upscale.py holiday "scans/*.tif" --output=big   whole folders and patterns; goes on where it was stopped
python upscale.py - < small.png > large.png        standard input to standard output

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from absl import flags, logging

from srgan_tf.programs import fail, import_tensorflow, run
from srgan_tf.progress import clock, draw

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "upscaled", "folder to write to; the trees of input folders are kept in it")
flags.DEFINE_string("weights", "srresnet", "a shipped name, a training run, .npz, .keras, .tflite, SavedModel folder")
flags.DEFINE_string("blend", None, "second weights of one architecture with the first, to mix into them")
flags.DEFINE_float("blend_amount", 0.5, "share of the second weights, 0 to 1", lower_bound=0, upper_bound=1)
flags.DEFINE_integer("scale", None, "how much larger, where less than the weights' own 4 is wanted", lower_bound=1)
flags.DEFINE_enum("format", None, ["png", "jpg", "webp", "tif", "avif"], "format to write (default: the input's)")
flags.DEFINE_integer("quality", 95, "of JPEG, WebP and AVIF", lower_bound=1, upper_bound=100)
flags.DEFINE_string("suffix", None, "added to the names of the pictures (default: _x4, or whatever the scale is)")
flags.DEFINE_bool("overwrite", False, "make anew what is there already, instead of skipping it")
flags.DEFINE_bool("compare", False, "also write NAME_compare.png: bicubic left, ours right")
flags.DEFINE_enum("precision", "auto", ["auto", "float32", "bfloat16"], "auto: bfloat16 where the processor has it")
flags.DEFINE_float("memory", 1.0, "GiB for the tiles in work; TensorFlow itself comes on top", lower_bound=0)
flags.DEFINE_bool("back_projection", True, "keep colours true; --noback_projection gives the network's own output")
flags.DEFINE_bool("ensemble", False, "average over 8 flips and turns: about 0.1 dB better, 8 times slower")
flags.DEFINE_float("max_megapixels", 100.0, "refuse larger inputs, which may be decompression bombs", lower_bound=0)
flags.DEFINE_bool("quiet", False, "say nothing but errors")
flags.DEFINE_bool("verbose", False, "say what is used: precision, tile size")


@dataclass(frozen=True)
class Job:
    """One picture to make: where from (None: standard input) and where to (None: standard output)."""

    source: Path | None
    target: Path | None

    def __str__(self):
        return str(self.source or "standard input")


def plan(arguments: list[str], output: Path, suffix: str, format: str | None) -> tuple[list[Job], list[str]]:
    """The jobs that the arguments ask for, and what is wrong with the others."""
    from srgan_tf import encoding, images

    jobs, problems, targets = [], [], set()
    for argument in dict.fromkeys(arguments):
        if argument == "-":
            jobs.append(Job(None, None))
            continue
        try:
            found = images.find(argument)
        except images.ImageError as error:
            problems.append(str(error))
            continue
        base = Path(argument) if Path(argument).is_dir() else images.fixed_part(Path(argument))
        if base.resolve() != output.resolve():  # what an earlier run made is no input
            found = [path for path in found if output.resolve() not in path.resolve().parents or path == base]
        if not found:
            problems.append(f"{argument}: no pictures there ({', '.join(images.EXTENSIONS)})")

        def ending_of(path):
            return f".{format}" if format else encoding.format_of(path) or ".png"

        # Those that keep their ending come first, so that their names do not depend on what else is there.
        for path in sorted(found, key=lambda path: path.suffix.lower() != ending_of(path)):
            inside, ending = path.relative_to(base).parent if path != base else Path(), ending_of(path)
            target = output / inside / f"{path.stem}{suffix}{ending}"
            if target in targets:  # of files that differ in their ending alone
                target = target.with_name(f"{path.name}{suffix}{ending}")
            targets.add(target)
            jobs.append(Job(path, target))
    return jobs, problems


class Progress:
    """One line on a terminal, renewed in place; nothing where standard error is a file."""

    def __init__(self, files: int, shown: bool):
        self.files, self.shown, self.started, self._drawn = files, shown and sys.stderr.isatty(), time.monotonic(), 0

    def begin(self, number: int, name: str, tiles: int) -> None:
        self.number, self.name, self.tiles, self.done = number, name, tiles, -1
        self.tile()

    def tile(self) -> None:
        """Another tile is done."""
        self.done += 1
        now = time.monotonic()
        if not self.shown or now - self._drawn < 0.1:
            return
        self._drawn = now
        share = (self.number + self.done / self.tiles) / self.files
        left = f"{clock((now - self.started) * (1 - share) / share)} left" if share else ""
        text = f"{self.number + 1}/{self.files} {self.name}: tile {self.done}/{self.tiles} {left}"
        draw(sys.stderr, share, text)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        print(("\r\033[K" if self.shown else "") + text, file=sys.stderr, flush=True)


def make(job: Job, picture, upscaler, progress: Progress) -> None:
    """Upscale one decoded picture to where its job says."""
    from srgan_tf import encoding, images, upscaling

    if job.target is None:
        ending = f".{FLAGS.format}" if FLAGS.format else encoding.format_of(f"x{picture.format}") or ".png"
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"output{ending}"
            upscaling.write_upscaled(upscaler, picture, target, FLAGS.quality, progress.tile)
            with open(target, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        return
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise images.ImageError(f"{job.target.parent}: cannot make this folder ({error.strerror})") from None
    upscaling.write_upscaled(upscaler, picture, job.target, FLAGS.quality, progress.tile)
    if FLAGS.compare:
        compared = job.target.with_name(f"{job.target.stem}_compare.png")
        encoding.write_comparison(compared, picture, job.target, upscaler.scale)


def work(jobs: list[Job], upscaler) -> tuple[int, list[str]]:
    """Do the jobs; the next picture is read while one is computed. Returns how many were made, and the errors."""
    from srgan_tf import images

    progress, made, problems = Progress(len(jobs), not FLAGS.quiet), 0, []

    def load(job):
        source = job.source or sys.stdin.buffer.read()
        return images.load(source, int(FLAGS.max_megapixels * 1e6))

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(load, jobs[0])
        for number, job in enumerate(jobs):
            started = time.monotonic()
            try:
                loaded, coming = coming, None
                picture = loaded.result()
                if number + 1 < len(jobs):
                    coming = reader.submit(load, jobs[number + 1])
                height, width, bands = picture.pixels.shape
                progress.begin(number, str(job), upscaler.tiles(height, width, bands, picture.pixels.itemsize))
                make(job, picture, upscaler, progress)
                made += 1
                if not FLAGS.quiet:
                    size = f"{width * upscaler.scale} x {height * upscaler.scale}"
                    where = job.target or "standard output"
                    progress.say(f"{job} → {where} ({size}, {clock(time.monotonic() - started)})")
            except (images.ImageError, MemoryError, OSError) as error:
                problems.append(" ".join(str(error).split()))
                progress.say(f"error: {problems[-1]}")
            coming = coming or (reader.submit(load, jobs[number + 1]) if number + 1 < len(jobs) else None)
    return made, problems


def main(arguments: list[str]) -> None:
    if not arguments:
        fail("give pictures, folders or patterns to upscale, or - for standard input (--help shows examples)", 2)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave as on Ctrl-C: no half files
    logging.set_verbosity(logging.ERROR if FLAGS.quiet else logging.INFO if FLAGS.verbose else logging.WARNING)
    import_tensorflow()
    from srgan_tf import compat, upscaling

    compat.keep_memory()
    model = FLAGS.weights
    if FLAGS.blend:
        from srgan_tf import weights

        model = weights.blend(weights.load(FLAGS.weights), weights.load(FLAGS.blend), FLAGS.blend_amount)
    upscaler = upscaling.Upscaler(
        model,
        scale=FLAGS.scale,
        precision=FLAGS.precision,
        memory=int(FLAGS.memory * 2**30),
        back_projection=FLAGS.back_projection,
        ensemble=FLAGS.ensemble,
    )
    suffix = f"_x{upscaler.scale}" if FLAGS.suffix is None else FLAGS.suffix
    if FLAGS.verbose:
        logging.info("%s, %d px of context", upscaler.precision, upscaler.context)
    jobs, problems = plan(arguments, Path(FLAGS.output), suffix, FLAGS.format)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    todo = [job for job in jobs if FLAGS.overwrite or job.target is None or not os.path.exists(job.target)]
    made, failed = work(todo, upscaler) if todo else (0, [])
    if not FLAGS.quiet:
        skipped = len(jobs) - len(todo)
        parts = [f"{made} made in {clock(time.monotonic() - started)}"]
        parts += [f"{skipped} skipped, there already (--overwrite makes them anew)"] * bool(skipped)
        parts += [f"{len(problems + failed)} failed"] * bool(problems + failed)
        print("; ".join(parts), file=sys.stderr)
    if problems or failed:
        sys.exit(1)


def command() -> None:
    run(main, __doc__)
