"""Rows of compare.py about the machine's limits, growth, cold starts and the data pipeline."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from contenders import HERE, Contender, row
from pipeline import rates

from srgan_tf.io.images import write

# Multiplications a LR pixel, by hand: 9x9 head, 16 blocks of two 3x3, the trunk's 3x3; then two 3x3 to 256 channels, at
# one and at four times the pixels, and the 9x9 to 3 at sixteen times.
BODY = 81 * 3 * 64 + 16 * 2 * 9 * 64 * 64 + 9 * 64 * 64
WHOLE = BODY + (1 + 4) * 9 * 64 * 256 + 16 * 81 * 64 * 3


def best(function, rounds: int = 7) -> float:
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def limit(wanted) -> list[dict]:
    import tensorflow as tf

    import srgan_tf
    from srgan_tf.inference.fast import FastGraph

    rows, side, size = [], 256, 4096
    generator, pixels = srgan_tf.load("srresnet"), side * side
    lr = tf.constant(np.random.default_rng(0).random((1, side, side, 3), np.float32))
    for short, dtype in (("f32", tf.float32), ("bf16", tf.bfloat16)):
        if not wanted(f"limit-{short}"):
            continue
        a, b = (tf.cast(tf.random.normal((size, size)), dtype) for _ in range(2))
        peak = size**3 / best(lambda a=a, b=b: tf.linalg.matmul(a, b))
        network = FastGraph(generator, dtype)
        body = BODY * pixels / best(lambda network=network: network.trunk(lr)) / peak
        whole = WHOLE * pixels / best(lambda network=network: network(lr)) / peak
        what = f"multiplications a second on {side}x{side}, of a {size}x{size} matrix product's ({peak / 1e9:.0f} G)"
        goal = "75 % in the body" if short == "f32" else "stated"
        measured = f"body {body:.0%}, whole {whole:.0%}"
        rows.append(row(f"limit-{short}", what, goal, measured, body >= 0.75 or short != "f32", peak=peak / 1e9))
    if wanted("limit-int8"):
        rows.append(limit_int8(generator))
    return rows


def limit_int8(generator) -> dict:
    import tensorflow as tf

    from srgan_tf.export import tflite
    from srgan_tf.inference.litert import interpreter

    def seconds(content: bytes) -> float:
        model = interpreter(content)
        model.allocate_tensors()
        return best(model.invoke)

    # The fastest of the convolutions tried: 1x1 of 128 to 576 channels reach 84 to 96 % of it, of 1024 half.
    side, channels = 128, 256
    kernel = np.random.default_rng(0).normal(0, 0.03, (3, 3, channels, channels)).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([1, side, side, channels], tf.float32)])
    def product(x):
        x = tf.quantization.fake_quant_with_min_max_args(x, -1, 1)
        return tf.quantization.fake_quant_with_min_max_args(tf.nn.conv2d(x, kernel, 1, "SAME"), -1, 1)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([product.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    peak = side**2 * kernel.size / seconds(converter.convert())
    whole = WHOLE * side**2 / seconds(tflite.convert(generator, "int8", side)) / peak
    shape = f"a 3x3 convolution's, {channels} to {channels}"
    what = f"multiplications a second on {side}x{side} in LiteRT, of {shape} ({peak / 1e9:.0f} G)"
    return row("limit-int8", what, "stated", f"whole {whole:.0%}", True)


def growth(wanted) -> list[dict]:
    rows = []
    if wanted("growth-size"):
        points = []
        with tempfile.TemporaryDirectory() as folder:
            for side in (64, 128, 256, 512, 1024, 2048, 4096):
                lr = Path(folder) / "lr.png"
                write(lr, np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))
                one = Contender(f"{side}", "in_srgan_tf", {"task": "stream", "lr": str(lr), "weights": "srresnet"})
                for number in range(2 if side < 1024 else 1):
                    one.go(counts=number > 0 or side >= 1024)
                one.end()
                points.append((side**2 / 1e6, one.seconds[-1], one.peak))
                print(f"  {side}: {one.seconds[-1]:.2f} s, {one.peak:.0f} MiB", flush=True)
        straight, slope = line([p[0] for p in points[1:]], [p[1] for p in points[1:]])
        grown = points[-1][2] - points[-3][2]
        measured = f"{slope:.1f} s a megapixel of LR (R² {straight:.3f}); {grown:.0f} MiB more at 4096² than at 1024²"
        what = "Upscaler, PNG files of 64x64 to 4096x4096, rows streamed; decoded they are 48 MiB at 4096²"
        met = straight > 0.99 and grown < 150
        rows.append(row("growth-size", what, "a straight line, memory flat", measured, met, points=points))
    for name, what, cases in (
        ("growth-batch", "network on 1 to 16 pictures of 64x64", [(n, 16) for n in (1, 2, 4, 8, 16)]),
        ("growth-depth", "network of 4 to 64 blocks on a picture of 64x64", [(1, n) for n in (4, 8, 16, 32, 64)]),
    ):
        if wanted(name):
            x = [case[name == "growth-depth"] for case in cases]
            y = [one_call(*case) for case in cases]
            straight, slope = line(x, y)
            measured = f"{slope * 1e3:.1f} ms each (R² {straight:.4f})"
            rows.append(row(name, what, "a straight line", measured, straight > 0.99, points=list(zip(x, y))))
    return rows


def one_call(batch: int, blocks: int) -> float:
    import tensorflow as tf

    import srgan_tf
    from srgan_tf.inference.fast import FastGraph

    network = FastGraph(srgan_tf.Generator(blocks=blocks))
    lr = tf.constant(np.random.default_rng(0).random((batch, 64, 64, 3), np.float32))
    return best(lambda: network.tail(network.trunk(lr)), 5)


def line(x, y) -> tuple[float, float]:
    """How straight the points lie (R²) and the slope, weighted so that small ones count as large ones do."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    slope, _ = np.polyfit(x, y, 1, w=1 / y)
    return float(np.corrcoef(x, y)[0, 1] ** 2), float(slope)


