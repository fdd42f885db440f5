"""Read, edit and write .tflite files in memory. Importing this needs no TensorFlow.

Files of kind "engine" hold one network in half precision. Loading derives what runs, in some 50 ms: convolutions with
8-bit weights or all in float32, a blend of two networks, trunk and tail by themselves.
"""

import copy

import flatbuffers
import numpy as np

from srgan_tf.errors import WeightsError

# Share of the largest convolution's weights: smaller ones, which read LR or carry outlier channels, stay in float32.
SMALL = 0.12


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
    builder = _Builder(sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None) + 100_000)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Align buffers to 16 bytes, as the schema demands and the generated code does not."""

    def CreateNumpyVector(self, x):
        self.StartVector(x.itemsize, x.size, 16 if x.dtype == np.uint8 else x.dtype.alignment)
        self.head -= x.nbytes
        self.Bytes[self.head : self.head + x.nbytes] = x.tobytes()
        return self.EndVector()


def add_buffer(model, data: np.ndarray) -> int:
    """Append the bytes of an array to a `ModelT`; return the buffer's index."""
    buffer = schema().BufferT()
    buffer.data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def needed(operators: list, outputs: list[int]) -> list:
    """Return the operations that these tensors depend on, in order."""
    wanted, kept = set(outputs), []
    for op in reversed(operators):
        if wanted & set(op.outputs):
            kept.insert(0, op)
            wanted |= set(op.inputs)
    return kept


def finished(content: bytes, entries: dict[str, bytes]) -> bytes:
    """Return a .tflite file with further metadata buffers, by name, and a signature.

    The signature `serving_default` takes `lr` and returns `sr`, and `features` where the trunk's result is marked.
    """
    model, classes = unpack(content), schema()
    graph, signature = model.subgraphs[0], classes.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = _named(["lr"], graph.inputs)
    signature.outputs = _named(["features", "sr"][-len(graph.outputs) :], graph.outputs)
    model.signatureDefs, model.metadata = [signature], model.metadata or []
    for name, data in entries.items():
        entry = classes.MetadataT()
        entry.name, entry.buffer = name, add_buffer(model, np.frombuffer(data, np.uint8))
        model.metadata.append(entry)
    return pack(model)


def _named(names: list[str], indices) -> list:
    maps = [schema().TensorMapT() for _ in indices]
    for one, name, index in zip(maps, names, indices):
        one.name, one.tensorIndex = name, int(index)
    return maps


