"""Metadata of .tflite files in TensorFlow Lite's own convention (metadata_schema.fbs)."""

import flatbuffers
import numpy as np

from srgan_tf.inference.model_info import ModelInfo

_IMAGE, _NORMALISATION = 2, 1  # places in the unions ContentProperties and ProcessUnitOptions
_RGB = 1
_LICENCE = "Apache-2.0 for weights that come with srgan_tf; others have their own"


def licence(generator) -> str:
    """Return the licence of a generator's weights, for exported files."""
    return generator.licence or _LICENCE


def with_metadata(model: bytes, name: str, generator, kind: str, weights: str = "") -> bytes:
    """Add two metadata buffers: TFLITE_METADATA, for tools (normalisation, colour order, licence), and `ModelInfo`.

    Args:
        model: a .tflite file's content.
        name: of the model.
        kind: of `choices.LITE_KINDS`; int8 takes uint8 0-255 rather than float in [0, 1].
        weights: SHA-256 of the weight file behind it.
    """
    card = f"{kind}; {generator.context} px of context"
    for_tools = _metadata(name, generator.scale, kind == "int8", card, licence(generator))
    return ModelInfo.of(generator, kind, weights).into_tflite(model, TFLITE_METADATA=for_tools)


def _metadata(name: str, scale: int, quantised: bool, card: str, licence: str) -> bytes:
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
    model = {0: name, 1: card, 2: "1", 3: (graph,), 4: "srgan_tf", 5: licence, 7: "1.0.0"}
    builder.Finish(_table(builder, model), b"M001")
    return bytes(builder.Output())


def _table(builder, fields: dict) -> int:
    """Build a flatbuffer table by place: strings, float lists, tuples of tables, tables, and numpy bytes as scalars."""
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
