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


def calibration(job) -> list[np.ndarray]:
    """The pictures that int8's ranges are measured on, [1, 3, height, width], those of the package's own int8."""
    return [np.ascontiguousarray(lr.transpose(2, 0, 1)[None]) for lr in np.load(job["calibration"])]


def onnxruntime(job):
    import onnxruntime

    path, lr = in_onnx(job)
    if job.get("int8"):
        from onnxruntime.quantization import CalibrationDataReader, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        class Pictures(CalibrationDataReader):
            left = iter(calibration(job))

            def get_next(self):
                picture = next(self.left, None)
                return None if picture is None else {"lr": picture}

        quant_pre_process(path, f"{path}.pre", skip_symbolic_shape=True)
        quantize_static(f"{path}.pre", f"{path}.int8", Pictures(), per_channel=True)
        path = f"{path}.int8"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"lr": lr})[0].transpose(0, 2, 3, 1), onnxruntime.__version__


def openvino(job):
    import openvino

    path, lr = in_onnx(job)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": job["precision"]}
    core = openvino.Core()
    model = core.read_model(path)
    if job.get("int8"):
        import nncf

        pictures = calibration(job)
        model = nncf.quantize(model, nncf.Dataset(pictures), subset_size=len(pictures))
    model = core.compile_model(model, "CPU", options)
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
