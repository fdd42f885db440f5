"""Read AVIF by libvips, and HEIC, which its wheel cannot decode, by pi-heif; pi-heif states the colours of both."""

import io

import numpy as np
import pyvips

from srgan_tf.io import colour, metadata, spill
from srgan_tf.io.opened import Opened, check_size, choose, with_fields
from srgan_tf.io.samples import from_array, stretch_shifted


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a picture, the main one by default. Raises ValueError (also for HDR), OSError, pyvips.Error, TooLarge."""
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
        image = with_fields(image, {"icc-profile-data": colour.profile(space, image.bands < 3)})
    further = {
        "depth map": found.info.get("depth_images"),
        "further pictures (as an HDR gain map)": found.info.get("aux"),
    }
    notes += [f"left out: {name}" for name, there in further.items() if there]
    return Opened(image, ".heic" if is_heic else ".heif", notes)


def _by_libvips(data: bytes, number: int) -> pyvips.Image:
    image = spill.decode(pyvips.Image.new_from_buffer(data, "", page=number, access="sequential", fail_on="truncated"))
    return stretch_shifted(image, image.get("bits-per-sample")) if image.format == "ushort" else image


def _by_pi_heif(found) -> pyvips.Image:
    pixels = np.asarray(found)  # upright already
    image = from_array(pixels).copy_memory()
    fields = {
        "exif-data": metadata.block(metadata.upright(found.info.get("exif") or b"", *found.size)),
        "xmp-data": found.info.get("xmp"),
        "icc-profile-data": found.info.get("icc_profile"),
    }
    return with_fields(stretch_shifted(image, found.info["bit_depth"]), fields)
