"""Export for web/: a .tflite file whose sizes the browser overwrites, and a JSON that lists where.

LiteRT.js cannot resize a model, and WebGPU runs none with computed sizes. So the file has one size, and the JSON lists
the position of each height and width; the browser writes its tile's there. One file serves WASM and WebGPU at every
size.
"""

import hashlib
import json
import math
import tempfile
from pathlib import Path

import numpy as np

from srgan_tf.data.bundled import photographs
from srgan_tf.data.levels import from_signed, to_levels, to_unit
from srgan_tf.errors import ExportError
from srgan_tf.export import metadata, tflite
from srgan_tf.inference import lite_model
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.inference.litert import LiteRTRunner
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.tiling import tiled
from srgan_tf.io import files

SIDE = 96  # LR px per side of the file; larger than any kernel, so that no other number looks like a size
TRIED = (64, 40)  # LR px: height and width with which overwriting is checked
OVERLAPS = (8, 12, 16, 24, 32)  # LR px, tried in turn
SEAM = 0.1  # of 255: tolerance of tiles against the whole picture, before rounding
MEMORY = 256 << 20  # bytes: limit of an operation's inputs and outputs; a browser tab has some 2 GB
LARGEST = 256  # LR px per side of a tile; more would update progress too rarely


def write(generator, folder, name: str, check) -> Path:
    """Write folder/name.tflite, in float16, and folder/name.json.

    Args:
        generator: of any registered class, size and scale.
        check: called with the file before it is published; raises `ExportError` if it misses its threshold.

    Returns:
        The .tflite file's path.

    Raises:
        ExportError: a check fails, or the file cannot be written.
    """
    folder = Path(folder)
    path = folder / f"{name}.tflite"
    model = tflite.convert(generator, "float16", SIDE, name)
    description = describe(model, generator, name)
    _check_sizes(model, description, generator)
    try:
        folder.mkdir(exist_ok=True)
        with files.write_aside(path) as temporary:
            Path(temporary).write_bytes(model)
            check(temporary)
        with files.write_aside(path.with_suffix(".json")) as temporary:
            Path(temporary).write_text(json.dumps(description) + "\n", encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{path}: cannot write it ({files.reason(error)})") from None
    return path


def describe(model: bytes, generator, name: str) -> dict:
    """Return what the browser must know of a model of SIDE px, for its JSON."""
    rows, columns, largest = places(model, generator.tile_multiple)
    scale = generator.scale
    tile = min(LARGEST, int((MEMORY / largest) ** 0.5) // 16 * 16)
    return {
        **ModelInfo.of(generator, "float16").to_dict(),
        "name": name,
        "file": f"{name}.tflite",
        "bytes": len(model),
        "sha256": hashlib.sha256(model).hexdigest(),
        "licence": metadata.licence(generator),
        "input": {"shape": [1, SIDE, SIDE, 3], "dtype": "float32", "range": [0, 1], "bands": "RGB"},
        "output": {"shape": [1, scale * SIDE, scale * SIDE, 3], "dtype": "float32", "range": [0, 1], "bands": "RGB"},
        "tile": tile,
        "overlap": overlap(generator),
        "rows": rows,
        "columns": columns,
    }


def places(model: bytes, tile_multiple: int = 1) -> tuple[list, list, float]:
    """Find heights and widths in a .tflite file of SIDE px: pairs of byte offset and factor of LR's size, all int32.

    They are the shapes of computed tensors, and the constants that resizing operations read.

    Returns:
        The places of heights, those of widths, and the bytes per LR px of the largest operation's inputs and outputs.
    """
    schema = lite_model.schema()
    root = schema.Model.GetRootAsModel(model, 0)
    graph = root.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    shapes = [[int(n) for n in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else [] for tensor in tensors]
    # Pictures, or integer fractions of them; kernels, which float16 files compute too, are far smaller.
    pictures = {i for i, shape in enumerate(shapes) if len(shape) == 4 and shape[1] == shape[2] >= SIDE / tile_multiple}
    rows, columns = {}, {}

    def note(offset: int, height: int, width: int) -> None:
        rows[offset], columns[offset + 4] = height / SIDE, width / SIDE

    for i in pictures:
        note(_vector(tensors[i], 0) + 4, *shapes[i][1:3])
    resizing, largest = (schema.BuiltinOperator.RESIZE_BILINEAR, schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR), 0.0
    for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
        if root.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() in resizing:
            buffer = root.Buffers(tensors[operator.Inputs(1)].Buffer())
            note(_vector(buffer, 0), *np.frombuffer(buffer.DataAsNumpy().tobytes(), "<i4"))
        used = pictures & {*operator.InputsAsNumpy().tolist(), *operator.OutputsAsNumpy().tolist()}
        largest = max(largest, sum(4 * math.prod(shapes[i]) for i in used) / SIDE**2)
    return _pairs(rows), _pairs(columns), largest


def _vector(table, field: int) -> int:
    """Return the byte offset of the first element of a flatbuffer table's vector field."""
    return table._tab.Vector(table._tab.Offset(4 + 2 * field))


def _pairs(found: dict[int, float]) -> list:
    return [[offset, int(factor) if factor == int(factor) else factor] for offset, factor in sorted(found.items())]


def resized(model: bytes, description: dict, height: int, width: int) -> bytes:
    """Return the model for tiles of this size, like `sized` in web/src/model.ts."""
    content = bytearray(model)
    for side, found in ((height, description["rows"]), (width, description["columns"])):
        for offset, factor in found:
            content[offset : offset + 4] = int(side * factor).to_bytes(4, "little")
    return bytes(content)


def overlap(generator) -> int:
    """Return the least overlap of tiles in LR px that leaves no seam, at most the generator's context.

    The paper's generator depends on 40 px; with 12 its tiles were within .02 of 255, at half the computation.
    """
    if generator.context < generator.receptive_field:  # measured already
        return generator.context
    runner = GeneratorRunner(generator)
    noise = np.random.default_rng(0).random((1, 104, 104, 3), np.float32)
    found = [*photographs("heldout", generator.scale, 104)[:2], noise]
    lr = [one[:, : one.shape[1] // 8 * 8, : one.shape[2] // 8 * 8] for one in found]
    whole = [runner(one) for one in lr]
    for tried in OVERLAPS:
        if tried >= generator.context:
            break
        made = (tiled(runner, one, 72, tried, generator.scale) for one in lr)
        if all(127.5 * np.abs(one - other).max() <= SEAM for one, other in zip(made, whole)):
            return tried
    return generator.context


def _check_sizes(model: bytes, description: dict, generator) -> None:
    """Raise ExportError unless the model with overwritten sizes equals its generator."""
    height, width = TRIED
    photo = photographs("heldout", generator.scale, SIDE)[0][:, :height, :width]
    lr = to_levels(np.pad(photo, [(0, 0), (0, height - photo.shape[1]), (0, width - photo.shape[2]), (0, 0)], "edge"))
    wanted = to_levels(from_signed(generator(to_unit(lr), training=False).numpy()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / description["file"]
        path.write_bytes(resized(model, description, height, width))
        apart = np.abs(LiteRTRunner(path)(lr).astype(int) - wanted).max()
    if apart > 1:
        raise ExportError(
            f"{description['file']}: on tiles of {height} x {width} px it is {apart} of 255 from its generator; "
            "please report this"
        )
