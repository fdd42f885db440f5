"""Open a model of any kind as a `Runner`. Importing this needs no TensorFlow; running some kinds does."""

import struct
from pathlib import Path

from absl import logging

from srgan_tf import machine
from srgan_tf.choices import ENGINES, PRECISIONS
from srgan_tf.errors import GpuError, WeightsError, need_tensorflow
from srgan_tf.inference import converted, gpu_probe
from srgan_tf.inference.litert import EngineRunner, LiteRTRunner
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.runners import Runner, first_line
from srgan_tf.models import weights


def choose_engine(source, precision: str = "auto", engine: str = "auto", *partner) -> str:
    """Return the engine that would run a model, "litert", "gpu" or "tensorflow"; arguments as for `load_runner`.

    Raises:
        ValueError: the engine does not run it; names one that does. WeightsError: there is nothing of this name.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    name = str(source) if isinstance(source, (str, Path)) else type(source).__name__
    if name.endswith(".tflite"):
        if engine == "tensorflow":
            raise ValueError(f"{name}: a .tflite file runs by --engine=litert, not by TensorFlow")
        return "gpu" if engine == "gpu" else "litert"
    if isinstance(source, (str, Path)):
        weights.check_there(source)
    possible = precision != "bfloat16" and bool(weights.is_shipped(name) or converted.find(source, *partner))
    if engine in ("litert", "gpu") and not possible:
        raise ValueError(
            f"{name}: LiteRT runs shipped weights, converted models and .tflite files, not in bfloat16; export your "
            "own by `srgan-tf export --kinds=engine`, or use --engine=tensorflow"
        )
    if engine == "auto":
        engine = "tensorflow" if machine.has_gpu() or not possible else "gpu" if gpu_probe.pays() else "litert"
    if engine == "tensorflow":
        need_tensorflow(name)
    return engine


def load_runner(source, precision: str = "float32", engine: str = "tensorflow", *partner) -> Runner:
    """Open whatever the package makes or imports.

    Args:
        source: a `Runner`, returned as it is; a generator; what `weights.load` takes; a SavedModel folder
            (`SavedModelRunner`) or .tflite file (`LiteRTRunner`).
        precision: one of `choices.PRECISIONS`, for generators; exported models have their own.
        engine: one of `choices.ENGINES`, for shipped weights, converted models (`converted`) and .tflite files. "auto":
            TensorFlow on a GPU that it finds, else LiteRT, on another GPU if that pays (`gpu_probe.pays`).
        partner: the other of a pair of models, with which a converted one was converted.

    Raises:
        ValueError: the engine does not run this. WeightsError: the file is missing, damaged or of another shape.
    """
    if isinstance(source, Runner):
        return source
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.suffix == ".tflite":
            return _load_tflite(path, precision, engine == "gpu")
        if (chosen := choose_engine(source, precision, engine, *partner)) in ("litert", "gpu"):
            return _engine_file(chosen, engine, Path(str(source)).name, precision, _content(source, *partner))
        if (path / "saved_model.pb").exists():
            from srgan_tf.inference.saved_models import SavedModelRunner

            return SavedModelRunner(path)
    from srgan_tf.inference.generators import GeneratorRunner

    return GeneratorRunner.open(source, precision)


def _content(source, *partner) -> bytes:
    """Return the engine file of shipped weights, or of a converted model."""
    if weights.is_shipped(source):
        return weights.read_shipped(str(source), ".tflite")
    path = converted.path_of(source, *partner)
    content = path.read_bytes()
    if ModelInfo.from_tflite(content) is None:
        raise WeightsError(f"{path}: damaged; delete it to convert {source} again")
    return content


def _engine_file(
    chosen: str, engine: str, name: str, precision: str, content: bytes, other: bytes = b"", amount: float = 0
) -> Runner:
    if chosen == "gpu":
        try:
            return _on_gpu(content, name, ModelInfo.from_tflite(content), precision, other, amount, engine == "auto")
        except GpuError as error:
            if engine != "auto":
                raise
            logging.warning("continuing on the CPU: %s", str(error).removeprefix("--engine=gpu: ").partition("; ")[0])
    return EngineRunner(content, name, precision, other, amount)


def _on_gpu(*arguments) -> Runner:
    from srgan_tf.inference.gpu import GpuRunner

    runner = GpuRunner(*arguments)
    gpu_probe.forget()  # it works: "auto" may try again
    return runner


def _load_tflite(path: Path, precision: str, gpu: bool) -> Runner:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; make it with export.py") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot read it ({error.strerror})") from None
    info = ModelInfo.from_tflite(content)
    if info and info.kind == "engine" and not gpu:
        try:
            return EngineRunner(content, path.stem, precision)
        except (OSError, ValueError, RuntimeError, IndexError, AttributeError, TypeError, struct.error) as error:
            raise WeightsError(f"{path}: damaged engine file ({first_line(error)}); export it again") from None
    runner = LiteRTRunner(path, content, info)  # for the GPU, checks the file and measures what it does not declare
    return _on_gpu(content, path.stem, runner.info, precision) if gpu else runner


def load_blend(first, second, amount: float, precision: str = "auto", engine: str = "auto") -> Runner:
    """Open the blend of two weights of one architecture (`weights.blend`); see `load_runner`.

    Args:
        first, second: what `weights.load` takes.
        amount: share of the second, 0 to 1.

    Raises:
        WeightsError: they do not blend, or as for `load_runner`.
    """
    pairs = (first, second), (second, first)
    engines = {choose_engine(one, precision, engine, other) for one, other in pairs}
    made_as_pair = all(map(weights.is_shipped, pairs[0])) or all(converted.find(*pair) for pair in pairs)
    if engines in ({"litert"}, {"gpu"}) and made_as_pair:
        contents = [_content(*pair) for pair in pairs]
        return _engine_file(engines.pop(), engine, f"{first} and {second}", precision, *contents, amount)
    need_tensorflow(f"{first} and {second}: blending them")
    return load_runner(weights.blend(weights.load(first), weights.load(second), amount), precision)
