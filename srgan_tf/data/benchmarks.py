"""Set5, Set14, BSD100, Urban100 or any folder of pictures, in the usual layouts."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan_tf.data.bicubic import downscale
from srgan_tf.errors import BenchmarkError
from srgan_tf.io import files, images

# In order of preference; the first folder with pictures is used. {n}: the benchmark's folder, {b} its name, {r} the
# folder without a final _HR, {s} the scale. `evaluate.py --help` lists them.
HR_FOLDERS = (
    *("{n}/HR_x{s}", "{n}/HR", "{n}/GTmod12", "{n}/original", "{n}/image_SRF_{s}", "{n}", "{n}_HR"),
    "{n}/{b}_valid_HR",
)
LR_FOLDERS = (
    *("{n}/LR_x{s}", "{n}/LR_bicubic/X{s}", "{n}/LRbicx{s}", "{n}/LR/x{s}", "{n}/X{s}", "{n}/x{s}", "{n}/LR"),
    *("{n}/image_SRF_{s}", "{n}", "{r}_LR_bicubic/X{s}", "{r}_LR_x{s}", "{r}_LR", "{n}/{b}_valid_LR_bicubic/X{s}"),
)
ENDING = re.compile(r"(?:[_-]?(?:SRF_?\d|x[2348]|LR|HR))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """One picture of a benchmark: paths of HR and, if it exists, LR."""

    name: str
    scale: int
    hr_path: Path
    lr_path: Path | None

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return HR [1, scale * h, scale * w, c] and LR [1, h, w, c], uint8; c = 1 for greyscale HR files, else 3.

        HR is cropped to multiples of the scale, as in the literature.

        Raises:
            ImageError: a file cannot be read.
            BenchmarkError: HR is not `scale` times LR.
        """
        picture = images.load(self.hr_path)
        hr = picture.rgb()[..., : 1 if picture.pixels.shape[2] < 3 else 3]
        height, width = hr.shape[0] // self.scale, hr.shape[1] // self.scale
        hr = hr[None, : height * self.scale, : width * self.scale]
        if self.lr_path is None:
            return hr, downscale(hr, self.scale).numpy()
        lr = images.read(self.lr_path)[None]
        if hr.shape[-1] == 1 and np.ptp(lr, -1).any():
            raise BenchmarkError(f"{self.lr_path}: has colours, but {self.hr_path} is grey; give both alike")
        lr = lr[..., : hr.shape[-1]]
        if lr.shape[1:3] != (height, width):
            raise BenchmarkError(
                f"{self.lr_path}: {lr.shape[2]}x{lr.shape[1]} px does not fit {self.hr_path} "
                f"({hr.shape[2]}x{hr.shape[1]} px) at scale {self.scale}: it must be {width}x{height} px"
            )
        return hr, lr


def find_benchmark(name: str, scale: int, data_dir=None) -> list[Pair]:
    """Return the pictures of a benchmark, sorted by name.

    Args:
        name: folder under data_dir, or path of a folder.
        scale: HR size over LR size.
        data_dir: folder of benchmarks; the environment variable SRGAN_TF_DATA, or `data`, by default.

    Raises:
        BenchmarkError: there is no such folder, it has no pictures, or HR and LR do not pair up.
    """
    root = Path(data_dir or os.environ.get("SRGAN_TF_DATA") or "data")
    for base in (root / name, Path(name)):
        hr = next(filter(None, map(_hr_among, _folders(HR_FOLDERS, base, scale))), None)
        if hr is not None:
            # HR and LR may share a folder.
            others = ([path for path in files if path not in hr] for files in _folders(LR_FOLDERS, base, scale))
            return _pair(hr, next(filter(None, others), None), scale)
    raise BenchmarkError(
        f"{name}: no such benchmark in {root} (set --data_dir or SRGAN_TF_DATA) and no such folder, or no picture in "
        "any of the layouts that evaluate.py --help lists"
    )


def _folders(patterns, base: Path, scale: int):
    """Yield the pictures of each existing folder."""
    names = {"n": base, "b": base.name, "r": str(base).removesuffix("_HR"), "s": scale}
    for pattern in patterns:
        folder = Path(pattern.format(**names))
        if folder.is_dir():
            yield sorted(p for p in folder.iterdir() if p.suffix.lower() in files.EXTENSIONS)


def _stem(path: Path) -> str:
    return ENDING.sub("", path.stem) or path.stem


def _hr_among(files: list[Path]) -> list[Path]:
    """Return files whose names end in HR or, without any, those without a known ending.

    `matrix2.png` is of these too, beside such names: unless x2 marks LR there, as `ax2.png` beside `a.png` shows.
    """
    if named := [path for path in files if path.stem.upper().endswith("HR")]:
        return named
    plain = [path for path in files if path.stem == _stem(path)]
    scaled = [path for path in files if path not in plain and path.stem[len(_stem(path))] in "xX"]
    marks_lr = {_stem(path) for path in scaled} & {path.stem for path in plain}
    return plain if marks_lr or not plain else sorted(plain + scaled)


def _pair(hr: list[Path], lr: list[Path] | None, scale: int) -> list[Pair]:
    names: dict[str, Path] = {}
    for path in hr:
        name = _stem(path) if path.stem.upper().endswith("HR") else path.stem
        if names.setdefault(name, path) != path:
            raise BenchmarkError(
                f"{path}: a second picture of the name {name}, as {names[name].name}; rename one of them"
            )
    if lr is None:
        return [Pair(name, scale, path, None) for name, path in names.items()]
    # `ax2.png` and `ax4.png` may lie side by side.
    other = re.compile(rf"[_-]?(?:SRF_?|x)(?!{scale})[2348]", re.IGNORECASE)
    of_scale: dict[str, Path] = {}
    for path in lr:
        for at in range(len(path.stem), 0, -1):
            ending = path.stem[at:]
            if not ending or (ENDING.fullmatch(ending) and not other.search(ending)):
                of_scale.setdefault(path.stem[:at], path)
    if missing := [path for name, path in names.items() if name not in of_scale]:
        raise BenchmarkError(
            f"{missing[0]}: no LR x{scale} of this name in {lr[0].parent} ({len(missing)} are missing); "
            f"{lr[0].name} counts as LR by its folder or name: move or rename it if it is not"
        )
    return [Pair(name, scale, path, of_scale[name]) for name, path in names.items()]
