"""Pack a folder of pictures into TFRecord shards, which train.py takes as --data. Run again, it goes on.

python -m srgan_tf.cli.shards DIV2K_train_HR --output=shards
"""

from absl import flags

from srgan_tf.cli import fail, import_tensorflow, run

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "shards", "folder of the shards")
flags.DEFINE_float("megabytes", 256, "size of a shard", lower_bound=0.001)
flags.DEFINE_integer("smallest", 96, "least height and width of a picture, pixels")
flags.DEFINE_integer("workers", None, "shards written at a time (default: as many as there are processors)")


def main(arguments: list[str]) -> None:
    if not arguments:
        fail("name the folder of pictures: python -m srgan_tf.cli.shards FOLDER", 2)
    import_tensorflow()
    from srgan_tf.data import shards

    records = shards.make(arguments, FLAGS.output, FLAGS.megabytes, FLAGS.smallest, FLAGS.workers)
    count = len({record.shard for record in records})
    print(f"{len(records)} pictures in {count} shards, read back and whole; train with --data={FLAGS.output}")


def command() -> None:
    run(main, __doc__)


if __name__ == "__main__":
    command()
