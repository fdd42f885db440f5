"""Give a .tflite file of any size one size, which is all that graphics processors take. Needs no TensorFlow."""

import numpy as np

from srgan_tf.inference import flatbuffer

_RESIZING = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")


class Sizes:
    """A .tflite file of any size, from which files of one size are made.

    Args:
        content: the file's bytes: one subgraph, one input [1, -1, -1, channels], one output.
        tile_multiple: sides are multiples of this many pixels.

    Raises:
        ValueError: it has one size already.
    """

    def __init__(self, content: bytes, tile_multiple: int = 1):
        self._content = content
        graph = flatbuffer.unpack(content).subgraphs[0]
        if not any(_open_sides(tensor) for tensor in graph.tensors):
            raise ValueError("it has one size already")
        self._shapes = _shapes_of(content, 2 * max(tile_multiple, 4), 3 * max(tile_multiple, 4))

    def fixed(self, height: int, width: int) -> bytes:
        """Return the file of one size.

        Raises:
            ValueError: an operation other than a resize reads a computed size.
        """
        model, classes = flatbuffer.unpack(self._content), flatbuffer.schema()
        graph = model.subgraphs[0]
        for tensor, shape in zip(graph.tensors, self._shapes):
            if _open_sides(tensor):
                tensor.shape, tensor.shapeSignature = np.int32(shape(height, width)), None
        codes = {getattr(classes.BuiltinOperator, name) for name in _RESIZING}
        for op in graph.operators:
            if model.operatorCodes[op.opcodeIndex].builtinCode in codes:
                buffer, size = classes.BufferT(), graph.tensors[op.inputs[1]]
                buffer.data = np.asarray(graph.tensors[op.outputs[0]].shape[1:3], "<i4").view(np.uint8)
                size.buffer = len(model.buffers)
                model.buffers.append(buffer)
        graph.operators = _needed(model, graph)
        if any(_is_size(graph.tensors[index], classes) for op in graph.operators for index in op.outputs):
            raise ValueError("it computes sizes other than those of a resize")
        return flatbuffer.pack(model)


def _open_sides(tensor) -> bool:
    return tensor.shapeSignature is not None and -1 in tensor.shapeSignature


def _is_size(tensor, classes) -> bool:
    return tensor.type in (classes.TensorType.INT32, classes.TensorType.INT64)


def _needed(model, graph) -> list:
    """Return the operations that the output depends on, without those whose results are constants now."""
    needed, kept = set(graph.outputs), []
    for op in reversed(graph.operators):
        open_ = {index for index in op.outputs if model.buffers[graph.tensors[index].buffer].data is None}
        if needed & open_:
            kept.insert(0, op)
            needed |= set(op.inputs)
    return kept


def _shapes_of(content: bytes, tall: int, wide: int) -> list:
    """Run the file on a small picture; return each tensor's shape as a function of the picture's sides."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # XNNPACK hides the tensors between its operations
    model = Interpreter(
        model_content=content, experimental_op_resolver_type=plain, experimental_preserve_all_tensors=True
    )
    given = model.get_input_details()[0]
    model.resize_tensor_input(given["index"], (1, tall, wide, int(given["shape"][3])))
    model.allocate_tensors()
    model.invoke()  # resizing to a computed size sets shapes at run time only

    def shape_of(index: int, signature):
        if signature is None or -1 not in signature:
            return None
        found = model.get_tensor(index).shape

        def shape(height: int, width: int) -> list[int]:
            sides = {1: (height, tall), 2: (width, wide)}
            grown = [n * sides[axis][0] // sides[axis][1] if axis in sides else n for axis, n in enumerate(found)]
            return [new if known == -1 else int(known) for known, new in zip(signature, grown)]

        return shape

    graph = flatbuffer.unpack(content).subgraphs[0]
    return [shape_of(index, tensor.shapeSignature) for index, tensor in enumerate(graph.tensors)]
