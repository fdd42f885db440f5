"""Other projects' models as engine files, kept in the cache: LiteRT runs them without TensorFlow.

`export.converted` makes them, once per file.
"""

import hashlib
from pathlib import Path

from srgan_tf import machine
from srgan_tf.errors import WeightsError
from srgan_tf.io import files
from srgan_tf.models import published

_FORM = 1  # of converted files; raised whenever conversion changes


def path_of(source) -> Path | None:
    """Return where the engine file of a source belongs, by the source's SHA-256; None if it is never converted.

    Raises:
        WeightsError: the source cannot be read.
    """
    if published.is_published(source):
        digest = published.MODELS[str(source)].sha256
    elif isinstance(source, (str, Path)) and _is_foreign(Path(source)):
        digest = _digest(Path(source))
    else:
        return None
    return machine.cache_folder() / "engines" / f"{digest[:32]}-{_FORM}.tflite"


def find(source) -> Path | None:
    """Return the engine file of a source, if it was converted."""
    path = path_of(source)
    return path if path and path.exists() else None


def _is_foreign(path: Path) -> bool:
    if not path.is_file():  # shipped weights do not wait for the readers of others
        return False
    from srgan_tf.models.foreign import SUFFIXES

    return path.suffix in SUFFIXES


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; of an ncnn model's two files, that of theirs."""
    parts = [path, path.with_suffix(".bin")] if path.suffix == ".param" else [path]
    try:
        digests = [files.sha256(part) for part in parts]
    except OSError as error:
        raise WeightsError(f"{error.filename}: cannot read it ({error.strerror})") from None
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
