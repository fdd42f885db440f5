"""Score super-resolution models on benchmarks, as the paper's table 2 does.

srgan-tf evaluate --weights=srresnet,srgan --benchmark=Set5,Set14 --output=runs/table
srgan-tf evaluate --weights=runs/mine --weights=mine.tflite --benchmark=~/photos --sheet --output=runs/mine-table
srgan-tf evaluate --weights=srresnet,srgan --plot --output=runs/blend

Prints PSNR and SSIM on Y, SSIM as the paper measures it, LPIPS, parameters, multiply-adds and seconds per picture of
nearest, bicubic and each model, beside the paper's own rows.

Layouts of a benchmark NAME, here for x4:
  NAME/*.png                                 HR alone (or in NAME/HR): LR is made by MATLAB's bicubic
  NAME/HR/a.png     NAME/LR_x4/a.png         folders; also HR_x4, GTmod12, original, and
                                             LR_bicubic/X4/ax4.png, LRbicx4, LR/x4, X4, LR
  NAME/a_HR.png     NAME/a_LR.png            endings, here or in NAME/image_SRF_4
  NAME/a.png        NAME/ax4.png             ending of LR alone
  NAME_HR/a.png     NAME_LR_bicubic/X4/ax4.png, NAME_LR_x4 or NAME_LR; as DIV2K_valid, DIV2K_valid_HR or DIV2K too
"""

import importlib.util
import os

from srgan_tf.choices import LPIPS_NETWORKS
from srgan_tf.cli import Program, command_line, fail, import_tensorflow


def define(flag) -> None:
    flag.multi_string(
        "weights",
        [],
        "models: names (`models` lists them), runs, .npz, .keras, .pth, SavedModel folders, .tflite, krasserm's .h5; "
        "separated by commas or repeated",
    )
    flag.multi_string(
        "benchmark", ["Set5"], "benchmarks in --data_dir, or folders of pictures; separated by commas or repeated"
    )
    flag.string("data_dir", None, "folder of benchmarks (default: $SRGAN_TF_DATA, or data)")
    flag.string("output", None, "folder for results.csv, results.json, results.md, sheets and plots")
    flag.integer("scale", 4, "scale of the benchmarks without --weights", lower_bound=2)
    flag.list("lpips", list(LPIPS_NETWORKS), "LPIPS networks, of alex and vgg (slow); empty for none")
    flag.bool("rgb", False, "also score PSNR and SSIM over RGB")
    flag.list("blend", [], "shares in [0, 1] of the second of two --weights to blend into the first")
    flag.bool("ensemble", False, "run models as eightfold self-ensembles, eight times slower")
    flag.bool("sheet", False, "write one comparison sheet per picture to --output")
    flag.bool("plot", False, "plot PSNR against LPIPS to --output, with the curve between two --weights")


def main(flags, arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; lists are separated by commas, without spaces", 2)
    if (flags.sheet or flags.plot) and not flags.output:
        fail("--sheet and --plot need --output", 2)
    if not _split(flags.benchmark):
        fail("no benchmark: give --benchmark=Set5, or a folder of pictures", 2)
    if unknown := [network for network in flags.lpips if network not in LPIPS_NETWORKS]:
        fail(f"--lpips knows {' and '.join(LPIPS_NETWORKS)}, not {unknown[0]!r}", 2)
    if flags.plot and "alex" not in flags.lpips:
        fail("--plot needs --lpips=alex", 2)
    if flags.plot and not importlib.util.find_spec("matplotlib"):
        fail("--plot needs matplotlib: pip install matplotlib", 2)
    try:
        blends = [float(amount) for amount in flags.blend]
    except ValueError:
        fail(f"--blend takes numbers in [0, 1], not {','.join(flags.blend)!r}", 2)
    import_tensorflow()
    from srgan_tf.evaluation.evaluate import evaluate

    folders = [folder and os.path.expanduser(folder) for folder in (flags.output, flags.data_dir)]
    scores = flags.scale, flags.lpips, flags.rgb, blends, flags.ensemble
    evaluate(_split(flags.weights), _split(flags.benchmark), *folders, *scores, flags.sheet, flags.plot, command_line())


def _split(values: list[str]) -> list[str]:
    """Join repeated and comma-separated values; expand ~, which shells leave after = and commas."""
    return [os.path.expanduser(part) for value in values for part in value.split(",") if part]


command = Program(main, define, __doc__)
