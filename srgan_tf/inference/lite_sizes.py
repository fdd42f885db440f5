"""Give a .tflite file of any size one size, which is all that compiled models take. Needs no TensorFlow."""

import numpy as np

from srgan_tf.inference import lite_model

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
        self._content, self._side = content, max(tile_multiple, 4)
        graph = lite_model.unpack(content).subgraphs[0]
        if not any(_has_open_sides(tensor) for tensor in graph.tensors):
            raise ValueError("it has one size already")
        model = _run(content, 2 * self._side, 3 * self._side)
        self._shapes = [
            model.get_tensor(index).shape if _has_open_sides(tensor) else None
            for index, tensor in enumerate(graph.tensors)
        ]

    def fixed(self, height: int, width: int) -> tuple[bytes, tuple[int, ...]]:
        """Return the file of one size, and the shape of its output.

        Raises:
            ValueError: an operation other than a resize reads a computed size.
        """
        model, classes = lite_model.unpack(self._content), lite_model.schema()
        graph, integers = model.subgraphs[0], (classes.TensorType.INT32, classes.TensorType.INT64)
        for tensor, shape in zip(graph.tensors, self._shapes):
            if shape is not None:
                tensor.shape, tensor.shapeSignature = self._grown(tensor.shapeSignature, shape, height, width), None
        resizing = {getattr(classes.BuiltinOperator, name) for name in _RESIZING}
        for op in graph.operators:
            if model.operatorCodes[op.opcodeIndex].builtinCode in resizing:
                size = np.asarray(graph.tensors[op.outputs[0]].shape[1:3], "<i4")
                graph.tensors[op.inputs[1]].buffer = lite_model.add_buffer(model, size)
        constant = [model.buffers[tensor.buffer].data is not None for tensor in graph.tensors]
        computed = [op for op in graph.operators if not all(constant[index] for index in op.outputs)]
        graph.operators = lite_model.needed(computed, graph.outputs)
        if any(graph.tensors[index].type in integers for op in graph.operators for index in op.outputs):
            raise ValueError("it computes sizes other than those of a resize")
        return lite_model.pack(model), tuple(map(int, graph.tensors[graph.outputs[0]].shape))

    def _grown(self, signature, shape: tuple, height: int, width: int) -> np.ndarray:
        """Return a tensor's shape for a picture of this size, by its shape for the one that was run."""
        sides = {1: (height, 2 * self._side), 2: (width, 3 * self._side)}
        grown = [n * sides[axis][0] // sides[axis][1] if axis in sides else n for axis, n in enumerate(shape)]
        return np.int32([new if known == -1 else known for known, new in zip(signature, grown)])


def _has_open_sides(tensor) -> bool:
    return tensor.shapeSignature is not None and -1 in tensor.shapeSignature


def _run(content: bytes, height: int, width: int):
    """Run a file on a black picture; return the interpreter, which keeps all tensors."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # XNNPACK hides the tensors between its operations.
    options = {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    model = Interpreter(model_content=content, experimental_preserve_all_tensors=True, **options)
    given = model.get_input_details()[0]
    model.resize_tensor_input(given["index"], (1, height, width, int(given["shape"][3])))
    model.allocate_tensors()
    model.invoke()  # resizing to a computed size sets shapes at run time only
    return model
