"""What suits a picture: of two models, one for clean pictures and one for degraded ones, and the blends between them.

Importing this needs no TensorFlow.
"""

from functools import cache
from pathlib import Path

import numpy as np

from srgan_tf.errors import WeightsError
from srgan_tf.inference.condition import Condition
from srgan_tf.inference.runners import Runner, open_blend, open_runner

SHIPPED = ("srgan", "srgan-real")
RULE = 2  # a number for what is below, which results depend on
# Shares of the second model by what a picture went through, of which the largest counts: docs/auto.md has the scores
# that they were chosen by. Every share is one of STEPS + 1, so that few blends are made.
STEPS = 4
_BY_QUALITY = (70, 85, 92), (1, 0.75, 0)
_BY_NOISE = (2, 6.5), (0, 1)
_BY_SHARPNESS = (0.225, 0.255, 0.84, 0.92), (1, 0, 0, 1)  # blurred, or finer than nature is: a print's dots
# Up to which LR is right to the pixel, so that SR has to shrink back to it.
_FINE_QUALITY, _FINE_NOISE, _FINE_SHARPNESS = 90, 2.5, 0.88


def share(condition: Condition) -> float:
    """How much of the model for degraded pictures a picture needs, 0 to 1."""
    found = [np.interp(condition.noise, *_BY_NOISE), np.interp(condition.sharpness, *_BY_SHARPNESS)]
    if condition.jpeg is not None:
        found.append(np.interp(condition.jpeg, *_BY_QUALITY))
    return float(np.floor(max(found) * STEPS + 0.5)) / STEPS


def back_projection(condition: Condition) -> str:
    """The kind that a picture can bear: "colour" where noise, JPEG's blocks or dots would come back by "full"."""
    noisy = condition.noise > _FINE_NOISE or condition.sharpness > _FINE_SHARPNESS
    return "colour" if noisy or (condition.jpeg or 100) < _FINE_QUALITY else "full"


class Pair:
    """Two models, opened as they are needed.

    Args:
        sources: of clean and of degraded pictures, what `runners.open_runner` takes.
        precision, engine: as of `runners.open_runner`.

    Attributes:
        first: that of clean pictures.
        runner: the blend of which the second has a share, opened once.

    Raises:
        ValueError, WeightsError: as of `runners.open_runner`; or they enlarge differently.
    """

    def __init__(self, sources: tuple = SHIPPED, precision: str = "auto", engine: str = "auto"):
        self.sources, self._options = sources, (precision, engine)
        self._working: Runner | None = None
        self.runner = cache(self._opened)
        self.first = self.runner(0.0)
        if sources != SHIPPED and self.runner(1.0).scale != self.first.scale:
            raise WeightsError(f"{sources[0]} enlarges {self.first.scale} times, {sources[1]} {self.runner(1.0).scale}")

    def possible(self, share: float) -> float:
        """The share itself; without a blend of the two, as of exported models, that of the nearer one."""
        if 0 < share < 1:
            if any(isinstance(source, Runner) for source in self.sources):
                return float(share >= 0.5)
            try:
                self.runner(share)
            except WeightsError:
                return float(share >= 0.5)
        return share

    def _opened(self, share: float) -> Runner:
        if 0 < share < 1:
            return open_blend(*self.sources, share, *self._options)
        return open_runner(self.sources[int(share)], *self._options)

    def take(self, share: float) -> Runner:
        """The blend, while the one that worked before gives its memory back."""
        runner = self.runner(share)
        if self._working not in (None, runner):
            self._working.rest()
        self._working = runner
        return runner

    def words(self, share: float) -> str:
        """A blend for people."""
        names = [source.name if isinstance(source, Runner) else Path(str(source)).name for source in self.sources]
        return names[int(share)] if share in (0, 1) else f"{share:.0%} {names[1]}, {1 - share:.0%} {names[0]}"
