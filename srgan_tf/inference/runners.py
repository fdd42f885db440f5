"""One way to call a model, whatever it is: a generator, a SavedModel, a .tflite file, a server.

`Upscaler`, the evaluation, the exporter's checks and the clients are written against `Runner` alone, so that an
exported model is used and scored by the very code that used and scored the one it came from. Importing this needs
no TensorFlow.
"""

import copy
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from srgan_tf import machine
from srgan_tf.choices import ENGINES, PRECISIONS
from srgan_tf.data.levels import from_signed, to_levels, to_signed, to_unit
from srgan_tf.errors import WeightsError, need_tensorflow
from srgan_tf.inference.tiling import mean_of_flips
from srgan_tf.models import weights

PROBE = 16  # px: side of the black picture whose SR tells a model's scale
_FURTHEST = 64  # LR px: the largest receptive field that `measure_context` finds


class Runner(ABC):
    """A model ready to run. A subclass computes in `_run`; the base class converts.

    Attributes:
        name: how tables call it: the file's stem or the folder's name.
        scale: SR size over LR size.
        context: LR pixels on each side of a pixel that its SR depends on, the receptive field.
        enough: LR pixels around a tile of which it is known that, with back-projection too, what lies beyond changes SR
            by a level of 255 at most; None where nothing is known.
        degradation: of the LR it was trained on, "bicubic", "shrunk" or "real".
        precision: of its arithmetic, for people.
        levels: whether it takes and gives uint8; else float, LR in [0, 1] and SR in [-1, 1].
        align: tiles must be a multiple of so many LR pixels a side.
        largest: LR pixels a side of the largest tile that it takes.
        bytes_a_pixel: of memory, for a LR pixel of a tile in work; bytes_anyway: whatever its size.
        map: how to have several tiles in work: Python's map, or a thread pool's where several calls at once are good.
        exact: the same model for pictures of more than 8 bits; itself, or one of higher precision.
        generator: the Keras generator behind it, None for exported models.
        passes: how often the model runs for one SR.
    """

    context = 0
    enough: int | None = None
    degradation = "bicubic"
    precision = "its own precision"
    levels = False
    align = 1
    largest = 2**31
    bytes_a_pixel = 20_000
    bytes_anyway = 0
    generator = None
    passes = 1

    def __init__(self, name: str, scale: int):
        self.name, self.scale, self.map = name, scale, map

    @property
    def exact(self) -> "Runner":
        return self

    def rest(self) -> None:  # noqa: B027 - most have nothing to give
        """Give back the memory that work takes; the next call takes it anew."""

    @abstractmethod
    def _run(self, lr: np.ndarray) -> np.ndarray:
        """LR [n, height, width, 3] → SR [n, scale * height, scale * width, 3], as `levels` says."""

    def __call__(self, lr) -> np.ndarray:
        """LR [n, height, width, 3] → SR [n, scale * height, scale * width, 3].

        Args:
            lr: uint8 in 0-255, which gives uint8; or float in [0, 1], which gives float32 in [-1, 1], not clipped.

        Raises:
            ValueError: lr is of another type or shape. ModelError: a server gave no answer.
        """
        lr = np.asarray(lr)
        if lr.ndim != 4 or lr.shape[-1] != 3 or (lr.dtype != np.uint8 and lr.dtype.kind != "f"):
            raise ValueError(
                f"LR must be uint8, or float in [0, 1], [n, height, width, 3], not {lr.dtype} {list(lr.shape)}"
            )
        if lr.dtype == np.uint8:
            return self._run(lr) if self.levels else to_levels(from_signed(self._run(to_unit(lr))))
        return to_signed(to_unit(self._run(to_levels(lr)))) if self.levels else self._run(lr.astype(np.float32))


class Function(Runner):
    """A plain function of uint8 LR as a runner, such as an interpolation."""

    levels = True

    def __init__(self, name: str, scale: int, function, context: int = 2):
        super().__init__(name, scale)
        self._run, self.context = function, context

    def _run(self, lr):  # replaced by the function
        raise NotImplementedError


class Ensemble(Runner):
    """The eightfold self-ensemble (Timofte et al. 2016): the rounded mean over all flips and quarter turns of LR.

    Measured on pictures of Set5 with an imported SRResNet: 0.15 to 0.34 dB more PSNR, LPIPS .001 to .006 worse, at
    eight times the time. Blurs the texture that a GAN makes up.
    """

    levels = True

    def __init__(self, runner: Runner):
        super().__init__(f"{runner.name}+", runner.scale)
        self.context, self.generator, self.passes = runner.context, runner.generator, 8 * runner.passes
        self._runner = runner

    def _run(self, lr):
        return np.floor(mean_of_flips(self._runner, lr) + 0.5).astype(np.uint8)


