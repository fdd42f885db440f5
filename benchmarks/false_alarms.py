"""Clean photographs that `--weights=auto` takes for degraded ones.

    python benchmarks/false_alarms.py FOLDER

FOLDER holds photographs, which are shrunk to a quarter by MATLAB's bicubic and by area. Prints how many of them would
get a share of the model for degraded pictures, and what was found in each.
"""

import sys

from degradations import SCALE, area, bicubic

from srgan_tf.inference.condition import analyze
from srgan_tf.inference.upscaling import suitable_share
from srgan_tf.io import files, images


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/false_alarms.py FOLDER")
    photographs = files.find(sys.argv[1])
    for name, shrink in (("bicubic", bicubic), ("area", area)):
        alarms = []
        for path in photographs:
            hr = images.read(path)
            height, width = (side // SCALE * SCALE for side in hr.shape[:2])
            condition = analyze(shrink(hr[:height, :width]))
            if suitable_share(condition):
                alarms.append(f"{path}: {condition} → {suitable_share(condition):.0%}")
        print(f"{name}: {len(alarms)} of {len(photographs)}", *alarms, sep="\n  ")


if __name__ == "__main__":
    main()
