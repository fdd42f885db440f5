"""Upscale pictures of any size, kind and number.

srgan-tf upscale photo.jpg                            makes upscaled/photo_x4.jpg
srgan-tf upscale holiday "scans/*.tif" --output=big   whole folders and patterns; goes on where it was stopped
srgan-tf upscale - < small.png > large.png            standard input to standard output

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

from absl import logging

from srgan_tf import choices
from srgan_tf.cli import Program, batch


def define(flag) -> None:
    batch.define(flag)
    flag.string("weights", "srgan", "a shipped name, a training run, .npz, .keras, .tflite, SavedModel folder")
    flag.string("blend", None, "second weights of one architecture with the first, to mix into them")
    flag.float("blend_amount", 0.5, "share of the second weights, 0 to 1", lower_bound=0, upper_bound=1)
    flag.enum("precision", "auto", choices.PRECISIONS, "auto: bfloat16 where it is fast, and near")
    flag.float("memory", 1.0, "GiB for the tiles in work; TensorFlow itself comes on top", lower_bound=0)


def main(flags, arguments: list[str]) -> None:
    batch.begin(flags, arguments)
    from srgan_tf import machine

    machine.keep_memory()
    from srgan_tf.models import weights

    model, made_by = flags.weights, {"weights": weights.identity(flags.weights)}
    if flags.blend:
        made_by |= {"blend": weights.identity(flags.blend), "blend_amount": flags.blend_amount}
        model = weights.blend(weights.load(flags.weights), weights.load(flags.blend), flags.blend_amount)
    upscaler = batch.upscaler_of(flags, model, precision=flags.precision, memory=int(flags.memory * 2**30))
    if flags.verbose:
        logging.info("%s, %d px of context", upscaler.precision, upscaler.context)
    batch.run_all(flags, arguments, upscaler, made_by | {"precision": flags.precision})


command = Program(main, define, __doc__)
