"""What one worker does: a model loaded once, then pictures, each from its URL to the URL of its result."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyvips

from srgan_tf import machine
from srgan_tf.bulk import storage
from srgan_tf.errors import ImageError, ModelError

MADE, THERE, FAILED, FULL = "made", "there", "failed", "full"  # what became of a picture; full: the output is


@dataclass(frozen=True)
class Settings:
    """What a worker is told; small, and of names alone, since it is pickled to every machine.

    Attributes:
        model: a shipped name, or a path that every machine has; or two.
        options: of `Upscaler`.
        quality, page, max_pixels: as of `upscale_bytes`.
        threads: that a worker computes on.
        overwrite: make what is there anew.
    """

    model: str | tuple[str, ...]
    options: dict = field(default_factory=dict)
    quality: int = 95
    page: int | None = None
    max_pixels: int = 100_000_000
    threads: int = 1
    overwrite: bool = False


class Worker:
    """Calls take and give a batch as Ray Data has it: columns of the same length."""

    def __init__(self, settings: Settings):
        machine.keep_to(settings.threads)
        machine.keep_memory()
        from srgan_tf.inference.upscaling import Upscaler

        self._settings, self._upscaler = settings, Upscaler(settings.model, **settings.options)
        self._reader = ThreadPoolExecutor(1)

    def __call__(self, batch: dict) -> Iterator[dict]:
        """Columns `number`, `source`, `target` → `gathered` results: `number`, `state`, `reason`, `pixels` made, and
        the times `began` and `ended`."""
        return gathered(self._results(batch))

    def _results(self, batch: dict) -> Iterator[dict]:
        jobs = list(zip(map(str, batch["source"]), map(str, batch["target"])))
        ahead = self._ahead(*jobs[0])
        for i, (source, target) in enumerate(jobs):
            data, ahead = ahead, self._ahead(*jobs[i + 1]) if i + 1 < len(jobs) else None
            began = time.time()
            state, reason, pixels = self._one(source, target, data)
            times = {"began": began, "ended": time.time()}
            yield {"number": int(batch["number"][i]), "state": state, "reason": reason, "pixels": pixels, **times}

    def _ahead(self, source: str, target: str) -> Future:
        """A picture's bytes, read while the one before is computed; None where its result is there."""
        there = lambda: not self._settings.overwrite and storage.exists(target)  # noqa: E731
        return self._reader.submit(lambda: None if there() else storage.read(source))

    def _one(self, source: str, target: str, data: Future) -> tuple[str, str, int]:
        from srgan_tf.inference.one_picture import upscale_bytes

        try:
            read = data.result()
            if read is None:
                return THERE, "", 0
            told = self._settings
            format = PurePosixPath(target).suffix[1:]
            large, _ = upscale_bytes(read, self._upscaler, source, format, told.quality, told.page, told.max_pixels)
            storage.write(target, large)
            made = pyvips.Image.new_from_buffer(large, "")  # reads its head alone
            return MADE, "", made.width * made.height
        except storage.FullError as error:
            return FULL, str(error), 0
        except (ImageError, ModelError, MemoryError, OSError) as error:
            return FAILED, " ".join(str(error).split()) or f"{source}: {type(error).__name__}", 0
        except Exception as error:  # a bug, which must not end a run of a million
            return FAILED, " ".join(f"{source}: unexpected {type(error).__name__}: {error}".split()), 0


def gathered(results: Iterator[dict], every: float = 2.0) -> Iterator[dict]:
    """Results as one row, of JSON, for those that came within so many seconds: a row is tens of ms of Ray's time."""
    some, since = [], time.monotonic()
    for result in results:
        some.append(result)
        if time.monotonic() - since > every:
            yield {"results": [json.dumps(some)]}
            some, since = [], time.monotonic()
    if some:
        yield {"results": [json.dumps(some)]}
