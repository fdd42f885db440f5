"""Pictures of every kind keep what they carry, and what is no picture is refused in one line."""

import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import forks
import numpy as np
import pytest
import pyvips
from PIL import Image, PngImagePlugin

from srgan_tf.errors import ImageError
from srgan_tf.io import encoding, images


def _noise(height, width, bands, dtype):
    pixels = np.random.default_rng(0).integers(1, np.iinfo(dtype).max + 1, (height, width, bands))
    return pixels.astype(dtype)


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_lossless_formats_give_back_the_same_array(tmp_path, bands, dtype, ending):
    pixels = _noise(37, 51, bands, dtype)
    images.write(tmp_path / f"whole{ending}", pixels)
    encoding.write_rows(tmp_path / f"rows{ending}", [pixels[:5], pixels[5:]], pixels.shape, dtype)
    for name in ("whole", "rows"):
        again = images.load(tmp_path / f"{name}{ending}").pixels
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".jpg", ".gif"])
def test_pillow_reads_the_same_rgb(tmp_path, mode, ending):
    path, picture = tmp_path / f"a{ending}", Image.fromarray(_noise(20, 30, 3, np.uint8)).convert(mode)
    try:
        picture.save(path)
    except (OSError, ValueError):
        pytest.skip(f"{ending} holds no {mode}")
    with Image.open(path) as again:
        expected = np.asarray(again.convert("RGB")).astype(int)
    read = images.read(path)
    assert read.shape == expected.shape
    # CMYK goes through a colour profile here, and by plain subtraction in Pillow.
    if mode != "CMYK":
        assert np.abs(read - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_the_tag_reset(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, "a cat"
    Image.fromarray(_noise(20, 30, 3, np.uint8)).save(tmp_path / "a.png", exif=exif)
    picture = images.load(tmp_path / "a.png")
    assert picture.pixels.shape[:2] == ((30, 20) if orientation > 4 else (20, 30))
    for ending in (".png", ".jpg"):
        made = tmp_path / f"b{ending}"
        encoding.write_rows(made, [picture.pixels], picture.pixels.shape, np.uint8, picture.metadata)
        assert images.read(made).shape == picture.pixels.shape
        with Image.open(made) as again:
            assert again.getexif()[0x0112] == 1
            assert again.getexif()[0x010E] == "a cat"


def test_profile_resolution_and_text_go_along(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "The cat")
    # What matters is that the bytes pass, so the repository's own tests need no profile file.
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(_noise(20, 30, 3, np.uint8))
    picture.save(tmp_path / "a.png", icc_profile=profile, pnginfo=text, dpi=(240, 240))
    loaded = images.load(tmp_path / "a.png")
    for ending in (".png", ".jpg", ".tif"):
        made = tmp_path / f"b{ending}"
        encoding.write_rows(made, [loaded.pixels], loaded.pixels.shape, np.uint8, loaded.metadata)
        with Image.open(made) as again:
            assert again.info["icc_profile"] == profile
            assert again.info["dpi"][0] == pytest.approx(240, abs=0.5)
            assert ending != ".png" or again.info["Title"] == "The cat"


def test_resolution_that_only_pillow_reads_goes_along_and_none_is_made_up(tmp_path):
    picture = Image.fromarray(_noise(20, 30, 3, np.uint8))
    picture.save(tmp_path / "240.bmp", dpi=(240, 240))
    picture.save(tmp_path / "none.webp")  # says nothing
    for name in ("240.bmp", "none.webp"):
        loaded = images.load(tmp_path / name)
        encoding.write_rows(tmp_path / "b.png", [loaded.pixels], loaded.pixels.shape, np.uint8, loaded.metadata)
        with Image.open(tmp_path / "b.png") as made:
            dots = made.info.get("dpi", (None,))[0]
            assert dots is None if name == "none.webp" else dots == pytest.approx(240, abs=0.5)


def test_transparent_pixels_take_the_colour_beside_them(tmp_path):
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, 20:] = (200, 100, 50, 255)  # black lies hidden on the left
    images.write(tmp_path / "a.png", pixels)
    loaded = images.load(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(loaded[..., 3], pixels[..., 3])
    assert np.abs(loaded[:, 10:, :3].astype(int) - (200, 100, 50)).max() <= 1


def _bomb(side):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def test_what_is_no_picture_is_named_in_one_line(tmp_path):
    whole = tmp_path / "whole.png"
    images.write(whole, _noise(50, 50, 3, np.uint8))
    cases = {"empty.png": b"", "text.jpg": b"hello", "cut.png": whole.read_bytes()[:3000], "bomb.png": _bomb(60_000)}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError, match=name) as refused:
            images.load(tmp_path / name)
        assert "\n" not in str(refused.value)
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(ImageError, match=path.name):
            images.load(path)
    for path, reason in (("/dev/null", "a device"), ("/proc/self/mem", "cannot read it")):  # root may read the rest
        with pytest.raises(ImageError, match=f"{path}: {reason}"):
            images.load(path)


def test_a_format_that_cannot_hold_the_size_is_refused(tmp_path):
    for name, side in (("a.webp", 16_384), ("a.jpg", 65_501)):
        with pytest.raises(ImageError, match="--format"):
            encoding.write_rows(tmp_path / name, [], (1, side, 3), np.uint8)
    with pytest.raises(ImageError, match="--format"):
        encoding.check_writable("a.xyz", 1, 1)


def test_nothing_is_left_where_rows_fail(tmp_path):
    def rows():
        yield np.zeros((10, 10, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoding.write_rows(tmp_path / "a.png", rows(), (20, 10, 3), np.uint8)
    with pytest.raises(ImageError):
        encoding.write_rows(tmp_path / "b.png", [np.zeros((10, 10, 3), np.uint8)], (20, 10, 3), np.uint8)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_the_writer_starts_does_not_hang(tmp_path, monkeypatch):
    submit = encoding.ThreadPoolExecutor.submit

    def interrupted(self, *arguments):
        submit(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(encoding.ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encoding.write_rows(tmp_path / "a.png", [], (20, 10, 3), np.uint8)
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_early_does_not_hang(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoding, "_write", fail)
    rows = [np.zeros((500, 1000, 3), np.uint8)] * 4  # more than a pipe holds
    with pytest.raises(ImageError, match=r"a\.jpg: cannot write it \(No space left"):
        encoding.write_rows(tmp_path / "a.jpg", rows, (2000, 1000, 3), np.uint8)
    assert not list(tmp_path.iterdir())


def test_threads_read_formats_that_libvips_leaves_to_pillow(tmp_path):
    # libvips' error text is shared by all threads: one that fails, or recovers, takes another's cause away.
    pixels = _noise(20, 30, 3, np.uint8)
    for name in ("a.bmp", "a.png", "a.jpg", "a.webp"):
        Image.fromarray(pixels).save(tmp_path / name)
    names = ["a.bmp", "a.png", "a.jpg", "a.webp"] * 250
    with ThreadPoolExecutor(8) as pool:
        shapes = pool.map(lambda name: images.read(tmp_path / name).shape, names)
    assert set(shapes) == {(20, 30, 3)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_transparent_far_from_the_visible_is_not_black(tmp_path, dtype):
    """Training crops it: it takes the mean of what is visible."""
    top = np.iinfo(dtype).max
    pixels = np.zeros((200, 300, 4), dtype)
    pixels[:20, :40] = (top // 5, top // 2, top, top)
    images.write(tmp_path / "a.png", pixels)
    read = images.load(tmp_path / "a.png").pixels[..., :3].astype(float) / top
    np.testing.assert_allclose(read[150:, 200:], np.broadcast_to([0.2, 0.5, 1], (50, 100, 3)), atol=0.01)
    np.testing.assert_array_equal(images.load(tmp_path / "a.png").pixels[:20, :40], pixels[:20, :40])
    images.write(tmp_path / "b.png", np.zeros((9, 9, 4), dtype))  # nothing visible at all
    assert not images.load(tmp_path / "b.png").pixels.any()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"\n<!DOCTYPE html><title>404</title>", "a web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "a vector drawing"),
        (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "a video"),
        (b"Dear Sir,\r\n", "a text file"),
        (bytes(range(256)), "its format is not known"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(data, said, tmp_path):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError, match=rf"a\.jpg: not a readable picture \(.*{said}"):
        images.load(tmp_path / "a.jpg")


def test_a_damaged_exif_block_warns_nobody(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 30)
    code = (
        "import sys, warnings; warnings.simplefilter('error'); from srgan_tf.io import images; images.read(sys.argv[1])"
    )
    done = forks.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (pyvips.Error("x", "unable to write to target out/.partial-1.png"), r"to write to target a.png\); is the"),
        (OSError(28, "No space left on device"), r"\(No space left on device\)$"),
        (ImageError("out/.partial-1.png: cannot write it (full)"), r"^a.png: cannot write it \(full\)$"),
    ],
)
def test_errors_of_writing_name_the_file_and_not_the_one_aside(error, said):
    with pytest.raises(ImageError, match=said) as raised, encoding.converted_errors("a.png"):
        raise error
    assert ".partial" not in str(raised.value) and str(raised.value).startswith("a.png: cannot write it (")
