"""Other projects' published models: addresses of the official releases, sizes, hashes and licences; no TensorFlow.

Each hash is stated by at least two independent sources; docs/how-to/openmodeldb.md lists them.
"""

from pathlib import Path
from typing import NamedTuple

from srgan_tf import machine
from srgan_tf.errors import WeightsError
from srgan_tf.io import files

_RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"


class Published(NamedTuple):
    """A file of an official release; `size` in bytes."""

    url: str
    scale: int
    size: int
    sha256: str
    licence: str = "BSD-3-Clause"


MODELS = {
    "realesrgan-x4plus": Published(
        f"{_RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",
        4,
        67_040_989,
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
    ),
    "realesrgan-x2plus": Published(
        f"{_RELEASES}/v0.2.1/RealESRGAN_x2plus.pth",
        2,
        67_061_725,
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
    ),
    "realesrgan-x4plus-anime": Published(
        f"{_RELEASES}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
        4,
        17_938_799,
        "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
    ),
    "realesr-general-x4v3": Published(
        f"{_RELEASES}/v0.2.5.0/realesr-general-x4v3.pth",
        4,
        4_885_111,
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
    ),
    "realesr-general-wdn-x4v3": Published(
        f"{_RELEASES}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
        4,
        4_885_111,
        "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
    ),
}


def is_published(source) -> bool:
    """Return whether this names a published model; an existing file of that name takes precedence."""
    return str(source) in MODELS and not Path(source).exists()


def cached(name: str) -> Path:
    """Return the path of a published model's file in the cache, whether it is there or not."""
    return machine.cache_folder() / "models" / MODELS[name].url.rpartition("/")[2]


def is_intact(name: str) -> bool:
    """Return whether a published model's file in the cache has its SHA-256."""
    return files.sha256(cached(name)) == MODELS[name].sha256


def file(name: str) -> Path:
    """Return a published model's file, downloaded on first use.

    Raises:
        WeightsError: it cannot be downloaded, or its SHA-256 differs.
    """
    from srgan_tf.models.download import fetch  # shipped weights do not wait for http and ssl

    model, path = MODELS[name], cached(name)
    if not path.exists():
        fetch(name, model.url, path, model.size, model.sha256, model.licence)
    elif not is_intact(name):
        raise WeightsError(f"{path}: not the published file (SHA-256 differs); delete it to download it again")
    return path
