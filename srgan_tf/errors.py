"""User-correctable errors: one line naming the problem and the fix."""

import importlib.util


class ImageError(ValueError):
    """Raised when a picture file cannot be read or written."""


class WeightsError(ValueError):
    """Raised when weights or a model cannot be used."""


class BenchmarkError(ValueError):
    """Raised when a benchmark is missing or its pictures do not pair up."""


class ExportError(ValueError):
    """Raised when an export fails or misses its quality threshold."""


class ModelError(RuntimeError):
    """Raised when a remote model returns no usable response."""


class GpuError(RuntimeError):
    """Raised when no graphics processor runs the model."""


class TrainingError(RuntimeError):
    """Raised when a training run cannot continue."""


class StrategyError(RuntimeError):
    """Raised when devices or workers cannot be used as asked, or are lost."""


class MissingError(ImportError, RuntimeError):
    """Raised when an optional package is not installed."""


def need(package: str, what: str, extra: str) -> None:
    """Raise MissingError, naming the extra to install, if a package is not installed. Imports nothing."""
    if importlib.util.find_spec(package) is None:
        name = {"tensorflow": "TensorFlow", "ray": "Ray"}.get(package, package)
        raise MissingError(f"{what} needs {name}, which is not installed: pip install 'srgan_tf[{extra}]'")


def need_tensorflow(what: str) -> None:
    """Raise MissingError if TensorFlow is not installed. Does not import it."""
    need("tensorflow", what, "train")


class SettingsError(ImportError, RuntimeError):
    """Raised when a global Keras setting is unsupported."""
