"""The package itself: `Upscaler`'s network tile by tile, and `SRGAN`'s training step."""

import importlib.metadata
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from worker import serve

import srgan_tf
from srgan_tf import machine
from srgan_tf.io import images

VERSIONS = {name: importlib.metadata.version(name) for name in ("tensorflow", "ai-edge-litert")}


def upscale(job):
    options = {"precision": job["precision"], "engine": job["engine"], "back_projection": "none"}
    upscaler = srgan_tf.Upscaler(job["weights"], **options)
    lr = np.rint(np.load(job["lr"])[0] * 255).astype(np.uint8)
    return lambda: upscaler(lr)[None] / 127.5 - 1


def stream(job):
    """A picture file of any size, whose rows are let go as they are made."""
    upscaler = srgan_tf.Upscaler(job["weights"])
    return lambda: sum(len(rows) for rows in upscaler.rows(images.load(job["lr"]).pixels)) and None


def train(job):
    import keras

    from srgan_tf import compat
    from srgan_tf.models import vgg

    compat.set_precision(job["precision"])
    discriminator = network = None
    if job["task"] == "srgan":
        arrays, rng, before = {}, np.random.default_rng(0), 3
        for group, (filters, depth) in enumerate(zip((64, 128, 256, 512, 512), vgg.DEPTHS["vgg19"]), 1):
            for n in range(1, depth + 1):
                arrays[f"conv{group}_{n}/kernel"] = rng.normal(0, (9 * before) ** -0.5, (3, 3, before, filters))
                arrays[f"conv{group}_{n}/bias"], before = np.zeros(filters), filters
        network = vgg.FeatureNetwork("vgg19", (5, 4), arrays)
        discriminator = srgan_tf.Discriminator()
    model = srgan_tf.SRGAN(srgan_tf.Generator(), discriminator, network)
    updates = job.get("updates", "alternating")
    model.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4), updates=updates)
    return steps(model, np.load(job["hr"]))


def steps(model, *batch):
    """A function that trains one step on the batch."""
    import tensorflow as tf

    batches = iter(tf.data.Dataset.from_tensors(batch if len(batch) > 1 else batch[0]).repeat())
    model.make_train_function()
    return lambda: float(model.train_function(batches)["loss"]) and None


if __name__ == "__main__":
    machine.keep_memory()
    tasks = {"upscale": upscale, "stream": stream}
    serve(lambda job: tasks.get(job["task"], train)(job), VERSIONS)
