"""Write tests/models/foreign/data/: tiny models of other projects, by spandrel's classes on PyTorch, and their SR.

Those of ncnn are the first ones written in its format, and their SR is ncnn's. spandrel has no EDSR and MSRResNet:
theirs are written below, under BasicSR's names.

python -m venv torchenv && torchenv/bin/pip install torch torchvision spandrel safetensors ncnn
torchenv/bin/python tools/foreign_fixtures.py
"""

import re
from collections import OrderedDict
from pathlib import Path

import ncnn
import numpy as np
import torch
from safetensors.torch import save_file
from spandrel import ModelLoader
from spandrel.architectures.__arch_helpers import block
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SPAN import SPAN
from spandrel.architectures.SwiftSRGAN import SwiftSRGAN

DATA = Path(__file__).parents[1] / "tests" / "models" / "foreign" / "data"
GROWTH = 4  # spandrel's ESRGAN has 32 always, which would make the files large
LR = np.random.default_rng(7).integers(0, 256, (11, 10, 3), np.uint8)
LUMA = (0.299, 0.587, 0.114)
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


class Residual(torch.nn.Module):
    """A residual block without batch norm."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = (torch.nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return x + self.conv2(self.conv1(x).relu())


class EDSR(torch.nn.Module):
    """EDSR (Lim et al. 2017) under BasicSR's names: levels in, levels out, around DIV2K's mean colour."""

    def __init__(self, channels: int, blocks: int, factors: tuple):
        super().__init__()
        conv = lambda i, o: torch.nn.Conv2d(i, o, 3, padding=1)  # noqa: E731
        self.conv_first, self.conv_after_body = conv(3, channels), conv(channels, channels)
        self.body = torch.nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        ups = [[conv(channels, channels * f**2), torch.nn.PixelShuffle(f)] for f in factors]
        self.upsample, self.conv_last = torch.nn.Sequential(*(one for up in ups for one in up)), conv(channels, 3)

    def forward(self, x):
        mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
        first = self.conv_first((x - mean) * 255)
        return self.conv_last(self.upsample(first + self.conv_after_body(self.body(first)))) / 255 + mean


class MSRResNet(torch.nn.Module):
    """BasicSR's MSRResNet: a residual over bilinear upsampling."""

    def __init__(self, channels: int, blocks: int, factors: tuple):
        super().__init__()
        conv = lambda i, o: torch.nn.Conv2d(i, o, 3, padding=1)  # noqa: E731
        self.factors, self.conv_first = factors, conv(3, channels)
        self.body = torch.nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        for i, factor in enumerate(factors, 1):
            setattr(self, f"upconv{i}", conv(channels, channels * factor**2))
        self.conv_hr, self.conv_last = conv(channels, channels), conv(channels, 3)

    def forward(self, lr):
        leaky = lambda x: torch.nn.functional.leaky_relu(x, 0.1)  # noqa: E731
        x = self.body(leaky(self.conv_first(lr)))
        for i, factor in enumerate(self.factors, 1):
            x = leaky(torch.nn.functional.pixel_shuffle(getattr(self, f"upconv{i}")(x), factor))
        x = self.conv_last(leaky(self.conv_hr(x)))
        return x + torch.nn.functional.interpolate(lr, scale_factor=x.shape[-1] // lr.shape[-1], mode="bilinear")


def older_names(state: dict) -> dict:
    """Rename an MSRResNet as BasicSR's older releases do."""
    names = {"body": "recon_trunk", "conv_hr": "HRconv"}
    return OrderedDict((re.sub("^(body|conv_hr)", lambda m: names[m[0]], key), value) for key, value in state.items())


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
        if name.endswith("final_conv.depthwise.weight"):  # before tanh
            weight.data *= 0.3
        if name.startswith("conv_1.") and getattr(model, "is_norm", False):  # SPAN's reads levels of 255
            weight.data *= 0.01
    for name, statistics in model.named_buffers():
        if "running" in name:
            torch.nn.init.uniform_(statistics, *((-0.2, 0.2) if name.endswith("mean") else (0.5, 1.5)))


def write(name: str, model, save, rename=lambda state: state, dtype=torch.float32) -> None:
    alive(model)
    state = OrderedDict((key, tensor.to(dtype)) for key, tensor in model.state_dict().items())
    path = DATA / name
    save(rename(state), path)
    if isinstance(model, (EDSR, MSRResNet)):
        model.load_state_dict(state)
    else:
        model = ModelLoader().load_from_file(path).model.float()
    model.eval()
    with torch.no_grad():
        lr = torch.from_numpy(LR / np.float32(255)).permute(2, 0, 1)[None]
        sr = model((lr * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True) if "grey" in name else lr).expand(
            -1, 3, -1, -1
        )
    expected[name] = sr[0].permute(1, 2, 0).numpy().astype(np.float16)
    low, high = np.quantile(expected[name], [0.01, 0.99])
    print(f"{name}: {path.stat().st_size:,} bytes, SR {low:.2f} to {high:.2f}")


def zipped(key=None, prefix="", **others):
    def save(state, path):
        state = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
        torch.save({key: state, **others} if key else state, path)

    return save


def legacy(state, path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def safe(state, path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


class Ncnn:
    """Write a model in ncnn's format, layer by layer; each reads the one before unless it names others."""

    def __init__(self):
        self.lines, self.weights, self.readers, self.last = ["Input data 0 1 data"], [], {"data": 0}, "data"

    def add(self, kind: str, settings: str, *inputs: str, weights: tuple = ()) -> str:
        inputs, self.last = inputs or (self.last,), f"{kind}{len(self.lines)}"
        for name in inputs:
            self.readers[name] += 1
        self.readers[self.last] = 0
        self.lines.append([kind, self.last, inputs, settings])
        self.weights += weights
        return self.last

    def conv(self, weight, bias, *inputs: str, leaky: bool = False) -> str:
        filters, _, size, _ = weight.shape
        settings = f"0={filters} 1={size} 4={size // 2} 5=1 6={weight.numel()}"
        settings += " 9=2 -23310=1,2.0e-01" if leaky else ""
        half = weight.half().numpy().tobytes()
        tagged = 0x01306B47.to_bytes(4, "little") + half + bytes(-len(half) % 4)
        return self.add("Convolution", settings, *inputs, weights=(tagged, bias.float().numpy().tobytes()))

    def save(self, path: Path) -> None:
        """Copy what several layers read by Split, as ncnn asks for."""
        lines, taken = [], dict.fromkeys(self.readers, 0)

        def split(name: str) -> None:
            if (count := self.readers[name]) > 1:
                copies = " ".join(f"{name}_{i}" for i in range(count))
                lines.append(f"Split split_{name} 1 {count} {name} {copies}")

        def copy(name: str) -> str:
            taken[name] += 1
            return name if self.readers[name] == 1 else f"{name}_{taken[name] - 1}"

        for line in self.lines:
            if isinstance(line, str):
                lines.append(line)
                split("data")
                continue
            kind, name, inputs, settings = line
            out = "output" if name == self.last else name
            lines.append(f"{kind} {name} {len(inputs)} 1 {' '.join(map(copy, inputs))} {out} {settings}")
            split(name)
        path.write_text("\n".join(["7767517", f"{len(lines)} {2 * len(lines) + 9}", *lines]) + "\n")
        path.with_suffix(".bin").write_bytes(b"".join(self.weights))
        net = ncnn.Net()
        net.opt.use_fp16_arithmetic = net.opt.use_fp16_storage = net.opt.use_fp16_packed = False
        net.load_param(str(path))
        net.load_model(str(path.with_suffix(".bin")))
        planes = np.ascontiguousarray((LR / np.float32(255)).transpose(2, 0, 1))
        given, extractor = ncnn.Mat(planes), net.create_extractor()
        extractor.input("data", given)
        _, sr = extractor.extract("output")
        expected[path.name] = np.array(sr).transpose(1, 2, 0).astype(np.float16)
        print(f"{path.name}: SR {expected[path.name].min():.2f} to {expected[path.name].max():.2f}")


def write_ncnn() -> None:
    state = torch.load(DATA / "compact-x2.pth")
    net = Ncnn()
    for i in range(0, 9, 2):
        net.conv(state[f"body.{i}.weight"], state[f"body.{i}.bias"])
        if i < 8:
            slope = state[f"body.{i + 1}.weight"]
            net.add("PReLU", f"0={len(slope)}", weights=(slope.float().numpy().tobytes(),))
    shuffled = net.add("PixelShuffle", "0=2")
    net.add("BinaryOp", "0=0", shuffled, net.add("Interp", "0=1 1=2.0 2=2.0", "data"))
    net.save(DATA / "compact-x2.param")

    state, net = torch.load(DATA / "real-esrgan-x4.pth")["params_ema"], Ncnn()
    layer = lambda name: (state[f"{name}.weight"], state[f"{name}.bias"])  # noqa: E731
    x = first = entered = net.conv(*layer("conv_first"), "data")
    for j in (1, 2, 3):
        seen = [x]
        for k in (1, 2, 3, 4, 5):
            read = net.add("Concat", "0=0", *seen) if len(seen) > 1 else x
            seen.append(net.conv(*layer(f"body.0.rdb{j}.conv{k}"), read, leaky=k < 5))
        x = net.add("Eltwise", "0=1 -23301=2,2.0e-01,1.0", seen[-1], x)
    x = net.add("Eltwise", "0=1 -23301=2,2.0e-01,1.0", x, entered)
    net.add("BinaryOp", "0=0", first, net.conv(*layer("conv_body"), x))
    for name in ("conv_up1", "conv_up2"):
        net.add("Interp", "0=1 1=2.0 2=2.0")
        net.conv(*layer(name), leaky=True)
    net.conv(*layer("conv_hr"), leaky=True)
    net.conv(*layer("conv_last"))
    net.save(DATA / "real-esrgan-x4.param")


def write_residual() -> None:
    write("edsr-x4.pth", EDSR(8, 2, (2, 2)), zipped("params"))
    write("edsr-x3.pth", EDSR(8, 2, (3,)), zipped("params"), dtype=torch.float16)
    write("msrresnet-x4.pth", MSRResNet(8, 2, (2, 2)), zipped("params"))
    write("msrresnet-x3.pth", MSRResNet(8, 2, (3,)), zipped(), older_names)
    swift = SwiftSRGAN(num_channels=8, num_blocks=2, upscale_factor=4)
    write("swift-srgan-x4.pth", swift, zipped("model", epoch=1))


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
    grey = {**rrdb, "out_nc": 1}
    write("esrgan-grey-x4.pth", ESRGAN(in_nc=1, **grey, scale=4), zipped())
    write("real-esrgan-grey-x2.pth", ESRGAN(in_nc=4, **grey, scale=4, shuffle_factor=2), zipped("params"), real)
    compact = {"num_feat": 8, "num_conv": 3}
    write("compact-x4.pth", Compact(**compact, upscale=4), zipped("params"))
    write("compact-x2.safetensors", Compact(**compact, upscale=2), safe, dtype=torch.float16)
    write("compact-x2.pth", Compact(**compact, upscale=2), zipped())
    write("compact-x1.pth", Compact(**compact, upscale=1), legacy)
    span = {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 4}
    write("span-x4.pth", SPAN(**span, upscale=4), zipped("params_ema"), dtype=torch.float16)
    write("span-no-norm-x2.safetensors", SPAN(**span, upscale=2, norm=False), safe, dtype=torch.float16)
    write_residual()
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3))
    torch.save(module, DATA / "module.pth")
    torch.save(module, DATA / "module-legacy.pth", _use_new_zipfile_serialization=False)
    write_ncnn()
    np.savez_compressed(DATA / "expected.npz", **expected)


if __name__ == "__main__":
    main()
