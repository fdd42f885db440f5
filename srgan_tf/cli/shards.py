"""Pack a folder of pictures into TFRecord shards, which train.py takes as --data. Run again, it goes on.

srgan-tf shards DIV2K_train_HR --output=shards
"""

from srgan_tf.cli import Program, fail, import_tensorflow


def define(flag) -> None:
    flag.string("output", "shards", "folder of the shards")
    flag.float("megabytes", 256, "size of a shard", lower_bound=0.001)
    flag.integer("smallest", 96, "least height and width of a picture, pixels")
    flag.integer("workers", None, "shards written at a time (default: as many as there are processors)")


def main(flags, arguments: list[str]) -> None:
    if not arguments:
        fail("name the folder of pictures: srgan-tf shards FOLDER", 2)
    import_tensorflow()
    from srgan_tf.data import shards

    records = shards.make(arguments, flags.output, flags.megabytes, flags.smallest, flags.workers)
    count = len({record.shard for record in records})
    print(f"{len(records)} pictures in {count} shards, read back and whole; train with --data={flags.output}")


command = Program(main, define, __doc__)
