"""The shipped weights as files for the LiteRT engine: `python -m tools.engines`, after `tools.ship` (two minutes).

Those of one architecture are made together, so that they blend weight by weight. Each is checked against Keras and
notes the SHA-256 of the .npz that it was made from; SHA256SUMS gets its own.
"""

import hashlib
from pathlib import Path

from srgan_tf.export import tflite
from srgan_tf.export.parity import Reference
from srgan_tf.io.files import write_aside
from srgan_tf.models import weights

if __name__ == "__main__":
    generators = {name: weights.load(name) for name in weights.shipped()}
    sums = weights.checksums()
    for name, generator in generators.items():
        family = [one for other, one in generators.items() if other != name and weights.blendable(one, generator)]
        path = weights.PRETRAINED / f"{name}.tflite"
        with write_aside(path) as temporary:
            made = tflite.convert(generator, "engine", None, name, tuple(family), sums[f"{name}.npz"])
            Path(temporary).write_bytes(made)
            row = Reference(generator).check(temporary, "engine", path.name)
        sums[path.name] = hashlib.sha256(made).hexdigest()
        print(path.name, row.size, "bytes,", row.largest, f"of 255 and {row.psnr:.1f} dB from Keras")
    weights.write_checksums(sums)
