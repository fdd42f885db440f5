"""Files that once came out wrong without a word: each is read as its tags say, or refused in a line that says why."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from srgan_tf.errors import ImageError
from srgan_tf.io import encoding, images
from srgan_tf.io.files import reason

tifffile = pytest.importorskip("tifffile")
CASES = Path(__file__).parent / "cases"


def truth():
    """What most of the cases show: patches of colour, ramps and greys, 64 x 64."""
    return tifffile.imread(CASES / "a_multipage.tif", key=0).astype(int)


def in_srgb(picture):
    """A picture's levels taken through its profile to sRGB by lcms."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.metadata["icc-profile-data"]))
    srgb = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(picture.rgb()), profile, srgb)).astype(int)


@pytest.mark.parametrize(
    "name, tolerance",
    [
        *(("t_c_zstd.tif", 0), ("tga_32noalpha.tga", 0), ("ycc444.tif", 1), ("t_float_rgb01.tif", 0)),
        *(("jp2_p3.jp2", 0), ("p3nclx8.avif", 1), ("p_gama_chrm.png", 0), ("j_noeoi.jpg", 1)),
        *(("tc_lerc.tif", 0), ("a_gif.gif", 0), ("p_text.png", 0), ("exif.jpg", 1), ("a_multipage.tif", 0)),
    ],
)
def test_the_pixels_are_what_the_file_says(name, tolerance):
    shown = images.load(CASES / name, lenient=True).rgb().astype(int)
    expected = truth() if name != "exif.jpg" else np.rot90(truth(), -1)  # its orientation is 6
    assert np.abs(shown - expected).max() <= tolerance


def test_transparency_that_nobody_stated_is_none():
    assert not images.load(CASES / "tga_32noalpha.tga").has_alpha


@pytest.mark.parametrize(
    "name, reason",
    [
        ("tif_lzw.tif", "truncated or damaged"),
        ("corrupt_lzw.tif", "truncated or damaged"),
        ("cfa.dng", "raw converter"),
        ("o_ppm16.ppm", "convert it to PNG or TIFF"),
        ("hdr10_pq2020.avif", r"HDR \(PQ\)"),
        ("p_cicp_pq.png", r"HDR \(PQ\)"),
    ],
)
def test_what_cannot_be_shown_rightly_is_refused_with_the_reason(name, reason):
    with pytest.raises(ImageError, match=f"{name}: .*{reason}") as refused:
        images.load(CASES / name, lenient=True)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["t_float_grey01.tif", "t_float_rgb01.tif", "floaticc.tif", "t_u32_grey.tif"])
def test_samples_of_other_types_are_scaled_and_not_bent(name):
    stored = tifffile.imread(CASES / name).astype(np.float64)
    picture = images.load(CASES / name)
    expected = stored.reshape(picture.pixels.shape) / (1 if "float" in name else 2**32 - 1)
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_allclose(picture.pixels / 65_535, expected, atol=0.6 / 65_535)
    assert "taken as" in picture.notes[0]
    with tifffile.TiffFile(CASES / name) as file:
        profile = file.pages[0].tags.valueof(34675)
    assert picture.metadata.get("icc-profile-data") == profile


def test_16_bits_of_colour_are_kept():
    codecs = pytest.importorskip("imagecodecs")
    data = (CASES / "o_jp2_16.jp2").read_bytes()
    np.testing.assert_array_equal(images.load(data).pixels, codecs.jpeg2k_decode(data))


def test_jpeg_2000_that_pillow_overflows_is_refused_where_nothing_else_reads_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with pytest.raises(ImageError, match=r"o_jp2_16\.jp2: .*pip install imagecodecs"):
        images.load(CASES / "o_jp2_16.jp2")


