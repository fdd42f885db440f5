"""What a model is, as exported files declare it. Importing this needs no TensorFlow."""

import json
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from srgan_tf.inference import lite_model

NAME = "srgan_tf"  # of the metadata buffer of a .tflite file, and of a SavedModel's asset NAME.json
_KEYS = {"tile_multiple": "align"}  # fields whose JSON key is another
_OPTIONAL = ("architecture", "licence", "origin")


@dataclass(frozen=True)
class ModelInfo:
    """What the package must know of a model to run it tile by tile.

    Attributes:
        scale: SR size over LR size.
        context: receptive field, or the part that counts (`BaseGenerator.context`), in LR pixels on each side.
        tile_multiple: tile sides must be multiples of this many LR pixels.
        degradation: of the LR it was trained on, one of `choices.DEGRADATIONS`, or "unknown".
        tail_context: receptive field of the tail alone, in LR pixels on each side.
        kind: of export, one of `choices.EXPORT_KINDS`; "" for models of other packages and of older versions.
        weights: SHA-256 of the shipped weight file that an exported model was made from, else "".
        architecture: the generator's class.
        licence, origin: of other projects' weights, as far as they are known.
    """

    scale: int
    context: int = 0
    tile_multiple: int = 1
    degradation: str = "bicubic"
    tail_context: int = 0
    kind: str = ""
    weights: str = ""
    architecture: str = ""
    licence: str = ""
    origin: str = ""

    @classmethod
    def of(cls, generator, kind: str = "", weights: str = "") -> "ModelInfo":
        """Describe a Keras generator, or its export of this kind."""
        names = ("scale", "context", "tile_multiple", "degradation", "tail_context")
        terms = (type(generator).__name__, generator.licence, generator.origin)
        return cls(*(getattr(generator, name) for name in names), kind, weights, *terms)

    def to_dict(self) -> dict:
        """Return the record as it is stored in every format, JSON of one level."""
        known = {name: value for name, value in asdict(self).items() if value or name not in _OPTIONAL}
        return {"format": 1} | {_KEYS.get(name, name): value for name, value in known.items()}

    @classmethod
    def from_json(cls, text: bytes) -> "ModelInfo | None":
        """Read a stored record; None if it is damaged."""
        try:
            stored = json.loads(text)
            keys = {field: _KEYS.get(field.name, field.name) for field in fields(cls)}
            return cls(**{field.name: field.type(stored[key]) for field, key in keys.items() if key in stored})
        except (ValueError, KeyError, TypeError):
            return None

    @classmethod
    def from_tflite(cls, content: bytes) -> "ModelInfo | None":
        """Read the record of a .tflite file; None if it is another package's, or damaged."""
        with suppress(struct.error, ValueError, IndexError, AttributeError):
            model = lite_model.schema().Model.GetRootAsModel(content, 0)
            for entry in map(model.Metadata, range(model.MetadataLength())):
                if entry.Name() == NAME.encode():
                    return cls.from_json(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
        return None

    def into_tflite(self, content: bytes, **others: bytes) -> bytes:
        """Return a .tflite file with this record, further metadata buffers by name, and a signature."""
        return lite_model.finished(content, others | {NAME: json.dumps(self.to_dict()).encode()})

    @classmethod
    def from_saved_model(cls, folder) -> "ModelInfo | None":
        """Read the record of a SavedModel; None if it has none."""
        path = Path(folder) / "assets" / f"{NAME}.json"
        return cls.from_json(path.read_bytes()) if path.is_file() else None

    def asset(self, folder: Path) -> Path:
        """Write the file that `tf.saved_model.Asset` stores with a SavedModel."""
        path = folder / f"{NAME}.json"
        path.write_text(json.dumps(self.to_dict()), encoding="utf-8")
        return path
