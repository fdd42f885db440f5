"""Upscale pictures by a model behind TensorFlow Serving (deploy/serving has the server).

srgan-tf client photo.jpg                       makes upscaled/photo_x4.jpg
srgan-tf client holiday --server=gpu-box:8500   whole folders; goes on where it was stopped

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

import os

from srgan_tf.cli import Program, batch, fail, import_tensorflow


def define(flag) -> None:
    batch.define(flag)
    flag.string("server", "localhost:8500", "host:port of the server's gRPC endpoint")
    flag.string("model", "srgan", "name of the model there")
    flag.string("label", "stable", "of the version wanted; --label= takes the newest")
    flag.integer("context", None, "receptive field of the model, LR pixels (default: measured)", lower_bound=0)
    flag.integer("tile", 512, "LR pixels a side of the largest request; larger pictures go in tiles", lower_bound=1)
    flag.integer("concurrency", 4, "requests, and pictures, in work at once", lower_bound=1)
    flag.float("deadline", 120.0, "seconds for one answer", lower_bound=0.001)
    flag.float("patience", 300.0, "seconds to try again where the server is away, busy or slow", lower_bound=0)
    flag.integer("max_message", 64, "MiB of the largest answer", lower_bound=1, upper_bound=2047)


def main(flags, arguments: list[str]) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the server's, where they share a machine
    batch.begin(flags, arguments)
    import_tensorflow()
    try:
        from srgan_tf.inference import serving
    except ImportError as error:
        fail(f"{error}; pip install 'srgan_tf[serving]'")
    names = ("server", "model", "label", "context", "tile", "concurrency", "deadline", "patience")
    remote = serving.ServingRunner(**{name: flags[name].value for name in names}, message=flags.max_message << 20)
    try:
        made_by = {name: flags[name].value for name in ("model", "label")}
        batch.run_all(flags, arguments, batch.upscaler_of(flags, remote), made_by, flags.concurrency, remote.close)
    finally:
        remote.close()


command = Program(main, define, __doc__)
