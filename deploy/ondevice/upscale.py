"""Enlarges a photo of any size with an exported .tflite model; needs ai-edge-litert, numpy and Pillow, no TensorFlow.

python upscale.py int8_128.tflite photo.jpg large.png
python upscale.py float32.tflite photo.jpg large.png --tile=192

The picture goes through tile by tile. Each tile sees CONTEXT pixels more on each side than it produces, as far as
the picture reaches, and the model's own border lies where the picture's does: at all of these the network pads with
zeros, as it does for a whole picture.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def starts(length: int, tile: int, context: int) -> list[tuple[int, int, int]]:
    """Where tiles start along an axis, each with the first and last (exclusive) pixel that it produces."""
    if length <= tile:
        return [(0, 0, length)]
    inner = tile - 2 * context
    count = -(-(length - 2 * context) // inner)
    begins = [min(i * inner, length - tile) for i in range(count)]
    cuts = [0, *(begin + tile - context for begin in begins[:-1]), length]
    return list(zip(begins, cuts, cuts[1:]))


class Upscaler:
    """uint8 RGB [height, width, 3] → the same, larger."""

    def __init__(self, path: str, tile: int, context: int, threads: int):
        self.model = Interpreter(path, num_threads=threads)
        self.given, self.made = self.model.get_input_details()[0], self.model.get_output_details()[0]
        sides = self.given["shape_signature"][1:3]
        self.fixed = sides.min() > 0  # int8 files have one size; the others take any
        self.tile, self.context = int(sides[0]) if self.fixed else tile, context
        self.ready_for = None

    def run(self, tile: np.ndarray) -> np.ndarray:
        if tile.shape != self.ready_for:
            self.model.resize_tensor_input(self.given["index"], (1, *tile.shape))
            self.model.allocate_tensors()
            self.ready_for = tile.shape
        if self.given["dtype"] == np.float32:
            tile = tile.astype(np.float32) / 255
        self.model.set_tensor(self.given["index"], tile[None])
        self.model.invoke()
        sr = self.model.get_tensor(self.made["index"])[0]
        return sr if sr.dtype == np.uint8 else np.floor(sr.clip(0, 1) * 255 + 0.5).astype(np.uint8)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        if self.fixed:  # what is smaller than the model is mirrored to its size, and cut afterwards
            missing = [(0, max(0, self.tile - size)) for size in (height, width)]
            picture = np.pad(picture, [*missing, (0, 0)], "symmetric")
        result = scale = None
        for y, top, bottom in starts(picture.shape[0], self.tile, self.context):
            for x, left, right in starts(picture.shape[1], self.tile, self.context):
                sr = self.run(picture[y : y + self.tile, x : x + self.tile])
                if result is None:
                    scale = sr.shape[0] // min(self.tile, picture.shape[0])
                    result = np.empty((picture.shape[0] * scale, picture.shape[1] * scale, 3), np.uint8)
                result[scale * top : scale * bottom, scale * left : scale * right] = sr[
                    scale * (top - y) : scale * (bottom - y), scale * (left - x) : scale * (right - x)
                ]
        return result[: scale * height, : scale * width]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photo")
    parser.add_argument("output")
    parser.add_argument("--tile", type=int, default=192, help="pixels a side; int8 files have their own (%(default)s)")
    parser.add_argument("--context", type=int, default=16, help="pixels a tile sees around (%(default)s)")
    parser.add_argument("--threads", type=int, default=4, help="(%(default)s)")
    arguments = parser.parse_args()
    endings = Image.registered_extensions()
    if Path(arguments.output).suffix.lower() not in endings:
        parser.exit(1, f"error: {arguments.output}: give a name that ends in .png or .jpg\n")
    try:
        if not Path(arguments.model).is_file():
            raise FileNotFoundError(f"{arguments.model}: no such model; python export.py makes one")
        photo = ImageOps.exif_transpose(Image.open(arguments.photo)).convert("RGB")
        upscaler = Upscaler(arguments.model, arguments.tile, arguments.context, arguments.threads)
        if upscaler.tile <= 2 * arguments.context:
            raise ValueError(f"--context={arguments.context} leaves nothing of tiles of {upscaler.tile} pixels")
        started = time.perf_counter()
        result = upscaler(np.asarray(photo))
        Image.fromarray(result).save(arguments.output)
    except (OSError, ValueError) as error:
        parser.exit(1, f"error: {error}\n")
    print(f"{arguments.output}: {result.shape[1]} x {result.shape[0]}, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
