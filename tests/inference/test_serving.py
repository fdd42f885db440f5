"""The gRPC client against a server of the real protocol that is killed, slow, refuses and answers garbage."""

import collections
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import forks
import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix

pytest.importorskip("tensorflow_serving", reason="needs tensorflow-serving-api: pip install 'srgan_tf[serving]'")

from ports import free_port
from serving_server import SLOW, Server

from srgan_tf.errors import ModelError
from srgan_tf.export import saved_model
from srgan_tf.inference import serving, upscaling
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.runners import Runner
from srgan_tf.io import images
from srgan_tf.models.srresnet import Generator
from srgan_tf.planning import manifest

ROOT = Path(__file__).parents[2]
CONTEXT, TILE = 12, 80
OPTIONS = {"context": CONTEXT, "tile": TILE, "deadline": 60.0}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tf.keras.utils.set_random_seed(1)
    generator = Generator(blocks=1, channels=4)
    assert generator.context <= CONTEXT
    return saved_model.write(generator, tmp_path_factory.mktemp("served") / "srgan", max_pixels=90 * 90)


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="module")
def direct(loaded):
    """The model called with no server between, as `ServingRunner` stands for it."""
    signature = loaded.signatures["serving_default"]

    class Direct(Runner):
        is_uint8, max_tile = True, TILE

        def _run(self, lr):
            return signature(lr=tf.constant(lr))["sr"].numpy()

    return Direct(ModelInfo(4, CONTEXT), "direct")


@pytest.fixture
def serve(loaded, monkeypatch):
    """Start a server with a list of faults, and connect to it: (server, remote)."""
    monkeypatch.setattr(serving, "_LONGEST_WAIT", 0.01)
    opened = []

    def serve(faults=(), **options):
        server = Server(loaded, faults=faults)
        opened.append(server.stop)
        remote = serving.ServingRunner(f"127.0.0.1:{server.port}", **OPTIONS | options)
        opened.append(remote.close)
        return server, remote

    yield serve
    for close in reversed(opened):
        close()


def picture(seed, height=20, width=24, bands=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, bands), np.uint8)


def same(made, wanted) -> bool:
    """Equal but for the order in which threads add: a value in ten thousand rounds the other way."""
    difference = np.abs(made.astype(int) - wanted)
    if difference.any():
        print(f"off by {difference.max()} at {(difference > 0).sum()} of {difference.size} values")
    return difference.max() <= 1 and (difference > 0).mean() < 1e-4


@pytest.mark.matrix
def test_answers_are_the_models(serve, direct):
    server, remote = serve([None] * 3 + ["slow"], concurrency=3)
    ours, wanted = (upscaling.Upscaler(one, back_projection="full") for one in (remote, direct))
    for bands, size in [(3, (20, 24)), (3, (150, 200)), (1, (30, 90)), (4, (9, 70))]:
        image = picture(0, *size, bands)
        assert same(ours(image), wanted(image))
    batch = np.stack([picture(i) for i in range(3)])
    assert np.array_equal(remote(batch), np.concatenate([remote(one[None]) for one in batch]))
    # The first request asks for the label, all others for the version that answered it.
    assert [version for _, version, _ in server.requests] == [0] + [server.version] * (len(server.requests) - 1)
    assert 1 < max(working for *_, working in server.requests) <= 3  # tiles go together, but no more than allowed


FAULTS = ["unavailable", "exhausted", "slow", "shape", "dtype", "text", "short", "missing"]


@pytest.mark.parametrize("fault", matrix(FAULTS, "unavailable", "dtype", "missing"))
def test_passing_faults_are_retried(fault, serve, direct):
    # The first request, which asks for the scale, has to stand it as well.
    server, remote = serve([fault, None, fault, fault], deadline=SLOW / 2 if fault == "slow" else 60.0)
    lr = picture(1)[None] / np.float32(255)
    assert remote.scale == 4 and np.array_equal(remote(lr), direct(lr))
    assert [name for name, *_ in server.requests][:5] == [fault, None, fault, fault, None]


def test_lasting_faults_are_errors(serve):
    server, remote = serve([None, *["dtype"] * 8], patience=0.5)
    lr = picture(0)[None]
    with pytest.raises(ModelError, match=r"float32 \[1, 80, 96, 3\], not the uint8 SR of \[1, 20, 24, 3\]"):
        remote(lr)
    server.faults = itertools.repeat("unavailable")
    with pytest.raises(ModelError, match="UNAVAILABLE: no room"):
        remote(lr)
    with pytest.raises(ModelError, match=r"UNAVAILABLE: no room .*attempt [12]\)"):
        remote(lr)  # no long wait for each picture of a server that is gone
    server.faults = itertools.chain(["unavailable"] * 2, itertools.repeat(None))
    with pytest.raises(ModelError):
        remote(lr)
    remote._patience = 60.0
    remote(lr)
    for options, message in [
        ({}, r"(?s)INVALID_ARGUMENT: .*8281 pixels.*attempt 1\)"),  # the model's own limit; no time mends these
        ({"model": "other"}, r"model other, stable: NOT_FOUND.*attempt 1\)"),
        ({"label": "canary"}, r"INVALID_ARGUMENT: Unrecognized servable version label: canary .*attempt 1\)"),
    ]:
        with pytest.raises(ModelError, match=message):
            serve(**options)[1](np.zeros((1, 91, 91, 3), np.uint8))


