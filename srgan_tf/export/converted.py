"""Convert another project's model to an engine file of the cache, once."""

from pathlib import Path

from srgan_tf import streams
from srgan_tf.errors import ExportError
from srgan_tf.export import parity, tflite
from srgan_tf.inference import converted
from srgan_tf.io import files
from srgan_tf.models import weights


def convert(source) -> Path:
    """Write the engine file that `inference.converted.find` returns, compared with its generator.

    Raises:
        WeightsError: the source cannot be read. ExportError: the file misses its threshold, or cannot be written.
    """
    generator, name, path = weights.load(source), Path(str(source)).stem, converted.path_of(source)
    assert path is not None, f"{source} is never converted"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with streams.silence(), files.write_aside(path) as temporary:  # the converter and LiteRT log to stderr
            Path(temporary).write_bytes(tflite.convert(generator, "engine", None, name))
            parity.Reference(generator, ("heldout",)).check(temporary, "engine", str(source))
    except OSError as error:
        raise ExportError(f"{path}: cannot write it ({files.reason(error)}); free the disk or folder") from None
    return path
