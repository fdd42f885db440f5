"""The same generator in ONNX Runtime, OpenVINO and LiteRT, each as its documentation has it run."""

import os

import numpy as np
from worker import serve


def in_onnx(job):
    """The generator as an ONNX file, made once by PyTorch's exporter."""
    path = job["weights"].removesuffix(".npz") + ".onnx"
    if not os.path.exists(path):
        import torch
        from in_torch import load

        lr = torch.rand(1, 3, 32, 32)
        axes = {"lr": {2: "height", 3: "width"}, "sr": {2: "height", 3: "width"}}
        options = {"input_names": ["lr"], "output_names": ["sr"], "dynamic_axes": axes}
        torch.onnx.export(load(job["weights"]), (lr,), path, dynamo=False, **options)
    return path, np.ascontiguousarray(np.load(job["lr"]).transpose(0, 3, 1, 2))


def onnxruntime(job):
    import onnxruntime

    path, lr = in_onnx(job)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"lr": lr})[0].transpose(0, 2, 3, 1), onnxruntime.__version__


def openvino(job):
    import openvino

    path, lr = in_onnx(job)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": job["precision"]}
    model = openvino.Core().compile_model(path, "CPU", options)
    return lambda: model(lr)[0].transpose(0, 2, 3, 1), openvino.__version__.split("-")[0]


def litert(job):
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter

    lr, model = np.load(job["lr"]), Interpreter(job["tflite"], num_threads=os.cpu_count())
    given, made = model.get_input_details()[0], model.get_output_details()[0]
    if given["dtype"] == np.uint8:
        lr = np.rint(lr * 255).astype(np.uint8)
    else:
        model.resize_tensor_input(given["index"], lr.shape)
    model.allocate_tensors()

    def run():
        model.set_tensor(given["index"], lr)
        model.invoke()
        sr = model.get_tensor(made["index"]).astype(np.float32)
        return sr / (127.5 if given["dtype"] == np.uint8 else 0.5) - 1

    return run, getattr(ai_edge_litert, "__version__", "2")


if __name__ == "__main__":
    import json
    import sys

    name = json.loads(sys.argv[1])["runtime"]
    made = {}

    def make(job):
        run, made[name] = globals()[name](job)
        return run

    serve(make, made)
