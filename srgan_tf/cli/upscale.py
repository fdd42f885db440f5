"""Upscale pictures of any size, kind and number.

srgan-tf upscale photo.jpg                            makes upscaled/photo_x4.jpg
srgan-tf upscale holiday "scans/*.tif" --output=big   whole folders and patterns; goes on where it was stopped
srgan-tf upscale - < small.png > large.png            standard input to standard output

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

from absl import logging

from srgan_tf import choices
from srgan_tf.cli import Program, batch, import_tensorflow, silence


def define(flag) -> None:
    batch.define(flag)
    flag.string("weights", "srgan", "a shipped name, a training run, .npz, .keras, .tflite, SavedModel folder")
    flag.string("blend", None, "second weights of one architecture with the first, to mix into them")
    flag.float("blend_amount", 0.5, "share of the second weights, 0 to 1", lower_bound=0, upper_bound=1)
    flag.enum("engine", "auto", choices.ENGINES, "what runs shipped weights; auto: LiteRT on CPUs, TensorFlow on a GPU")
    flag.enum("precision", "auto", choices.PRECISIONS, "auto: 8-bit weights or bfloat16 where fast; float32: exact")
    flag.float("memory", 0.625, "GiB for the tiles in work; the program itself comes on top", lower_bound=0)


def main(flags, arguments: list[str]) -> None:
    batch.begin(flags, arguments)
    from srgan_tf import machine

    machine.keep_memory()
    from srgan_tf.inference import runners
    from srgan_tf.models import weights

    sources = [flags.weights, *([flags.blend] if flags.blend else [])]
    engines = {runners.choose_engine(source, flags.precision, flags.engine) for source in sources}
    engine = " and ".join(sorted(engines))
    if "tensorflow" in engines:
        import_tensorflow()
    model, made_by = flags.weights, {"weights": weights.identity(flags.weights)}
    if flags.blend:
        made_by |= {"blend": weights.identity(flags.blend), "blend_amount": flags.blend_amount}
    with silence():  # LiteRT talks
        if flags.blend:
            model = runners.open_blend(*sources, flags.blend_amount, flags.precision, flags.engine)
        options = {"precision": flags.precision, "engine": flags.engine, "memory": int(flags.memory * 2**30)}
        upscaler = batch.upscaler_of(flags, model, **options)
    if flags.verbose:
        logging.info("%s, %s, %d px of context", engine, upscaler.precision, upscaler.context)
    batch.run_all(flags, arguments, upscaler, made_by | {"engine": engine, "precision": flags.precision})


command = Program(main, define, __doc__)
