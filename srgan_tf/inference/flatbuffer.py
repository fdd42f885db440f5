"""Read and write the flatbuffers of .tflite files. Importing this needs no TensorFlow."""

import flatbuffers
import numpy as np


def schema():
    """Return the generated classes of TensorFlow Lite's flatbuffer schema."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def unpack(content: bytes):
    """Return a .tflite file as a mutable tree, a `ModelT` of the schema."""
    classes = schema()
    return classes.ModelT.InitFromObj(classes.Model.GetRootAsModel(content, 0))


def pack(model) -> bytes:
    """Return the .tflite file of a `ModelT`."""
    builder = Builder(sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None) + 100_000)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_metadata(content: bytes, entries: dict[str, bytes]) -> bytes:
    """Return a .tflite file with further metadata buffers, by name."""
    model, classes = unpack(content), schema()
    for name, data in entries.items():
        buffer, entry = classes.BufferT(), classes.MetadataT()
        buffer.data = np.frombuffer(data, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    return pack(model)


class Builder(flatbuffers.Builder):
    """Align buffers to 16 bytes, as the schema demands and the generated code does not."""

    def CreateNumpyVector(self, x):
        self.StartVector(x.itemsize, x.size, 16 if x.dtype == np.uint8 else x.dtype.alignment)
        self.head -= x.nbytes
        self.Bytes[self.head : self.head + x.nbytes] = x.tobytes()
        return self.EndVector()
