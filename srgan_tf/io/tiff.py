"""Read TIFF files: tifffile parses and decodes, libvips decodes LZW, JPEG, fax and PackBits without imagecodecs.

Neither turns samples into levels to show (floats, odd depths, inverted grey): that is done here, from the tags.
"""

import io
import itertools
import logging
import lzma
import struct
import zlib
from contextlib import suppress

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io import colour, metadata, samples, spill
from srgan_tf.io.opened import Opened, check_size, choose, with_fields
from srgan_tf.io.samples import from_array, join_alpha

_MOST = 10_000  # directories; a damaged file may chain without end
_RAW = (32803, 34892)  # photometric interpretations of camera sensors
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _GREY: 1, _CMYK: 4}
_MODELS = {4: "a transparency mask", 8: "L*a*b*", 9: "L*a*b*", 32844: "LogL", 32845: "LogLuv", 51177: "a depth map"}
_NONE, _PACKBITS, _LERC, _LZMA, _DEFLATE, _JPEG = 1, 32773, 34887, 34925, (8, 32946), (6, 7)
_BY_LIBVIPS = (2, 3, 4, 5, *_JPEG, _PACKBITS)  # not zstd, which it decodes wrong without an error
_OF_PROGRAMS = ('{"shape"', "ImageJ=", "<?xml", "<OME")  # descriptions of the file's own size and layers
_FIX = "save it as an ordinary 8- or 16-bit RGB TIFF or PNG"
_DAMAGED = "the TIFF file is truncated or damaged{}; get an undamaged copy"


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode one page. Raises ValueError or TooLarge."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # errors are raised below
    try:
        with io.BytesIO(data) as stream, tifffile.TiffFile(stream) as file:  # closed, as tifffile leaves cycles
            return _load(data, _pages(file), max_pixels, page)
    except (tifffile.TiffFileError, OverflowError, MemoryError):
        raise ValueError(_DAMAGED.format("")) from None


def _pages(file) -> list[tuple]:
    """Return all directories: tifffile's page, and libvips' options that select it."""
    found: list[tuple] = []
    with suppress(Exception):  # a chain that was cut off fails in many ways; what came before is taken
        for number, page in enumerate(itertools.islice(file.pages, _MOST)):
            found.append((page, {"page": number}))
            below = enumerate(itertools.islice(page.pages or (), 100))
            found += [(page, {"page": number, "subifd": sub}) for sub, page in below]
    if not found:
        raise ValueError(_DAMAGED.format(": it has no directory"))
    return found


def _load(data: bytes, pages: list[tuple], max_pixels: int, number: int | None) -> Opened:
    if data[8:10] == b"CR" or any(page.photometric in _RAW for page, _ in pages):
        raise ValueError(
            "it holds a camera's raw data: develop it with a raw converter first (darktable, RawTherapee, dcraw)"
        )
    # Thumbnails, smaller copies and masks are no photographs; in DNG, the photograph lies below a thumbnail.
    full = [one for one in pages if not one[0].subfiletype & 5]
    found = [one for one in full if "subifd" not in one[1]]
    found = found or [max(full or pages, key=lambda one: one[0].imagewidth * one[0].imagelength)]
    index, notes = choose(len(found), number, "page")
    page, place = found[index]
    check_size(page.imagewidth, page.imagelength, max_pixels)
    if pages[0][0] is not page and pages[0][0].subfiletype & 5:
        size = f"{page.imagewidth} x {page.imagelength}"
        notes.append(f"its first directory is a thumbnail; took the picture of {size}")
    _refuse_unsupported(page, len(data))
    if _is_libvips_right(page):
        image = _by_libvips(data, page, place)
        image = image[:3] if page.photometric == _YCBCR else image  # it adds alpha where chroma is subsampled
    else:
        image = from_array(_levels(data, page, notes))
    return Opened(_with_fields(_channels(image, page, notes), data, page), ".tif", notes)


