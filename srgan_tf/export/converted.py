"""Convert other projects' models to engine files of the cache, once."""

from pathlib import Path

from srgan_tf import terminal
from srgan_tf.errors import ExportError
from srgan_tf.export import parity, tflite
from srgan_tf.inference import converted
from srgan_tf.io import files
from srgan_tf.models import weights


def convert(source, *partner) -> None:
    """Write the engine file that `inference.converted.find` returns, compared with its generator.

    Args:
        partner: another source, whose file, made by another call, blends with this one if the architectures agree.

    Raises:
        WeightsError: a source cannot be read. ExportError: the file misses its threshold, or cannot be written.
    """
    generator, *others = map(weights.load, (source, *partner))
    path, family = converted.path_of(source, *partner), tuple(o for o in others if weights.blendable(generator, o))
    assert path is not None, f"{source} is never converted"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with terminal.silence(), files.write_aside(path) as temporary:  # the converter and LiteRT log to stderr
            Path(temporary).write_bytes(tflite.convert(generator, "engine", None, Path(str(source)).stem, family))
            parity.Reference(generator, ("heldout",)).check(temporary, "engine", str(source))
    except OSError as error:
        raise ExportError(f"{path}: cannot write it ({files.reason(error)}); free the disk or folder") from None
