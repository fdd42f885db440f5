"""Read JPEG files: libvips decodes, Pillow parses the head, simplejpeg (TurboJPEG) tells each warning of libjpeg.

How much of a damaged picture is missing none of them says.
"""

import io
import threading
from contextlib import suppress

import numpy as np
import pyvips
import simplejpeg
from PIL import Image

from srgan_tf.io import metadata, spill
from srgan_tf.io.opened import Opened, check_size, choose

# ITU-T T.81, annex K.1: luminance and chrominance, row by row, at quality 50.
LUMA_STEPS = np.array(
    (
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    )
)
CHROMA_STEPS = np.array(
    (
        *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
        *(47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32),
    )
)
_BLOCK = 17  # rows of the largest block, and one that its chroma reaches into
_LOST, _FEW = 0.05, 2 * _BLOCK**2  # of the pixels may be missing where a file ends early; or two blocks
_READING = threading.Lock()
_HARMLESS = ("extraneous bytes", "JFIF revision", "Adobe color transform")  # libjpeg's warnings on whole pictures


def quality_of_steps(ratio: float) -> float:
    """Return libjpeg's quality, 1-100, at which steps are `ratio` times those of LUMA_STEPS."""
    return max(1.0, 100 - 50 * ratio if ratio <= 1 else 50 / ratio)


def quality_of_table(table) -> float | None:
    """Return the quality of a luminance table of 64 steps, row by row: the nearest in the mean, None without one."""
    return (
        quality_of_steps(float(np.mean(np.asarray(table) / LUMA_STEPS)))
        if table is not None and len(table) == 64
        else None
    )


def load(data: bytes, max_pixels: int, page: int | None, lenient: bool) -> Opened:
    """Decode a JPEG file; `lenient` takes one whose last rows are missing.

    Raises:
        ValueError, pyvips.Error: it is damaged. TooLarge.
    """
    choose(1, page, "page")
    image, head = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="warning"), None
    check_size(image.width, image.height, max_pixels)
    with suppress(OSError, SyntaxError, ValueError, LookupError, TypeError):
        head = Image.open(io.BytesIO(data), formats=["JPEG"])
    try:
        image, notes, lines = spill.decode(image).copy(), [], _last_warning(data)
    except pyvips.Error:
        lines = _warnings(data) or ["it is damaged"]
    if lines:
        image, notes = _decode_despite(lines, data, head, lenient)
    if head is None:
        return Opened(image, ".jpg", notes)
    if (count := getattr(head, "n_frames", 1)) > 1:  # MPO
        notes.append(f"left out: {count - 1} further pictures of the file, such as an HDR gain map or a stereo partner")
    exif = image.get("exif-data") if "exif-data" in image.get_fields() else b""
    if not head.info.get("jfif_unit") and metadata.RESOLUTION not in metadata.parse(exif):
        image = image.copy(xres=1, yres=1)  # a ratio of the sides, or libvips' default
    return Opened(image, ".jpg", notes, quality_of_table(head.quantization.get(0)))


def _last_warning(data: bytes) -> list[str]:
    """Return libjpeg's last warning, if any: libvips leaves out those of the last rows and of what follows them."""
    smallest = {"colorspace": "GRAY", "min_height": 1, "min_width": 1, "min_factor": 8}
    try:
        simplejpeg.decode_jpeg(data, **smallest)
    except ValueError as warning:
        with suppress(ValueError):  # raised without `strict` as well for layouts that TurboJPEG does not read
            simplejpeg.decode_jpeg(data, **smallest, strict=False)
            return [str(warning)]
    return []


def _warnings(data: bytes) -> list[str]:
    """Return what libjpeg says of a damaged file.

    Threads share libvips' texts and take each other's, so they are read until two readings agree.
    """
    before, lines = None, []
    with _READING:
        for _ in range(20):
            pyvips.vips_lib.vips_error_clear()
            try:
                spill.decode(pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="warning"))
            except pyvips.Error as error:
                lines = [line.strip() for line in str(error).splitlines()]
                lines = [line.removeprefix("VipsJpeg: ") for line in lines if line.startswith("VipsJpeg: ")]
            if lines and lines == before:
                break
            before = lines
    return lines


