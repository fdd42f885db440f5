"""Read a video: its frames as RGB, and the facts that its result must state."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from srgan_tf.errors import ImageError
from srgan_tf.io.files import reason

_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_HDR = {16: "PQ", 18: "HLG"}  # transfers of ITU-T H.273
_MATRICES = {
    **{1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601},
    **{7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020},
}
_HIGH = 720  # rows from which players take unstated colours for BT.709, below for BT.601


class Source:
    """A video file.

    Attributes:
        stream: the video stream of the container.
        matrix, range: how its luma and chroma are made of RGB, as stated, or as players guess.
        frames_stated: how many frames the file says it has; 0 if it does not.
        notes: what was chosen or left out, each for one line to the user.
        lost: packets that could not be decoded, so far.
        rotation: degrees by which players turn the frames; known once one was decoded.

    Raises:
        ImageError: it cannot be read, or is of an unsupported kind.
    """

    def __init__(self, path: str, max_pixels: int):
        self.path, self._max_pixels, self.notes, self.lost, self.rotation = path, max_pixels, [], 0, 0
        try:
            self.container = av.open(path, metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            raise ImageError(f"{path}: not a readable video ({reason(error)}); get an undamaged copy") from None
        pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
        found = [one for one in self.container.streams.video if not one.disposition & pictures]
        if not found:
            kinds = ", ".join(sorted({str(one.type) for one in self.container.streams}))
            raise ImageError(f"{path}: it has no video, only {kinds or 'nothing'}")
        self.stream = found[0]
        self.stream.thread_type = "AUTO"
        context = self.stream.codec_context
        self._refuse_unsupported(context)
        if self.stream.width * self.stream.height > max_pixels:
            size, fix = f"{self.stream.width} x {self.stream.height} pixels", "raise it (--max_megapixels)"
            raise ImageError(f"{path}: {size} are more than the limit; {fix} if you trust the file")
        high = 1 if self.stream.height >= _HIGH else 6
        self.matrix = context.colorspace if context.colorspace in _MATRICES else high
        is_full = context.color_range == ColorRange.JPEG or str(context.pix_fmt).startswith("yuvj")
        self.range = ColorRange.JPEG if is_full else ColorRange.MPEG
        self.frames_stated = self.stream.frames if "mp4" in self.container.format.name else 0  # AVI counts gaps, too
        others = [f"{one.type} stream" for one in self.container.streams if one not in (self.stream, *self.carried)]
        self.notes += [f"left out: {', '.join(others)}"] * bool(others)
        if self.stream.format.components[0].bits > 8:
            self.notes.append(f"{self.stream.format.components[0].bits} bits per channel became 8")

    @property
    def carried(self) -> list:
        """Streams that go along as they are."""
        return [*self.container.streams.audio, *self.container.streams.subtitles]

    def _refuse_unsupported(self, context) -> None:
        problem = ""
        if context is None or context.format is None or not context.width:
            problem = "its codec is not known to FFmpeg, or its head is damaged: convert it to H.264 first"
        elif context.color_trc in _HDR:
            kind = _HDR[context.color_trc]
            problem = f"it is HDR ({kind}): convert it to SDR first, as by ffmpeg's zscale and tonemap"
        elif any(one.is_alpha for one in context.format.components) or self.stream.metadata.get("alpha_mode") == "1":
            problem = "it is partly transparent: flatten it first, as by ffmpeg's overlay"
        if problem:
            raise ImageError(f"{self.path}: {problem}")

    @property
    def rate(self) -> Fraction:
        """Frames per second, on average."""
        return self.stream.average_rate or self.stream.guessed_rate or Fraction(25)

    @property
    def count(self) -> int:
        """How many frames it has by its head, or by its length; 0 if unknown."""
        if self.frames_stated:
            return self.frames_stated
        length = self.stream.duration and self.stream.duration * self.stream.time_base
        length = length or (self.container.duration or 0) / av.time_base
        return round(float(length) * float(self.rate))

    def frames(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the time in units of the stream's time base, and uint8 RGB [height, width, 3]."""
        last = None
        for frame in self._decoded():
            if frame.interlaced_frame:
                fix = "de-interlace it first, as by ffmpeg -i IN -vf bwdif=0 OUT.mkv"
                raise ImageError(f"{self.path}: it is interlaced: {fix}")
            time = frame.dts if frame.pts is None else frame.pts
            if time is None:
                time = 0 if last is None else last + round(1 / (self.rate * self.stream.time_base))
            last = time if last is None else max(time, last + 1)
            self.rotation = frame.rotation
            size = {"width": self.stream.width, "height": self.stream.height}  # of all, where the stream changes
            yield last, self.reformat(frame, "rgb24", self.range, ColorRange.JPEG, **size).to_ndarray()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:  # what follows cannot be found
                self.lost += 1
                return
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.lost += 1

    def reformat(self, frame: av.VideoFrame, format: str, before: int, after: int, **size: int) -> av.VideoFrame:
        """Convert between RGB and this video's luma and chroma, from one `ColorRange` to another."""
        matrix, ranges = _MATRICES[self.matrix], {"src_color_range": before, "dst_color_range": after}
        options = {"src_colorspace": matrix, "dst_colorspace": matrix, "interpolation": _EXACT}
        return frame.reformat(format=format, **size, **ranges, **options)

    def sample(self) -> np.ndarray:
        """Return a frame from the middle, or the first. Reopens the file: one without an index cannot be rewound."""
        middle = (self.container.start_time or 0) + (self.container.duration or 0) // 2
        for place in (middle, None):
            other = Source(self.path, self._max_pixels)
            with other.container, suppress(av.error.FFmpegError):
                if place is not None:
                    other.container.seek(place)
                for _, pixels in other.frames():
                    return pixels
        raise ImageError(f"{self.path}: no frame of it can be decoded; get an undamaged copy")
