"""Speed and memory of others' models: `python benchmarks/foreign.py [--models=rrdb,srvgg] [--sizes=128x128,510x339]`.

Real-ESRGAN x4plus (`rrdb`) and realesr-general-x4v3 (`srvgg`), with random weights, by PyTorch, ONNX Runtime, OpenVINO,
ncnn (x4plus alone), LiteRT on the float32 file that `srgan-tf export` makes, and this package on its engine file, in
turns. Prints a Markdown table: median seconds, as a multiple of the fastest, and peak memory. The others live in
benchmarks/.peers, made on first use.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from contenders import PEERS, in_turns, mirrored, python_of

from srgan_tf.data import bicubic
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.evaluation.tables import markdown
from srgan_tf.export import tflite
from srgan_tf.io import images
from srgan_tf.models import weights

NAMES = {"rrdb": "Real-ESRGAN x4plus", "srvgg": "realesr-general-x4v3"}


def contenders(model: str, path: str, lr: str) -> list[tuple]:
    ours = {"task": "upscale", "weights": f"{path}.engine.tflite", "lr": lr, "engine": "litert"}
    peer = {"model": model, "path": path, "lr": lr}
    runtimes = {"PyTorch": "pytorch", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
    if model == "rrdb":
        runtimes["ncnn"] = "ncnn"
    return [
        ("srgan_tf", "in_srgan_tf", {**ours, "precision": "auto"}),
        ("srgan_tf float32", "in_srgan_tf", {**ours, "precision": "float32"}),
        ("LiteRT float32", "in_runtimes", {"runtime": "litert", "tflite": f"{path}.float32.tflite", "lr": lr}),
        ("PyTorch compiled", "in_spandrel", {**peer, "runtime": "pytorch", "compiled": True}),
        *((name, "in_spandrel", {**peer, "runtime": runtime}) for name, runtime in runtimes.items()),
    ]


def picture(height: int, width: int) -> np.ndarray:
    """LR of a held-out photograph, [1, height, width, 3] in [0, 1], mirrored where it is too small."""
    small = bicubic.downscale(images.read(PHOTOS / "heldout" / "coffee.jpg")[None], 4).numpy()[0]
    return mirrored(small, height, width)[None].astype(np.float32) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", default="rrdb,srvgg")
    parser.add_argument("--sizes", default="128x128,510x339", help="width x height of LR")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = []
    for model in options.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path, lr = f"{folder}/{model}", f"{folder}/lr.npy"
            subprocess.run([python_of("in_spandrel"), PEERS / "in_spandrel.py", "make", path, model], check=True)
            generator = weights.load(f"{path}.pth")
            if model == "rrdb":
                generator._context = 80  # of x4plus; that of random weights is far smaller
            for kind in ("engine", "float32"):
                Path(f"{path}.{kind}.tflite").write_bytes(tflite.convert(generator, kind))
            for size in options.sizes.split(","):
                width, height = map(int, size.split("x"))
                np.save(lr, picture(height, width))
                found = in_turns(contenders(model, path, lr), options.rounds, together=size == "128x128")
                least = min(one["seconds"] for one in found.values() if "seconds" in one)
                for name, one in found.items():
                    told = (
                        [f"{one['seconds']:.2f}", f"{one['seconds'] / least:.2f}", f"{one['peak_mib']:.0f}"]
                        if "seconds" in one
                        else ["failed", "", ""]
                    )
                    rows.append([NAMES[model], size, name, *told])
    print(markdown(["Model", "LR", "Program", "s", "times the fastest", "MiB"], *rows, left=3))


if __name__ == "__main__":
    main()