def test_options_that_cannot_work_are_refused(serve):
    with pytest.raises(ValueError, match="tiles of 512 px need messages of 24 MiB"):
        serve(tile=512, message=8 << 20)
    with pytest.raises(ValueError, match="tile must be at least 56 px"):
        upscaling.Upscaler(serve(tile=40)[1])


class Process:
    """The test server as a process, to be killed as machines die."""

    def __init__(self, exported, port, *rates):
        self._command = [sys.executable, str(ROOT / "tests/serving_server.py"), str(exported), str(port), *rates]
        self.log = []

    def start(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "serving\n"
        threading.Thread(target=lambda out: self.log.extend(out), args=[self.process.stdout], daemon=True).start()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def client(source, out, port, *options):
    given = {**OPTIONS, "server": f"127.0.0.1:{port}", "output": out}
    flags = [f"--{name}={value}" for name, value in given.items()]
    return [sys.executable, "-m", "srgan_tf", "client", str(source), *flags, *options]


def start(*arguments):
    return forks.Popen(client(*arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True)


def until(condition, process, server=None):
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert server is None or server.process.poll() is None, server.process.returncode
        time.sleep(0.02)


def drive(exported, direct, tmp_path, sizes, rates, kills, *options) -> collections.Counter:
    """Send pictures to a server that has faults and is killed; compare every output with the model's own."""
    source, out, port = tmp_path / "in", tmp_path / "out", free_port()
    pictures = {Path(f"{i % 3}/{i}.png"): picture(i, *size) for i, size in enumerate(sizes)}  # no two alike
    for path, pixels in pictures.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        images.write(source / path, pixels)
    server = Process(exported, port, *rates)
    process = start(source, out, port, *options)  # before the server: it waits for it
    server.start()
    try:
        for i in range(kills):
            until(lambda i=i: len(list(out.rglob("*_x4.png"))) > (i + 1) * len(sizes) // (kills + 2), process, server)
            server.kill()
            for path in out.rglob("*_x4.png"):  # what has its name is whole, at any moment
                images.read(path)
            server.start()
        errors = process.communicate(timeout=600)[1]
        assert process.returncode == 0, errors
    finally:
        server.kill()
        process.kill()
    assert f"{len(sizes)} made" in errors and "error" not in errors
    upscaler = upscaling.Upscaler(direct)
    names = {path: out / path.parent / f"{path.stem}_x4.png" for path in pictures}
    for path, made in names.items():
        assert same(images.read(made), upscaler(pictures[path])), path
    left = {path for path in out.rglob("*") if path.is_file()} - {out / manifest.NAME}
    assert left == set(names.values())  # nothing half done
    return collections.Counter(line.strip() for line in server.log)


@pytest.mark.slow
def test_a_batch_survives_faults_and_a_killed_server(exported, direct, tmp_path):
    sizes = [(20, 24)] * 3 + [(90, 300)] + [(60, 64)] * 8
    drive(exported, direct, tmp_path, sizes, ["unavailable=0.1", "dtype=0.1"], 1, "--concurrency=2")
    # All is there, so the same again needs no more than to reach the server; without one, it says so.
    away = ["--patience=1", "--overwrite"]
    gone = forks.run(client(tmp_path / "in", tmp_path / "new", free_port(), *away), capture_output=True, cwd=ROOT)
    assert gone.returncode == 1 and gone.stderr.count(b"\n") == 1 and b"UNAVAILABLE" in gone.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.matrix
def test_ctrl_c_leaves_no_half_file(loaded, tmp_path):
    images.write(tmp_path / "large.png", picture(0, 1000, 1000))
    server = Server(loaded, faults=[None] * 40 + ["slow"] * 1000)
    try:
        process = start(tmp_path / "large.png", tmp_path / "out", server.port)
        until(lambda: list((tmp_path / "out").glob(".partial-*")) and len(server.requests) > 45, process)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=120)[1].count("\n") <= 1 and process.returncode == 130
        assert not list((tmp_path / "out").iterdir())
    finally:
        server.stop()


@pytest.mark.parametrize("server", ["http://localhost:8500", "localhost"])
def test_a_server_without_its_port_is_refused_at_once(server):
    """It was tried for all of --patience."""
    done = forks.run([*client("a.png", "out", 1), f"--server={server}"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and "give host:port" in done.stderr and done.stderr.count("\n") == 1


def test_help_needs_no_tensorflow():
    command = [sys.executable, "-X", "importtime", "-m", "srgan_tf", "client", "--help"]
    listed = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=60)
    assert b"--concurrency" in listed.stdout and b"--back_projection" in listed.stdout
    assert not any(name in listed.stderr for name in (b"tensorflow", b"grpc", b"pyvips"))


@pytest.mark.slow
def test_under_load(exported, direct, tmp_path):
    chance, started = np.random.default_rng(0), time.monotonic()
    sizes = [
        (int(chance.integers(8, 120)), int(chance.integers(8, 120))) for _ in range(int(os.environ.get("LOAD", 200)))
    ]
    sizes[::50] = [(700, 900)] * len(sizes[::50])
    rates = ["unavailable=0.1", "exhausted=0.05", "slow=0.01", "shape=0.03", "dtype=0.03", "text=0.02", "short=0.02"]
    seen = drive(exported, direct, tmp_path, sizes, rates, 5, "--concurrency=8", f"--deadline={SLOW / 2}")
    print(f"{len(sizes)} pictures, 5 kills, {time.monotonic() - started:.0f} s, requests answered:", dict(seen))
    assert all(seen[rate.partition("=")[0]] for rate in rates)
