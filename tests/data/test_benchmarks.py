"""Every layout that people have on disk is found, and what does not fit is named."""

import numpy as np
import pytest
import tifffile
from benchmark_files import ROOT, need
from PIL import Image

from srgan_tf.data.benchmarks import find_benchmark
from srgan_tf.data.bicubic import downscale
from srgan_tf.errors import BenchmarkError


def write(path, height=24, width=32, grey=False, value=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width) if grey else (height, width, 3), value, np.uint8)).save(path)


LAYOUTS = {
    "folders": ("Set/HR/{}.png", "Set/LR_x4/{}.png"),
    "folders by scale": ("Set/HR_x4/{}.png", "Set/LR_x4/{}.png"),
    "EDSR": ("Set/HR/{}.png", "Set/LR_bicubic/X4/{}x4.png"),
    "BasicSR": ("Set/GTmod12/{}.png", "Set/LRbicx4/{}.png"),
    "SelfExSR": ("Set/image_SRF_4/img_{}_SRF_4_HR.png", "Set/image_SRF_4/img_{}_SRF_4_LR.png"),
    "endings": ("Set/{}_HR.png", "Set/{}_LR.png"),
    "ending of LR": ("Set/{}.png", "Set/{}x4.png"),
    "ending of LR with a bar": ("Set/{}.bmp", "Set/{}_x4.bmp"),
    "DIV2K": ("Set_HR/{}.png", "Set_LR_bicubic/X4/{}x4.png"),
    "two folders": ("Set_HR/{}.png", "Set_LR/{}.png"),
    "plain": ("Set/original/{}.png", "Set/LR/{}_LR.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    hr, lr = LAYOUTS[layout]
    for value, name in enumerate(("b", "a001")):
        write(tmp_path / hr.format(name), value=value)
        write(tmp_path / lr.format(name), 6, 8, value=100 + value)
    pictures = find_benchmark("Set", 4, tmp_path)
    assert [picture.name.replace("img_", "") for picture in pictures] == ["a001", "b"]
    for picture, value in zip(pictures, (1, 0)):
        high, low = picture.read()
        assert (high.shape, low.shape) == ((1, 24, 32, 3), (1, 6, 8, 3))
        assert (high[0, 0, 0, 0], low[0, 0, 0, 0]) == (value, 100 + value)


@pytest.mark.parametrize("name", ["DIV2K_valid", "DIV2K_valid_HR", "DIV2K"])
def test_the_official_tree_of_div2k(tmp_path, name):
    root = tmp_path / "DIV2K"
    for folder, ending, side in (("DIV2K_valid_HR", "", 48), ("DIV2K_valid_LR_bicubic/X4", "x4", 12)):
        (root / folder).mkdir(parents=True)
        write(root / folder / f"0801{ending}.png", side, side)
    (pair,) = find_benchmark(name, 4, tmp_path if name == "DIV2K" else root)
    assert pair.lr_path == root / "DIV2K_valid_LR_bicubic" / "X4" / "0801x4.png"


@pytest.mark.parametrize("folder", ["Set", "Set/HR"])
def test_hr_alone_makes_lr(tmp_path, folder):
    write(tmp_path / folder / "a.png", 27, 34)
    (picture,) = find_benchmark("Set", 4, tmp_path)
    hr, lr = picture.read()
    assert hr.shape == (1, 24, 32, 3)
    assert np.array_equal(lr, downscale(hr, 4))


def test_scales_side_by_side(tmp_path):
    write(tmp_path / "Set/a.png")
    for scale in (2, 3, 4):
        write(tmp_path / f"Set/ax{scale}.png", 24 // scale, 32 // scale)
        write(tmp_path / f"Folders/LR_x{scale}/a.png", 24 // scale, 32 // scale)
    write(tmp_path / "Folders/HR/a.png")
    for scale in (2, 4):
        for name in ("Set", "Folders"):
            (picture,) = find_benchmark(name, scale, tmp_path)
            assert picture.read()[1].shape[1] == 24 // scale


@pytest.mark.parametrize("folder", ["Set/HR", "Set"])
def test_names_that_end_as_a_scale_does_are_hr(folder, tmp_path):
    """`matrix2.png` was left out without a word."""
    names = ["box", "matrix1", "matrix2", "tux4"]
    for value, name in enumerate(names):
        write(tmp_path / folder / f"{name}.png", value=value)
    assert [picture.name for picture in find_benchmark("Set", 4, tmp_path)] == names
    for value, name in enumerate(names):
        write(tmp_path / f"Set/LR_x4/{name}x4.png", 6, 8, value=100 + value)
    pairs = find_benchmark("Set", 4, tmp_path)
    assert [pair.read()[1].max() for pair in pairs] == [100, 101, 102, 103]


def test_lr_alone_is_no_hr(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"X4/{name}x4.png")
    with pytest.raises(BenchmarkError, match=r"^X4: no such benchmark"):
        find_benchmark("X4", 4, tmp_path)
    write(tmp_path / "X4/a.png", 96, 128)  # b's HR is missing
    assert [picture.name for picture in find_benchmark("X4", 4, tmp_path)] == ["a"]


def test_two_pictures_of_one_name_are_refused(tmp_path):
    for name in ("a.png", "a.bmp"):
        write(tmp_path / "Set" / name)
    with pytest.raises(BenchmarkError, match=r"a\.png: a second picture of the name a, as a\.bmp"):
        find_benchmark("Set", 4, tmp_path)


def test_pictures_of_other_methods_are_left_alone(tmp_path):
    for ending in ("HR", "bicubic", "ScSR"):
        write(tmp_path / f"Set/image_SRF_4/img_001_SRF_4_{ending}.png")
    write(tmp_path / "Set/image_SRF_4/img_001_SRF_4_LR.png", 6, 8)
    (picture,) = find_benchmark("Set", 4, tmp_path)
    assert picture.hr_path.name == "img_001_SRF_4_HR.png"
    assert picture.lr_path.name == "img_001_SRF_4_LR.png"


def test_path_and_environment(tmp_path, monkeypatch):
    write(tmp_path / "mine/a.png")
    assert find_benchmark(str(tmp_path / "mine"), 4, tmp_path / "elsewhere")[0].name == "a"
    monkeypatch.setenv("SRGAN_TF_DATA", str(tmp_path))
    assert find_benchmark("mine", 4)[0].name == "a"


def test_grey_stays_grey(tmp_path):
    write(tmp_path / "Set/HR/a.png", grey=True)
    write(tmp_path / "Set/LR_x4/a.png", 6, 8, grey=True)
    hr, lr = find_benchmark("Set", 4, tmp_path)[0].read()
    assert (hr.shape, lr.shape) == ((1, 24, 32, 1), (1, 6, 8, 1))


def test_files_that_pillow_cannot_open_are_scored(tmp_path):
    for name, shape in (("colour", (24, 32, 3)), ("grey", (24, 32))):
        (tmp_path / "Set").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"Set/{name}.tif", np.full(shape, 0.5, np.float32))
    assert [pair.read()[0].shape[-1] for pair in find_benchmark("Set", 4, tmp_path)] == [3, 1]


def test_lr_with_colours_does_not_fit_grey_hr(tmp_path):
    write(tmp_path / "Set/HR/a.png", grey=True)
    (tmp_path / "Set/LR_x4").mkdir()
    Image.new("RGB", (8, 6), (9, 8, 7)).save(tmp_path / "Set/LR_x4/a.png")
    with pytest.raises(BenchmarkError, match=r"LR_x4/a\.png: has colours"):
        find_benchmark("Set", 4, tmp_path)[0].read()


def test_missing_says_what_is_looked_for(tmp_path):
    with pytest.raises(BenchmarkError, match=r"^Set6: [^\n]*--data_dir[^\n]*evaluate.py --help lists$"):
        find_benchmark("Set6", 4, tmp_path)


def test_sizes_that_do_not_fit_are_named(tmp_path):
    write(tmp_path / "Set/HR/a.png")
    write(tmp_path / "Set/LR_x4/a.png", 12, 16)
    with pytest.raises(
        BenchmarkError, match=r"LR_x4/a.png: 16x12 px .*HR/a.png \(32x24 px\) at scale 4: it must be 8x6"
    ):
        find_benchmark("Set", 4, tmp_path)[0].read()


def test_hr_without_lr_is_named(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"Set/HR/{name}.png")
    write(tmp_path / "Set/LR_x4/a.png", 6, 8)
    with pytest.raises(BenchmarkError, match=r"b.png: no LR x4"):
        find_benchmark("Set", 4, tmp_path)


@pytest.mark.parametrize("name, count", [("Set5", 5), ("Set14", 14)])
@pytest.mark.parametrize("scale", [2, 4])
def test_real_sets(name, count, scale):
    need(name)
    pictures = find_benchmark(name, scale, ROOT)
    assert len(pictures) == count
    assert all(picture.lr_path is not None for picture in pictures)
    channels = {picture.name: picture.read()[0].shape[-1] for picture in pictures}
    assert [name for name, c in channels.items() if c == 1] == (["bridge"] if name == "Set14" else [])
