"""The parts of the generator's and the discriminator's losses (section 2.2), and the table that G's is made by.

Pictures are float [batch, height, width, 3] in [-1, 1]; `real` and `fake` are D's logits [batch, 1] of HR and SR.
The feature-space content loss is in `models.vgg`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from srgan_tf import compat


def pixel_loss(hr: tf.Tensor, sr: tf.Tensor, kind: str) -> tf.Tensor:
    """Mean squared error (equation 4), or mean absolute error, which converges faster (Lim et al. 2017)."""
    if kind == "mse":
        return tf.reduce_mean(tf.math.squared_difference(hr, sr))
    return tf.reduce_mean(tf.abs(hr - sr))


def total_variation(sr: tf.Tensor) -> tf.Tensor:
    """Sum of the absolute differences of neighbouring pixels, a picture's mean; the paper's weight is 2e-8."""
    return tf.reduce_mean(tf.image.total_variation(tf.convert_to_tensor(sr)))


def phase_loss(hr: tf.Tensor, sr: tf.Tensor, period: int, window: int = 8) -> tf.Tensor:
    """Mean absolute error of local mean colours, of each of the period x period pixel phases by itself.

    What pixel shuffling can draw over a picture repeats every `period` pixels (hatching, checkerboards; Odena et al.
    2016), and a shift of colour everywhere: both are all that is left of an error averaged over like phases. The
    means are of `window` x `window` periods, or of the whole picture where it has fewer; texture averages out.
    """
    phases = tf.nn.space_to_depth(hr - sr, period)
    sides = [min(window, side or window) for side in phases.shape[1:3]]
    return tf.reduce_mean(tf.abs(tf.nn.avg_pool2d(phases, sides, 1, "VALID")))


def texture_loss(hr: dict, sr: dict, side: int = 16) -> tf.Tensor:
    """How far local standard deviations of SR's features are from those of HR's, as a share of these, mean over layers.

    A squared error of features is least for their mean over all that may have been there, which has too little
    contrast; this asks for the right amount of texture at each place, of each feature, wherever its strokes lie.
    Standard deviations of features describe style (Huang and Belongie 2017).

    Args:
        hr, sr: features [batch, height, width, channels] by (i, j) of φi,j.
        side: of the windows in pixels of the picture, which overlap by half; at least 2 x 2 features, or all there are.
    """

    def contrast(x, window):
        mean, square = (tf.nn.avg_pool2d(each, window, max(1, window // 2), "VALID") for each in (x, tf.square(x)))
        return tf.sqrt(tf.nn.relu(square - tf.square(mean)) + 1e-6)  # the gradient at 0 is infinite without

    shares = []
    for (i, j), x in sr.items():
        window = max(2, side >> (i - 1))
        window = min(window, *(length or window for length in x.shape[1:3]))  # small crops
        expected = tf.stop_gradient(contrast(hr[i, j], window))
        shares.append(tf.reduce_mean(tf.abs(expected - contrast(x, window))) / tf.reduce_mean(expected))
    return tf.add_n(shares) / len(shares)


def generator_loss(real: tf.Tensor, fake: tf.Tensor, kind: str = "standard") -> tf.Tensor:
    """-log D(G(LR)) (equation 6).

    kind "relativistic": the average relativistic loss (Jolicoeur-Martineau 2018; ESRGAN), which asks whether SR
    looks more real than HR does on average. G then learns from HR too; for sharper texture where the standard
    loss stalls.
    """
    if kind == "standard":
        return tf.reduce_mean(tf.nn.softplus(-fake))
    more, less = fake - _batch_mean(real), real - _batch_mean(fake)
    return (tf.reduce_mean(tf.nn.softplus(-more)) + tf.reduce_mean(tf.nn.softplus(less))) / 2


def discriminator_loss(
    real: tf.Tensor, fake: tf.Tensor, kind: str = "standard", label_smoothing: float = 0.0
) -> tf.Tensor:
    """-log D(HR) - log(1 - D(G(LR))) (equation 2), or its relativistic form (see `generator_loss`).

    label_smoothing: HR's target is 1 - label_smoothing (one-sided: Salimans et al. 2016, section 3.4); 0.1 keeps
    an overconfident D from leaving G without a gradient.
    """
    if kind == "relativistic":
        real, fake = real - _batch_mean(fake), fake - _batch_mean(real)
    on_real = (1 - label_smoothing) * tf.nn.softplus(-real) + label_smoothing * tf.nn.softplus(real)
    return tf.reduce_mean(on_real) + tf.reduce_mean(tf.nn.softplus(fake))


def _batch_mean(logits: tf.Tensor) -> tf.Tensor:
    """Over the global batch, of which a replica has its share."""
    return compat.all_reduce_mean([tf.reduce_mean(logits)])[0]


@dataclass(frozen=True)
class Seen:
    """What the terms of a step look at.

    Attributes:
        hr, sr: pictures.
        hr_features, sr_features: what the feature network makes of them, by layer; empty without one.
        features: that network, or None.
        real, fake: D's logits of HR and SR; None without a discriminator.
        scale: SR size over LR size.
        settings: of `SRGAN.compile`.
    """

    hr: tf.Tensor
    sr: tf.Tensor
    hr_features: dict = field(default_factory=dict)
    sr_features: dict = field(default_factory=dict)
    features: object = None
    real: tf.Tensor | None = None
    fake: tf.Tensor | None = None
    scale: int = 4
    settings: dict = field(default_factory=dict)


def content_loss(seen: Seen) -> tf.Tensor:
    """In feature space where there is a feature network (equation 5), else in pixels (equation 4)."""
    if seen.features is None:
        return pixel_loss(seen.hr, seen.sr, seen.settings["pixel"])
    return seen.features.distance(seen.hr_features, seen.sr_features)


@dataclass(frozen=True)
class Term:
    """One term of G's loss: `weight` times `function`. It is logged as loss/NAME.

    Attributes:
        name: of the term; its weight is the setting NAME_weight of `SRGAN.compile`.
        function: of what the step sees.
        weight: by default; 0: left out.
        needs: "features" or "discriminator", where it makes sense with one alone.
    """

    name: str
    function: Callable[[Seen], tf.Tensor]
    weight: float = 0.0
    needs: str = ""

    @property
    def setting(self) -> str:
        return f"{self.name}_weight"


# A new loss is one entry here (and a field of its weight's name in `recipes`, for train.py).
TERMS = (
    Term("content", content_loss, 1.0),
    Term("pixel", lambda seen: pixel_loss(seen.hr, seen.sr, seen.settings["pixel"]), needs="features"),
    Term("tv", lambda seen: total_variation(seen.sr)),
    Term("texture", lambda seen: texture_loss(seen.hr_features, seen.sr_features), needs="features"),
    Term("phase", lambda seen: phase_loss(seen.hr, seen.sr, seen.scale)),
    Term(
        "adversarial",
        lambda seen: generator_loss(seen.real, seen.fake, seen.settings["adversarial"]),
        1e-3,
        needs="discriminator",
    ),
)
# What a recipe says of the losses.
SETTINGS = (
    "pixel",
    "adversarial",
    "updates",
    "label_smoothing",
    *(term.setting for term in TERMS if term.name != "content"),
)
