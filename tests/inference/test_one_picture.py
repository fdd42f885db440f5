"""Bytes in, bytes out: the very file that upscale.py makes, and its refusals under the picture's own name."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image, ImageCms

import srgan_tf
from srgan_tf.cli import main
from srgan_tf.errors import ImageError


@pytest.fixture(scope="module")
def upscaler():
    return srgan_tf.Upscaler("compact")


def pixels(bands=3, height=18, width=25):
    return np.random.default_rng(bands).integers(0, 256, (height, width, bands)).astype(np.uint8)


def saved(image, format, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    return saved(Image.fromarray(pixels()), "JPEG", exif=exif, comment=b"as it was")


def profiled() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return saved(Image.fromarray(pixels(4), "RGBA"), "PNG", icc_profile=profile)


def deep() -> bytes:
    return saved(Image.fromarray(np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)), "PNG")


FILES = {
    "turned.jpg": turned(),
    "profiled.png": profiled(),
    "deep.png": deep(),
    "pages.tif": saved(
        Image.fromarray(pixels()), "TIFF", save_all=True, append_images=[Image.fromarray(pixels()[::-1])]
    ),
    "moves.gif": saved(Image.fromarray(pixels()[..., 0]), "GIF"),
    "lossy.webp": saved(Image.fromarray(pixels()), "WEBP"),
    "cut.jpg": turned()[:-60],
}


@pytest.mark.parametrize("flags", [[], ["--format=webp", "--quality=60"]], ids=["as it came", "webp"])
def test_the_file_that_the_program_makes(flags, tmp_path, upscaler):
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    main.program("upscale").main(
        main.program("upscale").parse([f"--output={tmp_path}/out", "--weights=compact", "--quiet", *flags])[0],
        [str(tmp_path)],
    )
    options = {"format": "webp", "quality": 60} if flags else {}
    for name, data in FILES.items():
        notes: list[str] = []
        made, ending = srgan_tf.upscale_bytes(data, upscaler, name=name, notes=notes, **options)
        stem = name.split(".")[0]
        assert made == (tmp_path / "out" / f"{stem}_x4{ending}").read_bytes(), name
        assert bool(notes) == (name in {"pages.tif", "cut.jpg", "deep.png" if flags else "moves.gif"}), name


@pytest.mark.parametrize(
    ("name", "format", "said"),
    [
        ("pages.tif", "png", "the first of 2 pages"),
        ("cut.jpg", "jpg", "lacks its end"),
        ("deep.png", "jpg", "16 bits per channel became 8"),
        ("profiled.png", "jpg", "transparency became white"),
    ],
)
def test_every_way_in_gives_the_same_notes(name, format, said, tmp_path, upscaler, caplog, capfd):
    """Of what was chosen or filled in, and of what the format cannot hold."""
    source, output = tmp_path / name, str(tmp_path / f"made.{format}")
    source.write_bytes(FILES[name])
    notes: list[str] = []
    srgan_tf.upscale_bytes(FILES[name], upscaler, format=format, notes=notes)
    assert said in "; ".join(notes)
    for image in (str(source), FILES[name], io.BytesIO(FILES[name])):
        srgan_tf.upscale(image, upscaler, output)
        assert caplog.messages.pop().endswith("; ".join(notes))
    srgan_tf.upscale_bytes(FILES[name], upscaler, name, format)
    assert caplog.messages.pop() == f"{name}: {'; '.join(notes)}"
    program = main.program("upscale")
    program.main(program.parse([f"--output={output}", "--weights=compact", "--overwrite"])[0], [str(source)])
    assert f"note: {source}: {'; '.join(notes)}" in " ".join(capfd.readouterr().err.split())


def test_what_a_format_holds_gives_no_note(tmp_path, upscaler, caplog):
    opaque = Image.fromarray(pixels()).convert("RGBA")
    opaque.save(tmp_path / "opaque.png")
    srgan_tf.upscale(tmp_path / "opaque.png", upscaler, tmp_path / "made.jpg")
    srgan_tf.upscale(FILES["deep.png"], upscaler, tmp_path / "made.tif")
    srgan_tf.upscale(FILES["profiled.png"], upscaler, tmp_path / "made.webp")
    assert not caplog.messages


def test_an_upscaler_goes_to_other_processes_as_what_it_was_made_from():
    one = srgan_tf.Upscaler("compact", scale=2, back_projection="none")
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again(pixels()), one(pixels()))
    assert again.scale == 2


def test_what_the_file_carries_goes_along(upscaler):
    with Image.open(io.BytesIO(srgan_tf.upscale_bytes(FILES["turned.jpg"], upscaler, name="a.jpg")[0])) as image:
        assert image.size == (4 * 18, 4 * 25)  # upright
        assert image.getexif()[0x010F] == "a camera" and "comment" not in image.info
    with Image.open(io.BytesIO(srgan_tf.upscale_bytes(FILES["profiled.png"], upscaler)[0])) as image:
        assert image.mode == "RGBA" and image.info["icc_profile"]
    with Image.open(io.BytesIO(srgan_tf.upscale_bytes(FILES["deep.png"], upscaler)[0])) as image:
        assert image.mode == "I;16"


def test_the_name_chooses_the_format_and_else_the_data_do(upscaler):
    jpeg, gif = FILES["turned.jpg"], FILES["moves.gif"]
    for data, name, ending in [
        *((jpeg, "s3://b/a.JPEG", ".jpg"), (jpeg, "a.png", ".png"), (jpeg, "a.heic", ".jpg")),
        *((jpeg, "key without an ending", ".jpg"), (jpeg, "v1.2", ".jpg"), (gif, "a", ".gif")),
    ]:
        made, told = srgan_tf.upscale_bytes(data, upscaler, name=name)
        assert told == ending and made.startswith({".png": b"\x89PNG", ".gif": b"GIF89a"}.get(ending, b"\xff\xd8")), (
            name
        )
    for format, ending in (("jpeg", ".jpg"), ("tiff", ".tif")):  # other spellings
        assert srgan_tf.upscale_bytes(gif, upscaler, name="a.gif", format=format)[1] == ending


def test_refusals_begin_with_the_name(upscaler):
    wide = saved(Image.new("L", (4200, 1)), "PNG")
    for data, options, said in [
        (b"", {}, "the file is empty"),
        (b"no picture", {}, "not a readable picture"),
        (wide, {"max_pixels": 1000}, "4200 x 1 pixels are more than the limit"),
        (wide, {"format": "webp"}, "16800 x 4 pixels are more than webp can hold"),
        (FILES["pages.tif"], {"page": 3}, "it has no page 3"),
    ]:
        with pytest.raises(ImageError, match=rf"^s3://bucket/a\.png: .*{said}"):
            srgan_tf.upscale_bytes(data, upscaler, name="s3://bucket/a.png", **options)


def test_options_make_an_upscaler(upscaler):
    data = saved(Image.fromarray(pixels()), "PNG")
    made, _ = srgan_tf.upscale_bytes(data, "compact", scale=2, back_projection="none")
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (50, 36)
    with pytest.raises(ValueError, match="scale must be"):
        srgan_tf.upscale_bytes(data, "compact", scale=9)


def test_a_picture_is_not_written_over_itself(tmp_path, upscaler):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["profiled.png"])
    (tmp_path / "link.png").symlink_to(path)
    for output in (path, tmp_path / "link.png"):
        with pytest.raises(ImageError, match="would overwrite its input"):
            srgan_tf.upscale(str(path), upscaler, output)
    assert path.read_bytes() == FILES["profiled.png"]


def test_arguments_that_would_be_ignored_or_misread_are_refused(tmp_path, upscaler):
    data = FILES["turned.jpg"]
    for call in (srgan_tf.upscale, srgan_tf.upscale_bytes):
        with pytest.raises(TypeError, match="scale, foo: goes with the name of a model"):
            call(data, upscaler, scale=2, foo=1)
    for wrong in ("a.png", pixels(), None):
        with pytest.raises(TypeError, match=f"give the bytes of a picture file.*not {type(wrong).__name__}"):
            srgan_tf.upscale_bytes(wrong, upscaler)
    assert srgan_tf.upscale_bytes(bytearray(data), upscaler) == srgan_tf.upscale_bytes(memoryview(data), upscaler)
    for quality in (0, 500):
        with pytest.raises(ValueError, match="quality must be 1 to 100"):
            srgan_tf.upscale(data, upscaler, tmp_path / "a.jpg", quality)
    for mode in ("P", "CMYK", "HSV", "1"):
        with pytest.raises(ValueError, match=rf"Pillow's mode {mode}; use image.convert\('RGB'\)"):
            srgan_tf.upscale(Image.fromarray(pixels()).convert(mode), upscaler)
    assert srgan_tf.upscale(FILES["pages.tif"], upscaler, page=2).shape == (72, 100, 3)
