"""Write tests/models/foreign/data/: tiny models of other projects, by spandrel's classes on PyTorch, and their SR.

python -m venv torchenv && torchenv/bin/pip install torch torchvision spandrel safetensors
torchenv/bin/python tools/foreign_fixtures.py
"""

import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from spandrel import ModelLoader
from spandrel.architectures.__arch_helpers import block
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SPAN import SPAN

DATA = Path(__file__).parents[1] / "tests" / "models" / "foreign" / "data"
GROWTH = 4  # spandrel's ESRGAN has 32 always, which would make the files large
LR = np.random.default_rng(7).integers(0, 256, (11, 10, 3), np.uint8)
expected = {"lr": LR}


def small_growth(make=block.RRDB):
    return lambda **options: make(**{**options, "gc": GROWTH})


block.RRDB = small_growth()


def new_names(state: dict, wide: bool) -> dict:
    """Rename an ESRGAN of spandrel as Real-ESRGAN does (wide), or as BSRGAN."""
    ends = [name for name in state if re.match(r"model\.\d+\.weight", name)]
    ends = [name.removesuffix(".weight") for name in ends]
    ups = len(ends) - 3
    ours = (
        ["conv_first", *(f"conv_up{i + 1}" for i in range(ups)), "conv_hr", "conv_last"]
        if wide
        else ["conv_first", *(f"upconv{i + 1}" for i in range(ups)), "HRconv", "conv_last"]
    )
    names, renamed = dict(zip(ends, ours)), OrderedDict()
    for key, tensor in state.items():
        name, _, last = key.rpartition(".")
        if found := re.match(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0", name):
            i, j, k = found.groups()
            name = f"body.{i}.rdb{j}.conv{k}" if wide else f"RRDB_trunk.{i}.RDB{j}.conv{k}"
        elif name.startswith("model.1.sub"):
            name = "conv_body" if wide else "trunk_conv"
        else:
            name = names[name]
        renamed[f"{name}.{last}"] = tensor
    return renamed


def alive(model) -> None:
    """Draw weights that all count and keep SR near [0, 1]."""
    torch.manual_seed(11)
    last = [name for name, weight in model.named_parameters() if weight.ndim == 4][-1]
    for name, weight in model.named_parameters():
        if weight.ndim == 4:
            fan_in = weight[0].numel()
            torch.nn.init.normal_(weight, 0, (0.5 if name.startswith(("model.1.", "body")) else 1) * fan_in**-0.5)
        elif weight.ndim == 1 and "bias" in name:
            torch.nn.init.normal_(weight, 0, 0.1)
        else:
            torch.nn.init.uniform_(weight, -0.2, 1.2)
        if name == last and not hasattr(model, "upscale"):  # Compact's is a residual
            weight.data *= 0.5
        if name == last.replace("weight", "bias") and not hasattr(model, "upscale"):
            weight.data += 0.5
        if name.startswith("conv_1.") and getattr(model, "is_norm", False):  # SPAN's reads levels of 255
            weight.data *= 0.01


def write(name: str, model, save, rename=lambda state: state, dtype=torch.float32) -> None:
    alive(model)
    state = OrderedDict((key, tensor.to(dtype)) for key, tensor in model.state_dict().items())
    path = DATA / name
    save(rename(state), path)
    loaded = ModelLoader().load_from_file(path)
    loaded.model.float().eval()
    with torch.no_grad():
        sr = loaded.model(torch.from_numpy(LR / np.float32(255)).permute(2, 0, 1)[None])
    expected[name] = sr[0].permute(1, 2, 0).numpy().astype(np.float16)
    low, high = np.quantile(expected[name], [0.01, 0.99])
    print(f"{name}: {path.stat().st_size:,} bytes, scale {loaded.scale}, SR {low:.2f} to {high:.2f}")


def zipped(key=None, prefix="", **others):
    def save(state, path):
        state = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
        torch.save({key: state, **others} if key else state, path)

    return save


def legacy(state, path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def safe(state, path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    rrdb = {"num_filters": 8, "num_blocks": 1}
    write("esrgan-x4.pth", ESRGAN(**{**rrdb, "num_blocks": 2}, scale=4), legacy)
    real = lambda state: new_names(state, True)  # noqa: E731
    write("real-esrgan-x4.pth", ESRGAN(**rrdb, scale=4), zipped("params_ema"), real, torch.float16)
    write("real-esrgan-x2.pth", ESRGAN(in_nc=12, **rrdb, scale=4, shuffle_factor=2), zipped("params"), real)
    write("real-esrgan-x1.pth", ESRGAN(in_nc=48, **rrdb, scale=4, shuffle_factor=4), zipped("params"), real)
    bsrgan = lambda state: new_names(state, False)  # noqa: E731
    write("bsrgan-x2.pth", ESRGAN(**rrdb, scale=2), zipped("state_dict", "module.", epoch=3), bsrgan)
    write("esrgan-x1.safetensors", ESRGAN(**rrdb, scale=1), safe, dtype=torch.bfloat16)
    write("esrgan-x8.pth", ESRGAN(**rrdb, scale=8), zipped(), dtype=torch.bfloat16)
    write("esrgan-plus-x4.safetensors", ESRGAN(**rrdb, scale=4, plus=True), safe, dtype=torch.float16)
    compact = {"num_feat": 8, "num_conv": 3}
    write("compact-x4.pth", Compact(**compact, upscale=4), zipped("params"))
    write("compact-x2.safetensors", Compact(**compact, upscale=2), safe, dtype=torch.float16)
    write("compact-x1.pth", Compact(**compact, upscale=1), legacy)
    span = {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 4}
    write("span-x4.pth", SPAN(**span, upscale=4), zipped("params_ema"), dtype=torch.float16)
    write("span-no-norm-x2.safetensors", SPAN(**span, upscale=2, norm=False), safe, dtype=torch.float16)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3))
    torch.save(module, DATA / "module.pth")
    torch.save(module, DATA / "module-legacy.pth", _use_new_zipfile_serialization=False)
    np.savez_compressed(DATA / "expected.npz", **expected)


if __name__ == "__main__":
    main()
