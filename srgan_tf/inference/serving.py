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
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.probing import PROBE, measure_context
from srgan_tf.inference.runners import Runner

SIGNATURE, INPUT, OUTPUT = "serving_default", "lr", "sr"  # uint8 RGB both ways, as export.py makes it
# Retryable status codes; others are permanent.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0  # s: the back-off doubles from one to the other
_SILENCE = 5.0  # s without a response until a warning is logged
_GARBAGE = 8  # malformed responses until a request fails


class Garbage(ValueError):
    """Raised for a response that cannot be the SR of the request."""


class ServingRunner(Runner):
    """Run a model behind TensorFlow Serving; any number of threads may call it.

    The version that answers first is used to the end: moving the label does not mix two models in one picture.

    Args:
        server: host:port of the server's gRPC endpoint.
        model: its name there.
        label: of the version; "" for the newest.
        context: receptive field in LR pixels on each side; measured on the server by default.
        tile: LR pixels per side of the largest request; larger pictures run tile by tile.
        concurrency: simultaneous requests.
        deadline: seconds per response.
        patience: seconds for which requests are retried while the server is unavailable, busy or slow, after waits that
            double from 0.2 to 10 s. They count from the last response to any request, if that was earlier.
        message: bytes of the largest response; gRPC's own default is 4 MiB.

    Raises:
        ModelError: the server does not respond, or has no such model; also when called. ValueError: tile needs larger
        messages.

    Example:
        >>> Upscaler(ServingRunner("localhost:8500"))(image)
    """

    is_uint8 = True
    bytes_per_pixel = 1_850  # here: arrays alone

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
        super().__init__(ModelInfo(0), model)  # scale 0: whatever the first response has
        self.server, self.max_tile = server, tile
        self._model, self._label, self._version = model, label, None
        self._deadline, self._patience = deadline, patience
        self._failing, self._warned = None, False  # since when no request was answered; whether that was logged
        options = {"max_send_message_length": message, "max_receive_message_length": message}
        # gRPC would wait up to two minutes before reconnecting.
        options |= {"initial_reconnect_backoff_ms": 100, "max_reconnect_backoff_ms": 1000}
        self._channel = grpc.insecure_channel(server, [(f"grpc.{name}", value) for name, value in options.items()])
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self._slots, self._closed = threading.Semaphore(concurrency), threading.Event()
        self._pool = ThreadPoolExecutor(concurrency)
        self.map = self._pool.map
        scale = self._run(np.zeros((1, PROBE, PROBE, 3), np.uint8)).shape[1] // PROBE
        self.info = ModelInfo(scale, measure_context(self, scale) if context is None else context)
        # By default, Serving sends one integer per value, and integers above 127 take two bytes.
        needed = 2 * 3 * (scale * tile) ** 2 + 1024
        if needed > message:
            size = f"{needed / 2**20:.0f} MiB"
            raise ValueError(f"tiles of {tile} px need messages of {size}; raise message or lower tile")

    def _run(self, lr):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._model, SIGNATURE
        if self._version is not None:
            request.model_spec.version.value = self._version
        elif self._label:
            request.model_spec.version_label = self._label
        request.inputs[INPUT].CopyFrom(tf.make_tensor_proto(lr))
        with self._slots:  # held while waiting, so that an overloaded server gets fewer requests
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
                    self._failing, self._warned = None, False
                    if answer.model_spec.HasField("version"):
                        self._version = answer.model_spec.version.value
                    return sr
                if last:
                    where = f"{self.server}, model {self._model}, {self._label or 'newest'}"
                    raise ModelError(f"{where}: {reason} (gave up after attempt {attempt + 1})")
                wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt, 30))
                self._closed.wait(wait * random.uniform(0.5, 1))  # spread retries

    def _silent(self, started: float) -> float:
        """Return seconds since a request was first sent, or since responses ceased if that was earlier."""
        now = time.monotonic()
        failing = self._failing = self._failing or now
        if now - failing > _SILENCE and not self._warned:
            self._warned = True
            logging.warning("%s does not respond; retrying for %.0f s", self.server, self._patience)
        return now - min(started, failing)

    def close(self) -> None:
        """Cancel all requests."""
        self._closed.set()
        self._channel.close()
        self._pool.shutdown(cancel_futures=True)


def _decode(answer, sent: tuple, scale: int | None) -> np.ndarray:
    """Return the SR in a response, after checking that its shape and type fit the request."""
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
