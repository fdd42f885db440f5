"""What half precision on a graphics processor would change: `python benchmarks/half.py [SIDE [NAME ...]]`.

Emulated, for machines without such a processor: the shipped engine files' form of each network on the four held-out
photographs, SIDE LR px (64) a side, with all tensors rounded to float16. Convolutions add up in float32, or in float16
as well, four channels of a tap at a time. Compared with float32: the largest difference of 255, and the least dB of a
picture.
"""

import sys

import numpy as np
import tensorflow as tf

from srgan_tf.data.bundled import photographs
from srgan_tf.data.levels import to_levels
from srgan_tf.evaluation.tables import markdown
from srgan_tf.export import tflite
from srgan_tf.models import weights


def rounded(x, name=""):
    return tf.cast(tf.cast(x, tf.float16), tf.float32)


class HalfOps(tflite.ExportOps):
    """Add up in float16: four channels of a tap of the kernel after the other."""

    def _conv(self, x, name, sign=1, relu=False):
        arrays, half = self.arrays, tf.float16
        total = self._summed(x, arrays[f"{name}/kernel"])
        if f"{name}/outliers" in arrays:
            chosen = rounded(tf.nn.conv2d(x, arrays[f"{name}/chosen"], 1, "SAME"))
            total += self._summed(chosen, arrays[f"{name}/outliers"])
        y = sign * tf.cast(total + tf.cast(arrays[f"{name}/bias"], half), tf.float32)
        return tf.nn.relu(y) if relu else y

    def _summed(self, x, kernel):
        height, width, channels, _ = kernel.shape
        pad = [[0, 0], [height // 2] * 2, [width // 2] * 2, [0, 0]]
        x, kernel = tf.pad(x, pad), rounded(kernel)
        rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
        total = tf.zeros([], tf.float16)
        for i in range(height):
            for j in range(width):
                seen = x[:, i : i + rows, j : j + columns]
                for c in range(0, channels, 4):
                    part = tf.tensordot(seen[..., c : c + 4], kernel[i, j, c : c + 4], 1)
                    total += tf.cast(part, tf.float16)
        return total


def network_of(name: str) -> tflite.Exported:
    network = tflite.Exported(weights.load(name), False, True)
    tflite.equalise([network], "engine")
    tflite.split_outliers([network.arrays])
    return network


def rows(side: int, names: list[str]):
    exact = tflite.ExportOps
    for name in names or weights.shipped():
        network, cells = network_of(name), []
        for ops in (exact, HalfOps):
            apart = []
            for lr in photographs("heldout", network.generator.scale, side):
                tflite.ExportOps = exact
                wanted = to_levels(network(lr)["sr"].numpy()).astype(int)
                tflite.ExportOps = ops
                apart.append(to_levels(network(rounded(lr), rounded)["sr"].numpy().clip(0, 1)) - wanted)
            tflite.ExportOps = exact
            decibels = min(10 * np.log10(255**2 / np.square(one).mean()) for one in apart)
            cells += [str(max(np.abs(one).max() for one in apart)), f"{decibels:.1f}"]
            print(name, ops.__name__, *cells[-2:], file=sys.stderr, flush=True)
        yield [name, *cells]


if __name__ == "__main__":
    side, *names = sys.argv[1:] or ["64"]
    found = list(rows(int(side), names))
    print(markdown(["Weights", "Largest", "dB", "Largest, sums too", "dB, sums too"], *found))
