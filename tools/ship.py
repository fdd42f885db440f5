"""A run's generator → srgan_tf/pretrained: `python -m tools.ship runs/mine srresnet`, after its card and scores.

In half precision, with the paper's batch norms (which do nothing where a run had none), and its SHA-256 beside the
others'.
"""

import hashlib
import sys

from srgan_tf.models import weights

if __name__ == "__main__":
    run, name = sys.argv[1:]
    generator = weights.load(run)
    if generator.norms():
        generator = generator.with_batch_norm()
    path = weights.PRETRAINED / f"{name}.npz"
    weights.save_weights(generator, path, "float16")
    weights.write_checksums(weights.checksums() | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()})
    print(path, path.stat().st_size, "bytes; now python -m tools.engines")
