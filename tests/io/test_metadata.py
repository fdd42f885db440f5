"""What files say beside their pixels, as other libraries read it from the files made of them."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srgan_tf.io import colour, encoding, images, metadata, png

CASES = Path(__file__).parent / "cases"


def made_of(source, folder, ending, scale=1):
    """A file made of another, its pixels `scale` times as many."""
    picture = images.load(source) if not isinstance(source, images.Picture) else source
    pixels = picture.pixels.repeat(scale, 0).repeat(scale, 1)
    path = folder / f"made{ending}"
    encoding.write_rows(path, [pixels], pixels.shape, pixels.dtype, picture.metadata)
    return path


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def test_text_of_png_files_is_readable_by_others(tmp_path):
    made = made_of(CASES / "p_text.png", tmp_path, ".png")
    with Image.open(CASES / "p_text.png") as before, Image.open(made) as after:
        assert before.text and after.text == before.text and "猫" in after.text["Description"]
    kinds = [kind for _, kind, _ in png.chunks(made.read_bytes())]
    assert kinds.index(b"iTXt") < kinds.index(b"IDAT")  # readers look no further before they are asked for pixels


def test_latin_1_text_that_is_no_utf_8_is_kept(tmp_path):
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:33] + encoding.chunk(b"tEXt", b"Author\0Jos\xe9") + data[33:])
    with Image.open(made_of(tmp_path / "a.png", tmp_path, ".png")) as made:
        assert made.info["Author"] == "José"


def test_a_text_that_unpacks_without_end_is_left_out(tmp_path):
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    bomb = encoding.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000)))
    (tmp_path / "a.png").write_bytes(data[:33] + bomb + data[33:])
    assert not any(name.startswith("png-comment") for name in images.load(tmp_path / "a.png").metadata)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_exif_is_true_of_the_new_picture(tmp_path, ending):
    made = made_of(CASES / "exif.jpg", tmp_path, ending, scale=2)
    with Image.open(CASES / "exif.jpg") as before, Image.open(made) as after:
        old, new = before.getexif(), after.getexif()
        assert old[0x0112] == 6 and new.get(0x0112, 1) == 1
        assert not new.get_ifd(1)  # the thumbnail is of the unturned picture
        for tag in (0x010E, 0x010F, 0x0110, 0x8298):
            assert new[tag] == old[tag]
        assert new.get_ifd(0x8769)[0x9003] == old.get_ifd(0x8769)[0x9003]
        assert new.get_ifd(0x8825)[2] == old.get_ifd(0x8825)[2]  # latitude
        assert (new.get_ifd(0x8769)[0xA002], new.get_ifd(0x8769)[0xA003]) == after.size
        if ending in (".jpg", ".png", ".tif"):
            assert new[0x4746] == old[0x4746] == 4  # the rating, which libexif drops
            assert after.info["dpi"][0] == pytest.approx(300, abs=0.5)
        packet = after.info.get("xmp") or after.info["XML:com.adobe.xmp"].encode()
        assert re.search(rb"""tiff:Orientation=["']1["']""", packet)
    assert made.read_bytes().count(b"\xff\xd8\xff") == (1 if ending == ".jpg" else 0)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_types_and_text_of_exif_pass_unchanged(tmp_path, ending):
    def value(kind, content, dtype="u1"):
        return kind, np.frombuffer(content, dtype) if isinstance(content, bytes) else np.array(content, dtype)

    tags = {
        33432: value(2, "© Ünï".encode()),
        18246: value(3, [4], "<u2"),
        40091: value(1, "Tïtle".encode("utf-16-le")),
        34665: {
            37510: value(7, b"ASCII\0\0\0a comment"),
            33434: value(5, [1, 125], ">u4"),
            40962: value(4, [8], "<u4"),
            40963: value(3, [8], "<u2"),
            40965: {1: value(2, b"R03\0"), 2: value(7, b"0100")},
        },
    }
    picture = images.Picture(noise(16, 24, 3), {"exif-data": metadata.block(tags)})
    made = made_of(picture, tmp_path, ending)
    with Image.open(made) as after:
        exif = after.getexif()
        assert exif[33432].encode("latin-1").decode() == "© Ünï" and exif[18246] == 4
        assert exif[40091].decode("utf-16-le") == "Tïtle"
        below = exif.get_ifd(34665)
        assert below[37510] == b"ASCII\0\0\0a comment" and below[33434] == pytest.approx(1 / 125)
        assert (below[40962], below[40963]) == (24, 16)
        assert exif.get_ifd(40965) == {1: "R03", 2: b"0100"}
        assert ending == ".jpg" or "dpi" not in after.info  # Pillow takes 72 for a JPEG that states none
    again = metadata.parse(images.load(made).metadata["exif-data"])
    kinds = {tag: value[0] for tag, value in again[34665].items() if tag != 40965}
    assert kinds == {37510: 7, 33434: 5, 40962: 3, 40963: 3}


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_comments_and_maker_notes_are_left_out_whole(tmp_path, ending):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = b"FUJIFILM" + bytes(range(40))
    exif.get_ifd(0x8769)[0x9003] = "2020:02:03 04:05:06"
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.jpg", exif=exif, comment=b"as it was")
    made = made_of(tmp_path / "a.jpg", tmp_path, ending)
    assert b"as it was" not in made.read_bytes() and b"FUJIFILM" not in made.read_bytes()
    with Image.open(made) as after:
        assert dict(after.getexif().get_ifd(0x8769)) == {0x9003: "2020:02:03 04:05:06"}


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_what_nobody_said_is_not_made_up(tmp_path, ending):
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "a.jpg")
    with Image.open(made_of(tmp_path / "a.jpg", tmp_path, ending)) as made:
        assert made.info.get("exif") is None and "dpi" not in made.info
        assert not set(made.getexif()) & {0x8769, 0x8825, 0x010F, 0x0131}
        assert ending != ".jpg" or made.info["jfif_unit"] == 0