def choose_engine(source, precision: str = "auto", engine: str = "auto") -> str:
    """What would run a model: "litert" or "tensorflow", of arguments as of `open_runner`.

    Raises:
        ValueError: the engine does not run it; says what does. WeightsError: there is nothing of this name.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    name = str(source) if isinstance(source, (str, Path)) else type(source).__name__
    if name.endswith(".tflite"):
        if engine == "tensorflow":
            raise ValueError(f"{name}: a .tflite file runs by --engine=litert, not by TensorFlow")
        return "litert"
    if isinstance(source, (str, Path)):
        weights.check_there(source)
    possible = weights.is_shipped(name) and precision != "bfloat16"
    if engine == "litert" and not possible:
        raise ValueError(
            f"{name}: LiteRT runs shipped weights and .tflite files, not in bfloat16; export your own by "
            "`srgan-tf export --kinds=engine`, or use --engine=tensorflow"
        )
    if engine == "auto":
        engine = "litert" if possible and not machine.has_gpu() else "tensorflow"
    if engine == "tensorflow":
        need_tensorflow(name)
    return engine


def open_runner(source, precision: str = "float32", engine: str = "tensorflow") -> Runner:
    """Make ready whatever the package makes or imports.

    Args:
        source: a `Runner`, as it is; a generator; what `weights.load` takes; a SavedModel folder (signature
            `serving_default` of uint8 RGB, or `float` of RGB in [0, 1], both ways, [n, h, w, 3]); a .tflite file
            (float in [0, 1], or quantised; any size or a fixed one, which is then run tile by tile).
        precision: one of `choices.PRECISIONS`, for generators; exported models have their own.
        engine: one of `choices.ENGINES`, for shipped weights. "auto": LiteRT on CPUs, TensorFlow on a GPU.

    Raises:
        ValueError: the engine does not run this. WeightsError: nothing of the kind is there, or it is damaged or of
            another shape; names the file.
    """
    if isinstance(source, Runner):
        return source
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.suffix == ".tflite":
            return _open_lite(path, precision)
        if choose_engine(source, precision, engine) == "litert":
            return _open_lite(weights.shipped_file(str(source), ".tflite"), precision)
        if (path / "saved_model.pb").exists():
            from srgan_tf.inference.saved_models import SavedModelRunner

            return SavedModelRunner(path)
    from srgan_tf.inference.generators import GeneratorRunner

    return GeneratorRunner.open(source, precision)


def _open_lite(path: Path, precision: str) -> Runner:
    from srgan_tf.inference import facts
    from srgan_tf.inference.lite_engine import EngineRunner
    from srgan_tf.inference.litert import LiteRTRunner

    told = facts.of_lite(path) if path.is_file() else None
    return EngineRunner.open(path, precision) if told and told.kind == "engine" else LiteRTRunner(path)


def open_blend(first, second, amount: float, precision: str = "auto", engine: str = "auto") -> Runner:
    """As `open_runner`, of the blend of two weights of one architecture (`weights.blend`).

    Args:
        first, second: what `weights.load` takes.
        amount: share of the second, 0 to 1.

    Raises:
        WeightsError: as of `weights.blend` and `open_runner`.
    """
    engines = {choose_engine(source, precision, engine) for source in (first, second)}
    if engines == {"litert"} and all(map(weights.is_shipped, (first, second))):
        from srgan_tf.inference.lite_engine import EngineRunner

        contents = [weights.shipped_file(str(source), ".tflite").read_bytes() for source in (first, second)]
        return EngineRunner(contents[0], f"{first} and {second}", precision, contents[1], amount)
    return open_runner(weights.blend(weights.load(first), weights.load(second), amount), precision)


def named(runner: Runner, name: str) -> Runner:
    """The same under another name."""
    other = copy.copy(runner)
    other.name = name
    return other


def probe_scale(run, source, size: tuple[int, int] = (PROBE, PROBE)) -> int:
    """What a model's SR of a black picture tells.

    Args:
        run: a function of uint8 LR.
        source: for errors.
        size: of the picture.

    Raises:
        WeightsError: it does not run, or what it makes is no enlarged picture.
    """
    try:
        made = np.shape(run(np.zeros((1, *size, 3), np.uint8)))
    except Exception as error:  # whatever a foreign model leads to
        asked = f"{size[0]}x{size[1]}"
        raise WeightsError(f"{source}: does not run on a picture of {asked} px ({first_line(error)})") from None
    scale = made[1] // size[0] if len(made) == 4 else 0
    if not scale or made != (1, scale * size[0], scale * size[1], 3):
        raise WeightsError(
            f"{source}: no super-resolution model: of a picture [1, {size[0]}, {size[1]}, 3] it makes {list(made)}"
        )
    return scale


def measure_context(run, scale: int) -> int:
    """The receptive field of a model that does not tell it: beyond how many LR pixels change nothing, by trial."""
    side, rng = 2 * _FURTHEST + 1, np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 1, side, side, 3), np.uint8)
    middle = slice(scale * (_FURTHEST - 2), scale * (_FURTHEST + 3))
    wanted = run(one)[:, middle, middle]
    low, high = 0, _FURTHEST
    while high - low > 2:
        reach = (low + high) // 2
        around, inner = other.copy(), slice(_FURTHEST - 2 - reach, _FURTHEST + 3 + reach)
        around[:, inner, inner] = one[:, inner, inner]
        same = np.array_equal(run(around)[:, middle, middle], wanted)
        low, high = (low, reach) if same else (reach, high)
    return high


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
