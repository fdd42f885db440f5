"""A model behind TensorFlow Serving, called by gRPC: needs `pip install srgan_tf[serving]`."""

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from srgan_tf.errors import ModelError
from srgan_tf.inference.runners import PROBE, Runner, measure_context

SIGNATURE, INPUT, OUTPUT = "serving_default", "lr", "sr"  # uint8 RGB both ways, as export.py makes it
# A server that is starting, busy or slow. All else, such as a model that is not there, time does not mend.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0  # s: the back-off doubles from one to the other
_SILENCE = 5.0  # s without an answer after which the user is told
_GARBAGE = 8  # answers that make no sense after which a request is given up


class Garbage(ValueError):
    """An answer that cannot be the SR of what was sent."""


class ServingRunner(Runner):
    """A model behind TensorFlow Serving, as a runner; any number of threads may call it.

    It asks for a label once and stays with the version that answered: moving the label does not mix two models in
    one picture.

    Args:
        server: host:port of the server's gRPC endpoint.
        model: its name there.
        label: of the version wanted, "" for the newest.
        context: LR pixels that the network sees on each side of one; measured on the server by default.
        tile: LR pixels a side of the largest request; larger pictures go tile by tile.
        concurrency: requests on the way at once.
        deadline: seconds for one answer.
        patience: seconds for which a request is sent again where the server is away, busy or slow, after waits that
            double from 0.2 to 10 s. They count from the last answer to any request, where that was earlier.
        message: bytes of the largest answer; gRPC's own default is 4 MiB.

    Call:
        As of `Runner`. Raises ModelError where no usable answer came, however often it was asked.

    Raises:
        ModelError: the server does not answer, or knows no such model. ValueError: tile needs larger messages.

    Example:
        >>> Upscaler(ServingRunner("localhost:8500"))(image)
    """

    levels = True
    bytes_a_pixel = 1_850  # here: arrays alone

    def __init__(
        self,
        server: str,
        model: str = "srgan",
        label: str = "stable",
        context: int | None = None,
        tile: int = 512,
        concurrency: int = 4,
        deadline: float = 120.0,
        patience: float = 300.0,
        message: int = 64 << 20,
    ):
        super().__init__(model, 0)
        self.server, self.largest = server, tile
        self._model, self._label, self._version = model, label, None
        self._deadline, self._patience = deadline, patience
        self._failing, self._told = None, False  # since when no request has been answered, and whether that was said
        options = {"max_send_message_length": message, "max_receive_message_length": message}
        # gRPC waits up to two minutes before it tries to connect again: the waits here decide.
        options |= {"initial_reconnect_backoff_ms": 100, "max_reconnect_backoff_ms": 1000}
        self._channel = grpc.insecure_channel(server, [(f"grpc.{name}", value) for name, value in options.items()])
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self._slots, self._closed = threading.Semaphore(concurrency), threading.Event()
        self._pool = ThreadPoolExecutor(concurrency)
        self.map = self._pool.map
        self.scale = self._run(np.zeros((1, PROBE, PROBE, 3), np.uint8)).shape[1] // PROBE
        self.context = measure_context(self, self.scale) if context is None else context
        # Serving sends tensors as one number a value by default, and numbers above 127 take two bytes.
        needed = 2 * 3 * (self.scale * tile) ** 2 + 1024
        if needed > message:
            raise ValueError(f"tiles of {tile} px need messages of {needed / 2**20:.0f} MiB; allow them, or less px")

    def _run(self, lr):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._model, SIGNATURE
        if self._version is not None:
            request.model_spec.version.value = self._version
        elif self._label:
            request.model_spec.version_label = self._label
        request.inputs[INPUT].CopyFrom(tf.make_tensor_proto(lr))
        with self._slots:  # kept while waiting: a server in trouble gets fewer requests
            started, garbage = time.monotonic(), 0
            for attempt in itertools.count():
                if self._closed.is_set():
                    raise ModelError(f"{self.server}: closed")
                try:
                    answer = self._predict(request, timeout=self._deadline)
                    sr = _decode(answer, lr.shape, self.scale)
                except Garbage as error:
                    reason, garbage = str(error), garbage + 1
                    last = garbage == _GARBAGE
                except grpc.RpcError as error:
                    reason = f"{error.code().name}: {error.details()}"
                    last = error.code() not in _PASSING or self._silent(started) > self._patience
                else:
                    self._failing, self._told = None, False
                    if answer.model_spec.HasField("version"):
                        self._version = answer.model_spec.version.value
                    return sr
                if last:
                    where = f"{self.server}, model {self._model}, {self._label or 'newest'}"
                    raise ModelError(f"{where}: {reason} (gave up after attempt {attempt + 1})")
                wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 30))
                self._closed.wait(wait * random.uniform(0.5, 1))  # not all at once

    def _silent(self, started: float) -> float:
        """Seconds since a request was first sent, or since none was answered any more, where that was earlier."""
        now = time.monotonic()
        failing = self._failing = self._failing or now
        if now - failing > _SILENCE and not self._told:
            self._told = True
            logging.warning("%s does not answer; trying again for %.0f s", self.server, self._patience)
        return now - min(started, failing)

    def close(self) -> None:
        """End all requests on the way, wherever they stand."""
        self._closed.set()
        self._channel.close()
        self._pool.shutdown(cancel_futures=True)


def _decode(answer, sent: tuple, scale: int | None) -> np.ndarray:
    """The SR in an answer, checked to be that of what was sent before anything is made of it."""
    if OUTPUT not in answer.outputs:
        raise Garbage(f"the answer has {', '.join(answer.outputs) or 'no outputs'}, not {OUTPUT}")
    proto = answer.outputs[OUTPUT]
    shape = tuple(axis.size for axis in proto.tensor_shape.dim)
    scale = scale or (shape[1] // sent[1] if len(shape) == 4 else 0)
    if proto.dtype != tf.uint8.as_datatype_enum or not scale or shape != (sent[0], scale * sent[1], scale * sent[2], 3):
        kind = tf.as_dtype(proto.dtype).name if proto.dtype else "untyped"
        raise Garbage(f"the answer is {kind} {list(shape)}, not the uint8 SR of {list(sent)}")
    if len(proto.tensor_content or proto.int_val) != np.prod(shape):
        raise Garbage("the answer's pixels do not fill its shape")
    return tf.make_ndarray(proto)
