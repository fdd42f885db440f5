"""Errors that a user can mend: each message is one line that names the file or flag and the mend."""

import importlib.util


class ImageError(ValueError):
    """A file that cannot be used as a picture; the message names it."""


class WeightsError(ValueError):
    """Weights or a model that cannot be used; the message names the file and the mend."""


class BenchmarkError(ValueError):
    """A benchmark that is missing or whose pictures do not pair up; the message names what."""


class ExportError(ValueError):
    """What cannot be exported, written, or is worse than it may be; the message names it and the mend."""


class ModelError(RuntimeError):
    """A model elsewhere gave no answer that can be used; the message says what to do about it."""


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why and what to do."""


class StrategyError(RuntimeError):
    """Devices or workers that cannot be used as asked, or are gone; the message says what to do."""


class MissingError(ImportError, RuntimeError):
    """A package that is not installed; the message names what needs it and the extra to install."""


def need(package: str, what: str, extra: str) -> None:
    """Raise MissingError where a package is not installed, naming the extra of ours that brings it. Imports nothing."""
    if importlib.util.find_spec(package) is None:
        name = {"tensorflow": "TensorFlow", "ray": "Ray"}.get(package, package)
        raise MissingError(f"{what} needs {name}, which is not installed: pip install 'srgan_tf[{extra}]'")


def need_tensorflow(what: str) -> None:
    """Raise MissingError where TensorFlow is not installed. Does not import it."""
    need("tensorflow", what, "train")


class SettingsError(ImportError, RuntimeError):
    """A global setting of Keras that this package cannot work with; the message names it and the mend."""
