"""The GPU makes what the CPU makes, at any tile size, and says what it cannot do. By SwiftShader, in software."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT, matrix
from PIL import Image
from swiftshader import needed

from srgan_tf.data.bundled import PHOTOS
from srgan_tf.errors import GpuError, WeightsError
from srgan_tf.export import tflite
from srgan_tf.inference import gpu, gpu_probe
from srgan_tf.inference.litert import EngineRunner
from srgan_tf.inference.loading import choose_engine, load_blend, load_runner
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.io import images
from srgan_tf.models.compact import Compact


@pytest.fixture(autouse=True)
def no_limits(monkeypatch):
    monkeypatch.setattr(gpu, "_limits", {})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(height: int, width: int) -> np.ndarray:
    return images.read(PHOTOS / "heldout" / "coffee.jpg")[100 : 100 + height, 100 : 100 + width]


def apart(one, other) -> int:
    return np.abs(np.asarray(one, int) - other).max()


@needed
@pytest.mark.parametrize("name", matrix(["compact", "fast", "srgan"], "compact"))
def test_shipped_weights(name, software_gpu, cache):
    lr = picture(16, 16)[None]
    runner = load_runner(name, "float32", "gpu")
    assert gpu.is_software(runner.adapter) and "GPU" in runner.precision
    assert apart(runner(lr), load_runner(name, "float32", "litert")(lr)) <= 1


@needed
def test_a_blend(software_gpu, cache):
    lr = picture(16, 20)[None]
    by_gpu, by_cpu = (load_blend("fast", "fast-real", 0.25, "float32", engine) for engine in ("gpu", "litert"))
    assert apart(by_gpu(lr), by_cpu(lr)) <= 1
    assert apart(by_gpu(lr), load_runner("fast", "float32", "litert")(lr)) > 1
    with pytest.raises(WeightsError, match="different architecture"):
        load_blend("fast", "compact", 0.5, engine="gpu")


@needed
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_tiles_of_one_size_are_the_whole(bands, software_gpu, cache, monkeypatch):
    lr = np.concatenate([picture(44, 60)] * 2, -1)[..., :bands]
    upscaler = Upscaler("compact", engine="gpu", precision="float32", back_projection="full")
    pipeline = upscaler.resolve(lr)
    side = 2 * pipeline.overlap + 16
    pipeline.runner.max_tile, sizes = side, []
    compiling = gpu.GpuRunner._compile
    monkeypatch.setattr(gpu.GpuRunner, "_compile", lambda self, *size: sizes.append(size) or compiling(self, *size))
    made = upscaler(lr)
    assert sizes == [(min(44, side), min(60, side))] and pipeline.num_tiles(44, 60) > 1
    wanted = Upscaler("compact", engine="litert", precision="float32", back_projection="full")(lr)
    assert apart(made, wanted) <= 1


@needed
def test_sixteen_bits(software_gpu, cache):
    lr = picture(16, 16).astype(np.uint16) * 257
    made, wanted = (Upscaler("compact", engine=engine)(lr) for engine in ("gpu", "litert"))
    assert made.dtype == np.uint16 and apart(made, wanted) <= 4  # of 65,535


@needed
def test_out_of_device_memory(software_gpu, cache, monkeypatch, caplog):
    """A device without enough of it compiles, runs, and returns zeros (LiteRT 2.3)."""
    lr, finish = picture(40, 80), gpu.Compiled.finish

    def of_small_tiles(self, buffers):
        sr = finish(self, buffers)
        return sr if max(sr.shape[1:3]) <= 4 * 40 else np.zeros_like(sr)

    monkeypatch.setattr(gpu.Compiled, "finish", of_small_tiles)
    options = {"precision": "float32", "back_projection": "none"}
    upscaler = Upscaler("compact", engine="gpu", **options)
    made = upscaler(lr)
    assert apart(made, Upscaler("compact", engine="litert", **options)(lr)) <= 1
    assert upscaler.resolve(lr).runner.max_tile == 40
    assert [record.getMessage() for record in caplog.records] == ["out of memory: continuing with tiles of 40 px"]
    monkeypatch.setattr(gpu.Compiled, "finish", lambda self, buffers: 0 * finish(self, buffers))
    with pytest.raises(
        GpuError, match=r"--engine=gpu: compact: .* differs from the CPU's by \d+ of 255; use --engine="
    ):
        load_runner("compact", engine="gpu")


@needed
def test_a_device_that_stops(software_gpu, cache, monkeypatch, caplog):
    lr = picture(16, 16)[None]
    explicit, auto = (gpu_runner(fall_back) for fall_back in (False, True))
    for runner in (explicit, auto):
        runner(lr)  # compiles this size
    import ai_edge_litert.compiled_model

    monkeypatch.setattr(ai_edge_litert.compiled_model.CompiledModel, "run_by_index", lambda *_: None)
    with pytest.raises(GpuError, match=r"stopped.*--engine=litert"):
        explicit(lr)
    wanted = load_runner("compact", "float32", "litert")(lr)
    assert apart(auto(lr), wanted) == apart(auto(lr), wanted) == 0
    assert len(caplog.records) == 1 and "continuing on the CPU" in caplog.text


def gpu_runner(fall_back: bool):
    from srgan_tf.inference.model_info import ModelInfo
    from srgan_tf.models import weights

    content = weights.read_shipped("compact", ".tflite")
    return gpu.GpuRunner(content, "compact", ModelInfo.from_tflite(content), fall_back=fall_back)


@needed
def test_own_files(software_gpu, cache, tmp_path):
    generator = Compact(blocks=1, channels=8, scale=2)
    for kind, size in (("engine", None), ("float16", None), ("float16", 24), ("int8", 24)):
        (tmp_path / f"{kind}_{size}.tflite").write_bytes(tflite.convert(generator, kind, size))
    lr = picture(16, 20)[None]
    for name in ("engine_None", "float16_None"):
        path = tmp_path / f"{name}.tflite"
        assert apart(load_runner(path, engine="gpu")(lr), load_runner(path)(lr)) <= 1
    with pytest.raises(WeightsError, match=r"float16_24: .*one size.*--kinds=engine"):
        load_runner(tmp_path / "float16_24.tflite", engine="gpu")
    with pytest.raises(WeightsError, match=r"8-bit.*--engine=litert"):
        load_runner(tmp_path / "int8_24.tflite", engine="gpu")
    (tmp_path / "bad.tflite").write_bytes(b"TFL3" * 99)
    with pytest.raises(WeightsError, match="bad"):
        load_runner(tmp_path / "bad.tflite", engine="gpu")


def test_auto_continues_where_the_gpu_is_gone(cache, monkeypatch, caplog):
    def gone(*_):
        raise GpuError("--engine=gpu: no GPU with a driver found; install its driver, or use --engine=litert")

    monkeypatch.setattr(gpu, "GpuRunner", gone)
    monkeypatch.setattr(gpu_probe, "pays", lambda: True)
    assert isinstance(load_runner("compact", engine="auto"), EngineRunner)
    assert [r.getMessage() for r in caplog.records] == ["continuing on the CPU: no GPU with a driver found"]
    with pytest.raises(GpuError):
        load_runner("compact", engine="gpu")


@needed
def test_many_threads_at_once(software_gpu, cache):
    runner, reference = gpu_runner(False), load_runner("compact", "float32", "litert")
    pictures = [picture(16, 16)[None, ::step, ::step][:, :8, :8] for step in (1, -1)] * 4
    with ThreadPoolExecutor(4) as pool:
        for lr, made in zip(pictures, pool.map(runner, pictures)):
            assert apart(made, reference(lr)) <= 1


def test_weights_without_a_file_and_bfloat16_are_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()  # as of a run
    for source, precision in ((str(tmp_path), "auto"), ("srgan", "bfloat16")):
        with pytest.raises(ValueError, match="--kinds=engine"):
            choose_engine(source, precision, "gpu")


def test_an_older_litert_names_the_mend(monkeypatch):
    import ai_edge_litert

    monkeypatch.delattr(ai_edge_litert, "compiled_model", raising=False)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.compiled_model", None)
    with pytest.raises(GpuError, match="pip install --upgrade"):
        gpu._litert()


@needed
def test_order_errors_and_overlap_of_tiles(software_gpu, cache):
    runner = gpu_runner(False)
    assert list(runner.map(lambda n: n * n, range(7))) == [n * n for n in range(7)]
    with pytest.raises(MemoryError):
        list(runner.map(lambda n: gpu_memory_error() if n == 3 else n, range(7)))
    second = threading.Event()

    def work(n):
        if n:
            second.set()
        return second.wait(60)  # the first ends only once the second has begun

    assert list(runner.map(work, range(2))) == [True, True]


def gpu_memory_error():
    raise MemoryError


def upscale(source, *flags, **environment) -> list:
    """The command line of a process that upscales by `compact`, and its environment."""
    words = [sys.executable, "-m", "srgan_tf", "upscale", str(source), "--weights=compact", *flags]
    return [words, {**os.environ, "PYTHONPATH": str(ROOT), **environment}]


def run(words, environment, **options) -> subprocess.CompletedProcess:
    return subprocess.run(words, env=environment, capture_output=True, **options)


def test_no_adapter(tmp_path, cache):
    Image.fromarray(picture(16, 16)).save(tmp_path / "a.png")
    done = run(*upscale(tmp_path / "a.png", "--engine=gpu", f"--output={tmp_path}"), text=True)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --engine=gpu: no ") and "--engine=litert" in done.stderr
    done = run(*upscale(tmp_path / "a.png", f"--output={tmp_path}"), text=True)
    assert done.returncode == 0 and (tmp_path / "a_x4.png").exists() and "GPU" not in done.stderr


@pytest.mark.matrix
@needed
def test_two_processes_at_once_print_pictures_alone(software_gpu, cache, tmp_path):
    Image.fromarray(picture(24, 24)).save(tmp_path / "a.png")
    words, environment = upscale("-", "--engine=gpu", "--quiet")
    both = []
    for _ in range(2):
        with open(tmp_path / "a.png", "rb") as file:
            both.append(subprocess.Popen(words, env=environment, stdin=file, stdout=-1, stderr=-1))
    wanted = run(*upscale("-", "--engine=litert", "--precision=float32"), input=(tmp_path / "a.png").read_bytes())
    (tmp_path / "wanted.png").write_bytes(wanted.stdout)
    for number, process in enumerate(both):
        made, logged = process.communicate()
        assert process.returncode == 0 and logged == b""
        (tmp_path / f"{number}.png").write_bytes(made)
        assert apart(images.read(tmp_path / f"{number}.png"), images.read(tmp_path / "wanted.png")) <= 1


@needed
def test_the_manifest_names_the_engine_and_a_rerun_the_change(software_gpu, cache, tmp_path):
    for name in "ab":
        Image.fromarray(picture(16, 16)).save(tmp_path / f"{name}.png")
    output = f"--output={tmp_path / 'out'}"
    done = run(*upscale(tmp_path / "a.png", "--engine=gpu", output), text=True)
    assert done.returncode == 0 and "note" not in done.stderr, done.stderr
    entry = json.loads((tmp_path / "out" / ".srgan_tf.jsonl").read_text())
    assert entry["options"]["engine"] == "gpu" and entry["made_by"] == "float32 on the GPU"
    done = run(*upscale(tmp_path / "b.png", "--engine=litert", output), text=True)
    assert done.returncode == 0
    assert "note: " in done.stderr and "earlier results were computed in float32 on the GPU" in done.stderr
