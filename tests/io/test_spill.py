"""Large pictures are in a temporary file, and equal to small ones in everything but the memory that they take."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import pyvips
from PIL import Image

from srgan_tf import Upscaler
from srgan_tf.errors import ImageError
from srgan_tf.io import images, spill

NOISE = np.random.default_rng(0).integers(0, 256, (300, 200, 4), np.uint8)


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(spill, "LARGE", 1000)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_are_those_that_pillow_reads(mode, orientation, large, tmp_path):
    NOISE[..., 3] |= 1  # colours of wholly transparent pixels are filled
    picture = Image.fromarray(NOISE).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(picture if orientation == 1 else picture.transpose(Image.Transpose.ROTATE_270))
    found = images.load(tmp_path / "a.png").pixels
    assert not found.flags.writeable and found.dtype == np.uint8
    assert np.array_equal(found, expected.reshape(found.shape))
    spill.release(found)
    assert np.array_equal(found, expected.reshape(found.shape))


def test_sixteen_bits(large, tmp_path):
    wide = np.random.default_rng(1).integers(0, 65536, (300, 200), np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert np.array_equal(images.load(tmp_path / "a.png").pixels[..., 0], wide)


def test_results_are_the_same(tmp_path, monkeypatch):
    Image.fromarray(NOISE[:70, :60, :3]).save(tmp_path / "a.png")
    upscaler = Upscaler("compact")
    small = images.load(tmp_path / "a.png").pixels
    monkeypatch.setattr(spill, "LARGE", 1000)
    from_file = images.load(tmp_path / "a.png").pixels
    assert small.flags.writeable and not from_file.flags.writeable
    assert np.array_equal(upscaler(from_file), upscaler(small))


def test_a_damaged_picture_is_told_of(large, tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:100_000])
    with pytest.raises(ImageError, match=r"b\.png: not a readable picture"):
        images.load(tmp_path / "b.png")


def test_without_room_on_the_disk_it_is_in_memory(large, tmp_path, monkeypatch):
    monkeypatch.setattr(spill.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    assert np.array_equal(images.load(tmp_path / "a.png").pixels, NOISE)


PROGRAM = """
import re, sys
from srgan_tf.io import images, spill
def mib(what):
    return int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
images.load(sys.argv[2])  # what libvips itself takes, once
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = mib("VmRSS")
pixels = images.load(sys.argv[1]).pixels
peak = mib("VmHWM") - before
value = int(pixels.max())  # all of it is read
spill.release(pixels[1:, :, 0])
print(pixels.nbytes >> 20, mib("VmRSS") - before, peak, value)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("large.png", {"compression": 1}),
        pytest.param("large.tif", {"compression": "deflate"}, marks=pytest.mark.matrix),
        ("large.tif", {"compression": "deflate", "tile": True}),
        pytest.param("large.tif", {"compression": "lzw"}, marks=pytest.mark.matrix),
    ],
)
def test_a_large_picture_takes_less_memory_than_its_pixels(tmp_path, name, options):
    picture = pyvips.Image.black(8000, 6000, bands=3) + 7
    picture.cast("uchar").copy(interpretation="srgb").write_to_file(tmp_path / name, **options)
    Image.fromarray(NOISE).save(tmp_path / f"small{name[-4:]}")
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / name), str(tmp_path / f"small{name[-4:]}")]
    made = subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()
    size, taken, peak, value = map(int, made)
    assert size == 137 and value == 7
    assert taken < 70 and peak < 2 * size, f"{taken} MiB, {peak} MiB while reading, for {size} MiB of pixels"
