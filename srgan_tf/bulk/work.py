"""A worker: load a model once, then upscale pictures from URL to URL."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyvips

from srgan_tf import machine
from srgan_tf.errors import ImageError, ModelError
from srgan_tf.inference import gpu_probe
from srgan_tf.planning import storage

MADE, THERE, FAILED, FULL = "made", "there", "failed", "full"  # states of a job; FULL: no space in the output


@dataclass(frozen=True)
class Settings:
    """Settings of a worker: names and numbers only, since they are pickled to every machine.

    Attributes:
        model: a shipped name, or a path that exists on every machine; or two.
        options: of `Upscaler`.
        quality, page, max_pixels: as for `upscale_bytes`.
        threads: per worker.
        int8: use 8-bit weights, whatever this machine's processor has, so that all results are alike.
        overwrite: replace existing results.
    """

    model: str | tuple[str, ...]
    options: dict = field(default_factory=dict)
    quality: int = 95
    page: int | None = None
    max_pixels: int = 100_000_000
    threads: int = 1
    int8: bool = True
    overwrite: bool = False


class Worker:
    """Upscale batches in Ray Data's form, columns of the same length."""

    def __init__(self, settings: Settings):
        machine.limit_threads(settings.threads)
        machine.set_int8(settings.int8)
        machine.keep_memory()
        gpu_probe.forbid()
        from srgan_tf.inference.upscaling import Upscaler

        self._settings, self._upscaler = settings, Upscaler(settings.model, **settings.options)
        self._reader = ThreadPoolExecutor(1)

    def __call__(self, batch: dict) -> Iterator[dict]:
        """Upscale columns `number`, `source`, `target`.

        Yields `gathered` results: `number`, `state`, `reason` (of a failure, or notes), `pixels` made, and the times
        `began` and `ended`.
        """
        return gathered(self._results(batch))

    def _results(self, batch: dict) -> Iterator[dict]:
        jobs = list(zip(map(os.fsdecode, batch["source"]), map(os.fsdecode, batch["target"])))
        ahead = self._ahead(*jobs[0])
        for i, (source, target) in enumerate(jobs):
            data, ahead = ahead, self._ahead(*jobs[i + 1]) if i + 1 < len(jobs) else None
            began = time.time()
            state, reason, pixels = self._one(source, target, data)
            times = {"began": began, "ended": time.time()}
            yield {"number": int(batch["number"][i]), "state": state, "reason": reason, "pixels": pixels, **times}

    def _ahead(self, source: str, target: str) -> Future:
        """Read a picture while the one before is computed; None if its result exists."""
        there = lambda: not self._settings.overwrite and storage.exists(target)  # noqa: E731
        return self._reader.submit(lambda: None if there() else storage.read(source))

    def _one(self, source: str, target: str, data: Future) -> tuple[str, str, int]:
        from srgan_tf.inference.pictures import upscale_bytes

        try:
            read = data.result()
            if read is None:
                return THERE, "", 0
            format, notes = PurePosixPath(target).suffix[1:], []
            limits = self._settings.quality, self._settings.page, self._settings.max_pixels
            large, _ = upscale_bytes(read, self._upscaler, source, format, *limits, notes)
            storage.write(target, large)
            made = pyvips.Image.new_from_buffer(large, "")  # reads the header only
            return MADE, "; ".join(notes), made.width * made.height
        except storage.FullError as error:
            return FULL, str(error), 0
        except (ImageError, ModelError, MemoryError, OSError) as error:
            return FAILED, " ".join(str(error).split()) or f"{source}: {type(error).__name__}", 0
        except Exception as error:  # a bug must not end the whole run
            return FAILED, " ".join(f"{source}: unexpected {type(error).__name__}: {error}".split()), 0


def gathered(results: Iterator[dict], every: float = 2.0) -> Iterator[dict]:
    """Join results of `every` seconds into one row of JSON: each row costs Ray tens of milliseconds."""
    some, since = [], time.monotonic()
    for result in results:
        some.append(result)
        if time.monotonic() - since > every:
            yield {"results": [json.dumps(some)]}
            some, since = [], time.monotonic()
    if some:
        yield {"results": [json.dumps(some)]}
