"""Read AVIF by libvips, and HEIC, which its wheel cannot decode, by pi-heif; pi-heif states the colours of both."""

import io

import numpy as np
import pyvips
from PIL import Image, features

from srgan_tf.io import colour, metadata, samples, spill
from srgan_tf.io.opened import BLOB, Opened, check_size, choose, from_array

_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heif(data: bytes) -> bool:
    """Return whether a file is HEIC or AVIF."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a picture, the main one by default. Raises ValueError (also for HDR), OSError, pyvips.Error, TooLarge."""
    if data[4:12] == b"ftypavis":
        return _by_pillow(data, max_pixels, page)
    try:
        import pi_heif

        file = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        number, notes = choose(len(file), page, "picture")
        if page is None and file.primary_index:
            number, notes = file.primary_index, [note.replace("the first", "the main one") for note in notes]
        found = file[number]
        check_size(*found.size, max_pixels)
        codes = found.info.get("nclx_profile")
        space = colour.from_codes(codes["color_primaries"], codes["transfer_characteristics"]) if codes else None
        is_heic = pyvips.Image.new_from_buffer(data, "").get("heif-compression") == "hevc"
        image = _by_pi_heif(found) if is_heic else _by_libvips(data, number)
    except ImportError:
        raise ValueError("HEIC and AVIF need the package pi-heif (pip install pi-heif); or save it as JPEG") from None
    except RuntimeError as error:  # libheif's own
        raise OSError(str(error)) from None
    if space is not None and not space.is_srgb and "icc-profile-data" not in image.get_fields():
        image.set_type(BLOB, "icc-profile-data", colour.profile(space, image.bands < 3))
    further = {
        "depth map": found.info.get("depth_images"),
        "further pictures (as an HDR gain map)": found.info.get("aux"),
    }
    notes += [f"left out: {name}" for name, there in further.items() if there]
    return Opened(image, ".heic" if is_heic else ".heif", notes)


def _by_pillow(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a frame of an animated AVIF, which libheif reads no sequence of."""
    if not features.check("avif"):
        raise ValueError("animated AVIF needs Pillow 11.3 or later: pip install -U pillow")
    with Image.open(io.BytesIO(data), formats=["AVIF"]) as file:
        check_size(*file.size, max_pixels)
        number, notes = choose(file.n_frames, page, "frame")
        file.seek(number)
        image = from_array(np.asarray(file.convert("RGBA" if file.mode == "RGBA" else "RGB")))
        if profile := file.info.get("icc_profile"):
            image.set_type(BLOB, "icc-profile-data", profile)
        return Opened(image.copy_memory(), ".avif", notes, frames=file.n_frames)


def _by_libvips(data: bytes, number: int) -> pyvips.Image:
    image = pyvips.Image.new_from_buffer(data, "", page=number, access="sequential", fail_on="truncated")
    image = spill.decode(image).copy()
    if image.format == "ushort" and 8 < (bits := image.get("bits-per-sample")) < 16:
        levels = ((image >> (16 - bits)) * (65_535 / (2**bits - 1))).rint().cast("ushort")
        image = levels.copy(interpretation=image.interpretation)
    return image


def _by_pi_heif(found) -> pyvips.Image:
    pixels = np.asarray(found)  # upright already
    image = _stretched(pixels.reshape(*pixels.shape[:2], -1), found.info["bit_depth"])
    fields = {
        "exif-data": metadata.block(metadata.upright(found.info.get("exif") or b"", *found.size)),
        "xmp-data": found.info.get("xmp"),
        "icc-profile-data": found.info.get("icc_profile"),
    }
    for name, value in fields.items():
        if value:
            image.set_type(BLOB, name, value)
    return image


def _stretched(pixels: np.ndarray, bits: int) -> pyvips.Image:
    """Move white to its full level in uint16 samples, which decoders shift up from fewer bits."""
    if 8 < bits < 16 and pixels.dtype == np.uint16:
        pixels = samples.stretch(pixels >> (16 - bits), 2**bits - 1)
    return from_array(pixels).copy_memory()
