"""Write a video in segments, so that a run that was killed can go on, and join them with the source's other streams."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange

from srgan_tf import machine
from srgan_tf.errors import ImageError
from srgan_tf.io.files import reason, write_aside
from srgan_tf.video.source import Source

CODECS = {"h264": "libx264", "h265": "libx265", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
ENDINGS = (".mp4", ".m4v", ".mov", ".mkv")
PIXELS = "yuv420p"


@dataclass(frozen=True)
class Encoding:
    """Settings of the encoder: codec, a name of `CODECS` or of FFmpeg, and quality, less is better."""

    codec: str = "h264"
    crf: int = 18

    def __post_init__(self):
        try:
            formats = [one.name for one in av.codec.Codec(self.name, "w").video_formats or ()]
        except (av.error.FFmpegError, ValueError):
            formats = []
        if PIXELS not in formats:
            problem = f"PyAV has no such encoder of videos in {PIXELS}; use one of {', '.join(CODECS)}"
            raise ImageError(f"--codec={self.codec}: {problem}") from None

    @property
    def name(self) -> str:
        return CODECS.get(self.codec, self.codec)


def encode(path: Path, frames: Iterable[tuple[int, np.ndarray]], source: Source, how: Encoding) -> tuple[int, int]:
    """Encode frames (time, uint8 RGB) as one segment, whose times begin at 0.

    Returns:
        How many frames, and the time of the first.

    Raises:
        ImageError: the encoder takes no such frames; what `frames` raises is passed on.
    """
    count = first = 0
    stream, shape = None, ()
    try:
        with av.open(str(path), "w", format="mp4" if how.name in CODECS.values() else "mov") as out:
            for time, sr in frames:
                if stream is None:
                    first, shape, stream = time, sr.shape, _add_stream(out, sr.shape, source, how)
                frame = _yuv(sr, source)
                frame.pts, frame.time_base = time - first, source.stream.time_base
                out.mux(stream.encode(frame))
                count += 1
            if stream is not None:
                out.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):  # of the disk
            raise
        size = "x".join(map(str, shape[1::-1]))
        problem = f"cannot encode {size} px ({reason(error)}); give another --codec"
        raise ImageError(f"{source.path}: --codec={how.codec}: {problem}") from None
    return count, first


def _add_stream(out, shape: tuple, source: Source, how: Encoding):
    rate = source.rate.limit_denominator(60_000)
    options = {"crf": str(how.crf)}
    if how.name == "libx265" and shape[1] < 64:  # where `Lookahead::cuTree` of x265 4.2 writes past a buffer
        options["x265-params"] = "cutree=0"
    if how.name == "libx264" and machine.has_avx512():  # where x264 165 gives other bits on each run
        options["x264-params"] = "asm=AVX2"
    stream = out.add_stream(how.name, rate=rate, options=options)
    context, known = stream.codec_context, source.stream.codec_context
    context.height, context.width = (side + side % 2 for side in shape[:2])
    context.pix_fmt, context.time_base = PIXELS, source.stream.time_base
    stream.time_base = source.stream.time_base
    context.colorspace, context.color_range = source.matrix, source.range
    context.color_primaries, context.color_trc = known.color_primaries, known.color_trc
    if ratio := source.stream.sample_aspect_ratio:
        context.sample_aspect_ratio = ratio
    return stream


def _yuv(sr: np.ndarray, source: Source) -> av.VideoFrame:
    odd = [(0, side % 2) for side in sr.shape[:2]]
    frame = av.VideoFrame.from_ndarray(np.pad(sr, [*odd, (0, 0)], "edge") if any(map(any, odd)) else sr, format="rgb24")
    return source.reformat(frame, PIXELS, ColorRange.JPEG, source.range)


def join(path: str, segments: list[Path], source: Source) -> None:
    """Join segments, with the audio, subtitles, chapters and metadata of the source, as one file.

    Raises:
        ImageError: the container cannot hold them.
    """
    try:
        with write_aside(path) as temporary, av.open(temporary, "w") as out, av.open(str(segments[0])) as first:
            out.metadata.update(source.container.metadata)
            video = out.add_stream_from_template(first.streams.video[0], opaque=True)
            video.time_base = source.stream.time_base
            video.metadata.update(source.stream.metadata)
            if source.rotation:
                video.set_display_rotation(source.rotation)
            copies = {one.index: out.add_stream_from_template(one, opaque=True) for one in source.carried}
            for one in source.carried:
                copies[one.index].metadata.update(one.metadata)
                copies[one.index].disposition = one.disposition
            if chapters := source.container.chapters():
                out.set_chapters(chapters)
            out.start_encoding()
            order = lambda packet: Fraction(packet.dts) * packet.time_base  # noqa: E731
            for packet in heapq.merge(_of_segments(segments, video, source), _of_source(source, copies), key=order):
                out.mux(packet)
    except (av.error.FFmpegError, ValueError) as error:
        kinds = ", ".join(sorted({one.codec_context.name for one in source.carried if one.codec_context}))
        fix = f"its {kinds} may not fit into {Path(path).suffix[1:]}, but into --output=NAME.mkv"
        raise ImageError(f"{path}: cannot write it ({reason(error)}); {fix if kinds else 'try .mkv'}") from None


def _of_segments(segments: list[Path], stream, source: Source) -> Iterator[av.Packet]:
    for path in segments:
        with av.open(str(path)) as part:
            start = int(path.stem.split("_")[2]) * source.stream.time_base  # movie files round where they begin to 1 ms
            for packet in part.demux(video=0):
                if packet.dts is not None:
                    ticks = round(start / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, stream
                    yield packet


def _of_source(source: Source, copies: dict) -> Iterator[av.Packet]:
    if not copies:
        return
    with av.open(source.path, metadata_errors="replace") as container:
        try:
            for packet in container.demux([container.streams[index] for index in copies]):
                if packet.size:
                    packet.dts = packet.pts if packet.dts is None else packet.dts
                    packet.stream = copies[packet.stream.index]
                    yield packet
        except av.error.FFmpegError:  # a damaged end, which the frames told of
            return
