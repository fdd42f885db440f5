"""Upscale pictures of any size, kind and number.

python upscale.py photo.jpg                        makes upscaled/photo_x4.jpg
python upscale.py holiday "scans/*.tif" --output=big   whole folders and patterns; goes on where it was stopped
python upscale.py - < small.png > large.png        standard input to standard output

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

from absl import flags, logging

from srgan_tf.cli import batch, run

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(batch)
flags.DEFINE_string("weights", "srgan", "a shipped name, a training run, .npz, .keras, .tflite, SavedModel folder")
flags.DEFINE_string("blend", None, "second weights of one architecture with the first, to mix into them")
flags.DEFINE_float("blend_amount", 0.5, "share of the second weights, 0 to 1", lower_bound=0, upper_bound=1)
flags.DEFINE_enum("precision", "auto", ["auto", "float32", "bfloat16"], "auto: bfloat16 where it is fast, and near")
flags.DEFINE_float("memory", 1.0, "GiB for the tiles in work; TensorFlow itself comes on top", lower_bound=0)


def main(arguments: list[str]) -> None:
    batch.begin(arguments)
    from srgan_tf import compat

    compat.keep_memory()
    model = FLAGS.weights
    if FLAGS.blend:
        from srgan_tf.models import weights

        model = weights.blend(weights.load(FLAGS.weights), weights.load(FLAGS.blend), FLAGS.blend_amount)
    upscaler = batch.upscaler_of(model, precision=FLAGS.precision, memory=int(FLAGS.memory * 2**30))
    if FLAGS.verbose:
        logging.info("%s, %d px of context", upscaler.precision, upscaler.context)
    batch.run_all(arguments, upscaler)


def command() -> None:
    run(main, __doc__)