class LiteModel:
    """A .tflite file in memory, with its float16 constants widened to float32.

    Args:
        content: the file's bytes; it has one subgraph.
    """

    def __init__(self, content: bytes):
        self._schema, self._model = schema(), unpack(content)
        (self._graph,) = self._model.subgraphs
        (self._lr,) = self._graph.inputs
        *features, self._sr = self._graph.outputs  # by name: "features", "sr"
        self._features = features[0] if features else None
        self._operators = [op for op in self._graph.operators if not self._fold_dequantize(op)]

    @classmethod
    def blended(cls, content: bytes, name: str, other: bytes, amount: float) -> "LiteModel":
        """Return the model of a file or, if there is an other, their blend; see `blend`.

        Raises:
            WeightsError: they do not blend; begins with the name.
        """
        model = cls(content)
        if other:
            try:
                model.blend(cls(other), amount)
            except ValueError as error:
                raise WeightsError(f"{name}: {error}") from None
        return model

    def _is(self, op, kind: str) -> bool:
        return self._model.operatorCodes[op.opcodeIndex].builtinCode == getattr(self._schema.BuiltinOperator, kind)

    def _constant(self, index: int, kind: str = "FLOAT32") -> np.ndarray | None:
        """Return a constant tensor of this type; None for other tensors."""
        tensor = self._graph.tensors[index]
        data = self._model.buffers[tensor.buffer].data
        if data is None or tensor.type != getattr(self._schema.TensorType, kind):
            return None
        return data.view(kind.lower()).reshape(tensor.shape)

    def _set(self, index: int, array: np.ndarray) -> None:
        tensor = self._graph.tensors[index]
        tensor.buffer = add_buffer(self._model, array)
        tensor.type = getattr(self._schema.TensorType, array.dtype.name.upper())

    def _fold_dequantize(self, op) -> bool:
        """Turn the result of an operation that only widens a float16 constant into a constant; tell whether it was."""
        array = self._constant(op.inputs[0], "FLOAT16") if self._is(op, "DEQUANTIZE") else None
        if array is not None:
            self._set(op.outputs[0], array.astype(np.float32))
        return array is not None

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
                self._set(index, ((1 - amount) * mine + amount * others).astype(np.float32))

    def _form(self) -> list:
        tensors = [tuple(tensor.shape) if tensor.shape is not None else () for tensor in self._graph.tensors]
        codes = [self._model.operatorCodes[op.opcodeIndex].builtinCode for op in self._operators]
        return [tensors, codes, *((tuple(op.inputs), tuple(op.outputs)) for op in self._operators)]

    def in_eight_bits(self) -> None:
        """Round the weights of the large convolutions to 8 bits, with one step per filter.

        LiteRT then rounds what these convolutions read at run time, with one range per tensor, and accumulates in
        integers; everything between them stays float32.
        """
        kernels = self._kernels()
        fewest = max(kernel.size for _, kernel in kernels) * SMALL
        for index, kernel in kernels:
            if kernel.size >= fewest:
                levels, steps = in_levels(kernel)
                self._set(index, levels)
                quantization = self._schema.QuantizationParametersT()
                quantization.scale, quantization.zeroPoint = steps, np.zeros(len(steps), np.int64)
                quantization.quantizedDimension = 0
                self._graph.tensors[index].quantization = quantization

    def _kernels(self) -> list[tuple[int, np.ndarray]]:
        """Return the tensor and its value [filters, height, width, channels] for each convolution."""
        indices = [op.inputs[1] for op in self._operators if self._is(op, "CONV_2D")]
        return [(index, self._constant(index)) for index in indices]

    def bytes_per_pixel(self) -> tuple[int, int]:
        """Estimate LiteRT's memory per LR pixel, without the tail: of XNNPACK's pointers, and of tensors.

        It keeps a pointer per pixel and kernel position of each convolution. Measured together: 5.2 KB for the paper's
        generator, 29 for Real-ESRGAN x4plus, of which 3.2 are tensors.
        """
        shapes = [kernel.shape for _, kernel in self._kernels()]
        channels = sorted(shape[3] for shape in shapes)[len(shapes) // 2]
        return 8 * sum(height * width for _, height, width, _ in shapes), 6 * 4 * channels

    def parts(self) -> list[bytes]:
        """Return files to run in turn: trunk and tail if a single tensor lies between them, else the whole model."""
        features = self._features
        trunk = needed(self._operators, [features])
        before = {index for op in trunk for index in op.outputs} | {self._lr}
        tail = [op for op in self._operators if op not in trunk]
        further_back = any((before - {features}) & set(op.inputs) for op in tail)
        if features is None or further_back:
            return [self.whole()]
        return [self._file(self._lr, trunk, features), self._file(features, tail, self._sr)]

    def is_float(self) -> bool:
        """Return whether LR and SR are float32."""
        return all(self._graph.tensors[i].type == self._schema.TensorType.FLOAT32 for i in (self._lr, self._sr))

    def whole(self) -> bytes:
        """Return the network as one file, LR → SR."""
        return self._file(self._lr, self._operators, self._sr)

    def _file(self, given: int, operators: list, made: int) -> bytes:
        """Return a file of these operations and the constants that they use."""
        model, graph = self._schema.ModelT(), self._schema.SubGraphT()
        used = sorted({index for op in operators for index in (*op.inputs, *op.outputs) if index >= 0} | {given})
        place = {index: i for i, index in enumerate(used)} | {-1: -1}
        model.version, model.description = self._model.version, self._model.description
        model.operatorCodes, model.subgraphs = self._model.operatorCodes, [graph]
        model.buffers = [self._schema.BufferT()]
        graph.tensors, graph.operators = [], []
        for index in used:
            tensor = copy.copy(self._graph.tensors[index])
            data = self._model.buffers[tensor.buffer].data
            tensor.buffer = 0 if data is None or index == given else add_buffer(model, data)
            graph.tensors.append(tensor)
        for op in operators:
            moved = copy.copy(op)
            moved.inputs, moved.outputs = ([place[index] for index in ends] for ends in (op.inputs, op.outputs))
            graph.operators.append(moved)
        graph.inputs, graph.outputs = [place[given]], [place[made]]
        return pack(model)


def in_levels(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights as integer multiples of a step per filter, whose largest weight is 127 steps.

    Neighbouring pixels of a channel are nearly equal, so rounding errors of its weights add up. Therefore the weights
    nearest to a rounding boundary are rounded the other way until the sum per filter and channel is within half a step
    of the exact one: the kernel-wise part of SQuant (Guo et al. 2022, arXiv 2202.07471).

    Args:
        kernels: [filters, height, width, channels].

    Returns:
        int8 levels of the same shape, and float32 steps [filters].
    """
    steps = np.maximum(np.abs(kernels).max((1, 2, 3)), 1e-12).astype(np.float32) / 127
    exact = (kernels / steps[:, None, None, None]).reshape(len(kernels), -1, kernels.shape[3])
    levels = np.rint(exact)
    left = exact - levels
    more = np.rint(left.sum(1, keepdims=True))
    for sign in (1, -1):
        rank = np.argsort(np.argsort(-sign * left, 1), 1)
        levels += sign * (rank < sign * more)
    return np.clip(levels, -127, 127).astype(np.int8).reshape(kernels.shape), steps


def on_grid(kernels: np.ndarray) -> np.ndarray:
    """Return the values that `in_levels` represents, for kernels [height, width, channels, filters] as in Keras."""
    levels, steps = in_levels(np.moveaxis(kernels, -1, 0))
    return np.moveaxis(levels * steps[:, None, None, None], 0, -1)
