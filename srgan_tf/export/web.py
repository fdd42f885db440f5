"""A generator for web/: a .tflite file that takes any tile, once its sizes are overwritten, and a JSON that tells how.

LiteRT.js has no call to resize a model, and on WebGPU runs none whose sizes are computed. So the file is written for
one size, and the JSON lists where in it each height and width lies; the browser writes its tile's there. One file thus
serves WASM and WebGPU, at every size.
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
from srgan_tf.inference import facts
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.inference.litert import LiteRTRunner
from srgan_tf.inference.tiling import tiled
from srgan_tf.io import files

SIDE = 96  # LR px a side as the file is written: no kernel is as large, so that no other number is taken for a size
TRIED = (64, 40)  # LR px down and across, with which overwritten sizes are checked
OVERLAPS = (8, 12, 16, 24, 32)  # LR px, tried in turn
SEAM = 0.1  # of 255: largest difference of tiles from the whole picture that an overlap may leave, before rounding
MEMORY = 256 << 20  # bytes of an operation's input and output that a tile may take; a browser's tab has some 2 GB
LARGEST = 256  # LR px a side of a tile: more shows progress too seldom


def write(generator, folder, name: str, check) -> Path:
    """Write folder/name.tflite, in float16, and folder/name.json.

    Args:
        generator: of any registered class, size and scale.
        check: called with the file before it gets its name; raises `ExportError` where it is worse than it may be.

    Returns:
        The .tflite file's path.

    Raises:
        ExportError: it fails a check, or cannot be written.
    """
    folder = Path(folder)
    path = folder / f"{name}.tflite"
    model = tflite.convert(generator, "float16", SIDE, name)
    told = describe(model, generator, name)
    _check_sizes(model, told, generator)
    try:
        folder.mkdir(exist_ok=True)
        with files.write_aside(path) as temporary:
            Path(temporary).write_bytes(model)
            check(temporary)
        with files.write_aside(path.with_suffix(".json")) as temporary:
            Path(temporary).write_text(json.dumps(told) + "\n", encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{path}: cannot write it ({files.reason(error)})") from None
    return path


def describe(model: bytes, generator, name: str) -> dict:
    """What the browser has to know of a model of SIDE px, for its JSON."""
    rows, columns, largest = places(model, generator.align)
    scale = generator.scale
    tile = min(LARGEST, int((MEMORY / largest) ** 0.5) // 16 * 16)
    return {
        **json.loads(facts.of(generator, "float16")),
        "name": name,
        "file": f"{name}.tflite",
        "bytes": len(model),
        "sha256": hashlib.sha256(model).hexdigest(),
        "licence": metadata.LICENCE,
        "input": {"shape": [1, SIDE, SIDE, 3], "dtype": "float32", "range": [0, 1], "bands": "RGB"},
        "output": {"shape": [1, scale * SIDE, scale * SIDE, 3], "dtype": "float32", "range": [0, 1], "bands": "RGB"},
        "tile": tile,
        "overlap": overlap(generator),
        "rows": rows,
        "columns": columns,
    }


def places(model: bytes, align: int = 1) -> tuple[list, list, float]:
    """Where a .tflite file of SIDE px holds heights and widths: pairs of a byte offset and the factor of LR's size.

    They are the shapes of all that is computed, and the constants that resizing operations read. All are int32.

    Returns:
        The places of heights, those of widths, and the bytes that the largest operation reads and writes for a LR px.
    """
    schema = facts.lite_schema()
    root = schema.Model.GetRootAsModel(model, 0)
    graph = root.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    shapes = [[int(n) for n in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else [] for tensor in tensors]
    # Of a picture's size, or of a whole part of it; kernels, which float16 files compute too, are far smaller.
    pictures = {i for i, shape in enumerate(shapes) if len(shape) == 4 and shape[1] == shape[2] >= SIDE / align}
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
    """The byte at which a flatbuffer table's field, a vector, has its first element."""
    return table._tab.Vector(table._tab.Offset(4 + 2 * field))


def _pairs(found: dict[int, float]) -> list:
    return [[offset, int(factor) if factor == int(factor) else factor] for offset, factor in sorted(found.items())]


def resized(model: bytes, told: dict, height: int, width: int) -> bytes:
    """The model for tiles of this size, as the browser makes it: `sized` in web/src/model.ts."""
    content = bytearray(model)
    for side, found in ((height, told["rows"]), (width, told["columns"])):
        for offset, factor in found:
            content[offset : offset + 4] = int(side * factor).to_bytes(4, "little")
    return bytes(content)


def overlap(generator) -> int:
    """LR px that neighbouring tiles have to share: the receptive field, or less where what is far counts for nothing.

    The paper's generator depends on 40 px; with 12 its tiles were at most .02 of 255 from the whole picture, at half
    the computing.
    """
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


def _check_sizes(model: bytes, told: dict, generator) -> None:
    """Raise ExportError unless the model, its sizes overwritten, still is its generator."""
    height, width = TRIED
    photo = photographs("heldout", generator.scale, SIDE)[0][:, :height, :width]
    lr = to_levels(np.pad(photo, [(0, 0), (0, height - photo.shape[1]), (0, width - photo.shape[2]), (0, 0)], "edge"))
    wanted = to_levels(from_signed(generator(to_unit(lr), training=False).numpy()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / told["file"]
        path.write_bytes(resized(model, told, height, width))
        apart = np.abs(LiteRTRunner(path)(lr).astype(int) - wanted).max()
    if apart > 1:
        raise ExportError(f"{told['file']}: of a tile of {height} x {width} px it is {apart} of 255 from its generator")