@pytest.mark.parametrize("name", ["jp2_p3.jp2", "p3nclx8.avif", "p_gama_chrm.png"])
def test_colour_tags_become_a_profile_that_says_the_same(name, tmp_path):
    picture = images.load(CASES / name)
    # Display P3 by its definition: linear light through the two matrices of SMPTE EG 432-1 and sRGB, D65 both.
    coded = picture.rgb() / 255
    power = name == "p_gama_chrm.png"
    light = coded**2.2 if power else np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
    linear = (light @ matrix.T).clip(0, 1)
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(expected - picture.rgb()).max() > 30  # the profile has something to say
    assert np.abs(in_srgb(picture) - expected).max() < 3.5  # dark levels differ by how a profile rounds its curve
    for ending in encoding.WRITABLE:
        made = tmp_path / f"a{ending}"
        encoding.write_rows(made, [picture.pixels], picture.pixels.shape, picture.pixels.dtype, picture.metadata)
        if ending == ".gif":  # it holds no profile, and 256 colours
            assert np.abs(in_srgb(picture).astype(float) - images.read(made)).mean() < 8
            continue
        assert images.load(made).metadata["icc-profile-data"] == picture.metadata["icc-profile-data"]


def test_the_full_size_picture_is_taken_and_others_are_told():
    picture = images.load(CASES / "thumbfirst.tif")
    np.testing.assert_array_equal(picture.pixels, tifffile.imread(CASES / "thumbfirst.tif", key=1))
    assert "thumbnail" in picture.notes[0]
    for name in ("a_multipage.tif", "a_gif.gif"):
        assert "the first of 4" in images.load(CASES / name).notes[0]
        assert not images.load(CASES / name, page=4).notes
        with Image.open(CASES / name) as file:
            for number in range(4):
                file.seek(number)
                shown = images.load(CASES / name, page=number + 1).rgb()
                np.testing.assert_array_equal(shown, np.asarray(file.convert("RGB")))
        with pytest.raises(ImageError, match=r"no (page|frame) 5, but 4"):
            images.load(CASES / name, page=5)


@pytest.mark.parametrize("name", ["j_noeoi.jpg", "j_cut20.jpg"])
def test_a_jpeg_without_its_very_end_is_taken_with_a_note_where_asked(name):
    with pytest.raises(ImageError, match=r"cut off|premature end"):
        images.read(CASES / name)
    picture = images.load(CASES / name, lenient=True)
    assert "lacks its end" in picture.notes[0]
    whole = Image.open(io.BytesIO((CASES / name).read_bytes() + b"\xff\xd9")).convert("RGB")
    rows = 64 if name == "j_noeoi.jpg" else 47
    assert np.abs(picture.rgb()[:rows].astype(int) - np.asarray(whole)[:rows]).max() <= 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("left, taken", [(0.995, True), (0.9, False), (0.5, False)])
def test_a_jpeg_cut_earlier_is_refused(left, taken, progressive):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((800, 640), Image.Resampling.BICUBIC).save(file, "JPEG", progressive=progressive)
    data = file.getvalue()[: int(left * len(file.getvalue()))]
    if taken:
        assert "lacks its end" in images.load(data, lenient=True).notes[0]
    else:
        with pytest.raises(ImageError, match=r"cut off|premature end"):
            images.load(data, lenient=True)


def test_threads_that_read_damaged_files_at_once_do_not_disturb_each_other():
    """libvips keeps what it says of errors for all threads together."""
    names = ("j_noeoi.jpg", "j_cut20.jpg")
    whole = (CASES / names[0]).read_bytes()
    files = [
        *((CASES / name).read_bytes() for name in names),
        photo()[: len(photo()) // 2],
        b"\x89PNG\r\n\x1a\n" + whole,
    ]

    def told(data):
        try:
            return images.load(data, lenient=True).notes
        except ImageError as error:
            return str(error)

    expected = [told(data) for data in files]
    assert "lacks its end" in expected[0][0] and "cut off" in expected[2]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [told(data) for data in files], range(60)):
            assert found[:3] == expected[:3]


