"""Upscale a video, or go on with one that was interrupted, exactly where its last whole segment ends."""

import contextlib
import itertools
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srgan_tf.errors import ImageError
from srgan_tf.inference.pipeline import OnTile
from srgan_tf.inference.steady import Steady
from srgan_tf.io import encoding
from srgan_tf.video import sink
from srgan_tf.video.source import Source

SEGMENT = 120  # frames
NOISE = 6.0  # levels of 255, as of `Steady`


class Clip:
    """A video to upscale.

    Args:
        path: of the video.
        target: of the result, .mp4, .m4v, .mov or .mkv.
        upscaler: an `Upscaler`; one pipeline is taken for all frames.
        made_by: the weights and their engine; an interrupted run goes on only if these, the pipeline, the codec and the
            file are the same.
        how: codec and quality.
        max_pixels: the largest height * width of a frame.

    Attributes:
        source: the video.
        done: frames that are written so far; those of an interrupted run at first.

    Raises:
        ImageError: the video cannot be read, or the target has another ending.
    """

    def __init__(self, path: str, target: str, upscaler, made_by: dict, how: sink.Encoding, max_pixels: int = 10**8):
        if Path(target).suffix.lower() not in sink.ENDINGS:
            raise ImageError(f"{target}: cannot write a video in this format; use one of {', '.join(sink.ENDINGS)}")
        self.source, self._target, self._how = Source(path, max_pixels), target, how
        self.pipeline = upscaler.resolve(self.source.sample(), subsampled=True)
        size = self.source.stream.height, self.source.stream.width
        if max(size) * self.pipeline.scale > 16_384:
            raise ImageError(f"{path}: {max(size)} px per side are too many to enlarge {self.pipeline.scale} times")
        stat = os.stat(path)
        mine = {"source": os.path.realpath(path), "bytes": stat.st_size, "time": stat.st_mtime}
        mine |= {"codec": how.name, "crf": how.crf, "arithmetic": self.pipeline.runner.precision}
        mine |= {name: getattr(self.pipeline, name) for name in ("scale", "back_projection", "ensemble")}
        self._state = json.dumps(made_by | mine, sort_keys=True)
        self._folder = Path(target).parent / f".srgan_tf-{Path(target).name}"
        self._segments = self._whole_segments()
        self.done = self.whole

    def _whole_segments(self) -> list[Path]:
        state = self._folder / "state.json"
        if state.exists() and state.read_text() == self._state:
            return sorted(self._folder.glob("[0-9]*.mov"))
        shutil.rmtree(self._folder, ignore_errors=True)
        return []

    @property
    def whole(self) -> int:
        """Frames in whole segments, where an interrupted run goes on."""
        return sum(int(one.stem.split("_")[1]) for one in self._segments)

    def make(self, on_frame: Callable[[int], None], on_tile: OnTile = None) -> None:
        """Upscale; on_frame: called with the number of frames done after each, on_tile: after each tile.

        Raises:
            ImageError: it cannot be read or written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "state.json").write_text(self._state)
        with encoding.converted_errors(self._target), contextlib.closing(ahead(self._enlarged(on_tile), 2)) as frames:
            for first in frames:
                part = itertools.chain([first], itertools.islice(frames, SEGMENT - 1))
                self._write_segment(self._counted(part, on_frame))
            if not self._segments:
                raise ImageError(f"{self.source.path}: no frame of it can be decoded; get an undamaged copy")
            sink.join(self._target, self._segments, self.source)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_segment(self, frames) -> None:
        aside = self._folder / "next.mov"
        count, first = sink.encode(aside, frames, self.source, self._how)
        self._segments.append(self._folder / f"{len(self._segments):06}_{count}_{first}.mov")
        aside.replace(self._segments[-1])

    def _counted(self, frames, on_frame: Callable[[int], None]) -> Iterator:
        for frame in frames:
            yield frame
            self.done += 1
            on_frame(self.done)

    def _enlarged(self, on_tile) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the frames that are not yet written; each segment is drawn by itself, so that it can be the first."""
        steady, before = Steady(self.pipeline, NOISE), self.done
        for number, (time, pixels) in enumerate(ahead(self.source.frames(), 4)):
            if number < before:
                steady.follow(pixels)
                continue
            if (number - before) % SEGMENT == 0:
                steady.restart()
            yield time, steady(pixels, on_tile)


_END = object()


def ahead(items: Iterable, count: int) -> Iterator:
    """Yield the items, up to `count` of which are made in advance by a thread; what they raise is raised here."""
    items, pool = iter(items), ThreadPoolExecutor(1)
    made = deque(pool.submit(next, items, _END) for _ in range(count + 1))
    try:
        while (item := made.popleft().result()) is not _END:
            yield item
            made.append(pool.submit(next, items, _END))
    finally:
        pool.shutdown(cancel_futures=True)
