"""Optimizers by name, Keras', tensorflow-addons' and Muon for convolutions, and learning-rate schedules."""

import warnings

import keras
import tensorflow as tf

if hasattr(keras.optimizers, "Muon"):  # Keras 3.10+

    @keras.saving.register_keras_serializable("srgan_tf")
    class Muon(keras.optimizers.Muon):
        """Muon (Jordan et al. 2024) for convolutions, each kernel as a matrix [height * width * in, out].

        Keras' own updates only matrices so, and kernels of convolutions by AdamW. Kernels with 3 channels in or out,
        and all other variables, use Adam here, as the authors advise for first and last layers.
        """

        def _should_use_adamw(self, variable):
            return len(variable.shape) != 4 or 3 in variable.shape[2:]

        def _muon_update_step(self, gradient, variable, lr, m):
            m.assign(self.momentum * m + gradient)
            direction = tf.reshape(gradient + self.momentum * m, [-1, variable.shape[-1]])
            direction = self.zeropower_via_newtonschulz5(direction, self.ns_steps)
            # Match the size of Adam's steps, whose rates are known (Liu et al. 2025).
            size = tf.cast(lr, variable.dtype) * 0.2 * max(direction.shape) ** 0.5
            variable.assign_sub(size * tf.reshape(direction, variable.shape))


# tensorflow-addons' optimizers that wrap another one.
WRAPPERS = ("Lookahead", "MovingAverage")
ADDONS = ("RectifiedAdam", "LAMB", *WRAPPERS)


def make_optimizer(name: str, learning_rate, beta_2: float = 0.999, clip_norm: float | None = None):
    """Return an optimizer by its class name in keras.optimizers or, if installed, tensorflow_addons.

    "Muon" is the class above. Addons' wrappers wrap Keras 2.15's legacy Adam, the only one that they support.

    Args:
        name: of the class.
        learning_rate: a number, or a schedule of keras.optimizers.schedules.
        beta_2: of Adam and its variants.
        clip_norm: bound on the global gradient norm.

    Raises:
        ValueError: there is no such optimizer; says what to install.
    """
    options = {"global_clipnorm": clip_norm or None}
    adam = {"beta_1": 0.9, "beta_2": beta_2, **options}  # the paper gives beta_1 only
    if name == "Muon":
        if not hasattr(keras.optimizers, name):
            raise ValueError(f"optimizer Muon needs Keras 3.10 or later, not {keras.__version__}; Adam is the paper's")
        return Muon(learning_rate, adam_beta_2=beta_2, weight_decay=None, adam_weight_decay=None, **options)
    if isinstance(kind := getattr(keras.optimizers, name, None), type):
        return kind(learning_rate, **(adam if "dam" in name else options))
    try:
        with warnings.catch_warnings():  # warns that its maintenance has ended
            warnings.simplefilter("ignore")
            import tensorflow_addons as tfa
    except ImportError:
        fix = "Adam is the paper's"
        if name in ADDONS:
            fix = "it is in tensorflow-addons: pip install -r requirements-addons.txt (Python 3.11, TensorFlow 2.15)"
        raise ValueError(f"optimizer {name!r} is not in keras.optimizers; {fix}") from None
    if not isinstance(kind := getattr(tfa.optimizers, name, None), type):
        raise ValueError(f"optimizer {name!r} is neither in keras.optimizers nor in tensorflow_addons.optimizers")
    if name in WRAPPERS:
        return kind(keras.optimizers.legacy.Adam(learning_rate, **adam))
    return kind(learning_rate, **(adam if "dam" in name or name == "LAMB" else options))


def of_recipe(recipe, factor: float = 1.0):
    """Return a recipe's optimizer, with its learning-rate schedule, times `factor`.

    Raises:
        ValueError: there is no such optimizer.
    """
    rate, schedules = recipe.learning_rate * factor, keras.optimizers.schedules
    if recipe.schedule == "cosine":
        rate = schedules.CosineDecay(
            0.0 if recipe.warmup else rate,
            max(1, recipe.steps - recipe.warmup),
            warmup_target=rate if recipe.warmup else None,
            warmup_steps=recipe.warmup,
        )
    elif recipe.schedule == "step":
        shares = [float(share) for share in recipe.milestones.split(",")]
        rates = [rate * recipe.decay**i for i in range(len(shares) + 1)]
        rate = schedules.PiecewiseConstantDecay([int(recipe.steps * share) for share in shares], rates)
    elif recipe.warmup:
        rate = schedules.PolynomialDecay(0.0, recipe.warmup, rate)
    return make_optimizer(recipe.optimizer, rate, recipe.beta_2, recipe.clip_norm)
