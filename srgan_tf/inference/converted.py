"""Other projects' models as engine files, kept in the cache: LiteRT runs them without TensorFlow.

`export.converted` makes them, once per file.
"""

import functools
import hashlib
from pathlib import Path

from srgan_tf import machine
from srgan_tf.errors import WeightsError
from srgan_tf.io import files
from srgan_tf.models import published

_FORM = 1  # of converted files; raised whenever conversion changes


def path_of(source, *partner) -> Path | None:
    """Return where the engine file of a source belongs, by the source's SHA-256; None if it is never converted.

    Args:
        partner: another source, to blend with: their two files share what conversion changes (`tflite.equalise`), so
            that each pair has files of its own. One that is never converted does not count.

    Raises:
        WeightsError: a source cannot be read.
    """
    first, *others = map(_digest, (source, *partner))
    name = "-".join(digest[:32] for digest in (first, *others) if digest)
    return machine.cache_folder() / "engines" / f"{name}-{_FORM}.tflite" if first else None


def find(source, *partner) -> Path | None:
    """Return the engine file of a source, if it was converted, with this partner."""
    path = path_of(source, *partner)
    return path if path and path.exists() else None


def _digest(source) -> str:
    """Return the SHA-256 of a file; of an ncnn model's two files, that of theirs; "" of what is never converted."""
    if published.is_published(source):
        return published.MODELS[str(source)].sha256
    if not isinstance(source, (str, Path)) or not (path := Path(source)).is_file():
        return ""
    from srgan_tf.models.foreign import SUFFIXES  # shipped weights do not wait for the readers of others

    if path.suffix.lower() not in SUFFIXES:
        return ""
    parts = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".param" else [path]
    try:
        digests = [_sha256(part, part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    except OSError as error:
        raise WeightsError(f"{error.filename}: cannot read it ({error.strerror})") from None
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


@functools.cache
def _sha256(path: Path, size: int, time: int) -> str:
    """Return a file's SHA-256, read once as long as size and time stay: a pair asks for it 18 times per run."""
    return files.sha256(path)
