"""Choose a clean/degraded model blend for each picture. Importing this needs no TensorFlow."""

from functools import cache
from pathlib import Path

import numpy as np

from srgan_tf.errors import WeightsError
from srgan_tf.inference.condition import Condition
from srgan_tf.inference.loading import load_blend, load_runner
from srgan_tf.inference.runners import Runner

SHIPPED = ("srgan", "srgan-real")  # for clean and for degraded pictures
FAST = ("fast", "fast-real")  # the same with a thirty-eighth of the multiply-adds
RULE = 3  # version of the rule below, recorded with results
# Share of the second model by degradation; the largest one counts. Scores behind it: docs/auto.md. Shares are multiples
# of 1 / STEPS, so that few blends are made.
STEPS = 4
_BY_QUALITY = (85, 92), (1, 0)
_BY_NOISE = (2, 6), (0, 1)
_BY_SHARPNESS = (0.24, 0.255, 0.84, 0.92), (1, 0, 0, 1)  # blurred; or finer than nature is, as a print's dots
# Limits up to which SR may shrink back to LR exactly.
_FINE_QUALITY, _FINE_NOISE, _FINE_SHARPNESS = 90, 2.5, 0.88


def share(condition: Condition) -> float:
    """Return the share of the model for degraded pictures, 0 to 1, that suits a picture."""
    found = [np.interp(condition.noise, *_BY_NOISE), np.interp(condition.sharpness, *_BY_SHARPNESS)]
    if condition.jpeg is not None:
        found.append(np.interp(condition.jpeg, *_BY_QUALITY))
    return float(np.floor(max(found) * STEPS + 0.5)) / STEPS


def back_projection(condition: Condition) -> str:
    """Return "colour" where "full" would restore noise, JPEG's blocks or a print's dots, else "full"."""
    noisy = condition.noise > _FINE_NOISE or condition.sharpness > _FINE_SHARPNESS
    return "colour" if noisy or (condition.jpeg or 100) < _FINE_QUALITY else "full"


class ModelPair:
    """Two models, for clean and for degraded pictures, and blends between them; each is opened once, when needed.

    Args:
        sources: what `load_runner` takes, of clean and of degraded pictures.
        precision, engine: as for `load_runner`.

    Raises:
        ValueError, WeightsError: as for `load_runner`; or their scales differ.
    """

    def __init__(self, sources: tuple = SHIPPED, precision: str = "auto", engine: str = "auto"):
        self.sources, self._options = sources, (precision, engine)
        self._active: Runner | None = None
        self.get = cache(self._load)
        if sources not in (SHIPPED, FAST):
            scales = [self.get(share).scale for share in (0.0, 1.0)]
            if len(set(scales)) > 1:
                raise WeightsError(
                    f"{sources[0]} has scale {scales[0]}, {sources[1]} {scales[1]}; give two of one scale"
                )

    def snap(self, share: float) -> float:
        """Round a share to 0 or 1 if the models cannot blend, as exported ones."""
        if 0 < share < 1:
            if any(isinstance(source, Runner) for source in self.sources):
                return float(share >= 0.5)
            try:
                self.get(share)
            except WeightsError:
                return float(share >= 0.5)
        return share

    def _load(self, share: float) -> Runner:
        if 0 < share < 1:
            return load_blend(*self.sources, share, *self._options)
        first, second = self.sources
        return load_runner(*((second, *self._options, first) if share else (first, *self._options, second)))

    def activate(self, share: float) -> Runner:
        """Return this blend, and free the buffers of the one that worked before."""
        runner = self.get(share)
        if self._active not in (None, runner):
            self._active.release()
        self._active = runner
        return runner

    def describe(self, share: float) -> str:
        """Name a blend for people."""
        names = [source.name if isinstance(source, Runner) else Path(str(source)).name for source in self.sources]
        return names[int(share)] if share in (0, 1) else f"{share:.0%} {names[1]}, {1 - share:.0%} {names[0]}"
