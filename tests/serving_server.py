"""A server that speaks TensorFlow Serving's PredictionService around a SavedModel, and fails when told to.

python tests/serving_server.py MODEL_FOLDER PORT [FAULT=RATE ...]    as: unavailable=0.1 shape=0.05
"""

import itertools
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SLOW = 3.0  # s
REFUSALS = {"unavailable": grpc.StatusCode.UNAVAILABLE, "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED}


def as_fields(array: np.ndarray):
    """One number a value, as Serving answers by default; tf.make_tensor_proto packs bytes."""
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum, int_val=array.ravel().tolist())
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    return proto


def spoiled(outputs: dict, fault: str) -> dict:
    sr = outputs["sr"]
    if fault == "short":
        proto = tf.make_tensor_proto(sr)
        proto.tensor_content = proto.tensor_content[:-1]
        return {"sr": proto}
    return {
        "shape": {"sr": sr[:, :-1]},
        "dtype": {"sr": sr.astype(np.float32)},
        "text": {"sr": np.array([b"not a picture"])},
        "missing": {"other": sr},
    }[fault]


class Server(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Serves a loaded SavedModel as version 7 of "srgan", labelled "stable"; `faults`: a name, or None, a request."""

    version = 7

    def __init__(self, model, port: int = 0, faults=()):
        self._model = model
        self.faults, self._lock = itertools.chain(faults, itertools.repeat(None)), threading.Lock()
        self.requests = []  # (fault, version asked for, largest number at work with it)
        self._working, self._one_at_a_time = 0, threading.Lock()
        self._server = grpc.server(
            ThreadPoolExecutor(16), options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    def stop(self):
        self._server.stop(None).wait()

    def Predict(self, request, context):
        with self._lock:
            self._working += 1
            fault = next(self.faults)
            self.requests.append((fault, request.model_spec.version.value, self._working))
        try:
            return self._answer(request, context, fault, len(self.requests) % 2)
        finally:
            with self._lock:
                self._working -= 1

    def _answer(self, request, context, fault, fields):
        spec = request.model_spec
        if spec.name != "srgan" or (spec.HasField("version") and spec.version.value != self.version):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find version of model {spec.name}")
        if spec.version_label not in ("", "stable"):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {spec.version_label}"
            )
        if fault in REFUSALS:
            context.abort(REFUSALS[fault], "no room")
        if fault == "slow":
            time.sleep(SLOW)
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        try:
            # One at a time: with oneDNN, TensorFlow 2.15 and 2.21 crash within seconds where several threads run
            # convolutions (deploy/serving/compose.yaml turns it off for that reason).
            with self._one_at_a_time:
                outputs = self._model.signatures[spec.signature_name or "serving_default"](**inputs)
        except (tf.errors.InvalidArgumentError, TypeError, KeyError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        outputs = {name: value.numpy() for name, value in outputs.items()}
        if fault and fault != "slow":
            outputs = spoiled(outputs, fault)
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name, answer.model_spec.version.value = spec.name, self.version
        for name, value in outputs.items():
            if isinstance(value, np.ndarray):
                value = as_fields(value) if fields and value.dtype == np.uint8 else tf.make_tensor_proto(value)
            answer.outputs[name].CopyFrom(value)
        return answer


def at_random(rates: dict, seed: int):
    chance = random.Random(seed)
    while True:
        x = chance.random()
        yield next((name for name, end in zip(rates, itertools.accumulate(rates.values())) if x < end), None)


if __name__ == "__main__":
    folder, port, *rates = sys.argv[1:]
    rates = {name: float(rate) for name, _, rate in (text.partition("=") for text in rates)}
    server = Server(tf.saved_model.load(folder), int(port), at_random(rates, time.time_ns()))
    print("serving", flush=True)
    seen = 0
    while True:
        time.sleep(0.05)
        for fault, *_ in server.requests[seen:]:
            seen += 1
            print(fault or "good", flush=True)
