"""Exported .tflite files in turns on one thread: processor time, which other work on the machine disturbs less.

python benchmarks/lite.py exported/float32.tflite exported/int8_128.tflite

Prints each file's least and median time for one picture of 128 x 128, how much faster than the first file it is, and
how many pieces of it XNNPACK runs: one piece, and two QUANTIZEs where uint8 comes in and out, is all of it.
"""

import sys
import time
from collections import Counter

import numpy as np
from ai_edge_litert.interpreter import Interpreter

SIDE, ROUNDS = 128, 9


def main(paths: list[str]) -> None:
    models, seconds = {path: Interpreter(path, num_threads=1) for path in paths}, {path: [] for path in paths}
    for model in models.values():
        given = model.get_input_details()[0]
        model.resize_tensor_input(given["index"], (1, SIDE, SIDE, 3))
        model.allocate_tensors()
        top = 255 if given["dtype"] == np.uint8 else 1
        lr = np.random.default_rng(0).random((1, SIDE, SIDE, 3)) * top
        model.set_tensor(given["index"], lr.astype(given["dtype"]))
    for _ in range(ROUNDS):
        for path, model in models.items():
            started = time.thread_time()
            model.invoke()
            seconds[path].append(time.thread_time() - started)
    first = seconds[paths[0]]
    for path, model in models.items():
        mine, names = seconds[path], Counter(operation["op_name"] for operation in model._get_ops_details())
        pieces = names.pop("DELEGATE", 0)
        ratio = f"{min(first) / min(mine):.2f} (medians {np.median(first) / np.median(mine):.2f}) times as fast"
        print(f"{path}: {min(mine):.3f} s, median {np.median(mine):.3f} s, {ratio}")
        print(f"  {pieces} pieces in XNNPACK, of {dict(names)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("error: give .tflite files")
    main(sys.argv[1:])