def cold(wanted) -> list[dict]:
    rows, root = [], HERE.parent

    def command(*arguments) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, cwd=root, capture_output=True)
        return time.perf_counter() - start

    if wanted("cold-import"):
        ours, theirs = [], []
        for _ in range(6):
            theirs.append(command("-c", "import tensorflow, keras; keras.Model"))
            ours.append(command("-c", "import srgan_tf; srgan_tf.Generator, srgan_tf.SRGAN, srgan_tf.upscale"))
        more = float(np.median(ours[1:]) - np.median(theirs[1:]))
        measured = f"{more:.2f} s more ({np.median(ours[1:]):.2f} s against {np.median(theirs[1:]):.2f} s)"
        what = "import of srgan_tf's classes, beyond TensorFlow's and Keras' own"
        rows.append(row("cold-import", what, "at most 0.3 s", measured, more <= 0.3))
    if wanted("cold-help"):
        seconds = float(np.median([command("upscale.py", "--help") for _ in range(6)][1:]))
        rows.append(row("cold-help", "`upscale.py --help`", "under 0.5 s", f"{seconds:.2f} s", seconds < 0.5))
    if wanted("cold-first-picture"):
        import srgan_tf

        with tempfile.TemporaryDirectory() as folder:
            weights, lr = f"{folder}/weights.npz", f"{folder}/lr.npy"
            srgan_tf.save_weights(srgan_tf.load("srresnet"), weights)
            np.save(lr, np.random.default_rng(0).random((1, 128, 128, 3), np.float32))
            job = {"task": "upscale", "weights": weights, "lr": lr}
            contenders = [
                ("srgan_tf", "in_srgan_tf", {**job, "weights": "srresnet", "precision": "auto", "engine": "auto"}),
                ("Keras", "in_keras", job),
                ("PyTorch", "in_torch", {**job, "compiled": False, "bfloat16": False}),
                ("ONNX Runtime", "in_runtimes", {**job, "runtime": "onnxruntime"}),
                ("OpenVINO", "in_runtimes", {**job, "runtime": "openvino", "precision": "f32"}),
            ]
            seconds = {one[0]: [] for one in contenders}
            for _ in range(6):
                for one in contenders:
                    start = time.perf_counter()
                    process = Contender(*one)
                    process.go()
                    seconds[one[0]].append(time.perf_counter() - start)
                    process.end()
        medians = {name: float(np.median(taken[1:])) for name, taken in seconds.items()}
        other = min((s, name) for name, s in medians.items() if name != "srgan_tf")
        measured = f"{medians['srgan_tf']:.2f} s; {other[1]} {other[0]:.2f} s"
        what = "from starting Python to the first x4 of 128x128"
        met = medians["srgan_tf"] <= other[0]
        rows.append(row("cold-first-picture", what, "the first of all", measured, met, seconds=medians))
    return rows


def pipeline(wanted) -> list[dict]:
    batches, steps = rates()
    measured = f"{batches / steps:.0f} ({batches:.0f} batches a second, {steps:.2f} steps)"
    what = "batches a second over steps a second, 16 of 96x96, the paper's generator in float32"
    return [row("pipeline", what, "at least 5", measured, batches / steps >= 5)]


GROUPS = {"limit": limit, "growth": growth, "cold": cold, "pipeline": pipeline}
