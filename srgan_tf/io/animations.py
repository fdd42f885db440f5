"""Read and write moving pictures: GIF and WebP by libvips, APNG and AVIF, which it lacks, by Pillow.

No library writes an APNG without all of its frames in memory: its chunks are put together here.
"""

import io
import itertools
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image, features

from srgan_tf.io import encoding, png, samples
from srgan_tf.io.files import write_aside
from srgan_tf.io.opened import Animation, Opened, check_size, choose, with_fields

_BY_PILLOW = (encoding.PNG_SIGNATURE, b"ftypavis")


def opened(data: bytes) -> Animation:
    """Examine all frames of a moving picture, and decode them whenever they are asked for.

    Raises:
        OSError, SyntaxError, pyvips.Error: a frame is damaged.
    """
    if any(mark in data[:12] for mark in _BY_PILLOW):
        read = _by_pillow
        with Image.open(io.BytesIO(data), formats=["PNG", "AVIF"]) as file:
            first, plays, delays = int(getattr(file, "default_image", False)), file.info.get("loop", 0), []
            for number in range(file.n_frames):
                file.seek(number)
                file.load()  # AVIF's duration is known after it
                delays.append(float(file.info.get("duration") or 0))
    else:
        image = _toilet_roll(data)
        first, read, plays = 0, _by_libvips, image.get("loop") if "loop" in image.get_fields() else 0
        delays = image.get("delay") if "delay" in image.get_fields() else [100] * image.get("n-pages")
        if data.startswith(b"GIF"):
            delays = delays[: whole_frames(data, len(delays))]
    frames = lambda: itertools.islice(read(data), first, len(delays))  # noqa: E731
    bare = Animation(frames, tuple(delays[first:]), plays)
    if any(frame.shape[2] == 4 and frame[..., 3].min() < 255 for frame in frames()):
        return bare._replace(frames=lambda: map(_filled, frames()))
    return bare._replace(frames=lambda: (frame[..., :3] for frame in frames()))


