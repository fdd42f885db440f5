"""Print how fast and how true the upscaler is: `python benchmarks/upscaling.py [WEIGHTS] [SIDE ...]`.

Times: the model alone on SIDE x SIDE pictures (128 and 256 px by default) against the plain Keras call
`generator(lr)` and the same compiled by `tf.function`; all in turn, medians, so that what else the machine does hits
all alike. Set5 (in $SRGAN_TF_DATA): levels and dB between the precisions, scores with and without back-projection.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from srgan_tf import Upscaler, load
from srgan_tf.data.benchmarks import find_benchmark
from srgan_tf.data.levels import to_uint8
from srgan_tf.evaluation import lpips, metrics
from srgan_tf.inference.fast import FastGraph

ROUNDS = 9


def medians(functions: dict, lr) -> dict:
    """Seconds a call of each; the calls of the first round, which compile, do not count."""
    taken = {name: [] for name in functions}
    for _ in range(ROUNDS + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            np.asarray(function(lr))
            taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(times[1:])) for name, times in taken.items()}


def speed(generator, sides: list[int]) -> None:
    compiled = tf.function(lambda lr: generator(lr, training=False), [tf.TensorSpec([1, None, None, 3])])
    functions = {"Keras call": lambda lr: generator(lr, training=False), "tf.function": compiled}
    functions |= {dtype.name: FastGraph(generator, dtype) for dtype in (tf.float32, tf.bfloat16)}
    print("| LR | " + " | ".join(functions) + " | float32 | bfloat16 |\n|---" + "|--:" * 6 + "|")
    for side in sides:
        lr = tf.constant(np.random.default_rng(0).random((1, side, side, 3), np.float32))
        seconds = medians(functions, lr)
        gains = [f"{seconds['Keras call'] / seconds[name]:.2f}x" for name in ("float32", "bfloat16")]
        print("| " + " | ".join([f"{side} px", *(f"{s:.3f} s" for s in seconds.values()), *gains]) + " |", flush=True)


def psnr(a, b) -> float:
    return float(-10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2))


def fidelity(generator) -> None:
    pairs = [picture.read() for picture in find_benchmark("Set5", generator.scale)]

    def made(**options):
        upscaler = Upscaler(generator, **options)
        return [upscaler(lr[0])[None] for _, lr in pairs]

    def scores(made):
        scored = [(metrics.psnr(hr, sr), lpips.distance(hr, sr)) for (hr, _), sr in zip(pairs, made, strict=True)]
        return "{:.3f} dB, LPIPS {:.4f}".format(*np.mean(scored, 0).ravel())

    full, half = made(precision="float32"), made(precision="bfloat16")
    keras = [np.asarray(to_uint8(generator(lr / np.float32(255), training=False))) for _, lr in pairs]
    own = made(precision="float32", back_projection="none")
    for name, one, other in (("float32 to Keras", own, keras), ("bfloat16 to float32", half, full)):
        worst = max(np.abs(a.astype(int) - b).max() for a, b in zip(one, other))
        print(f"{name}: {worst} levels at most, {min(map(psnr, one, other)):.1f} dB at least")
    for name, result in (("float32", full), ("bfloat16", half), ("float32, no back-projection", own)):
        print(f"Set5, {name}: {scores(result)}")


if __name__ == "__main__":
    from srgan_tf import machine

    machine.keep_memory()
    generator = load(sys.argv[1] if len(sys.argv) > 1 else "srresnet")
    speed(generator, [int(side) for side in sys.argv[2:]] or [128, 256])
    fidelity(generator)
