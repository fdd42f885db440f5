"""HEIC, what iPhones save: read as another encoder (x265, by pillow-heif) wrote it.

`phone.heic` is a gradient of 64x48 with EXIF that says "turn right"; `ten_bits.heic` one of ten bits, not turned.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srgan_tf import upscale_bytes
from srgan_tf.errors import ImageError
from srgan_tf.inference.upscaling import Upscaler
from srgan_tf.io import images

pytest.importorskip("pi_heif")
CASES = Path(__file__).parent / "cases"
Y, X = np.mgrid[0:48, 0:64]


def test_a_phones_picture_comes_upright_with_its_metadata():
    picture = images.load(CASES / "phone.heic")
    written = np.rot90(np.stack([4 * X, 5 * Y, 255 - 2 * X - 2 * Y], -1).clip(0, 255), -1)
    assert picture.pixels.shape == (64, 48, 3) and picture.pixels.dtype == np.uint8
    assert np.abs(picture.pixels.astype(int) - written).mean() < 3
    assert b"Phone" in picture.metadata["exif-data"]


def test_ten_bits_are_kept():
    pixels = images.load(CASES / "ten_bits.heic").pixels
    written = np.stack([X * 1000, Y * 1300, X * 500 + Y * 600], -1)
    assert pixels.dtype == np.uint16 and np.abs(pixels.astype(int) - written).mean() < 800


def test_the_result_is_a_jpeg(tmp_path):
    made, ending = upscale_bytes((CASES / "phone.heic").read_bytes(), Upscaler("compact"), "IMG_1.HEIC")
    assert ending == ".jpg"
    (tmp_path / "a.jpg").write_bytes(made)
    with Image.open(tmp_path / "a.jpg") as result:
        assert result.format == "JPEG" and result.size == (192, 256)
        assert result.getexif()[0x0112] == 1 and result.getexif()[0x010F] == "Phone"


@pytest.mark.parametrize("length", [40, 300, 700])
def test_what_is_cut_off_is_told_of(length):
    with pytest.raises(ImageError, match="not a readable picture"):
        images.load((CASES / "phone.heic").read_bytes()[:length])


@pytest.mark.parametrize("name", ["phone", "ten_bits"])
def test_damaged_files_are_read_or_refused(name):
    data, rng, refused = (CASES / f"{name}.heic").read_bytes(), np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(0, 256)
        try:
            images.load(bytes(damaged))
        except ImageError:
            refused += 1
    assert refused > 5


def test_more_pixels_than_allowed_are_refused():
    with pytest.raises(ImageError, match="48 x 64 pixels are more than the limit"):
        images.load(CASES / "phone.heic", max_pixels=1000)


def test_without_the_decoder_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"phone\.heic: .*pip install pi-heif"):
        images.load(CASES / "phone.heic")
