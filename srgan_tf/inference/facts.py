"""What an exported file says of its model, so that nobody has to assume it: written by `export`, read by runners."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "srgan_tf"  # of a .tflite's metadata buffer, and of a SavedModel's asset (NAME.json)


@dataclass(frozen=True)
class Facts:
    """Scale, receptive field and tile alignment in LR pixels, and the degradation that the model was trained on."""

    scale: int
    context: int
    align: int = 1
    degradation: str = "bicubic"


def of(generator) -> str:
    """A generator's facts as JSON."""
    facts = Facts(generator.scale, generator.context, generator.align, generator.degradation)
    return json.dumps({"format": 1, **asdict(facts)})


def parse(text: bytes) -> Facts | None:
    """The facts in JSON; None where it is damaged."""
    try:
        told = json.loads(text)
        return Facts(int(told["scale"]), int(told["context"]), int(told["align"]), str(told["degradation"]))
    except (ValueError, KeyError, TypeError):
        return None


def of_lite(path) -> Facts | None:
    """A .tflite file's facts; None where it has none, as other packages' files."""
    model = lite_schema().Model.GetRootAsModel(Path(path).read_bytes(), 0)
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == NAME.encode():
            return parse(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return None


def of_saved_model(folder) -> Facts | None:
    """A SavedModel's facts; None where it has none."""
    path = Path(folder) / "assets" / f"{NAME}.json"
    return parse(path.read_bytes()) if path.is_file() else None


def lite_schema():
    """The generated classes of TensorFlow Lite's flatbuffer schema."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:  # the older stack carries them inside TensorFlow
        from tensorflow.lite.python import schema_py_generated as schema

    return schema