def load(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a frame of a GIF or WebP, the first by default. Raises OSError, pyvips.Error, ValueError, TooLarge."""

    def opened(number: int) -> pyvips.Image:
        return pyvips.Image.new_from_buffer(data, "", page=number, access="sequential", fail_on="truncated")

    image = opened(0)
    check_size(image.width, image.height, max_pixels)
    frames = image.get_n_pages()
    number, notes = choose(frames, page, "frame")
    if data.startswith(b"GIF"):
        if whole_frames(data, number + 1) <= number:
            raise ValueError(f"frame {number + 1} is cut off; get a whole copy")
        if not _has_end(data):
            notes.append("it lacks its end, or other bytes follow; all whole frames were kept")
    ending = ".gif" if data.startswith(b"GIF") else ".webp"
    return Opened(opened(number) if number else image, ending, notes, frames=frames)


def load_avif(data: bytes, max_pixels: int, page: int | None) -> Opened:
    """Decode a frame of an animated AVIF, which libheif reads no sequence of. Raises ValueError, OSError, TooLarge."""
    if not features.check("avif"):
        raise ValueError("animated AVIF needs Pillow 11.3 or later: pip install -U pillow")
    with Image.open(io.BytesIO(data), formats=["AVIF"]) as file:
        check_size(*file.size, max_pixels)
        number, notes = choose(file.n_frames, page, "frame")
        file.seek(number)
        image = samples.from_array(np.asarray(file.convert("RGBA" if file.mode == "RGBA" else "RGB"))).copy_memory()
        image = with_fields(image, {"icc-profile-data": file.info.get("icc_profile")})
        return Opened(image, ".avif", notes, frames=file.n_frames)


def _toilet_roll(data: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(data, "", n=-1, access="sequential", fail_on="truncated")


def _by_libvips(data: bytes) -> Iterator[np.ndarray]:
    image = _toilet_roll(data).colourspace("srgb")
    height = image.get("page-height")
    region = pyvips.Region.new(image)
    for top in range(0, image.height, height):
        yield np.frombuffer(region.fetch(0, top, image.width, height), np.uint8).reshape(height, image.width, -1)


def _by_pillow(data: bytes) -> Iterator[np.ndarray]:
    with Image.open(io.BytesIO(data), formats=["PNG", "AVIF"]) as file:
        for number in range(file.n_frames):
            file.seek(number)
            yield np.asarray(file.convert("RGBA"))


def _filled(frame: np.ndarray) -> np.ndarray:
    """Add alpha where a frame has none, and give transparent pixels the colours of their surroundings."""
    if frame.shape[2] == 3:
        return np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])
    return samples.fill_transparent(samples.from_array(frame)).numpy()


def whole_frames(data: bytes, count: int) -> int:
    """Return how many of the first `count` frames of a GIF are whole: libvips makes missing pixels up.

    Raises:
        OSError: pixels are missing elsewhere than in the last frame of a file that lacks its end.
    """
    with Image.open(io.BytesIO(data), formats=["GIF"]) as file:
        for frame in range(count):
            try:
                file.seek(frame)
                file.load()
            except (OSError, EOFError, LookupError, struct.error):
                if not 0 < frame == count - 1 or _has_end(data):
                    raise
                return frame
    return count


def _has_end(gif: bytes) -> bool:
    return gif.rstrip(b"\0\r\n").endswith(b";")


def write(path, frames: Iterable[np.ndarray], animation: Animation, metadata: dict, quality: int) -> None:
    """Write a moving picture while its frames are being made.

    Args:
        path: where to; the ending chooses the format. The file appears there whole or not at all.
        frames: uint8 [height, width, 3 or 4], as many as `animation` has.
        animation: what was enlarged: its delays, and how often it is shown.
        metadata, quality: as of `encoding.write_rows`.

    Raises:
        ImageError: it cannot be written; what `frames` raises is passed on.
    """
    frames, ending = iter(frames), encoding.format_of(path)
    first = next(frames)
    frames, shape = itertools.chain([first], frames), first.shape
    if ending in (".gif", ".webp"):
        delays = _whole(animation.delays, 10 if ending == ".gif" else 1)
        fields = {"delay": delays, "loop": animation.plays}
        encoding.write_rows(path, frames, shape, np.uint8, metadata | fields, quality, len(delays))
        return
    encoding.check_writable(path, *shape[:2])
    with encoding.converted_errors(path), write_aside(path) as temporary:
        if ending == ".png":
            _write_apng(temporary, frames, shape, animation, metadata)
        else:
            _write_avif(temporary, frames, animation, metadata, quality)


def _whole(delays: Iterable[float], unit: int) -> list[int]:
    """Round delays in ms to multiples of a unit; what is lost on one is made up by the next."""
    ends = [round(end / unit) * unit for end in itertools.accumulate(delays)]
    return [end - start for start, end in zip([0, *ends], ends)]


def _write_apng(path: str, frames, shape: tuple, animation: Animation, metadata: dict) -> None:
    numbers = itertools.count()
    delays = [Fraction(delay / 1000).limit_denominator(1000) for delay in animation.delays]

    def control(delay: Fraction) -> bytes:
        size = struct.pack(">5I", next(numbers), shape[1], shape[0], 0, 0)
        return encoding.chunk(b"fcTL", size + struct.pack(">HHBB", delay.numerator, delay.denominator, 0, 0))

    encoding.write_rows(path, [next(frames)], shape, np.uint8, metadata)
    head = Path(path).read_bytes()
    start, body = _pixels(head)
    with open(path, "wb") as file:
        plays = struct.pack(">II", len(delays), animation.plays)
        file.write(
            head[:33]
            + encoding.chunk(b"acTL", plays)
            + head[33:start]
            + control(delays[0])
            + encoding.chunk(b"IDAT", body)
        )
        for frame, delay in zip(frames, delays[1:]):
            _, body = _pixels(samples.from_array(frame).pngsave_buffer(compression=6, filter="up", keep="none"))
            file.write(control(delay) + encoding.chunk(b"fdAT", struct.pack(">I", next(numbers)) + body))
        file.write(encoding.chunk(b"IEND", b""))


def _pixels(data: bytes) -> tuple[int, bytes]:
    """Return where a PNG file's first IDAT chunk begins, and the data of all of them."""
    found = [(at, body) for at, kind, body in png.chunks(data) if kind == b"IDAT"]
    return found[0][0], b"".join(body for _, body in found)


def _write_avif(path: str, frames, animation: Animation, metadata: dict, quality: int) -> None:
    first, delays = Image.fromarray(next(frames)), _whole(animation.delays, 1)
    options = {"icc_profile": metadata.get("icc-profile-data"), "quality": quality, "duration": delays}
    later = _Later(frames, first, len(delays) - 1)
    first.save(path, "AVIF", save_all=True, append_images=[later], max_threads=1, **options)


class _Later:
    """What Pillow asks of an image with several frames, which are made when it encodes them."""

    def __init__(self, frames: Iterator[np.ndarray], first: Image.Image, count: int):
        self._frames, self._count, self.mode, self.size = frames, count, first.mode, first.size

    def seek(self, number: int) -> None:
        if number >= self._count:
            raise EOFError

    def tobytes(self, *_) -> bytes:
        return next(self._frames).tobytes()