def _refuse_unsupported(page, size: int) -> None:
    model, bits = page.tags.valueof(262, -1), page.bitspersample
    count, counts, problem = int(np.prod(page.chunked)), page.databytecounts, ""
    if model not in (_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR):
        problem = f"its colour model, {_MODELS.get(model, f'number {model}')}, is"
    elif page.sampleformat not in (1, 2, 3, 4):
        problem = "it holds complex numbers, which are"
    elif isinstance(bits, tuple) or len(set(np.atleast_1d(page.tags.valueof(339, 1)))) > 1:
        problem = f"its channels differ in type ({bits} bits), which is"
    elif page.compression in (_PACKBITS, _LERC) and page.predictor != 1:
        problem = f"readers disagree about a predictor with {page.compression.name}, which is"
    elif page.planarconfig not in (1, 2):
        problem = f"its planar configuration, {page.planarconfig}, is"
    elif page.imagedepth != 1 or page.samplesperpixel > 100:
        problem = f"it is a volume or holds {page.samplesperpixel} channels, which is"
    if problem:
        raise ValueError(f"{problem} not supported: {_FIX}")
    if not count or min(len(page.dataoffsets), len(counts)) < count:
        raise ValueError(_DAMAGED.format(": parts of its data are missing"))
    if not all(8 <= at < size and n for at, n in zip(page.dataoffsets[:count], counts)):  # not in the header
        raise ValueError(_DAMAGED.format(": parts of its data lie behind its end or nowhere"))


def _is_libvips_right(page) -> bool:
    """Whether libvips decodes its samples as Pillow and tifffile do, and ready to show."""
    model, bits, compression = page.photometric, page.bitspersample, page.compression
    if page.planarconfig == 2 and page.samplesperpixel > 1 and (page.is_tiled or model in (_WHITE_IS_ZERO, _GREY)):
        return False
    if page.sampleformat not in (1, 4) or bits not in (1, 2, 4, 8, 16):
        return False
    if model == _YCBCR and compression not in _JPEG and not (page.is_subsampled and bits == 8):
        return False
    is_plain = bits < 8 or model in (_PALETTE, _CMYK, _YCBCR)
    return compression in _BY_LIBVIPS or (is_plain and compression in (_NONE, *_DEFLATE))


def _by_libvips(data: bytes, page, place: dict) -> pyvips.Image:
    if 1 in page.extrasamples:  # associated alpha: libvips would divide by it, and round down
        tag, patched = page.tags[338], bytearray(data)
        struct.pack_into(f"{page.parent.byteorder}{tag.count}H", patched, tag.valueoffset, *[2] * tag.count)
        data = bytes(patched)
    try:
        # "warning": below it, tiles that cannot be read come out black.
        return spill.decode(pyvips.Image.new_from_buffer(data, "", fail_on="warning", **place)).copy()
    except pyvips.Error as error:
        lines = [line.strip().removeprefix("tiff2vips") for line in str(error).splitlines() if "tiff2vips: " in line]
        raise ValueError(_DAMAGED.format("".join(lines[:1]))) from None


def _refuse_bombs(data: bytes, page) -> None:
    """Raise ValueError where a segment unpacks to far more than it should: Python's own zlib has no limit there."""
    most = 2 * int(np.prod(page.chunks)) * page.dtype.itemsize
    for at, count in zip(page.dataoffsets, page.databytecounts):
        if count > 1 << 16 and page.compression in (*_DEFLATE, _LZMA):
            unpacker = lzma.LZMADecompressor() if page.compression == _LZMA else zlib.decompressobj()
            if len(unpacker.decompress(data[at : at + count], most + 1)) > most:
                raise ValueError("its segments unpack to more than they should")


def _samples(data: bytes, page) -> np.ndarray:
    """Decode the samples as they are stored: [height, width, samples]."""
    if page.compression == _NONE:
        page.predictor = 1  # libtiff ignores it, tifffile does not
    height, width, count = page.imagelength, page.imagewidth, page.samplesperpixel
    kind = f"{page.bitspersample}-bit samples in TIFF compression {getattr(page.compression, 'name', page.compression)}"
    problem = f"{kind} are not supported: {_FIX}"
    try:
        page.decode(None, 0)
        result = spill.empty((height, width, count), np.uint8 if page.dtype == bool else page.dtype)
        problem = _DAMAGED.format(": its compressed data fail")
        _refuse_bombs(data, page)
        for part, (plane, _, y, x, _), _ in page.segments(maxworkers=1):
            part = part[0, : height - y, : width - x]
            result[y : y + part.shape[0], x : x + part.shape[1], plane : plane + part.shape[2]] = part
    except Exception as error:  # any that a codec raises
        if "imagecodecs" in str(error) or isinstance(error, ImportError):
            problem = f"{kind} are not read without imagecodecs: pip install 'srgan_tf[tiff]', or {_FIX}"
        raise ValueError(problem) from None
    return result


