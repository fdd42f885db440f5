"""Upscale pictures by a model behind TensorFlow Serving (deploy/serving has the server).

srgan-tf client photo.jpg                       makes upscaled/photo_x4.jpg
srgan-tf client holiday --server=gpu-box:8500   folders; resumes where it stopped

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

import os
from contextlib import ExitStack

from srgan_tf.cli import Program, batch, fail, import_tensorflow
from srgan_tf.errors import need


def define(flag) -> None:
    batch.define(flag)
    flag.string("server", "localhost:8500", "host:port of the server's gRPC endpoint")
    about = "model name on the server; two, separated by a comma, for clean and for degraded pictures"
    flag.string("model", "srgan", about)
    flag.string("label", "stable", "version label; --label= takes the newest version")
    flag.integer("context", None, "receptive field in LR pixels (default: measured)", lower_bound=0)
    flag.integer("tile", 512, "LR pixels per side of the largest request; larger pictures are tiled", lower_bound=1)
    flag.integer("concurrency", 4, "concurrent requests and pictures", lower_bound=1)
    flag.float("deadline", 120.0, "seconds per request", lower_bound=0.001)
    about = "seconds to keep retrying while the server is unavailable, busy or slow"
    flag.float("patience", 300.0, about, lower_bound=0)
    flag.integer("max_message", 64, "MiB of the largest response", lower_bound=1, upper_bound=2047)


def main(flags, arguments: list[str]) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # leave the GPU to a server on this machine
    batch.begin(flags, arguments)
    if flags.server.startswith(("http://", "https://")) or ":" not in flags.server:
        fail(f"--server={flags.server}: give host:port of the server's gRPC endpoint, such as localhost:8500", 2)
    need("tensorflow", "srgan-tf client", "serving")
    import_tensorflow()
    try:
        from srgan_tf.inference import serving, upscaling
    except ImportError as error:
        fail(f"{error}; pip install 'srgan_tf[serving]'")
    models = batch.one_or_two(flags, "model")
    names = ("server", "label", "context", "tile", "concurrency", "deadline", "patience")
    options = {name: flags[name].value for name in names} | {"message": flags.max_message << 20}
    with ExitStack() as stack:
        remote = [serving.ServingRunner(model=model, **options) for model in models]
        for one in remote:
            stack.callback(one.close)
        model = tuple(remote) if len(remote) == 2 else remote[0]
        upscaler = upscaling.Upscaler(model, **batch.options(flags))
        made_by = {"model": ",".join(models), "label": flags.label}
        batch.run_all(flags, arguments, upscaler, made_by, flags.concurrency, lambda: [one.close() for one in remote])


command = Program(main, define, __doc__)