@pytest.mark.parametrize("unit", [0, 1])
def test_a_ratio_of_sides_is_no_resolution(tmp_path, unit):
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(
        data[:33] + encoding.chunk(b"pHYs", struct.pack(">IIB", 3937, 3937, unit)) + data[33:]
    )
    for ending in (".png", ".jpg", ".tif"):
        with Image.open(made_of(tmp_path / "a.png", tmp_path, ending)) as made:
            dots = made.info.get("dpi", (None,))[0]
            assert dots is None if unit == 0 else dots == pytest.approx(100, abs=0.5)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_to_tiff_keeps_who_made_it_and_where(tmp_path, order, big):
    tifffile = pytest.importorskip("tifffile")
    exif = Image.Exif()
    exif[315], exif[33432], exif[271] = "Ann Artist", "© nobody".encode().decode("latin-1"), "Camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.5)})
    exif.get_ifd(0x8769)[0x9003] = "2020:02:03 04:05:06"
    pixels = noise(20, 30, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)  # Pillow's TIFF files hold no GPS
    made_of(tmp_path / "a.png", tmp_path, ".tif").rename(tmp_path / "a.tif")
    made = made_of(tmp_path / "a.tif", tmp_path, ".tif")
    np.testing.assert_array_equal(tifffile.imread(made), pixels)
    with Image.open(made) as after:
        assert (after.tag_v2[315], after.tag_v2[271]) == ("Ann Artist", "Camera")
        assert after.getexif().get_ifd(0x8825)[2] == (48.0, 12.0, 30.5)
        assert after.getexif().get_ifd(0x8769)[0x9003] == "2020:02:03 04:05:06"
    with Image.open(made_of(tmp_path / "a.tif", tmp_path, ".jpg")) as after:
        assert after.getexif()[315] == "Ann Artist"
        assert after.getexif().get_ifd(0x8825)[2] == (48.0, 12.0, 30.5)
    # Byte orders of the source: tifffile writes either.
    tifffile.imwrite(tmp_path / "b.tif", pixels, byteorder=order, bigtiff=big, extratags=[(315, "s", 0, "Bob", True)])
    with Image.open(made_of(tmp_path / "b.tif", tmp_path, ".tif")) as after:
        assert after.tag_v2[315] == "Bob"
    assert tifffile.imread(made_of(tmp_path / "b.tif", tmp_path, ".tif", scale=2)).shape == (40, 60, 3)


def test_damaged_exif_is_left_out(tmp_path):
    for block in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        picture = images.Picture(noise(8, 8, 3), {"exif-data": block})
        for ending in encoding.WRITABLE:
            assert images.load(made_of(picture, tmp_path, ending)).pixels.shape[:2] == (8, 8)


def test_values_of_exif_that_overlap_do_not_unfold():
    entries = b"".join(struct.pack("<HHII", 40000 + i, 7, 50_000, 100) for i in range(4000))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 4000) + entries + bytes(4)
    assert len(metadata.block(metadata.parse(block))) < 2 * len(block)


@pytest.mark.parametrize("ending", [".webp", ".avif"])
def test_grey_of_a_profile_becomes_the_same_grey_of_srgb_where_a_format_forces_colour(tmp_path, ending):
    grey = colour.profile(colour.Space(curve=(1.8,)), is_grey=True)
    pixels = np.repeat(np.arange(0, 256, 16, np.uint8), 64).reshape(32, 32, 1)
    made = made_of(images.Picture(pixels, {"icc-profile-data": grey}), tmp_path, ending)
    shown = images.load(made)
    assert "icc-profile-data" not in shown.metadata
    light = (pixels / 255) ** 1.8
    expected = 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(shown.rgb() - expected).max() < 6  # both formats are lossy
