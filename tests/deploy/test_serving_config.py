"""deploy/serving as far as it can be checked without TensorFlow Serving itself, which is not on these machines."""

import base64
import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from srgan_tf.export import saved_model
from srgan_tf.io import images
from srgan_tf.models.srresnet import Generator

yaml = pytest.importorskip("yaml", reason="needs pyyaml")
model_server_config_pb2 = pytest.importorskip(
    "tensorflow_serving.config.model_server_config_pb2", reason="needs tensorflow-serving-api"
)

FOLDER = Path(__file__).parents[2] / "deploy" / "serving"
CONFIG = FOLDER / "config"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
README = (FOLDER / "README.md").read_text()


def shell(containing: str) -> str:
    """The README's block of commands that contains this."""
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if containing in block)
    return block


def block(containing: str) -> str:
    """The README's piece of models.config that contains this."""
    (found,) = (each for each in re.findall(r"```proto\n(.*?)```", README, re.DOTALL) if containing in each)
    return found


def parse(path: Path, fields: dict):
    """A text-format file as a message of these fields, of which Serving's package carries no class."""
    proto = descriptor_pb2.FileDescriptorProto(
        name=path.name, package=path.stem, syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    message = proto.message_type.add(name="Config")
    inner = message.nested_type.add(name="Inner")
    for owner, names in [(message, fields), (inner, {"enable": "bool", "path": "string"})]:
        for number, (name, kind) in enumerate(names.items(), 1):
            field = owner.field.add(name=name, number=number, label=1)
            if kind in ("bool", "string"):
                field.type = {"bool": 8, "string": 9}[kind]
            else:
                field.type, field.type_name = 11, kind.format(package=path.stem)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(proto.SerializeToString())
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{path.stem}.Config"))
    return text_format.Parse(path.read_text(), kind())


def models(text: str):
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    return model


def test_compose_names_what_is_there():
    serving = COMPOSE["services"]["serving"]
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", serving["image"])
    given = dict(argument.removeprefix("--").split("=", 1) for argument in serving["command"])
    mounts = dict(volume.removesuffix(":ro").split(":")[::-1] for volume in serving["volumes"])
    for name in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        inside = Path(given[name])
        assert (FOLDER / mounts[str(inside.parent)] / inside.name).is_file()
    assert mounts["/models"] == "./models" and given["allow_version_labels_for_unavailable_models"] == "true"
    assert models((CONFIG / "models.config").read_text()).base_path.startswith("/models/")
    monitored = yaml.safe_load((CONFIG / "prometheus.yml").read_text())["scrape_configs"][0]
    assert monitored["static_configs"][0]["targets"] == [f"serving:{given['rest_api_port']}"]
    assert "/config/prometheus.yml" in COMPOSE["services"]["prometheus"]["command"][0]


def test_a_second_version_with_labels_and_the_way_back(tmp_path):
    text = (CONFIG / "models.config").read_text()
    model = models(text)
    assert list(model.model_version_policy.specific.versions) == [1] and model.name == "srgan"
    assert dict(model.version_labels) == {"stable": 1}
    of_one = re.search(r"    model_version_policy.*\n    version_labels.*\n", text)[0]
    text = text.replace(of_one, block("canary"))
    model = models(text)
    assert list(model.model_version_policy.specific.versions) == [1, 2]
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}
    target = tmp_path / "deploy/serving/config/models.config"
    target.parent.mkdir(parents=True)
    target.write_text(text.replace("'stable' value: 1", "'stable' value: 2"))
    assert dict(models(target.read_text()).version_labels) == {"stable": 2, "canary": 2}
    rollback = next(line for line in shell("sed -i").splitlines() if "sed -i" in line)
    subprocess.run(["bash", "-c", rollback], cwd=tmp_path, check=True)
    assert target.read_text() == text


def test_a_second_model():
    text = (CONFIG / "models.config").read_text().rstrip().removesuffix("}") + block("srgan-real") + "}"
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert [model.name for model in config.model_config_list.config] == ["srgan", "srgan-real"]
    bases = [model.base_path for model in config.model_config_list.config]
    assert bases == ["/models/srgan/saved_model", "/models/srgan-real/saved_model"]


def test_requests_are_never_merged_or_padded():
    # Names and types as in tensorflow_serving/servables/tensorflow/session_bundle_config.proto, BatchingParameters.
    number = ".google.protobuf.Int64Value"
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    batching = parse(CONFIG / "batching.config", dict.fromkeys(names, number))
    assert batching.max_batch_size.value == 1
    assert 1 <= batching.num_batch_threads.value <= batching.max_enqueued_batches.value


def test_monitoring():
    # As in tensorflow_serving/config/monitoring_config.proto.
    monitoring = parse(CONFIG / "monitoring.config", {"prometheus_config": ".{package}.Config.Inner"})
    given = yaml.safe_load((CONFIG / "prometheus.yml").read_text())["scrape_configs"][0]
    assert monitoring.prometheus_config.enable and monitoring.prometheus_config.path == given["metrics_path"]


class Handler(BaseHTTPRequestHandler):
    """Serving's REST interface as its documentation (api_rest.md) has it, no more of it than the README uses."""

    def do_GET(self):
        state = {"version": "1", "state": self.server.state, "status": {"error_code": "OK", "error_message": ""}}
        self.reply(200 if self.path == "/v1/models/srgan" else 404, {"model_version_status": [state]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        signature = self.server.model.signatures[request["signature_name"]]
        files = [base64.b64decode(instance["b64"], validate=True) for instance in request["instances"]]
        try:
            assert self.path == "/v1/models/srgan/labels/stable:predict"
            (made,) = signature(lr_bytes=tf.constant(files)).values()
            self.reply(200, {"predictions": [{"b64": base64.b64encode(data).decode()} for data in made.numpy()]})
        except tf.errors.InvalidArgumentError as error:
            self.reply(400, {"error": str(error)})

    def reply(self, code, value):
        body = json.dumps(value, indent=4).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def rest():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.matrix
@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the command needs curl and jq")
def test_the_rest_command_as_printed(rest, tmp_path):
    folder = saved_model.write(Generator(blocks=1, channels=4), tmp_path / "model", max_pixels=2000)
    rest.model = tf.saved_model.load(str(folder))
    command = "set -o pipefail\n" + shell(":predict").replace("localhost:8501", f"127.0.0.1:{rest.server_port}")
    images.write(tmp_path / "photo.jpg", np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=60)
    sent = tf.io.decode_image((tmp_path / "photo.jpg").read_bytes())[None]
    wanted = rest.model.signatures["serving_default"](lr=sent)["sr"].numpy()[0]
    assert np.array_equal(images.read(tmp_path / "photo_x4.png"), wanted)
    images.write(tmp_path / "photo.jpg", np.zeros((50, 50, 3), np.uint8))
    failed = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60)
    assert failed.returncode and b"2000 are taken" in failed.stderr


@pytest.mark.parametrize("state, healthy", [("AVAILABLE", True), ("LOADING", False), ("UNAVAILABLE", False)])
def test_the_health_check(rest, state, healthy):
    rest.state = state
    kind, *command = COMPOSE["services"]["serving"]["healthcheck"]["test"]
    command[-1] = command[-1].replace("/8501", f"/{rest.server_port}")
    assert kind == "CMD" and str(rest.server_port) in command[-1]
    assert (subprocess.run(command, timeout=30).returncode == 0) == healthy
    rest.shutdown()
    rest.server_close()
    assert subprocess.run(command, timeout=30, stderr=subprocess.DEVNULL).returncode