def _levels(data: bytes, page, notes: list[str]) -> np.ndarray:
    """Decode samples to uint8 or uint16 grey or RGB, further channels behind."""
    bits, model = page.bitspersample, page.photometric
    # YCbCr without JPEG, of full range.
    is_ycbcr = model == _YCBCR and page.samplesperpixel == 3 and bits == 8 and not page.is_subsampled
    is_ycbcr &= page.sampleformat == 1 and _numbers(page, 532) in ((), (0, 255, 128, 255, 128, 255))
    if model not in (_WHITE_IS_ZERO, _GREY, _RGB) and not is_ycbcr:
        raise ValueError(f"TIFF samples of {bits} bits are not supported in this colour model or compression: {_FIX}")
    values = _samples(data, page)
    if is_ycbcr:
        return np.asarray(Image.frombytes("YCbCr", values.shape[1::-1], values.tobytes()).convert("RGB"))
    if page.sampleformat in (1, 4) and bits < 32:
        levels = samples.stretch(values, 2**bits - 1)
    else:
        levels, note = samples.levels(values)
        notes.append(note)
    if model == _WHITE_IS_ZERO:
        np.subtract(np.iinfo(levels.dtype).max, levels[..., 0], out=levels[..., 0])
    return levels


def _numbers(page, tag: int) -> tuple[float, ...]:
    """Return a tag's numbers, rationals divided; () where it has none."""
    found = page.tags.get(tag)
    values = () if found is None else tuple(np.atleast_1d(found.value).tolist())
    is_rational = found is not None and found.dtype in (5, 10)
    return tuple(n / max(d, 1e-9) for n, d in zip(values[::2], values[1::2])) if is_rational else values


def _channels(image: pyvips.Image, page, notes: list[str]) -> pyvips.Image:
    """Select colour and alpha; channels that the tags do not call alpha are left out, with a note."""
    colours, extra = _COLOURS.get(page.photometric, 3), page.extrasamples
    count = image.bands - colours
    if count < 0:
        raise ValueError(_DAMAGED.format(": channels are missing"))
    meaning = [*extra[:count], *([2] if not extra and count == 1 else [])]
    at = next((i for i, value in enumerate(meaning) if value in (1, 2)), -1)
    base = image[:colours]
    if count - (at >= 0):
        notes.append(f"left out {count - (at >= 0)} further channel(s), which are neither colour nor alpha")
    if colours == 4:
        return (base if at < 0 else base.bandjoin(image[colours + at])).copy(interpretation="cmyk")
    if at < 0:
        return base.copy(interpretation=image.interpretation)
    return join_alpha(base, image[colours + at], meaning[at] == 1)


def _with_fields(image: pyvips.Image, data: bytes, page) -> pyvips.Image:
    """Set libvips' metadata fields from the tags, whichever library decoded the pixels."""
    left_out = {270} if page.description.startswith(_OF_PROGRAMS) else set()
    fields = {"exif-data": metadata.exif_of_tiff(data, page.offset, left_out), "image-description": b""}
    for tag, name in ((34675, "icc-profile-data"), (700, "xmp-data"), (33723, "iptc-data")):
        value = page.tags.valueof(tag, b"")
        if isinstance(value, tuple):  # some writers give bytes as numbers
            value = np.array(value, "u4" if max(value, default=0) > 255 else "u1").tobytes()
        fields[name] = value if isinstance(value, bytes) else b""
    if not fields["icc-profile-data"] and page.photometric != _CMYK:
        fields["icc-profile-data"] = _profile(page, image.bands < 3)
    unit = {2: 1 / 25.4, 3: 1 / 10}.get(page.tags.valueof(296, 2), 0)
    across, down = ((_numbers(page, tag) or (0,))[0] * unit for tag in (282, 283))
    fields["orientation"] = int(page.tags.valueof(274, 1))
    return with_fields(image.copy(xres=across or 1, yres=down or 1), fields)


def _profile(page, is_grey: bool) -> bytes:
    """Return a profile of the primaries or the curve that the tags state; b"" where they state sRGB or nothing."""
    at, white, table = (_numbers(page, tag) for tag in (319, 318, 301))
    points, rows, length = colour.PRIMARIES[1], (), 2 ** min(page.bitspersample, 16)
    if len(at) == 6:
        points = (at[0:2], at[2:4], at[4:6], white if len(white) == 2 else points[3])
    if len(table) in (length, 3 * length):
        step = max(1, length // 4096)  # an ICC curve of 4,096 points is as fine as 16 bits need
        rows = tuple(tuple(table[i : i + length : step]) for i in range(0, len(table), length))
    space = colour.Space(points, table=rows)
    return b"" if space.is_srgb else colour.profile(space, is_grey)
