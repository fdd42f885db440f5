"""How much a clip flickers that was enlarged frame by frame, and steadily.

    python benchmarks/flicker.py [--weights=compact,fast] [--noise=0,6] [--frames=10]

Clips are made of bundled held-out photographs, held and panned (a quarter of a LR pixel per frame), LR by bicubic, with
noise (standard deviation 4 of 255) or through H.264 of two qualities. 0 enlarges each frame by itself. Per row, means
over the clips: LPIPS-Alex of frames to HR; flicker, LPIPS from frame to frame less that of HR; and trembling, the mean
absolute difference of levels from frame to frame where LR without noise did not change; share: LR pixels that were
given to the model, of all.
"""

import argparse
import io
import itertools

import av
import numpy as np
from degradations import bicubic
from PIL import Image

from srgan_tf import Upscaler
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.evaluation import lpips
from srgan_tf.evaluation.tables import markdown
from srgan_tf.inference.steady import Steady

SCALE, WIDTH, HEIGHT = 4, 320, 240  # HR px


def clips(frames: int) -> dict[str, list[np.ndarray]]:
    """HR clips, held and panned."""
    made = {}
    for path in sorted((PHOTOS / "heldout").glob("*.jpg"))[:2]:
        photo = np.asarray(Image.open(path).convert("RGB"))
        for motion, step in (("held", 0), ("panned", 1)):
            made[f"{path.stem}, {motion}"] = [
                photo[60 : 60 + HEIGHT, 40 + step * i : 40 + step * i + WIDTH] for i in range(frames)
            ]
    return made


def noisy(frames: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.clip(one + rng.normal(0, 4, one.shape), 0, 255).round().astype(np.uint8) for one in frames]


def through_h264(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.height, stream.width = frames[0].shape[:2]
        for one in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(one, "rgb24")))
        out.mux(stream.encode(None))
    with av.open(io.BytesIO(file.getvalue())) as again:
        return [one.to_ndarray(format="rgb24") for one in again.decode(video=0)]


CONDITIONS = {
    "clean": lambda frames: frames,
    "noise 4": noisy,
    "H.264 crf 23": lambda frames: through_h264(frames, 23),
    "H.264 crf 32": lambda frames: through_h264(frames, 32),
}


def distances(one: list, other: list) -> float:
    return float(np.mean([lpips.distance(a[None], b[None])[0] for a, b in zip(one, other)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="compact,fast", help="separated by commas; auto-fast: the fast pair")
    parser.add_argument("--noise", default="0,6", help="values of `Steady`, separated by commas; 0: frame by frame")
    parser.add_argument("--frames", type=int, default=10)
    given = parser.parse_args()
    rows = []
    for name in given.weights.split(","):
        upscaler = Upscaler(fast=True) if name == "auto-fast" else Upscaler(name)
        for condition, degrade in CONDITIONS.items():
            for noise in map(float, given.noise.split(",")):
                scores = []
                for hr in clips(given.frames).values():
                    clean = [bicubic(one) for one in hr]
                    lr = degrade(clean)
                    pipeline = upscaler.resolve(lr[len(lr) // 2])
                    steady = Steady(pipeline, noise)
                    sr = [steady(one) if noise else pipeline(one) for one in lr]
                    still = [(a == b).all(-1).repeat(SCALE, 0).repeat(SCALE, 1) for a, b in itertools.pairwise(clean)]
                    tremble = [
                        np.abs(a.astype(int) - b)[where].mean() for a, b, where in zip(sr, sr[1:], still) if where.any()
                    ]
                    share = steady.pixels / sum(one[..., 0].size for one in lr) if noise else 1.0
                    flicker = distances(sr, sr[1:]) - distances(hr, hr[1:])
                    scores.append((distances(sr, hr), flicker, np.mean(tremble or [np.nan]), share))
                quality, flicker, tremble, share = np.nanmean(scores, 0)
                way = f"steady, {noise:g}" if noise else "by frame"
                told = [f"{quality:.3f}", f"{flicker:.3f}", f"{tremble:.2f}", f"{share:.0%}"]
                rows.append([name, condition, way, *told])
                print(*rows[-1], flush=True)
    print(markdown(["weights", "clip", "frames", "LPIPS", "flicker", "trembling", "share"], *rows, left=3))


if __name__ == "__main__":
    main()
