"""TIFF files of every sample type, compression and layout, whole and damaged: read as others do, or refused."""

import io
import itertools
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import matrix
from PIL import Image

from srgan_tf.errors import ImageError
from srgan_tf.io import images

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")
TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")
COMPRESSIONS = ("none", "lzw", "deflate", "packbits", "zstd", "lzma", "lerc", "webp")


def written(values, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def samples(dtype, bands, rng):
    """Noise of a type over its whole range, and the same as numbers in [0, 1]."""
    noise = rng.random((37, 50, bands))
    noise[0, 0], noise[1, :bands, :] = 0, np.maximum(noise[1, :bands, :], np.eye(bands))
    dtype = np.dtype(dtype)
    full = 1 if dtype.kind == "f" else np.iinfo(dtype).max
    values = (noise * full).round().astype(dtype) if full > 1 else noise.astype(dtype)
    return values, values.astype(np.float64) / full


def layouts():
    """Options of tifffile that are to be tried with each type and compression, with the number of bands."""
    for order, tile, planar, bands, model in itertools.product(
        "<>", (None, (16, 32)), ("contig", "separate"), (1, 2, 3, 4), ("plain", "miniswhite", "predictor")
    ):
        if (planar == "separate" and bands == 1) or (model == "miniswhite" and bands > 1):
            continue
        options = {"byteorder": order, "tile": tile, "rowsperstrip": None if tile else 8}
        options["photometric"] = "rgb" if bands > 2 else "miniswhite" if model == "miniswhite" else "minisblack"
        options |= {"planarconfig": planar} if bands > 1 else {}
        options |= {"extrasamples": ["unassalpha"]} if bands in (2, 4) else {}
        options |= {"predictor": True} if model == "predictor" else {}
        yield bands, options


@pytest.mark.parametrize("share", [pytest.param(12, id="part"), pytest.param(1, id="all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("compression", matrix(COMPRESSIONS, "none", "deflate", "lerc", "packbits"))
def test_every_kind_of_tiff_is_read_rightly_or_refused(compression, share):
    rng = np.random.default_rng(0)
    kinds = list(itertools.product(TYPES, layouts()))
    read = refused = 0
    for dtype, (bands, options) in kinds[::share] if share == 1 else [kinds[i] for i in rng.choice(len(kinds), 80)]:
        values, expected = samples(dtype, bands, rng)
        if options["photometric"] == "miniswhite":
            expected = 1 - expected
        stored = np.moveaxis(values, -1, 0) if options.get("planarconfig") == "separate" else values
        stored = stored[..., 0] if bands == 1 else stored
        try:
            data = written(stored, **options, compression=None if compression == "none" else compression)
        except (ValueError, RuntimeError, TypeError, NotImplementedError, KeyError):
            continue  # no such file
        try:
            picture = images.load(data)
        except ImageError as error:
            refused += 1
            assert any(word in str(error) for word in ("not supported", "not read")), f"{dtype} {options}: {error}"
            continue
        read += 1
        made = picture.pixels / np.iinfo(picture.pixels.dtype).max
        if picture.has_alpha:  # what is wholly transparent has no colour
            seen = made[..., -1:] > 0
            made[..., :-1], expected[..., :-1] = made[..., :-1] * seen, expected[..., :-1] * seen
        lossy = compression == "webp" or any("keeps 8 of" in note for note in picture.notes)
        tolerance = 1 if compression == "webp" else 1 / 250 if lossy else 0.51 / np.iinfo(picture.pixels.dtype).max
        assert np.abs(made - expected).max() <= tolerance, f"{compression} {dtype} {options} {picture.notes}"
        assert np.dtype(dtype).itemsize == 1 or picture.pixels.dtype == np.uint16 or lossy
    assert read + refused and (read or compression in ("lerc",))


WITHOUT = """
import sys
sys.modules["imagecodecs"] = None
import numpy as np
from srgan_tf.errors import ImageError
from srgan_tf.io import images
for path in sys.argv[1:]:
    try:
        np.save(path + ".npy", images.load(path).pixels)
    except ImageError as error:
        print(error)
"""


def test_without_imagecodecs_tiff_is_read_rightly_or_the_extra_is_named(tmp_path):
    y, x = np.mgrid[:40, :48]
    rgb = np.stack([x * 5, y * 6, (x + y) * 2], -1).astype(np.uint8)
    bare = {
        **{
            name: (rgb, {"compression": name})
            for name in ("deflate", "lzma", "lzw", "packbits", "jpeg", "zstd", "lerc")
        },
        "plain": (rgb, {}),
        "deep": (rgb.astype(np.uint16) * 257, {"compression": "lzw", "predictor": True, "byteorder": ">"}),
        "float": ((rgb / 255).astype(np.float32), {"compression": "deflate", "tile": (16, 16)}),
        "ten": (rgb.astype(np.uint16) * 4, {"bitspersample": 10}),
    }
    for name, (values, options) in list(bare.items()):
        try:
            (tmp_path / f"{name}.tif").write_bytes(written(values, photometric="rgb", **options))
        except TypeError:  # tifffile beside an older imagecodecs, which cannot write 10 bits
            assert bare.pop(name) and name == "ten"
    paths = [str(tmp_path / f"{name}.tif") for name in bare]
    made = subprocess.run([sys.executable, "-c", WITHOUT, *paths], capture_output=True, text=True, check=True)
    refused = made.stdout.splitlines()
    extra = [name for name in ("zstd", "lerc", "ten") if name in bare]
    assert [Path(line.split(":")[0]).stem for line in refused] == extra
    assert all("pip install 'srgan_tf[tiff]'" in line for line in refused)
    for name in set(bare) - {"zstd", "lerc", "ten"}:
        read = np.load(tmp_path / f"{name}.tif.npy")
        read = read.astype(int) // (257 if read.dtype == np.uint16 else 1)
        assert np.abs(read - rgb).max() <= (12 if name == "jpeg" else 1), name


def ordinary() -> list[bytes]:
    """Files that Pillow reads too, to be damaged."""
    y, x = np.mgrid[:40, :48]
    rgb = np.stack([x * 5, y * 6, (x + y) * 2], -1).astype(np.uint8)
    files = []
    for compression, tile, order in itertools.product(
        (None, "lzw", "deflate", "packbits", "zstd", "lzma", "jpeg"), (None, (16, 16)), "<>"
    ):
        for values in (rgb, rgb[..., 0], np.dstack([rgb, rgb[..., 0] | 1])):
            model = "minisblack" if values.ndim == 2 else "rgb"
            extra = {"extrasamples": ["unassalpha"]} if values.shape[-1] == 4 else {}
            if compression == "jpeg" and extra:
                continue
            rows = {"rowsperstrip": 8} if tile is None else {}
            files.append(
                written(values, photometric=model, compression=compression, tile=tile, byteorder=order, **extra, **rows)
            )
    return files


def damaged(data: bytes, rng) -> bytes:
    data = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        del data[rng.integers(len(data)) :]
    elif kind == 1:
        start = rng.integers(len(data))
        data[start : start + rng.integers(1, 60)] = b"\0" * rng.integers(1, 60)
    else:
        reach = 400 if rng.random() < 0.5 else len(data)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(min(reach, len(data)))] = rng.integers(256)
    return bytes(data)


def by_pillow(data: bytes):
    """uint8 [height, width, bands] as Pillow reads a file of 8 bits; None where it does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
                if image.mode not in ("L", "RGB", "RGBA") or image.width * image.height > 100_000:
                    return None
                image.load()
                pixels = np.asarray(image)
        except Exception:  # whatever Pillow says of such files
            return None
    return pixels.reshape(*pixels.shape[:2], -1)


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damaged_tiff_files_are_refused_or_read_as_pillow_reads_them(count):
    rng, files, compared, refused = np.random.default_rng(count), ordinary(), 0, 0
    for i in range(count):
        data = damaged(files[i % len(files)], rng)
        try:
            picture = images.load(data, max_pixels=100_000)
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
            continue
        expected = by_pillow(data)
        if expected is None or picture.notes:
            continue
        compared += 1
        shown = picture.pixels
        assert shown.shape == expected.shape, f"{i}: {shown.shape} {expected.shape}"
        seen = expected[..., -1:] > 0 if picture.has_alpha else True
        assert np.abs(np.where(seen, shown.astype(int) - expected, 0)).max() <= 6, i
    assert compared > count / 20 and refused > count / 20