def _decode_despite(lines: list[str], data: bytes, head, lenient: bool) -> tuple[pyvips.Image, list[str]]:
    """Decode what libjpeg warned of, if all or nearly all of its pixels are right; else raise ValueError."""
    warning = " ".join(lines)
    if all(any(text in line for text in _HARMLESS) for line in lines):
        notes = ["the file holds stray bytes, which were skipped; parts may be wrong"] * ("extraneous" in warning)
        return spill.decode(pyvips.Image.new_from_buffer(data, "", fail_on="truncated")).copy(), notes
    if "remature end" not in warning or head is None:
        raise ValueError(f"libjpeg cannot decode it ({lines[0]}): get an undamaged copy, or save it as 8-bit PNG")
    end = data.find(b"\xff\xd9", data.rfind(b"\xff\xda"))
    try:
        image, missing, lost = _without_end(data if end < 0 else data[:end], head)
    except pyvips.Error:
        raise ValueError("the file was cut off at a restart marker; get an undamaged copy") from None
    share = lost / (image.width * image.height)
    if lost > max(_LOST * image.width * image.height, _FEW) or not lenient or (end > 0 and not lost):
        part = f"{share:.0%} of the picture is missing" if lost else "data in its middle are missing"
        raise ValueError(f"the file was cut off: {part}; get an undamaged copy")
    rows = f"up to {missing} of its {image.height} rows were filled in" if missing else "all rows are there"
    return image.copy(), [f"the file lacks its end; {rows}"]


def _without_end(data: bytes, head) -> tuple[pyvips.Image, int, int]:
    """Decode a file that ends early; return also its incomplete rows, and how many pixels are missing.

    Decodes with two paddings; pixels that differ are missing.
    """
    if not _reaches_last_scan(data, head):
        raise ValueError("the file was cut off (premature end) before its last scan; get an undamaged copy")
    body = data.rstrip(b"\xff")
    zeros = len(body) - len(body.rstrip(b"\0"))
    if zeros > 16:  # what an unfinished copy leaves; fewer may be data
        body = body[: len(body) - zeros] + (b"\0" if body[-zeros - 1] == 0xFF else b"")
    image, other = (
        pyvips.Image.new_from_buffer(body + more + b"\xff\xd9", "", fail_on="none").copy_memory()
        for more in (b"", bytes([0x5A, 0xC3, 0x17, 0x98] * 64))
    )
    differ = (image.numpy() != other.numpy()).reshape(image.height, image.width, -1).any(axis=2)
    if not differ.any():  # all is there, or the file ends between restart intervals, which fails here
        pyvips.Image.new_from_buffer(body + b"\xff\xd9", "", fail_on="warning").copy_memory()
    rows = int(np.argmax(differ.any(axis=1))) if differ.any() else image.height
    missing = image.height - rows
    # The padding may not reach to the end: from the first pixel that differs on, everything is missing.
    first = int(np.argmax(differ[rows : rows + 4].any(axis=0))) if missing else 0
    return image, missing, (image.width - first) * min(_BLOCK, missing) + image.width * max(0, missing - _BLOCK)


def _reaches_last_scan(data: bytes, head) -> bool:
    """Whether a file reaches its last scan: progressive ones refine the whole picture several times."""
    exact, at = set(), data.find(b"\xff\xda")  # components and coefficients that scans gave to the last bit
    while 0 <= at < len(data) - 10:
        count = data[at + 4]
        parts, (low, high, bits) = data[at + 5 : at + 5 + 2 * count : 2], data[at + 5 + 2 * count : at + 8 + 2 * count]
        if not head.info.get("progressive") or bits & 15 == 0:
            exact |= {(part, i) for part in parts for i in range(low, min(high, 63) + 1)}
        at = data.find(b"\xff\xda", at + 2)
    return len(exact) >= 64 * head.layers > 0
