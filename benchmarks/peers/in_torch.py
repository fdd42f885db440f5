"""The paper's networks and training step in idiomatic PyTorch: channels last, eager or compiled, autocast."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from worker import serve


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x):
        return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))


class Generator(nn.Module):
    def __init__(self, blocks=16, channels=64):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), nn.PReLU(channels))
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.trunk = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))
        self.up = nn.Sequential(
            *(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(channels)),
            *(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(channels)),
        )
        self.tail = nn.Conv2d(channels, 3, 9, padding=4)

    def forward(self, lr):
        x = self.head(lr)
        return self.tail(self.up(x + self.trunk(self.blocks(x))))


class Discriminator(nn.Sequential):
    def __init__(self, crop=96):
        layers, before = [], 3
        for i, (filters, stride) in enumerate(zip((64, 64, 128, 128, 256, 256, 512, 512), (1, 2) * 4)):
            layers += [nn.Conv2d(before, filters, 3, stride, 1), *([nn.BatchNorm2d(filters)] if i else [])]
            layers.append(nn.LeakyReLU(0.2))
            before = filters
        layers += [nn.Flatten(), nn.Linear(512 * (crop // 16) ** 2, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1)]
        super().__init__(*layers)


def vgg54() -> nn.Module:
    """φ5,4 of a VGG-19 of random weights."""
    layers, before = [], 3
    for group, (filters, depth) in enumerate(zip((64, 128, 256, 512, 512), (2, 2, 4, 4, 4))):
        layers += [nn.MaxPool2d(2)] if group else []
        for _ in range(depth):
            layers += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU()]
            before = filters
    return nn.Sequential(*layers).requires_grad_(False)


def load(path) -> Generator:
    """Our weights, by their flat names, into the network above."""
    generator, state = Generator(), {}
    names = {"alpha": "weight", "kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
    names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    homes = {"head/conv": "head.0", "head/prelu": "head.1", "trunk/conv": "trunk.0", "trunk/bn": "trunk.1"}
    homes |= {"upsample0/conv": "up.0", "upsample0/prelu": "up.2", "upsample1/conv": "up.3", "upsample1/prelu": "up.5"}
    homes |= {"tail/conv": "tail"} | {
        f"block{i:02d}/{layer}": f"blocks.{i}.{layer}" for i in range(16) for layer in Block(1)._modules
    }
    with np.load(path) as file:
        for name in set(file.files) - {"config"}:
            home, kind = name.rsplit("/", 1)
            array = torch.from_numpy(file[name].astype(np.float32))
            if kind == "kernel":
                array = array.permute(3, 2, 0, 1)
                if home.startswith("upsample"):  # PixelShuffle wants a colour's pixels together, we a pixel's colours
                    array = array.reshape(4, 64, *array.shape[1:]).transpose(0, 1).reshape(array.shape)
            if home.startswith("upsample") and kind == "bias":
                array = array.reshape(4, 64).T.reshape(-1)
            state[f"{homes[home]}.{names[kind]}"] = array
    missing = generator.load_state_dict(state, strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    return generator.eval()


def upscale(job):
    generator = load(job["weights"]).to(memory_format=torch.channels_last)
    lr = torch.from_numpy(np.load(job["lr"])).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    call = torch.compile(generator) if job["compiled"] else generator

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=job["bfloat16"]):
            return call(lr).float().permute(0, 2, 3, 1).numpy()

    return run


def train(job):
    gan = job["task"] == "srgan"
    g = Generator().to(memory_format=torch.channels_last)
    d = Discriminator().to(memory_format=torch.channels_last)
    features = vgg54().to(memory_format=torch.channels_last)
    g_adam, d_adam = (torch.optim.Adam(network.parameters(), 1e-4, fused=True) for network in (g, d))
    hr = torch.from_numpy(np.load(job["hr"])).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)

    def seen(pictures):
        return features((pictures.flip(1) + 1) * 127.5 - mean) / 12.75

    def d_loss(real, sr):
        ones = torch.ones(len(real), 1)
        return F.binary_cross_entropy_with_logits(d(real).float(), ones) + F.binary_cross_entropy_with_logits(
            d(sr).float(), 0 * ones
        )

    def g_loss(real, sr):
        if not gan:
            return F.mse_loss(sr.float(), real)
        adversarial = F.binary_cross_entropy_with_logits(d(sr).float(), torch.ones(len(sr), 1))
        with torch.no_grad():
            wanted = seen(real)
        return F.mse_loss(seen(sr).float(), wanted.float()) + 1e-3 * adversarial

    g_call, d_loss, g_loss = (torch.compile(f) if job["compiled"] else f for f in (g, d_loss, g_loss))

    def run():
        real = hr.float() / 127.5 - 1
        lr = (
            (F.interpolate(hr.float(), scale_factor=1 / 4, mode="bicubic", antialias=True)).round().clamp(0, 255)
        ) / 255
        with torch.autocast("cpu", torch.bfloat16, enabled=job["bfloat16"]):
            sr = g_call(lr)
            if gan:
                d_adam.zero_grad()
                d_loss(real, sr.detach()).backward()
                d_adam.step()
                d.requires_grad_(False)
            g_adam.zero_grad()
            g_loss(real, sr).backward()
            g_adam.step()
            d.requires_grad_(True)

    return run


if __name__ == "__main__":
    serve(lambda job: (upscale if job["task"] == "upscale" else train)(job), {"torch": torch.__version__})
