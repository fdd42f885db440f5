"""Endless batches of HR crops of photographs (section 3.2: random 96x96 crops of different images).

Batch n is a function of the seed and n alone. So a stopped training resumes exactly (`start=n`), and several workers
share a batch without communication.
"""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from srgan_tf.data import shards
from srgan_tf.errors import ImageError
from srgan_tf.io import files, images


class Photos:
    """Pictures on disk as uint8 RGB, decoded once and cached up to `cache_bytes`.

    Args:
        source: a folder, a glob pattern, a file or a list of these: of pictures, or of shards (see `data.shards`).
        smallest: least height and width in pixels.
        lr_source: LR pictures of the same names (or ending in x2, x3, x4, x8, LR), for paired training; among several
            of one name, the one in a folder of the same name as HR's.
        scale: HR size over LR size, checked with lr_source.
        cache_bytes: limit of cached pixels; other pictures are decoded each time.

    Alpha is dropped: fully transparent pixels get the colour of the nearest visible ones, distant ones the mean of all,
    so that training sees no black areas.

    Unusable files (unreadable, truncated, too small, unpaired) are left out, counted and logged once.

    Raises:
        ImageError: no usable file is left.
    """

    def __init__(self, source, smallest: int = 96, lr_source=None, scale: int = 4, cache_bytes: int = 4 << 30):
        self.scale, self.smallest, self._cache, self._room = scale, smallest, {}, cache_bytes
        self.pairs = self._pair(shards.find(source) or files.find(source), lr_source)
        with ThreadPoolExecutor() as pool:
            problems = dict(zip(self.pairs, pool.map(self._check, self.pairs)))
        self.unusable = {str(pair[0]): problem for pair, problem in problems.items() if problem}
        self.pairs = [pair for pair in self.pairs if not problems[pair]]
        if self.unusable:
            some = "; ".join(list(self.unusable.values())[:5])
            logging.warning("%d of %d pictures left out: %s", len(self.unusable), len(problems), some)
        if not self.pairs:
            raise ImageError(
                f"{source}: no usable picture among {len(problems)} (at least {smallest}x{smallest} px; "
                f"{', '.join(files.EXTENSIONS)})" + (f"; {next(iter(self.unusable.values()))}" if self.unusable else "")
            )

    def _pair(self, hr_paths: list[Path], lr_source) -> list[tuple]:
        if lr_source is None:
            return [(path,) for path in hr_paths]

        def stem(path):
            return re.sub(r"([_-]?(x[2348]|LR|HR))+$", "", path.stem, flags=re.IGNORECASE)

        # Frames of several folders have one name each: 000/0001.png, 001/0001.png.
        lr_paths = {}
        for path in shards.find(lr_source) or files.find(lr_source):
            lr_paths[stem(path)] = lr_paths[path.parent.name, stem(path)] = path

        def lr_of(path):
            name = stem(path)
            return lr_paths.get((path.parent.name, name)) or lr_paths.get(name) or Path(f"{path} (no LR picture)")

        return [(path, lr_of(path)) for path in hr_paths]

    def _check(self, pair: tuple) -> str | None:
        """Return why this image is unusable, or None."""
        try:
            decoded = self._room > 0
            sizes = [array.shape[:2] for array in self.read(pair)] if decoded else [_size(path) for path in pair]
        except (ImageError, OSError) as error:
            return str(error)
        if min(sizes[0]) < self.smallest:
            return f"{pair[0]}: {sizes[0][1]}x{sizes[0][0]} px is smaller than {self.smallest}"
        if len(sizes) == 2 and sizes[0] != tuple(self.scale * n for n in sizes[1]):
            return f"{pair[0]}: {sizes[0]} is not {self.scale} times its LR picture's {sizes[1]}"
        return None

    def read(self, pair: tuple) -> tuple[np.ndarray, ...]:
        if pair in self._cache:
            return self._cache[pair]
        arrays = tuple(images.read(path) for path in pair)
        size = sum(array.nbytes for array in arrays)
        if size <= self._room:
            self._cache[pair], self._room = arrays, self._room - size
        return arrays

    def fingerprint(self) -> str:
        """Return a short hash of file names and sizes, to check that a resumed run has the same data."""
        files = [path for pair in self.pairs for path in pair]
        listing = "\n".join(f"{f.name} {f.size if isinstance(f, shards.Record) else f.stat().st_size}" for f in files)
        return hashlib.sha256(listing.encode()).hexdigest()[:16]

    def batch(
        self, step: int, batch: int, crop: int, seed: int, mine: slice = slice(None), candidates: int = 1
    ) -> tuple[np.ndarray, ...]:
        """Return the share `mine` of batch `step`: HR [n, crop, crop, 3], and LR if paired."""
        rng = np.random.default_rng([seed, step])
        rounds = -(-batch // len(self.pairs))
        chosen = np.concatenate([rng.permutation(len(self.pairs)) for _ in range(rounds)])[:batch]
        seeds = rng.integers(2**63, size=batch)
        crops = [self._crop(self.pairs[i], crop, s, rng, candidates) for i, s in list(zip(chosen, seeds))[mine]]
        return tuple(np.stack(arrays) for arrays in zip(*crops))

    def _crop(self, pair, crop: int, seed: int, rng, candidates: int) -> tuple[np.ndarray, ...]:
        try:
            return random_crop(self.read(pair), crop, int(seed), self.scale, candidates)
        except ImageError as error:  # damage beyond the header; another picture replaces it
            self.unusable[str(pair[0])] = str(error)
            logging.log_first_n(logging.WARNING, "left out: %s", 5, error)
            return self._crop(self.pairs[int(rng.integers(len(self.pairs)))], crop, seed, rng, candidates)


def _size(path) -> tuple[int, int]:
    """Return height and width without decoding."""
    return (path.height, path.width) if isinstance(path, shards.Record) else Image.open(path).size[::-1]


def random_crop(
    arrays: tuple[np.ndarray, ...], crop: int, seed: int, scale: int, candidates: int = 1
) -> tuple[np.ndarray, ...]:
    """Return the same random square of HR (crop px) and, if paired, LR (crop / scale px), flipped and rotated.

    Among several candidates, the one with most detail: half of the random crops of photographs hold a tenth of the
    detail that bicubic upsampling lacks.
    """
    rng = np.random.default_rng(seed)
    grid = scale if len(arrays) == 2 else 1
    height, width = arrays[0].shape[:2]
    places = [[int(rng.integers((side - crop) // grid + 1)) for side in (height, width)] for _ in range(candidates)]

    def detail(place):
        """Mean absolute deviation of green from its mean over 4x4 px."""
        y, x = (at * grid for at in place)
        blocks = arrays[0][y : y + crop // 4 * 4, x : x + crop // 4 * 4, 1].reshape(crop // 4, 4, crop // 4, 4)
        return np.abs(blocks - blocks.mean((1, 3), np.float32, keepdims=True)).mean()

    y, x = max(places, key=detail) if candidates > 1 else places[0]
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    result = []
    for array, step, size in zip(arrays, (grid, 1), (crop, crop // scale)):
        patch = np.rot90(array[y * step : y * step + size, x * step : x * step + size], turns)
        result.append(np.ascontiguousarray(patch[:, ::-1] if flip else patch))
    return tuple(result)


def patches(
    source,
    batch: int = 16,
    crop: int = 96,
    seed: int = 0,
    start: int = 0,
    workers: int = 1,
    worker: int = 0,
    candidates: int = 1,
) -> tf.data.Dataset:
    """Return endless batches of random crops, flipped and rotated by quarter turns.

    Args:
        source: `Photos`; or what its constructor takes; or a `tf.data.Dataset` of uint8 HR pictures
            [height, width, 3], such as TFDS' DIV2K by `.map(lambda example: example["hr"])`.
        batch: crops per (global) batch, of different pictures if there are enough.
        crop: side of the HR crops in pixels.
        seed: the same seed gives the same batches.
        start: first batch, for resuming: free on files; a Dataset is read up to there.
        workers, worker: number of workers, and which share of each batch to return.
        candidates: random positions per crop; the one with most detail is used.

    Returns:
        Dataset of uint8 HR [batch / workers, crop, crop, 3] in 0-255, or of (LR, HR) for paired folders.
    """
    if min(batch, crop, candidates) < 1 or seed < 0:
        given = f"{batch}, {crop}, {candidates} and {seed}"
        raise ValueError(f"batch, crop and candidates must be at least 1, and seed at least 0, not {given}")
    mine = slice(worker, None, workers)
    if isinstance(source, tf.data.Dataset):
        return _from_dataset(source, batch, crop, seed, start, mine, candidates)
    photos = source if isinstance(source, Photos) else Photos(source, smallest=crop)
    paired = len(photos.pairs[0]) == 2
    share = len(range(batch)[mine])

    def make(step):
        arrays = tf.numpy_function(
            lambda n: photos.batch(int(n), batch, crop, seed, mine, candidates),
            [step],
            [tf.uint8] * (1 + paired),
            stateful=False,
        )
        arrays = [tf.ensure_shape(a, (share, side, side, 3)) for a, side in zip(arrays, (crop, crop // photos.scale))]
        return (arrays[1], arrays[0]) if paired else arrays[0]

    return tf.data.Dataset.range(start, 2**62).map(make, num_parallel_calls=2).prefetch(4)


def _from_dataset(source, batch, crop, seed, start, mine, candidates) -> tf.data.Dataset:
    share = range(batch)[mine]

    def make(n, image):
        def cut(n, image):
            return random_crop((image,), crop, hash((seed, int(n))) % 2**63, 1, candidates)[0]

        return tf.ensure_shape(tf.numpy_function(cut, [n, image], tf.uint8, stateful=False), (crop, crop, 3))

    large = source.filter(lambda image: tf.reduce_min(tf.shape(image)[:2]) >= crop)
    numbered = large.repeat().enumerate().skip(start * batch)
    numbered = numbered.filter(lambda n, _: n % batch % (share.step or 1) == share.start % (share.step or 1))
    return numbered.map(make, num_parallel_calls=2).batch(len(share)).prefetch(4)
