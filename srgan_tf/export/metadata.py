"""What a .tflite file says of itself, in the metadata convention of TensorFlow Lite (metadata_schema.fbs)."""

import flatbuffers
import numpy as np

from srgan_tf.inference import facts
from srgan_tf.inference.lite_model import Builder

_IMAGE, _NORMALISATION = 2, 1  # places in the unions ContentProperties and ProcessUnitOptions
_RGB = 1
LICENCE = "Apache-2.0 for weights that come with srgan_tf; others have their own"


def with_metadata(model: bytes, name: str, generator, kind: str, weights: str = "") -> bytes:
    """The model with two metadata buffers: TFLITE_METADATA, for tools (normalisation, colour order, licence), and
    `inference.facts.NAME`, what this package's own runners read back.

    Args:
        model: a .tflite file's content.
        kind: of `choices.LITE_KINDS`; int8 takes uint8 0-255 rather than float in [0, 1].
        weights: SHA-256 of the weight file behind it.
    """
    schema = facts.lite_schema()
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    card = f"{kind}; {generator.context} px of context"
    told = _metadata(name, generator.scale, kind == "int8", card)
    for title, content in (("TFLITE_METADATA", told), (facts.NAME, facts.of(generator, kind, weights).encode())):
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = title, len(tree.buffers)
        tree.buffers.append(buffer)
        tree.metadata = [*(tree.metadata or []), entry]
    builder = Builder(len(model) + 10_000)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _metadata(name: str, scale: int, quantised: bool, card: str) -> bytes:
    builder = flatbuffers.Builder(1024)
    values = "uint8, 0-255" if quantised else "float32 in [0, 1]"

    def picture(tensor, text, top):
        image = _table(builder, {0: np.int8(_RGB)})
        unit = _table(builder, {0: np.uint8(_NORMALISATION), 1: _table(builder, {0: [0.0], 1: [255.0]})})
        content = _table(builder, {0: np.uint8(_IMAGE), 1: image})
        return _table(builder, {0: tensor, 1: text, 3: content, 4: (unit,), 5: _table(builder, {0: [top], 1: [0.0]})})

    top = 255.0 if quantised else 1.0
    given = picture("lr", f"RGB picture [1, height, width, 3], {values}", top)
    made = picture("sr", f"RGB picture [1, {scale} * height, {scale} * width, 3], {values}", top)
    graph = _table(builder, {0: "upscale", 1: f"Super-resolution, scale {scale}", 2: (given,), 3: (made,)})
    model = {0: name, 1: card, 2: "1", 3: (graph,), 4: "srgan_tf", 5: LICENCE, 7: "1.0.0"}
    builder.Finish(_table(builder, model), b"M001")
    return bytes(builder.Output())


def _table(builder, fields: dict) -> int:
    """A flatbuffer table by place: strings, lists of floats, tuples of tables, tables, and numpy's bytes as scalars."""
    made = {}
    for place, value in fields.items():
        if isinstance(value, str):
            value = builder.CreateString(value)
        elif isinstance(value, list):
            value = builder.CreateNumpyVector(np.array(value, np.float32))
        elif isinstance(value, tuple):
            builder.StartVector(4, len(value), 4)
            for table in reversed(value):
                builder.PrependUOffsetTRelative(table)
            value = builder.EndVector()
        made[place] = value
    builder.StartObject(max(fields) + 1)
    for place, value in made.items():
        if isinstance(value, np.int8):
            builder.PrependInt8Slot(place, int(value), 0)
        elif isinstance(value, np.uint8):
            builder.PrependUint8Slot(place, int(value), 0)
        else:
            builder.PrependUOffsetTRelativeSlot(place, value, 0)
    return builder.EndObject()
