"""Edit a .tflite model's constants and operations in memory. Importing this needs no TensorFlow.

Files of kind "engine" hold one network in half precision. Loading derives what runs, in some 50 ms: convolutions with
8-bit weights or all in float32, a blend of two networks, trunk and tail by themselves.
"""

import numpy as np

from srgan_tf.inference import flatbuffer
from srgan_tf.inference.rounding import in_levels

# Share of the largest convolution's weights: smaller ones, which read LR or carry outlier channels, stay in float32.
SMALL = 0.12


class LiteModel:
    """A .tflite file in memory, with its float16 constants widened to float32.

    Args:
        content: the file's bytes; it has one subgraph.
    """

    def __init__(self, content: bytes):
        self._schema, self._model = flatbuffer.schema(), flatbuffer.unpack(content)
        (self._graph,) = self._model.subgraphs
        (self._lr,) = self._graph.inputs
        *features, self._sr = self._graph.outputs  # by name: "features", "sr"
        self._features = features[0] if features else None
        self._operators = [op for op in self._graph.operators if not self._fold_dequantize(op)]

    def _code(self, op) -> int:
        return self._model.operatorCodes[op.opcodeIndex].builtinCode

    def _constant(self, index: int) -> np.ndarray | None:
        """Return a constant float32 tensor; None for other tensors."""
        tensor = self._graph.tensors[index]
        data = self._model.buffers[tensor.buffer].data
        if data is None or tensor.type != self._schema.TensorType.FLOAT32:
            return None
        return data.view(np.float32).reshape(tensor.shape)

    def _set(self, index: int, array: np.ndarray, kind: int) -> None:
        buffer = self._schema.BufferT()
        buffer.data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self._graph.tensors[index].buffer, self._graph.tensors[index].type = len(self._model.buffers), kind
        self._model.buffers.append(buffer)

    def _fold_dequantize(self, op) -> bool:
        """Turn the result of an operation that only widens a float16 constant into a constant; tell whether it was."""
        if self._code(op) != self._schema.BuiltinOperator.DEQUANTIZE:
            return False
        source = self._graph.tensors[op.inputs[0]]
        data = self._model.buffers[source.buffer].data
        if data is None or source.type != self._schema.TensorType.FLOAT16:
            return False
        array = data.view(np.float16).astype(np.float32)
        self._set(op.outputs[0], array, self._schema.TensorType.FLOAT32)
        return True

    def blend(self, other: "LiteModel", amount: float) -> None:
        """Replace each constant by (1 - amount) * this network's + amount * the other's.

        Raises:
            ValueError: the two do not have the same operations, or amount is not in [0, 1].
        """
        if not 0 <= amount <= 1:
            raise ValueError(f"the amount of a blend must be in [0, 1], not {amount}")
        if self._form() != other._form():
            raise ValueError("networks of different architecture do not blend")
        for index in range(len(self._graph.tensors)):
            mine, others = self._constant(index), other._constant(index)
            if mine is not None:
                mixed = (1 - amount) * mine + amount * others
                self._set(index, mixed.astype(np.float32), self._schema.TensorType.FLOAT32)

    def _form(self) -> list:
        tensors = [tuple(tensor.shape) if tensor.shape is not None else () for tensor in self._graph.tensors]
        return [tensors, *((self._code(op), tuple(op.inputs), tuple(op.outputs)) for op in self._operators)]

    def in_eight_bits(self) -> None:
        """Round the weights of the large convolutions to 8 bits, with one step per filter.

        LiteRT then rounds what these convolutions read at run time, with one range per tensor, and accumulates in
        integers; everything between them stays float32.
        """
        convs, kernels = self._convolutions(), self._kernels()
        fewest = max(one.size for one in kernels) * SMALL
        for op, kernel in zip(convs, kernels):
            if kernel.size >= fewest:
                self._round(op.inputs[1], kernel)

    def _round(self, index: int, kernel: np.ndarray) -> None:
        levels, steps = in_levels(kernel)
        self._set(index, levels, self._schema.TensorType.INT8)
        parameters = self._graph.tensors[index].quantization = self._schema.QuantizationParametersT()
        parameters.scale, parameters.zeroPoint, parameters.quantizedDimension = steps, np.zeros(len(steps), np.int64), 0

    def _convolutions(self) -> list:
        return [op for op in self._operators if self._code(op) == self._schema.BuiltinOperator.CONV_2D]

    def _kernels(self) -> list[np.ndarray]:
        """Return the kernel [filters, height, width, channels] of each convolution."""
        return [self._constant(op.inputs[1]) for op in self._convolutions()]

    def bytes_per_pixel(self) -> int:
        """Estimate LiteRT's memory per LR pixel: 5.2 KB measured for the paper's generator, without its tail.

        XNNPACK keeps one pointer per pixel and kernel position for each convolution, and some six tensors.
        """
        shapes = [kernel.shape for kernel in self._kernels()]
        channels = sorted(shape[3] for shape in shapes)[len(shapes) // 2]
        return 8 * sum(height * width for _, height, width, _ in shapes) + 6 * 4 * channels

    def parts(self) -> list[bytes]:
        """Return files to run in turn: trunk and tail if a single tensor lies between them, else the whole model."""
        features = self._features
        needed, trunk = {features}, []
        for op in reversed(self._operators):
            if needed & set(op.outputs):
                trunk.insert(0, op)
                needed |= set(op.inputs)
        before = {index for op in trunk for index in op.outputs} | {self._lr}
        tail = [op for op in self._operators if not any(op is one for one in trunk)]
        further_back = any((before - {features}) & set(op.inputs) for op in tail)
        if features is None or further_back:
            return [self.whole()]
        return [self._file([self._lr], trunk, features), self._file([features], tail, self._sr)]

    def is_float(self) -> bool:
        """Return whether LR and SR are float32."""
        ends = (self._graph.tensors[index].type for index in (self._lr, self._sr))
        return set(ends) == {self._schema.TensorType.FLOAT32}

    def whole(self) -> bytes:
        """Return the network as one file, LR → SR."""
        return self._file([self._lr], self._operators, self._sr)

    def _file(self, inputs: list[int], operators: list, output: int) -> bytes:
        """Return a file of these operations and the constants that they use."""
        schema, model, graph = self._schema, self._schema.ModelT(), self._schema.SubGraphT()
        used = sorted({index for op in operators for index in (*op.inputs, *op.outputs) if index >= 0} | {*inputs})
        place = {index: i for i, index in enumerate(used)} | {-1: -1}
        model.version, model.description = self._model.version, self._model.description
        model.operatorCodes, model.subgraphs, model.buffers = self._model.operatorCodes, [graph], [schema.BufferT()]
        graph.tensors, graph.operators = [], []
        for index in used:
            tensor = _copy(self._graph.tensors[index])
            data = self._model.buffers[tensor.buffer].data
            tensor.buffer = 0
            if data is not None and index not in inputs:
                buffer = schema.BufferT()
                tensor.buffer, buffer.data = len(model.buffers), data
                model.buffers.append(buffer)
            graph.tensors.append(tensor)
        for op in operators:
            moved = _copy(op)
            moved.inputs, moved.outputs = ([place[index] for index in ends] for ends in (op.inputs, op.outputs))
            graph.operators.append(moved)
        graph.inputs, graph.outputs = [place[index] for index in inputs], [place[output]]
        return flatbuffer.pack(model)


def _copy(record):
    other = type(record)()
    other.__dict__.update(record.__dict__)
    return other
