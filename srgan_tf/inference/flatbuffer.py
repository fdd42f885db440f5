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


def finished(content: bytes, entries: dict[str, bytes]) -> bytes:
    """Return a .tflite file with further metadata buffers, by name, and a signature.

    The signature `serving_default` takes `lr` and returns `sr`, and `features` where the trunk's result is marked.
    """
    model, classes = unpack(content), schema()
    model.signatureDefs = [_signature(classes, model.subgraphs[0])]
    for name, data in entries.items():
        buffer, entry = classes.BufferT(), classes.MetadataT()
        buffer.data = np.frombuffer(data, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    return pack(model)


def _signature(classes, graph):
    def named(names, indices):
        maps = []
        for name, index in zip(names, indices):
            one = classes.TensorMapT()
            one.name, one.tensorIndex = name, int(index)
            maps.append(one)
        return maps

    made = classes.SignatureDefT()
    made.signatureKey, made.subgraphIndex = "serving_default", 0
    made.inputs = named(["lr"], graph.inputs)
    made.outputs = named(["features", "sr"][-len(graph.outputs) :], graph.outputs)
    return made


class Builder(flatbuffers.Builder):
    """Align buffers to 16 bytes, as the schema demands and the generated code does not."""

    def CreateNumpyVector(self, x):
        self.StartVector(x.itemsize, x.size, 16 if x.dtype == np.uint8 else x.dtype.alignment)
        self.head -= x.nbytes
        self.Bytes[self.head : self.head + x.nbytes] = x.tobytes()
        return self.EndVector()
