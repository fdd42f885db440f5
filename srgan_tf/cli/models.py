"""List the models that --weights takes by name: scale, size, licence, and whether their file is here.

srgan-tf models                    prints a table; downloads nothing

Published models are downloaded from their official release on first use, and checked by SHA-256.
"""

import json

from srgan_tf.cli import Program, fail


def define(flag) -> None:
    pass


def main(flags, arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; models takes none", 2)
    from srgan_tf.models import published

    rows = [("NAME", "SCALE", "SIZE", "LICENCE", "FILE"), *shipped()]
    for name, model in published.MODELS.items():
        rows.append((name, f"x{model.scale}", f"{model.size / 1e6:.1f} MB", model.licence, place_of(name)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(f"\nCache: {published.cached(next(iter(published.MODELS))).parent}")


def place_of(name: str) -> str:
    """Return where a published model's file is."""
    from srgan_tf.models import published

    path = published.cached(name)
    if not path.exists():
        return published.MODELS[name].url
    return "in the cache" if published.is_intact(name) else f"damaged: delete {path}"


def shipped() -> list[tuple[str, ...]]:
    """Return a row per model of the package."""
    import numpy as np

    from srgan_tf.models import weights

    rows = []
    for name in weights.shipped():
        path = weights.PRETRAINED / f"{name}.npz"
        try:
            with np.load(path) as file:
                scale = json.loads(str(file["config"]))["scale"]
            size = path.stat().st_size
        except (OSError, ValueError, KeyError) as error:
            fail(f"{path}: missing or damaged ({error}); reinstall srgan_tf")
        rows.append((name, f"x{scale}", f"{size / 1e6:.1f} MB", "Apache-2.0", "in the package"))
    return rows


command = Program(main, define, __doc__)
