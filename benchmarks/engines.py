"""Whether the engines make the same of shipped weights: `python benchmarks/engines.py [BENCHMARK ...]` (Set5, Set14).

Each model by TensorFlow in float32, and by LiteRT in float32 and with 8-bit weights; benchmarks are found as by
`srgan-tf evaluate`. PSNR (Y) and LPIPS-Alex against HR; then how far from TensorFlow's picture, over RGB.
"""

import sys

import numpy as np

from srgan_tf.data.benchmarks import find_benchmark
from srgan_tf.evaluation.evaluate import judge
from srgan_tf.evaluation.tables import markdown
from srgan_tf.inference.loading import load_runner
from srgan_tf.models import weights

WAYS = (("TensorFlow", "float32", "tensorflow"), ("LiteRT float32", "float32", "litert"), ("LiteRT", "auto", "litert"))


def rows(benchmark: str):
    for name in weights.shipped():
        models = [load_runner(name, precision, engine).renamed(way) for way, precision, engine in WAYS]
        results = list(judge(models, find_benchmark(benchmark, models[0].scale)))
        for way, _, _ in WAYS:
            psnr, lpips = (np.mean([r.scores[way][s] for r in results]) for s in ("psnr_y", "lpips_alex"))
            apart = [r.sr[way].astype(int) - r.sr["TensorFlow"] for r in results]
            error = max(float(np.square(one).mean()) for one in apart)
            largest = max(int(np.abs(one).max()) for one in apart)
            decibels = f"{10 * np.log10(255**2 / error):.1f}" if error else "–"
            yield [benchmark, name, way, f"{psnr:.3f}", f"{lpips:.4f}", str(largest), decibels]


if __name__ == "__main__":
    found = [line for benchmark in sys.argv[1:] or ("Set5", "Set14") for line in rows(benchmark)]
    headings = ["Benchmark", "Weights", "Engine", "PSNR", "LPIPS", "Largest of 255", "least dB of a picture"]
    print(markdown(headings, *found, left=3))
