"""AVIF by libvips, and HEIC, iPhones' format, by pi-heif: libvips' wheel has no decoder for it."""

import io

import numpy as np
import pyvips

from srgan_tf.io import colour, exif, isobmff, samples
from srgan_tf.io.opened import BLOB, Opened, TooLarge, choose, from_array


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a picture. Raises ValueError (also for HDR), OSError, pyvips.Error or TooLarge."""
    if data[4:12] == b"ftypavis":
        raise ValueError("animated AVIF is not supported: take a frame out of it first, as by ffmpeg")
    space = isobmff.heif_space(data)
    image, notes, format = (_by_pi_heif if is_heic(data) else _by_libvips)(data, max_pixels, page)
    if space is not None and not space.is_srgb and "icc-profile-data" not in image.get_fields():
        image = image.copy()
        image.set_type(BLOB, "icc-profile-data", colour.profile(space, image.bands < 3))
    return Opened(image, format, notes)


def is_heic(data: bytes) -> bool:
    """Whether a file of this family is compressed as HEIC is."""
    return any(kind == b"hvcC" for kind, _, _ in isobmff.properties(data))


def _by_libvips(data: bytes, max_pixels: int, page: int | None) -> tuple[pyvips.Image, list[str], str]:
    options = {"access": "sequential", "fail_on": "truncated"}
    image = pyvips.Image.new_from_buffer(data, "", **options)
    number, notes = _chosen(image.get("n-pages"), page, image.get("heif-primary"))
    image = pyvips.Image.new_from_buffer(data, "", page=number, **options)
    if image.width * image.height > max_pixels:
        raise TooLarge(image.width, image.height)
    image = image.copy_memory()
    bits = image.get("bits-per-sample") if "bits-per-sample" in image.get_fields() else 16
    if image.format == "ushort":
        image = _stretched(image.numpy(), bits, image)
    return image, notes, ".heif"


def _by_pi_heif(data: bytes, max_pixels: int, page: int | None) -> tuple[pyvips.Image, list[str], str]:
    try:
        import pi_heif
    except ImportError:
        raise ValueError("HEIC needs the package pi-heif (pip install pi-heif); or save it as JPEG") from None
    try:
        file = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        number, notes = _chosen(len(file), page, file.primary_index)
        found = file[number]
        if found.size[0] * found.size[1] > max_pixels:
            raise TooLarge(*found.size)
        pixels = np.asarray(found)  # upright already
    except RuntimeError as error:  # libheif's own
        raise ValueError(str(error)) from None
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    image = from_array(pixels).copy_memory()
    if pixels.dtype == np.uint16:
        image = _stretched(pixels, found.info["bit_depth"], image)
    image = image.copy()
    fields = {
        "exif-data": exif.upright(found.info.get("exif") or b"", *found.size),
        "xmp-data": exif.upright_xmp(found.info.get("xmp") or b""),
        "icc-profile-data": found.info.get("icc_profile"),
    }
    for name, value in fields.items():
        if value:
            image.set_type(BLOB, name, value)
    return image, notes, ".heic"


def _chosen(count: int, page: int | None, primary: int) -> tuple[int, list[str]]:
    """The number, from 0, of the picture to take, the main one by default, and a note where others are left out."""
    number, notes = choose(count, page, "picture")
    if page is None and primary:
        return primary, [note.replace("the first", "the main one") for note in notes]
    return number, notes


def _stretched(pixels: np.ndarray, bits: int, of: pyvips.Image) -> pyvips.Image:
    """uint16 whose samples were moved up from fewer bits, so that white is not quite white, put right."""
    if not 8 < bits < 16:
        return of
    full = samples.stretch(pixels >> (16 - bits), 2**bits - 1).reshape(of.height, of.width, of.bands)
    image = from_array(full).copy_memory().copy(xres=of.xres, yres=of.yres)
    for name in of.get_fields():
        if name.endswith("-data"):
            image.set_type(of.get_typeof(name), name, of.get(name))
    return image
