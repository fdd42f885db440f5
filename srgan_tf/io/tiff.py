"""TIFF files: the photograph among a file's directories, with samples of every type and colour model.

libvips unpacks what it can; the meaning of the numbers is settled here, from the tags.
"""

import io
import struct

import numpy as np
import pyvips
from PIL import Image

from srgan_tf.io import colour, exif, samples
from srgan_tf.io import tiff_directories as tags
from srgan_tf.io.opened import BLOB, Opened, TooLarge, choose, from_array, stack
from srgan_tf.io.tiff_directories import Directory
from srgan_tf.io.tiff_segments import COMPRESSIONS, check, check_whole, decode

_COMPRESSIONS = {6: "old-style JPEG", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 34926: "zstd", 50000: "zstd"}
_COMPRESSIONS |= {
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    34892: "lossy JPEG",
}
# What the libtiff in libvips' wheel unpacks. By number: threads share libvips' words on an error.
_BY_LIBVIPS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 50001)
_MODELS = {4: "a transparency mask", 10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv", 51177: "a depth map"}
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB, _ICC_LAB = 0, 1, 2, 3, 5, 6, 8, 9
_COLOURS = {_WHITE_IS_ZERO: 1, _GREY: 1, _CMYK: 4}
_OF_PROGRAMS = (b'{"shape"', b"ImageJ=", b"<?xml", b"<OME")  # descriptions of the file's own size and layers
_ROWS = 256
_MEND = "save it as an ordinary 8- or 16-bit RGB TIFF or PNG"


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode one picture of a TIFF file.

    Raises:
        ValueError: it is damaged, or of a kind that is not supported. TooLarge.
    """
    directories = tags.read(data)
    every = [one for top in directories for one in (top, *top.subs)]
    if data[8:10] == b"CR" or any(one.is_raw for one in every):
        raise ValueError(
            "it holds a camera's raw data: develop it with a raw converter first (darktable, RawTherapee, dcraw)"
        )
    found = tags.pictures(directories)
    number, notes = choose(len(found), page, "page")
    directory = found[number]
    size = directory.get(tags.WIDTH), directory.get(tags.HEIGHT)
    if directory.area > max_pixels:
        raise TooLarge(*size)
    if directories[0] is not directory and directories[0].reduced:
        notes.append(f"its first directory is a thumbnail; took the picture of {size[0]} x {size[1]}")
    _refuse_strange(directory)
    check(data, directory)
    return Opened(_with_fields(_pixels(data, directory, notes), data, directory), ".tif", notes)


def _refuse_strange(directory: Directory) -> None:
    if directory.get(tags.COMPRESSION, 1) == 32773 and directory.get(tags.PREDICTOR, 1) != 1:
        raise ValueError("PackBits with a predictor is not supported, as libtiff reads it wrong: save it with deflate")
    model, bits = directory.get(tags.PHOTOMETRIC, -1), directory.tags.get(tags.BITS, (1,))
    if model not in range(10) or model in _MODELS or model == 7:
        raise ValueError(f"its colour model, {_MODELS.get(model, f'number {model}')}, is not supported: {_MEND}")
    if not directory.sample_format():
        raise ValueError(f"it holds complex numbers, which are no picture: {_MEND}")
    if len(set(bits)) > 1 or len(set(directory.tags.get(tags.FORMAT, (1,)))) > 1:
        raise ValueError(f"its channels differ in type ({', '.join(map(str, bits))} bits): {_MEND}")


def _pixels(data: bytes, directory: Directory, notes: list[str]) -> pyvips.Image:
    model, bits, kind = directory.get(tags.PHOTOMETRIC), directory.bits, directory.sample_format()
    is_jpeg = directory.get(tags.COMPRESSION, 1) in (6, 7)
    full_chroma = directory.tags.get(tags.SUBSAMPLING, (2, 2)) == (1, 1)
    ordinary = kind == "u" and bits in (1, 2, 4, 8, 16) and model not in (_LAB, _ICC_LAB)
    if ordinary and (model != _YCBCR or is_jpeg or not full_chroma):
        image = _unpacked(data, directory, notes)
        if isinstance(image, np.ndarray):
            if model == _WHITE_IS_ZERO:
                raise ValueError(f"inverted grey is not supported in this compression: {_MEND}")
            image = from_array(image).copy_memory()
        if model == _YCBCR:
            image = image[:3]  # libvips adds alpha where chroma is subsampled
        return _channels(image, directory, _COLOURS.get(model, 3), notes)
    if model in (_PALETTE, _CMYK) or (model in (_YCBCR, _LAB, _ICC_LAB) and (kind == "f" or bits not in (8, 16))):
        raise ValueError(f"TIFF samples of {bits} bits are not supported in this colour model: {_MEND}")
    if model == _YCBCR and not full_chroma:
        raise ValueError(f"subsampled YCbCr of {bits} bits is not supported: {_MEND}")
    values, colours = _raw(data, directory, notes), 1 if directory.get(tags.SAMPLES, 1) < 3 else 3
    if model in (_LAB, _ICC_LAB) or model == _YCBCR:
        levels = _by_rows(lambda part: _converted(part, directory), values, model)
        if model != _YCBCR:
            directory.tags.pop(tags.PROFILE, None)  # it is of Lab, and the pixels are sRGB from here on
            notes.append("L*a*b* was converted to sRGB")
    elif kind == "u" and bits < 32:
        levels = samples.stretch(values, 2**bits - 1)
    else:
        levels, more = samples.levels(values, colours if model != _WHITE_IS_ZERO else 1)
        notes += more
    if model == _WHITE_IS_ZERO:
        levels[..., 0] = np.iinfo(levels.dtype).max - levels[..., 0]
    return _channels(from_array(levels).copy_memory(), directory, colours, notes)


def _by_rows(convert, values: np.ndarray, model: int) -> np.ndarray:
    """Three bands of colour converted to 0-1 and kept as 8 bits (YCbCr of 8 bits) or 16; others are stretched."""
    dtype = np.uint8 if model == _YCBCR and values.dtype == np.uint8 else np.uint16
    top = np.iinfo(dtype).max
    result = np.empty(values.shape, dtype)
    for row in range(0, len(values), _ROWS):
        part = values[row : row + _ROWS]
        result[row : row + _ROWS, :, :3] = convert(part[..., :3].astype(np.float64)) * top + 0.5
        result[row : row + _ROWS, :, 3:] = part[..., 3:].astype(dtype) * (top // np.iinfo(values.dtype).max)
    return result


def _converted(part: np.ndarray, directory: Directory) -> np.ndarray:
    top = 2**directory.bits - 1
    if directory.get(tags.PHOTOMETRIC) == _YCBCR:
        middle = (top + 1) // 2
        reference = directory.tags.get(tags.REFERENCE, (0, top, middle, top, middle, top))
        return colour.ycbcr_to_rgb(part, directory.tags.get(tags.COEFFICIENTS, (0.299, 0.587, 0.114)), reference, top)
    half, one = 2 ** (directory.bits - 1), 2 ** (directory.bits - 8)  # of a and b; a level of theirs
    is_icc = directory.get(tags.PHOTOMETRIC) == _ICC_LAB
    ab = part[..., 1:] - half if is_icc else (part[..., 1:] + half) % (top + 1) - half
    # ICC's 16 bits count L to 0xff00 (its old encoding, which TIFF's ICCLab names).
    white = 0xFF00 if is_icc and directory.bits == 16 else top
    return colour.lab_to_srgb(np.concatenate([part[..., :1] * 100 / white, ab / one], -1))


def _raw(data: bytes, directory: Directory, notes: list[str]) -> np.ndarray:
    """The samples as they are stored, whatever they mean: [height, width, samples]."""
    # Another colour model in its tag keeps libvips from turning the samples into something.
    patched, place = bytearray(data), directory.positions.get(tags.PHOTOMETRIC)
    if place is not None:
        plain = _RGB if directory.get(tags.SAMPLES, 1) > 2 else _GREY
        struct.pack_into(tags.byte_order(data) + "H", patched, place, plain)
    image = _unpacked(bytes(patched), directory, notes)
    return image if isinstance(image, np.ndarray) else image.numpy().reshape(image.height, image.width, image.bands)


def _unpacked(data: bytes, directory: Directory, notes: list[str]) -> pyvips.Image | np.ndarray:
    """The samples by whichever library reads them rightly; libvips expands palettes and turns inverted grey."""
    compression, bits, separate = directory.get(tags.COMPRESSION, 1), directory.bits, directory.get(tags.PLANAR, 1) == 2
    half = directory.sample_format() == "f" and bits == 16
    count, model = directory.get(tags.SAMPLES, 1), directory.get(tags.PHOTOMETRIC)
    # libvips refuses tiles of planes, and misreads planes of grey with alpha; so does Pillow the latter.
    grey_planes = separate and count > 1 and model in (_WHITE_IS_ZERO, _GREY)
    planes = grey_planes or (separate and count > 1 and tags.TILE_OFFSETS in directory.tags)
    if grey_planes and compression not in COMPRESSIONS:
        raise ValueError("its grey and alpha lie in separate planes, which is not supported in this compression")
    if planes and compression not in COMPRESSIONS:
        return _by_pillow(data, directory, notes)
    # libtiff has no 64-bit samples, none of 10 or 12 bits, and misreads half floats behind a predictor or in planes.
    odd = bits not in (1, 2, 4, 8, 16, 32) or (half and (separate or directory.get(tags.PREDICTOR, 1) != 1))
    if odd or planes or compression == 34925:  # LZMA
        return decode(data, directory)
    if compression not in _BY_LIBVIPS:
        return _by_pillow(data, directory, notes)
    if 1 in directory.tags.get(tags.EXTRA, ()):  # libvips would divide by alpha, and round down
        count = len(directory.tags[tags.EXTRA])
        data = bytearray(data)
        struct.pack_into(f"{tags.byte_order(data)}{count}H", data, directory.positions[tags.EXTRA], *[2] * count)
        data = bytes(data)
    where = {"page": directory.page} | ({"subifd": directory.sub} if directory.sub >= 0 else {})
    try:
        # "warning": below it, tiles that cannot be read come out black.
        image = pyvips.Image.new_from_buffer(data, "", fail_on="warning", **where)
        return image.copy_memory()
    except pyvips.Error as error:
        lines = [line.strip().removeprefix("tiff2vips: ") for line in str(error).splitlines() if "tiff2vips: " in line]
    raise ValueError("the TIFF file is truncated or damaged" + "".join(f": {line}" for line in lines[:1]))


def _by_pillow(data: bytes, directory: Directory, notes: list[str]) -> np.ndarray:
    """What Pillow's libtiff unpacks and libvips' does not, zstd above all."""
    compression = directory.get(tags.COMPRESSION, 1)
    name = _COMPRESSIONS.get(compression, f"number {compression}")
    refusal = f"its TIFF compression, {name}, is not supported: save it with deflate, LZW or none"
    if compression in _BY_LIBVIPS:
        refusal = "it holds tiles of separate planes, which are not supported: save it without tiles"
    if directory.sub >= 0:
        raise ValueError(refusal)
    check_whole(data, directory)  # its libtiff prints what it finds wrong
    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
            image.seek(directory.page)
            mode = image.mode
            pixels = np.asarray(image.convert("RGB") if mode == "P" else image)
    except (OSError, ValueError, EOFError, SyntaxError):
        raise ValueError(refusal) from None
    wide = directory.bits // 8
    # Pillow swaps floats that libtiff has swapped, and knows no sign.
    if (mode == "F" and tags.byte_order(data) == ">") or directory.sample_format() == "i":
        raise ValueError(refusal)
    whole = wide == {"I;16": 2, "F": 4}.get(mode, 1)
    if mode not in ("L", "LA", "P", "RGB", "RGBA", "I;16", "F") or not (whole or (wide == 2 and mode[:3] == "RGB")):
        raise ValueError(refusal)
    if not whole:
        notes.append(f"Pillow, which alone reads its compression ({name}), keeps 8 of its {directory.bits} bits")
    return pixels.reshape(*pixels.shape[:2], -1)


def _channels(image: pyvips.Image, directory: Directory, colours: int, notes: list[str]) -> pyvips.Image:
    """Colour and alpha of all channels; what the tags do not call alpha is left out, and said."""
    kind = image.format
    extra, count = directory.tags.get(tags.EXTRA, ()), image.bands - colours
    if image.bands < colours:
        raise ValueError("the TIFF file is damaged: channels are missing")
    if count == 0:
        return image
    meaning = [*extra[:count], *([2] if not extra and count == 1 else [])]
    at = next((i for i, value in enumerate(meaning) if value in (1, 2)), -1)
    base = image[0] if colours == 1 else image[:colours]
    if count - (at >= 0):
        notes.append(f"left out {count - (at >= 0)} further channel(s), which are neither colour nor alpha")
    if colours == 4:
        return base.copy(interpretation="cmyk") if at < 0 else image[:colours].bandjoin(image[colours + at])
    if at < 0:
        return base.copy(interpretation=image.interpretation)
    return stack(base.cast(kind), image[colours + at], meaning[at] == 1)


def _with_fields(image: pyvips.Image, data: bytes, directory: Directory) -> pyvips.Image:
    """The metadata that libvips would find, whoever read the pixels."""
    image = image.copy()
    for tag, name in ((tags.PROFILE, "icc-profile-data"), (700, "xmp-data"), (33723, "iptc-data")):
        if name in image.get_fields():
            image.remove(name)
        value = directory.tags.get(tag)
        if isinstance(value, tuple):  # some writers give bytes as numbers
            value = np.array(value, "u4" if max(value, default=0) > 255 else "u1").tobytes()
        if value:
            image.set_type(BLOB, name, value)
    told = exif.parse_at(data, directory.start)
    if directory.tags.get(270, b"").startswith(_OF_PROGRAMS):
        told.get(0, {}).pop(270, None)
        if "image-description" in image.get_fields():
            image.remove("image-description")
    told = {tag: entries for tag, entries in told.items() if entries}
    if told:
        image.set_type(BLOB, "exif-data", exif.PREFIX + exif.block(told))
    space = _space(directory)
    if space is not None and tags.PROFILE not in directory.tags and image.interpretation != "cmyk":
        image.set_type(BLOB, "icc-profile-data", colour.profile(space, image.bands < 3))
    image.set_type(pyvips.GValue.gint_type, "orientation", directory.get(tags.ORIENTATION, 1))
    per_mm = {2: 1 / 25.4, 3: 1 / 10}.get(directory.get(tags.UNIT, 2), 0)
    return image.copy(xres=directory.get(282) * per_mm or 1, yres=directory.get(283) * per_mm or 1)


def _space(directory: Directory) -> colour.Space | None:
    """The space of a file without a profile that states its primaries or its curve."""
    at, white, table = (directory.tags.get(tag, ()) for tag in (tags.PRIMARIES, tags.WHITE, tags.TRANSFER))
    if directory.get(tags.PHOTOMETRIC) in (_LAB, _ICC_LAB):
        return None
    points = colour.PRIMARIES[1]
    if len(at) == 6:
        points = (at[0:2], at[2:4], at[4:6], tuple(white) if len(white) == 2 else points[3])
    rows: tuple = ()
    length = 2 ** min(directory.bits, 16)
    if len(table) in (length, 3 * length):
        step = max(1, length // 4096)  # an ICC curve of 4,096 points is as fine as 16 bits need
        rows = tuple(tuple(table[i : i + length : step]) for i in range(0, len(table), length))
    if len(at) != 6 and not rows:
        return None
    space = colour.Space(points, table=rows)
    return None if space.is_srgb else space
