"""A Keras generator as a runner, by its fast graph."""

import numpy as np
import tensorflow as tf
from absl import logging

from srgan_tf import machine
from srgan_tf.choices import PRECISIONS
from srgan_tf.data.bundled import photographs
from srgan_tf.data.levels import from_signed, to_levels
from srgan_tf.inference.fast import FastGraph
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.runners import Runner
from srgan_tf.models import weights
from srgan_tf.models.base import BaseGenerator


class GeneratorRunner(Runner):
    """Run a generator by its `FastGraph`.

    Args:
        generator: the Keras model.
        name: shown in tables.
        precision: one of PRECISIONS; see `Upscaler`.
        trusted: with "auto", skip the check on bundled photographs.
    """

    bytes_per_pixel = 1_850  # measured for the paper's generator, whose second half runs in small pieces

    def __init__(
        self, generator: BaseGenerator, name: str = "generator", precision: str = "float32", trusted: bool = False
    ):
        super().__init__(ModelInfo.of(generator), name)
        self.generator = generator
        self._graph = FastGraph(generator, pick_precision(precision))
        self._exact = None
        if precision == "auto" and self._graph.precision != "float32":
            exact = GeneratorRunner(generator, name)
            if trusted or near(self._graph, exact):
                self._exact = exact
            else:
                self._graph = exact._graph
        self.precision = self._graph.precision

    @classmethod
    def open(cls, source, precision: str = "float32") -> "GeneratorRunner":
        """Run a generator, or what `weights.load` takes.

        Raises:
            WeightsError: no such weights.
        """
        if isinstance(source, BaseGenerator):
            return cls(source, "generator", precision)
        pick_precision(precision)  # refuse a wrong name before a long load
        return cls(weights.load(source), weights.name_of(source), precision, weights.is_shipped(source))

    def high_precision(self):
        return self._exact or self

    def _run(self, lr):
        try:
            return self._graph(lr)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(error.message) from None


def near(network, exact) -> bool:
    """Return whether two models agree within 4/255 and 50 dB on the bundled held-out photographs."""
    errors = []
    for lr in photographs("heldout", exact.scale, 48):  # of several sizes where the scale is large
        made, wanted = (to_levels(from_signed(np.asarray(run(lr)))).astype(int) for run in (network, exact))
        errors.append(np.abs(made - wanted).ravel())
    error = np.concatenate(errors)
    if error.max() <= 4 and (error**2).mean() <= 255**2 / 1e5:
        return True
    logging.info("bfloat16 changes this model's SR by up to %d/255: using float32", error.max())
    return False


def pick_precision(precision: str = "auto"):
    """Return tf.float32 or tf.bfloat16; "auto" takes bfloat16 if the processor multiplies it in hardware.

    Raises:
        ValueError: not one of PRECISIONS.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision != "auto":
        return tf.as_dtype(precision)
    return tf.bfloat16 if machine.has_bfloat16() else tf.float32