def photo(**options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((160, 128), Image.Resampling.BICUBIC).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_damaged_jpeg_that_ends_properly_is_refused(options, lenient):
    data = photo(**options)
    for left in (0.4, 0.7):
        with pytest.raises(ImageError, match=r"cut off.*get an undamaged copy"):
            images.load(data[: int(left * len(data))] + b"\xff\xd9", lenient=lenient)


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_jpeg_cut_between_restart_intervals_is_refused(end):
    data = photo(restart_marker_rows=1)
    with pytest.raises(ImageError, match="get an undamaged copy"):
        images.load(data[: data.index(b"\xff\xd3")] + end, lenient=True)


def test_the_share_that_is_missing_is_told():
    data = photo(subsampling=0)
    cut = data[: len(data) // 2] + b"\xff\xd9"
    shown, whole = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int) for file in (cut, data))
    missing = (np.abs(shown - whole).max(2) > 2).mean()
    with pytest.raises(ImageError, match=r"cut off: \d+% of the picture is missing") as refused:
        images.load(cut, lenient=True)
    assert int(str(refused.value).split("cut off: ")[1].split("%")[0]) / 100 == pytest.approx(missing, abs=0.08)


def test_a_jpeg_with_wrong_restart_markers_is_refused_and_one_with_stray_bytes_is_taken_with_a_note():
    data = photo(restart_marker_rows=1)
    at = data.index(b"\xff\xd1")
    with pytest.raises(ImageError, match="get an undamaged copy"):
        images.load(data.replace(b"\xff\xd1", b"\xff\xd3", 1), lenient=True)
    picture = images.load(data[:at] + b"\x12\x34" * 8 + data[at:])
    assert "stray bytes" in picture.notes[0]
    np.testing.assert_array_equal(picture.pixels, images.load(data).pixels)


def test_an_icon_larger_inside_than_it_says_is_refused_before_decoding(monkeypatch):
    file = io.BytesIO()
    Image.new("L", (3000, 3000)).save(file, "PNG")
    body = file.getvalue()
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(body), 22) + body
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it was decoded"))
    monkeypatch.setattr(Image.core, "map_buffer", lambda *_: pytest.fail("it was decoded"), raising=False)
    with pytest.raises(ImageError, match="3000 x 3000 pixels are more than the limit"):
        images.load(icon, max_pixels=1_000_000)


def test_a_gif_that_ends_properly_but_early_is_refused():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3)).astype(np.uint8)
    first, file = Image.fromarray(pixels).convert("P"), io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[first.rotate(180)])
    whole = file.getvalue()
    for number in (0, 1):
        at = [i for i in range(len(whole)) if whole[i : i + 5] == b",\0\0\0\0"][number] + 10
        at += 3 * 2 ** ((whole[at - 1] & 7) + 1) * (whole[at - 1] >> 7) + 1  # a colour table, and the size of codes
        blocks = [at]
        while whole[blocks[-1]]:
            blocks.append(blocks[-1] + 1 + whole[blocks[-1]])
        for left in (len(blocks) - 2, len(blocks) // 2, 0):
            damaged = whole[: blocks[left]] + whole[blocks[-1] :]
            with pytest.raises(ImageError, match="not a readable picture"):
                images.load(damaged, page=number + 1)
            if number:
                np.testing.assert_array_equal(images.load(damaged, page=1).rgb(), images.load(whole, page=1).rgb())


def test_refusals_say_why():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    whole = file.getvalue()
    for data, why in [
        (whole[:8] + encoding.chunk(b"CgBI", b"\x50\0\x20\2") + whole[8:], "Apple's own variant of PNG"),
        (whole[:8] + encoding.chunk(b"IHDR", bytes(4) + whole[20:29]) + whole[33:], "damaged"),  # no width
    ]:
        with pytest.raises(ImageError, match=why) as refused:
            images.load(data)
        assert "unable to call" not in str(refused.value)
    assert reason(ValueError("heif: Invalid input\n (2.100)\n")) == "heif: Invalid input"
