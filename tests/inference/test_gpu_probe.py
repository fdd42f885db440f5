"""`auto` takes the GPU only where it pays, whatever a driver does, and remembers what it found."""

import json
import sys
import types

import pytest
from swiftshader import needed

from srgan_tf import machine
from srgan_tf.cli import doctor
from srgan_tf.inference import gpu_probe
from srgan_tf.inference.loading import choose_engine

NAME = "Some Device, arch=x, backend=Vulkan, adapterType=Discrete GPU"


@pytest.fixture(autouse=True)
def unknown(tmp_path, monkeypatch):
    """Nothing is known of this machine nor forbidden by a run of `bulk` before, and what is found is forgotten."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(gpu_probe, "_allowed", True)
    gpu_probe.pays.cache_clear()
    yield
    gpu_probe.pays.cache_clear()


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A driver is installed."""
    path = tmp_path / "driver.json"
    path.write_text("{}")
    monkeypatch.setenv("VK_DRIVER_FILES", str(path))
    return path


def child(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def answers(**found) -> list[str]:
    return child(f"print({json.dumps(json.dumps({'adapter': NAME, 'apart': 1, 'seconds': [1, 2]} | found))})")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({}, ""),
        ({"apart": 4}, ""),
        ({"apart": 5}, "Some Device gives results that differ from the CPU's by 5 of 255"),
        ({"seconds": [3, 2]}, "Some Device is slower than the CPU (3 s against 2 s)"),
        ({"adapter": "llvmpipe (LLVM 17), adapterType=CPU"}, "llvmpipe (LLVM 17) is a software adapter"),
        ({"reason": "no GPU with a driver found"}, "no GPU with a driver found"),
    ],
)
def test_what_counts_as_paying(found, reason):
    assert gpu_probe.ask(answers(**found))["reason"] == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; time.sleep(99)", "the GPU driver timed out after 0.5 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the GPU driver crashed (SIGSEGV)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the GPU driver crashed (SIGKILL)"),
        ("raise SystemExit(3)", "the check of the GPU failed (exit code 3)"),
        ("print('Vulkan: hello')", "the check of the GPU failed (exit code 0)"),
    ],
)
def test_a_driver_that_hangs_or_crashes(code, reason):
    assert gpu_probe.ask(child(code), 0.5 if "sleep" in code else None)["reason"] == reason


def test_a_python_that_is_gone():
    assert "No such file" in gpu_probe.ask(["/no/such/python"])["reason"]


def test_the_finding_is_remembered_by_driver_until_the_gpu_works(driver, monkeypatch, caplog):
    asked = []
    monkeypatch.setattr(gpu_probe, "ask", lambda command: asked.append(command) or {"reason": "it is slow"})
    for _ in range(2):  # as two processes
        gpu_probe.pays.cache_clear()
        assert choose_engine("compact") == "litert"
    assert len(asked) == 1
    assert [r.getMessage() for r in caplog.records] == [
        "continuing on the CPU: it is slow; --engine=gpu tries the GPU again"
    ]
    driver.rename(driver.with_name("newer.json"))
    monkeypatch.setenv("VK_DRIVER_FILES", str(driver.with_name("newer.json")))
    gpu_probe.pays.cache_clear()
    assert choose_engine("compact") == "litert" and len(asked) == 2
    gpu_probe.forget()  # as --engine=gpu does where it works
    assert choose_engine("compact") == "litert" and len(asked) == 3
    monkeypatch.setattr(gpu_probe, "ask", lambda command: {"reason": ""})
    gpu_probe.forget()
    assert choose_engine("compact") == "gpu"
    gpu_probe.forget()
    assert list(gpu_probe._read().values()).count({"reason": ""}) == 1  # what pays is kept


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', '{"x": {"reason": null}}', "\0"])
def test_a_damaged_memory_is_ignored(content, driver, monkeypatch):
    gpu_probe.cache_file().parent.mkdir(parents=True)
    gpu_probe.cache_file().write_text(content)
    monkeypatch.setattr(gpu_probe, "ask", lambda command: {"reason": ""})
    assert choose_engine("compact") == "gpu"
    assert len(gpu_probe._read()) == 1


def test_without_a_driver_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(gpu_probe, "ask", lambda command: pytest.fail("asked"))
    assert gpu_probe.drivers() == "" and choose_engine("compact") == "litert"


def test_workers_of_bulk_do_not_try(driver, monkeypatch):
    monkeypatch.setattr(gpu_probe, "ask", lambda command: pytest.fail("asked"))
    gpu_probe.forbid()
    assert choose_engine("compact") == "litert"


def test_a_memory_that_cannot_be_written_is_no_error(driver, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(driver))  # a file
    monkeypatch.setattr(gpu_probe, "ask", lambda command: {"reason": "it is slow"})
    assert choose_engine("compact") == "litert"


def test_drivers_of_windows_and_macos(monkeypatch):
    values = {"DriverDesc": "GeForce", "DriverVersion": "32.0.15"}

    class Key:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def opened(_, path):
        if not path.endswith("0001"):
            raise OSError
        return Key()

    registry = types.SimpleNamespace(
        HKEY_LOCAL_MACHINE=0, OpenKey=opened, QueryValueEx=lambda key, name: (values[name], 1)
    )
    monkeypatch.setitem(sys.modules, "winreg", registry)
    monkeypatch.setattr(machine.platform, "system", lambda: "Windows")
    assert gpu_probe.drivers().endswith("; GeForce 32.0.15")
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine.platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    assert gpu_probe.drivers().endswith("; 15.1")


@needed
def test_a_software_adapter_is_met_in_a_child(software_gpu, monkeypatch, caplog):
    monkeypatch.setattr(gpu_probe, "MODEL", "compact")
    assert choose_engine("compact") == "litert"
    assert "SwiftShader Device (Subzero) is a software adapter; --engine=gpu" in caplog.text
    (found,) = gpu_probe._read().values()
    assert "apart" not in found  # it was not run


@needed
def test_the_child_compares_with_the_cpu(software_gpu):
    found = gpu_probe.ask([sys.executable, "-m", gpu_probe.__name__, "compact", "16", "--software"])
    assert found["apart"] <= 1 and len(found["seconds"]) == 2 and "SwiftShader" in found["adapter"]


def test_doctor(driver, monkeypatch):
    found = {"adapter": NAME, "apart": 1, "seconds": [0.25, 1.5], "reason": ""}
    monkeypatch.setattr(gpu_probe, "ask", lambda command: found)
    report = doctor.report()
    assert report["gpu"] == "all operations in float32, srgan on 128x128 px in 0.25 s, CPU 1.5 s, 1 of 255 apart"
    assert report["adapter"] == NAME and str(driver) in report["drivers"]
    assert report["auto"] == "--engine=gpu for shipped weights"
    assert "numpy" in report["packages"] and "cores" in report["processor"]
    gpu_probe.pays.cache_clear()
    monkeypatch.setattr(gpu_probe, "ask", lambda command: {"reason": "it is slow"})
    report = doctor.report()
    assert report["gpu"] == "it is slow" and report["auto"] == "--engine=litert for shipped weights: it is slow"
