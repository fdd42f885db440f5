"""Loss terms of generator and discriminator (section 2.2), and the table of G's.

Pictures are float [batch, height, width, 3] in [-1, 1]; `real` and `fake` are D's logits [batch, 1] of HR and SR.
The feature-space content loss is in `models.vgg`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from srgan_tf import compat
from srgan_tf.models.vgg import FeatureNetwork


def pixel_loss(hr: tf.Tensor, sr: tf.Tensor, kind: str) -> tf.Tensor:
    """Mean squared error (equation 4), or mean absolute error, which converges faster (Lim et al. 2017)."""
    if kind == "mse":
        return tf.reduce_mean(tf.math.squared_difference(hr, sr))
    return tf.reduce_mean(tf.abs(hr - sr))


def total_variation(sr: tf.Tensor) -> tf.Tensor:
    """Sum of absolute differences of neighbouring pixels, averaged over the batch; the paper's weight is 2e-8."""
    return tf.reduce_mean(tf.image.total_variation(tf.convert_to_tensor(sr)))


def phase_loss(hr: tf.Tensor, sr: tf.Tensor, period: int, window: int = 8) -> tf.Tensor:
    """Mean absolute error of local mean colours, separately per period x period pixel phase.

    Artefacts of pixel shuffling repeat every `period` pixels (hatching, checkerboards; Odena et al. 2016), and colour
    shifts are everywhere: both survive averaging over equal phases, while texture averages out. Means are taken over
    `window` x `window` periods, or over the whole picture if it has fewer.
    """
    phases = tf.nn.space_to_depth(hr - sr, period)
    sides = [min(window, side or window) for side in phases.shape[1:3]]
    return tf.reduce_mean(tf.abs(tf.nn.avg_pool2d(phases, sides, 1, "VALID")))


def texture_loss(hr: dict, sr: dict, side: int = 16) -> tf.Tensor:
    """Relative error of local standard deviations of features, averaged over layers.

    The squared error of features is least for the mean of all plausible HR, which has too little contrast. This term
    asks for the right amount of texture per place and feature, wherever its strokes lie. Standard deviations of
    features describe style (Huang and Belongie 2017).

    Args:
        hr, sr: features [batch, height, width, channels] by (i, j) of φi,j.
        side: of windows, in pixels; they overlap by half and hold at least 2 x 2 features, or all there are.
    """

    def contrast(x, window):
        mean, square = (tf.nn.avg_pool2d(each, window, max(1, window // 2), "VALID") for each in (x, tf.square(x)))
        return tf.sqrt(tf.nn.relu(square - tf.square(mean)) + 1e-6)  # avoids an infinite gradient at 0

    shares = []
    for (i, j), x in sr.items():
        window = max(2, side >> (i - 1))
        window = min(window, *(length or window for length in x.shape[1:3]))  # small crops
        expected = tf.stop_gradient(contrast(hr[i, j], window))
        shares.append(tf.reduce_mean(tf.abs(expected - contrast(x, window))) / tf.reduce_mean(expected))
    return tf.add_n(shares) / len(shares)


def generator_loss(real: tf.Tensor, fake: tf.Tensor, kind: str = "standard") -> tf.Tensor:
    """-log D(G(LR)) (equation 6).

    kind "relativistic" is the average relativistic loss (Jolicoeur-Martineau 2018; ESRGAN): whether SR looks more real
    than HR on average. G then learns from HR too.
    """
    if kind == "standard":
        return tf.reduce_mean(tf.nn.softplus(-fake))
    more, less = fake - _batch_mean(real), real - _batch_mean(fake)
    return (tf.reduce_mean(tf.nn.softplus(-more)) + tf.reduce_mean(tf.nn.softplus(less))) / 2


def discriminator_loss(
    real: tf.Tensor, fake: tf.Tensor, kind: str = "standard", label_smoothing: float = 0.0
) -> tf.Tensor:
    """-log D(HR) - log(1 - D(G(LR))) (equation 2), or its relativistic form (see `generator_loss`).

    label_smoothing: HR's target is 1 - label_smoothing (one-sided: Salimans et al. 2016, section 3.4); 0.1 prevents an
    overconfident D, which leaves G without a gradient.
    """
    if kind == "relativistic":
        real, fake = real - _batch_mean(fake), fake - _batch_mean(real)
    on_real = (1 - label_smoothing) * tf.nn.softplus(-real) + label_smoothing * tf.nn.softplus(real)
    return tf.reduce_mean(on_real) + tf.reduce_mean(tf.nn.softplus(fake))


def _batch_mean(logits: tf.Tensor) -> tf.Tensor:
    """Average over the global batch."""
    return compat.all_reduce_mean([tf.reduce_mean(logits)])[0]


@dataclass(frozen=True)
class LossInputs:
    """Inputs of the loss terms in one step."""

    hr: tf.Tensor
    sr: tf.Tensor
    hr_features: dict = field(default_factory=dict)  # by layer (i, j); empty without a feature network
    sr_features: dict = field(default_factory=dict)
    features: FeatureNetwork | None = None
    real: tf.Tensor | None = None  # D's logits of HR; None without a discriminator
    fake: tf.Tensor | None = None  # of SR
    scale: int = 4  # SR size over LR size
    settings: dict = field(default_factory=dict)  # of `SRGAN.compile`


def content_loss(inputs: LossInputs) -> tf.Tensor:
    """Distance in feature space with a feature network (equation 5), else in pixels (equation 4)."""
    if inputs.features is None:
        return pixel_loss(inputs.hr, inputs.sr, inputs.settings["pixel"])
    return inputs.features.distance(inputs.hr_features, inputs.sr_features)


@dataclass(frozen=True)
class Term:
    """One term of G's loss: `weight` times `function`, logged as loss/NAME."""

    name: str  # its weight is the argument NAME_weight of `SRGAN.compile`
    function: Callable[[LossInputs], tf.Tensor]
    weight: float = 0.0  # default; 0 leaves the term out
    needs: str = ""  # "features" or "discriminator" if the term requires one

    @property
    def setting(self) -> str:
        return f"{self.name}_weight"


# A new loss is one entry here (and a field of its weight's name in `recipes`, for train.py).
TERMS = (
    Term("content", content_loss, 1.0),
    Term("pixel", lambda x: pixel_loss(x.hr, x.sr, x.settings["pixel"]), needs="features"),
    Term("tv", lambda x: total_variation(x.sr)),
    Term("texture", lambda x: texture_loss(x.hr_features, x.sr_features), needs="features"),
    Term("phase", lambda x: phase_loss(x.hr, x.sr, x.scale)),
    Term(
        "adversarial",
        lambda x: generator_loss(x.real, x.fake, x.settings["adversarial"]),
        1e-3,
        needs="discriminator",
    ),
)
# Recipe fields that configure the losses.
SETTINGS = (
    "pixel",
    "adversarial",
    "updates",
    "label_smoothing",
    *(term.setting for term in TERMS),
)
