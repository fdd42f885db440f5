"""Videos in `srgan-tf upscale`: needs `pip install 'srgan_tf[video]'`. A clip that was interrupted goes on."""

import time
from pathlib import Path

from srgan_tf.cli import batch
from srgan_tf.errors import ImageError
from srgan_tf.planning import storage
from srgan_tf.planning.plan import Job
from srgan_tf.progress import clock


def make(flags, job: Job, progress: batch.BatchProgress, upscaler, made_by: dict) -> tuple[str, str]:
    """Make a job's video, showing progress; return size and description of the result.

    Args:
        made_by: what results depend on, as of `Clip`.
    """
    clip = _opened(flags, job, upscaler, made_by)
    unused = [f"--{name} applies to pictures only" for name in ("format", "compare") if flags[name].value]
    if (notes := clip.source.notes + unused) and not flags.quiet:
        progress.bar.say(f"note: {job}: {'; '.join(notes)}")
    total, began, before = clip.source.count, time.monotonic(), clip.done
    if before and not flags.quiet:
        progress.bar.say(f"{job}: goes on at frame {before + 1}")

    def on_frame(done: int) -> None:
        rate = (done - before) / (time.monotonic() - began)
        left = f", {clock((total - done) / rate)} left" if total > done else ""
        share = min(1.0, done / total) if total else 0.0
        progress.show(share, f"{job}: frame {done}{f'/{total}' if total else ''}, {rate:.1f} frames/s{left}")

    def on_tile() -> None:
        if progress.stopped:
            raise batch.Stopped

    try:
        clip.make(on_frame, on_tile)
    except batch.Stopped:
        progress.bar.say(f"{job}: stopped after {clip.whole} frames; the same command goes on there")
        raise
    if damage := _damage(clip):
        progress.bar.say(f"note: {job}: it is damaged: {damage}")
    stream, scale = clip.source.stream, clip.pipeline.scale
    rate = (clip.done - before) / max(time.monotonic() - began, 1e-9)
    facts = f"{stream.width * scale} x {stream.height * scale}, {clip.done} frames, {rate:.1f} frames/s"
    return facts, clip.pipeline.description


def _opened(flags, job: Job, upscaler, made_by: dict):
    try:
        from srgan_tf.video import clip, sink
    except ImportError:
        raise ImageError(f"{job}: videos need PyAV: pip install 'srgan_tf[video]'") from None
    for place in (job.source, job.target):
        if storage.is_url(place):
            raise ImageError(f"{place}: videos are read from and written to disks alone; copy it")
    if flags.page is not None:
        raise ImageError(f"{job}: --page takes a frame of an animation; of a video take one out as by ffmpeg")
    Path(job.target).parent.mkdir(parents=True, exist_ok=True)
    how = sink.Encoding(flags.codec or "h264", 18 if flags.crf is None else flags.crf)
    return clip.Clip(job.source, job.target, upscaler, made_by, how, int(flags.max_megapixels * 1e6))


def _damage(clip) -> str:
    """Describe what could not be read of a clip; "" if nothing is missing."""
    if clip.source.frames_stated > clip.done:
        return f"{clip.done} of its {clip.source.frames_stated} frames could be read"
    lost = clip.source.lost
    return f"{lost} packets could not be decoded; {clip.done} frames were made" if lost else ""
