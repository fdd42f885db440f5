"""Kinds of files beside the cases: depths, colour models and frames, against other libraries and by the maths."""

import io
import lzma
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from srgan_tf.errors import ImageError
from srgan_tf.io import colour, encoding, images
from srgan_tf.io.samples import from_array

tifffile = pytest.importorskip("tifffile")


def ramps():
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 4, y * 5, (x + y) * 2], -1).astype(np.uint8)


def tiff(values, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def level(picture):
    return picture.pixels / np.iinfo(picture.pixels.dtype).max


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lab_is_refused_with_the_fix(dtype):
    with pytest.raises(ImageError, match=r"L\*a\*b\*, is not supported: save it as an ordinary .* RGB TIFF"):
        images.load(tiff(ramps().astype(dtype), photometric="cielab"))


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw", "packbits"])
def test_ycbcr_without_jpeg_is_converted_as_pillow_does(compression):
    file = io.BytesIO()
    Image.fromarray(ramps()).convert("YCbCr").save(file, "TIFF", compression=compression)
    with Image.open(io.BytesIO(file.getvalue())) as again:
        expected = np.asarray(again.convert("RGB")).astype(int)
    assert np.abs(images.load(file.getvalue()).rgb() - expected).max() <= 1


def test_ycbcr_of_video_range_is_refused_with_the_fix():
    values = np.array([[[16, 128, 128], [235, 128, 128], [126, 128, 128]]], np.uint8)
    reference = (532, "2I", 6, (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1), True)
    with pytest.raises(ImageError, match=r"not supported in this colour model .*: save it as"):
        images.load(tiff(values, photometric="ycbcr", subsampling=(1, 1), extratags=[reference]))


def test_alpha_that_was_multiplied_in_is_divided_out():
    alpha = np.full((48, 64, 1), 128, np.uint8)
    product = (ramps() * (128 / 255)).round().astype(np.uint8)
    data = tiff(np.dstack([product, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(images.load(data).pixels[..., :3].astype(int) - ramps()).max() <= 1


def test_a_channel_that_is_not_called_alpha_is_none():
    data = tiff(np.dstack([ramps(), ramps()[..., :1]]), photometric="rgb", extrasamples=["unspecified"])
    picture = images.load(data)
    np.testing.assert_array_equal(picture.pixels, ramps())
    assert "further channel" in picture.notes[0]


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 17, 24])
def test_odd_depths_reach_white(bits):
    values = np.random.default_rng(0).integers(0, 2**bits, (20, 30, 3)).astype("u2" if bits <= 16 else "u4")
    values[0, 0] = 2**bits - 1
    try:
        data = tiff(values, photometric="rgb", bitspersample=bits)
    except (TypeError, NotImplementedError) as error:  # the newest pair for NumPy 1 does not fit together
        pytest.skip(f"this tifffile and imagecodecs cannot write it: {error}")
    picture = images.load(data)
    assert np.abs(level(picture) - values / (2**bits - 1)).max() < 1 / 65_535


@pytest.mark.parametrize(
    "values, expected",
    [
        (lambda x: x * 255, None),
        (lambda x: x * 65_535, None),
        (lambda x: x * 1.04 - 0.02, lambda x: (x * 1.04 - 0.02).clip(0, 1)),
        (lambda x: x * 0, lambda x: x * 0),
        (lambda x: x * 4, None),
        (lambda x: x * 2 - 1, None),
        (lambda x: np.where(x == 0, np.nan, x), None),
        (lambda x: np.where(x == 0, 200.0, x), None),
    ],
)
def test_floats_are_scaled_by_what_they_hold_or_refused(values, expected):
    noise = np.random.default_rng(0).random((20, 30, 3))
    noise[0, 0], noise[0, 1] = 0, 1
    data = tiff(values(noise).astype(np.float32), photometric="rgb")
    if expected is None:
        with pytest.raises(ImageError, match=r"scale it to 0-1|replace them"):
            images.load(data)
    else:
        picture = images.load(data)
        assert np.abs(level(picture) - expected(noise)).max() < 2 / 65_535
        assert "taken as" in picture.notes[0]


def test_primaries_and_curve_of_a_tiff_become_its_profile():
    points = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)  # Adobe RGB's
    chroma = (319, "2I", 6, tuple(n for value in points for n in (round(value * 10_000), 10_000)), True)
    curve = (301, "H", 256, tuple(round(65_535 * (i / 255) ** 2.2) for i in range(256)), True)
    profile = images.load(tiff(ramps(), photometric="rgb", extratags=[chroma, curve])).metadata["icc-profile-data"]
    profiles = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    shown = np.asarray(
        ImageCms.profileToProfile(Image.fromarray(np.full((1, 1, 3), (120, 200, 90), np.uint8)), *profiles)
    )
    linear = np.array([[1.3984, -0.3984, 0], [0, 1, 0], [0, -0.0429, 1.0429]]) @ (np.array([120, 200, 90]) / 255) ** 2.2
    assert np.abs(shown[0, 0] - 255 * (1.055 * linear ** (1 / 2.4) - 0.055)).max() <= 2


@pytest.mark.parametrize("kind, ending", [("PNG", ".png"), ("WEBP", ".webp"), ("GIF", ".gif"), ("TIFF", ".tif")])
def test_frames_are_told_and_chosen(kind, ending, tmp_path):
    frames = [Image.fromarray(np.roll(ramps(), 16 * i, 1)).quantize(64).convert("RGB") for i in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(tmp_path / f"a{ending}", kind, save_all=True, append_images=frames[1:], **options)
    picture = images.load(tmp_path / f"a{ending}")
    assert "the first of 3" in picture.notes[0] and "--page" in picture.notes[0]
    np.testing.assert_array_equal(picture.rgb(), np.asarray(frames[0]))
    for number, frame in enumerate(frames, 1):
        picture = images.load(tmp_path / f"a{ending}", page=number)
        np.testing.assert_array_equal(picture.rgb(), np.asarray(frame))
        assert not picture.notes


@pytest.mark.parametrize("highest", [1, 100, 255, 256, 1023, 65_535])
@pytest.mark.parametrize("kind", [b"P2", b"P3", b"P5", b"P6"])
def test_netpbm_is_read_with_all_its_bits_or_refused(kind, highest):
    bands = 3 if kind in (b"P3", b"P6") else 1
    values = np.random.default_rng(0).integers(0, highest + 1, (20, 30, bands))
    body = b" ".join(b"%d" % n for n in values.ravel()) if kind in (b"P2", b"P3") else None
    body = body or values.astype("u1" if highest < 256 else ">u2").tobytes()
    data = b"%s\n# a comment\n30 20\n%d\n" % (kind, highest) + body
    if highest > 255 and bands == 3:
        with pytest.raises(ImageError, match=r"PPM of more than 8 bits are not supported: convert it to PNG or TIFF"):
            images.load(data)
        return
    assert np.abs(level(images.load(data)) - values / highest).max() < (1 / 255 if highest < 256 else 1 / 65_535)
    with pytest.raises(ImageError, match=r"truncated|not enough|not a readable"):
        images.load(data[:-2] if kind in (b"P5", b"P6") else data.rsplit(b" ", 1)[0])


@pytest.mark.parametrize("kind", [b"Pf", b"PF"])
def test_pfm_is_refused_with_the_fix(kind):
    with pytest.raises(ImageError, match=r"PFM and PPM .*: convert it to PNG or TIFF"):
        images.load(b"%s\n30 20\n-1.0\n" % kind + bytes(30 * 20 * 12))


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("bands", [1, 3])
def test_deep_jpeg_2000_reaches_white_and_stays_white(bits, bands):
    codecs = pytest.importorskip("imagecodecs")
    values = np.random.default_rng(0).integers(0, 2**bits, (20, 30, bands)).astype(np.uint16)
    values[:3] = 2**bits - 1
    data = codecs.jpeg2k_encode(values.squeeze(), level=0, bitspersample=bits, codecformat="jp2")
    assert np.abs(level(images.load(data)) - values / (2**bits - 1)).max() < 1 / 65_535


@pytest.mark.parametrize("gamma, profile", [(45_455, False), (100_000, True), (55_556, True)])
def test_gamma_of_a_png_is_kept_where_it_is_not_srgbs(gamma, profile):
    file = io.BytesIO()
    Image.fromarray(ramps()[..., 0]).save(file, "PNG")
    data = file.getvalue()
    data = data[:33] + encoding.chunk(b"gAMA", struct.pack(">I", gamma)) + data[33:]
    metadata = images.load(data).metadata
    assert ("icc-profile-data" in metadata) == profile
    if profile:
        made = ImageCms.ImageCmsProfile(io.BytesIO(metadata["icc-profile-data"]))
        assert made.profile.xcolor_space.strip() == "GRAY"
        grey = Image.fromarray(np.full((1, 1), 128, np.uint8))
        shown = np.asarray(ImageCms.profileToProfile(grey, made, ImageCms.createProfile("sRGB"), outputMode="RGB"))
        light = (128 / 255) ** (100_000 / gamma)
        assert abs(shown[0, 0, 0] - 255 * (1.055 * light ** (1 / 2.4) - 0.055)) <= 2


@pytest.mark.parametrize(
    "codes, result", [((1, 13), "plain"), ((2, 2), "plain"), ((9, 1), "profile"), ((9, 18), "HLG"), ((9, 16), "PQ")]
)
def test_cicp_of_a_png(codes, result):
    file = io.BytesIO()
    Image.fromarray(ramps()).save(file, "PNG")
    data = file.getvalue()
    data = data[:33] + encoding.chunk(b"cICP", bytes([*codes, 0, 1])) + data[33:]
    if result in ("HLG", "PQ"):
        with pytest.raises(ImageError, match=rf"HDR \({result}\)"):
            images.load(data)
    else:
        assert ("icc-profile-data" in images.load(data).metadata) == (result == "profile")


def test_profiles_made_here_say_what_lcms_understands():
    picture = Image.fromarray(ramps())
    made = ImageCms.ImageCmsProfile(io.BytesIO(colour.profile(colour.Space())))
    shown = ImageCms.profileToProfile(picture, made, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(shown).astype(int) - ramps()).max() <= 1


def test_qoi_is_srgb_as_pillow_takes_it():
    """The header's byte of the colour space only informs, and Pillow writes 1, linear, by default."""
    Image.init()
    if "QOI" not in Image.SAVE:
        pytest.skip("this Pillow writes no QOI")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "QOI")
    picture = images.load(file.getvalue())
    assert (picture.pixels == pixels).all() and "icc-profile-data" not in picture.metadata


@pytest.mark.parametrize("kind, transparent", [(0, False), (2, False), (3, True), (None, True)])
def test_a_tga_says_what_its_fourth_channel_is(kind, transparent):
    file = io.BytesIO()
    Image.fromarray(np.dstack([ramps(), np.full((48, 64), 90, np.uint8)])).save(file, "TGA")
    data = file.getvalue().split(b"\0" * 8 + b"TRUEVISION-XFILE.")[0]
    if kind is not None:
        area = struct.pack("<H", 495).ljust(494, b"\0") + bytes([kind])
        data += area + struct.pack("<II", len(data), 0) + b"TRUEVISION-XFILE.\0"
    picture = images.load(data)
    assert picture.has_alpha == transparent
    np.testing.assert_array_equal(picture.pixels[..., :3], ramps())


def test_ten_bits_of_avif_reach_white(tmp_path):
    import pyvips

    white = from_array(np.full((64, 64, 3), 65_535, np.uint16))
    white.write_to_file(tmp_path / "a.avif", bitdepth=10, lossless=True)
    assert images.load(tmp_path / "a.avif").pixels.min() == 65_535
    assert pyvips.Image.new_from_file(tmp_path / "a.avif").max() < 65_535  # what libvips itself makes of it


def test_the_picture_in_a_sub_directory_is_taken_where_the_first_is_its_thumbnail(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(ramps()[::4, ::4], photometric="rgb", subfiletype=1, subifds=2)
        file.write(ramps()[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(ramps(), photometric="rgb", compression="deflate")
    picture = images.load(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, ramps())
    assert "thumbnail" in picture.notes[0]


def test_a_pyramid_is_one_picture(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(ramps(), photometric="rgb", subifds=1, tile=(16, 16))
        file.write(ramps()[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(ramps()[::4, ::4], photometric="rgb", subfiletype=1)
    picture = images.load(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, ramps())
    assert not picture.notes


def test_raw_data_behind_a_preview_is_not_shown_as_the_preview(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.dng") as file:
        file.write(ramps()[::4, ::4], photometric="rgb", subfiletype=1, subifds=1)
        file.write(ramps()[..., 0], photometric="cfa")
    with pytest.raises(ImageError, match="raw converter"):
        images.load(tmp_path / "a.dng")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "lzma", "jpeg"])
def test_a_truncated_tiff_is_refused(compression, tile, share):
    pytest.importorskip("imagecodecs")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    options = {"tile": tile} if tile else {"rowsperstrip": 8}
    data = tiff(noise, photometric="rgb", compression=compression, **options)
    assert np.abs(images.load(data).rgb().astype(int) - noise).max() <= (0 if compression != "jpeg" else 255)
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        images.load(data[: int(share * len(data))])


def test_a_tile_whose_checksum_fails_is_refused_although_libtiff_takes_it():
    data = bytearray(tiff(ramps(), photometric="rgb", compression="deflate", rowsperstrip=48))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        end = page.dataoffsets[0] + page.databytecounts[0]
    data[end - 4 : end] = b"\0\0\0\0"  # Adler-32
    with pytest.raises(ImageError, match="compressed data fail"):
        images.load(bytes(data))


@pytest.mark.parametrize("compression", ["deflate", "lzma"])
def test_a_tile_that_unpacks_without_end_is_refused(compression, monkeypatch):
    packed = {"deflate": zlib.compress, "lzma": lzma.compress}[compression](bytes(20_000_000))
    file = io.BytesIO()
    strips = iter([packed + bytes(100_000)])  # behind the end of what is packed, to be as long as a photograph's
    options = {"shape": (16, 16), "dtype": np.uint8, "rowsperstrip": 16, "photometric": "minisblack"}
    tifffile.imwrite(file, strips, compression=compression, **options)
    monkeypatch.setattr(tifffile.TiffPage, "segments", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ImageError, match="damaged: its compressed data fail"):
        images.load(file.getvalue())


@pytest.mark.parametrize("offset", [0, 4])
def test_a_strip_that_lies_in_the_header_is_refused(offset):
    data = bytearray(tiff(ramps(), photometric="rgb", rowsperstrip=24))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages[0].tags[273].valueoffset
    data[place : place + 4] = struct.pack("<I", offset)
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.load(bytes(data))
