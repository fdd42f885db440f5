"""Whatever can turn LR into SR, behind one call: a `Generator`, a SavedModel, a LiteRT file.

Evaluation and upscaling are written against `Backend` alone, so that an exported model is scored by the very code
that scored the one it came from.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan_tf.evaluation import metrics
from srgan_tf.inference.fast import mean_of_flips, tiled
from srgan_tf.models import weights
from srgan_tf.models.weights import WeightsError

PROBE = 16  # px: side of the black picture whose SR tells a model's scale


@dataclass(frozen=True)
class Backend:
    """A model ready to run: call it with uint8 LR [n, h, w, 3], get uint8 SR [n, scale * h, scale * w, 3].

    Attributes:
        name: how tables call it: the file's stem or the folder's name.
        scale: SR size over LR size.
        context: LR pixels on each side of a pixel that its SR depends on; None where that is unknown.
        run: the function behind the call.
        generator: the Keras `Generator`, None for exported models.
        passes: how often the model runs for one SR.
    """

    name: str
    scale: int
    context: int | None
    run: Callable[[np.ndarray], np.ndarray]
    generator: object = None
    passes: int = 1

    def __call__(self, lr) -> np.ndarray:
        lr = np.asarray(lr)
        if lr.dtype != np.uint8 or lr.ndim != 4 or lr.shape[-1] != 3:
            raise ValueError(f"LR must be uint8 [n, height, width, 3], not {lr.dtype} {list(lr.shape)}")
        return self.run(lr)


def open_backend(source) -> Backend:
    """Open whatever the package makes or imports.

    Args:
        source: what `weights.load` takes; a SavedModel folder (signature `serving_default` of uint8 RGB, or `float`
            of RGB in [0, 1], both ways, [n, h, w, 3]); a .tflite file (float in [0, 1], or quantised; any size or a
            fixed one, which is then run tile by tile).

    Raises:
        WeightsError: nothing of the kind is there, or it is damaged; names the file.
    """
    path = Path(source)
    name = path.resolve().name if path.is_dir() else path.stem
    if (path / "saved_model.pb").exists():
        return _saved_model(path, name)
    if path.suffix == ".tflite":
        return _lite(path, name)
    return from_generator(weights.load(source), name)


def from_generator(generator, name: str) -> Backend:
    """A Keras `Generator` as a backend; `name` is what tables call it."""

    # One graph for all sizes, made here: a tf.function would trace every new size anew, or warn of the many models.
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def upscale(lr):
        return metrics.to_uint8(generator(tf.cast(lr, tf.float32) / 255, training=False))

    upscale = upscale.get_concrete_function()
    return Backend(name, generator.scale, generator.context, lambda lr: upscale(tf.constant(lr)).numpy(), generator)


def ensemble(backend: Backend) -> Backend:
    """The eightfold self-ensemble (Timofte et al. 2016): the rounded mean over all flips and quarter turns of LR.

    Measured on pictures of Set5 with an imported SRResNet: 0.15 to 0.34 dB more PSNR, LPIPS .001 to .006 worse, at
    eight times the time. Blurs the texture that a GAN makes up.
    """

    def run(lr):
        return np.floor(mean_of_flips(backend, lr) + 0.5).astype(np.uint8)

    return replace(backend, name=f"{backend.name}+", run=run, passes=8 * backend.passes)


def _saved_model(folder: Path, name: str) -> Backend:
    try:
        model = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises a dozen kinds for a damaged folder
        raise WeightsError(f"{folder}: not a SavedModel that loads here ({_first_line(error)})") from None
    # Other float signatures, such as those that Keras makes of a generator, give [-1, 1] as a rule: refused.
    takes = {"serving_default": tf.uint8, "float": tf.float32}
    for signature, dtype in takes.items():
        function = model.signatures.get(signature)
        inputs = function.structured_input_signature[1] if function else {}
        if [(spec.dtype, spec.shape.rank) for spec in inputs.values()] == [(dtype, 4)]:
            break
    else:
        raise WeightsError(
            f"{folder}: needs a signature serving_default of uint8 or float of float32 pictures [n, h, w, 3]; "
            "export it with export.py"
        )
    (argument,) = inputs

    def run(lr):
        x = lr if dtype == tf.uint8 else lr.astype(np.float32) / 255
        (sr,) = list(function(**{argument: tf.constant(x)}).values())[:1]
        return sr.numpy() if sr.dtype == tf.uint8 else _levels(sr.numpy())

    run.model = model  # its functions die with the model
    return Backend(name, _probe_scale(run, folder), None, run)


def _lite(path: Path, name: str) -> Backend:
    if not path.exists():
        raise WeightsError(f"{path}: no such file; make it with export.py")
    try:
        interpreter = _interpreter(str(path))
        interpreter.allocate_tensors()
        wanted, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        side = [int(n) for n in wanted["shape_signature"][1:3]]  # numpy's own would not fit into JSON
    except (ValueError, RuntimeError, IndexError) as error:
        raise WeightsError(f"{path}: not a LiteRT model of pictures ({_first_line(error)})") from None

    def picture(lr):
        """One picture [1, h, w, 3] of the model's own size, where it has one."""
        if tuple(lr.shape) != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(wanted["index"], lr.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(wanted["index"], _quantised(lr.astype(np.float32) / 255, wanted))
        interpreter.invoke()
        return _levels(_dequantised(interpreter.get_tensor(made["index"]), made))

    def fixed(lr):
        """One picture through a model of fixed size, in tiles with a quarter of it as context."""
        height, width = lr.shape[1:3]
        grown = [(0, max(length - given, 0)) for length, given in zip(side, (height, width))]
        lr = np.pad(lr, [(0, 0), *grown, (0, 0)], "edge")
        return tiled(picture, lr, side, [n // 4 for n in side], scale, shrink=False)[
            :, : scale * height, : scale * width
        ]

    any_size = min(side) < 0
    scale = _probe_scale(picture, path, (PROBE, PROBE) if any_size else tuple(side))

    def run(lr):
        return np.concatenate([(picture if any_size else fixed)(lr[i : i + 1]) for i in range(len(lr))])

    return Backend(name, scale, None, run)


def _interpreter(path: str):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # the older stack carries it inside TensorFlow
        Interpreter = tf.lite.Interpreter

    return Interpreter(path, num_threads=os.cpu_count())


def _quantised(x: np.ndarray, details: dict) -> np.ndarray:
    step, zero = details["quantization"]
    if not step:
        return x.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.floor(x / step + 0.5) + zero, limits.min, limits.max).astype(details["dtype"])


def _dequantised(q: np.ndarray, details: dict) -> np.ndarray:
    step, zero = details["quantization"]
    return (q.astype(np.float32) - zero) * step if step else q


def _levels(unit: np.ndarray) -> np.ndarray:
    """SR in [0, 1] as uint8, clipped and rounded half up."""
    return np.floor(np.clip(unit, 0, 1) * 255 + 0.5).astype(np.uint8)


def _probe_scale(run: Callable, source: Path, size: tuple[int, int] = (PROBE, PROBE)) -> int:
    try:
        made = run(np.zeros((1, *size, 3), np.uint8)).shape
    except Exception as error:
        asked = f"{size[0]}x{size[1]}"
        raise WeightsError(f"{source}: does not run on a picture of {asked} px ({_first_line(error)})") from None
    return made[1] // size[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
