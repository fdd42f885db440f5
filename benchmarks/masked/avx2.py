"""A row of compare.py as on a processor with AVX2 alone: `python benchmarks/masked/avx2.py [upscale-128]`.

TensorFlow, PyTorch and oneDNN have switches for it. LiteRT, OpenVINO and ONNX Runtime have none: they run from copies
(benchmarks/.avx2, 0.5 GB; remove it when they are updated) in which every `cpuid` instruction is a `ud2`, which is as
long; avx2.c, preloaded, answers the fault as cpuid would without AVX-512 and what came after it. Needs Linux on x86-64,
gcc and objdump. (Larger pictures: the Keras call's convolutions, limited so, take minutes for one of 510x339.)
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import compare  # noqa: E402
from contenders import python_of  # noqa: E402

COPIES = HERE.parent / ".avx2"
LATER = re.compile(r"\b(avx512\w*|avx_vnni\w*|avx_ifma|amx_\w+|gfni|vaes|vpclmulqdq)\b")
CPUID, UD2 = b"\x0f\xa2", b"\x0f\x0b"


def mask(library: Path) -> None:
    """Overwrite the cpuid instructions of an ELF file, as objdump finds them."""
    listing = subprocess.run(["objdump", "-d", library], capture_output=True, text=True).stdout
    places = [int(at, 16) for at in re.findall(r"^\s*([0-9a-f]+):\s+0f a2\s+cpuid", listing, re.MULTILINE)]
    if not places:
        return
    table = subprocess.run(["readelf", "-lW", library], capture_output=True, text=True, check=True).stdout
    segments = [[int(n, 16) for n in line.split()[1:5]] for line in table.split("\n") if line.split()[:1] == ["LOAD"]]
    with library.open("r+b") as file:
        for place in places:
            offset = next(off + place - at for off, at, _, size in segments if at <= place < at + size)
            file.seek(offset)
            if file.read(2) != CPUID:
                sys.exit(f"error: {library}: no cpuid at {offset:#x}; remove {COPIES} and try again")
            file.seek(offset)
            file.write(UD2)


def copy(package: str, python: str) -> None:
    """A masked copy of a package from that interpreter's environment, made once."""
    target = COPIES / package
    if target.exists():
        return
    ask = f"import importlib.util as u; print(u.find_spec({package!r}).submodule_search_locations[0])"
    found = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    print(f"masking {package} …", flush=True)
    partial = COPIES / f"{package}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(found, partial, ignore=shutil.ignore_patterns("__pycache__"))
    for library in partial.rglob("*.so*"):
        if not library.is_symlink():
            mask(library)
    partial.rename(target)


def main(wanted: list[str]) -> None:
    COPIES.mkdir(exist_ok=True)
    copy("ai_edge_litert", sys.executable)
    for package in ("onnxruntime", "openvino"):
        copy(package, python_of("in_runtimes"))
    preloaded = COPIES / "avx2.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", preloaded, HERE / "avx2.c"], check=True)
    flags = COPIES / "cpuinfo"
    flags.write_text(LATER.sub("", Path("/proc/cpuinfo").read_text()))
    os.environ |= {
        "AVX2_CPUINFO": str(flags),
        "LD_PRELOAD": str(preloaded),
        "PYTHONPATH": str(COPIES),
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
    compare.main(wanted, "-avx2", ", AVX2 alone")


if __name__ == "__main__":
    main(sys.argv[1:] or ["upscale-128"])
