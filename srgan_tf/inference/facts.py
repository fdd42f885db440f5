"""What an exported file says of its model, so that nobody has to assume it: written by `export`, read by runners."""

import json
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path

NAME = "srgan_tf"  # of a .tflite's metadata buffer, and of a SavedModel's asset (NAME.json)


@dataclass(frozen=True)
class Facts:
    """What a runner has to know.

    Attributes:
        scale: SR size over LR size.
        context: the receptive field in LR pixels; tail_context: that of the part behind the trunk.
        align: tiles must be a multiple of so many LR pixels a side.
        degradation: of the LR that the model was trained on.
        kind: of the export, of `choices.EXPORT_KINDS`; "" in files of older versions.
        weights: SHA-256 of the weight file that it was made from, where it comes with the package.
    """

    scale: int
    context: int
    align: int = 1
    degradation: str = "bicubic"
    tail_context: int = 0
    kind: str = ""
    weights: str = ""


def of(generator, kind: str, weights: str = "") -> str:
    """A generator's facts as JSON."""
    facts = Facts(
        generator.scale,
        generator.context,
        generator.align,
        generator.degradation,
        generator.tail_context,
        kind,
        weights,
    )
    return json.dumps({"format": 1, **asdict(facts)})


def parse(text: bytes) -> Facts | None:
    """The facts in JSON; None where it is damaged."""
    try:
        told = json.loads(text)
        known = {field.name: field.type(told[field.name]) for field in fields(Facts) if field.name in told}
        return Facts(**known)
    except (ValueError, KeyError, TypeError):
        return None


def of_lite(path) -> Facts | None:
    """A .tflite file's facts; None where it has none, as other packages' files."""
    return in_lite(Path(path).read_bytes())


def in_lite(content: bytes) -> Facts | None:
    """As `of_lite`, of a file's content; None where that is damaged."""
    try:
        model = lite_schema().Model.GetRootAsModel(content, 0)
        for i in range(model.MetadataLength()):
            entry = model.Metadata(i)
            if entry.Name() == NAME.encode():
                return parse(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    except (struct.error, ValueError, IndexError, AttributeError):
        pass
    return None


def of_saved_model(folder) -> Facts | None:
    """A SavedModel's facts; None where it has none."""
    path = Path(folder) / "assets" / f"{NAME}.json"
    return parse(path.read_bytes()) if path.is_file() else None


def lite_schema():
    """The generated classes of TensorFlow Lite's flatbuffer schema."""
    from ai_edge_litert import schema_py_generated as schema

    return schema
