"""The training model: one `train_step` for every column of the paper's table 1."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from absl import logging

from srgan_tf import compat
from srgan_tf.choices import ADVERSARIAL_LOSSES, DEGRADATIONS, PIXEL_LOSSES, UPDATES
from srgan_tf.data.levels import to_uint8
from srgan_tf.evaluation import metrics
from srgan_tf.models.base import BaseGenerator
from srgan_tf.models.discriminators import FeatureDiscriminator
from srgan_tf.models.vgg import FeatureNetwork
from srgan_tf.training import losses, pairs
from srgan_tf.training.optimizers import make_optimizer
from srgan_tf.training.saving import Saving

_RATES = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


@keras.saving.register_keras_serializable("srgan_tf")
class SRGAN(Saving, keras.Model):
    """Train a `Generator` against a `Discriminator`; without one that is SRResNet.

    Batches are uint8 HR crops [batch, height, width, 3] in 0-255, as `srgan_tf.data.batches` makes them, or ready
    (LR, HR) pairs. LR of crops is made in the step, on the training device, by MATLAB's bicubic, and quantised to 8
    bits as in a file. Validation data are (LR, HR) pairs.

    Args:
        generator: G, trained in place.
        discriminator: D, trained in place, or None; a `FeatureDiscriminator` judges features of `features`.
        features: the `FeatureNetwork` in which content is compared (equation 5); None compares pixels (equation 4).
        ema_decay: decay of an exponential moving average of G, batch-norm statistics included (averaged weights with
            statistics of other weights lose 10 dB and more). Validation, `call` and `best_generator` use it. None
            or 0: no average.
        freeze_batch_norm: use G's running statistics in training (see `Generator.freeze_batch_norm`); for the last
            steps, which then train what inference computes.
        degradation: how LR is made of HR crops (see `data.degradation`): "bicubic"; "shrunk", by area and bilinear
            interpolation too; or "real", for photographs that are blurred, noisy or compressed.
        everyday: share of batches, in [0, 1], degraded as by phones and messengers instead.
        rounding: of G in training (see `BaseGenerator`).
        seed: of the random degradation, a function of seed and step.

    Example:
        >>> model = SRGAN(Generator(), Discriminator(), features.load("auto", (5, 4)))
        >>> model.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4))
        >>> model.fit(patches("photos/"), steps_per_epoch=1000)
    """

    def __init__(
        self,
        generator,
        discriminator=None,
        features: FeatureNetwork | None = None,
        ema_decay: float | None = None,
        freeze_batch_norm: bool = False,
        degradation: str = "bicubic",
        seed: int = 0,
        everyday: float = 0.0,
        rounding: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(generator, BaseGenerator):
            raise TypeError(
                f"generator must be a BaseGenerator, which declares scale, weights and layers "
                f"(srgan_tf.models.base), not {type(generator).__name__}"
            )
        if isinstance(discriminator, FeatureDiscriminator):
            there, asked = features.judged if features else [], list(discriminator.feature_layers)
            if there != asked:
                raise ValueError(
                    f"the discriminator judges features of layers {asked}, but features has {there} to judge"
                )
        if degradation not in DEGRADATIONS:
            raise ValueError(f"degradation must be one of {', '.join(DEGRADATIONS)}, not {degradation!r}")
        if not 0 <= everyday <= 1:
            raise ValueError(f"everyday must be in [0, 1], not {everyday}")
        if not 0 <= (ema_decay or 0) < 1:
            raise ValueError(f"ema_decay must be in [0, 1), not {ema_decay}")
        self.degradation, self.seed, self.everyday = degradation, seed, everyday
        self.generator, self.discriminator, self.features = generator, discriminator, features
        self.ema_decay, self.freeze_batch_norm = ema_decay or None, freeze_batch_norm
        generator.rounding = rounding
        self.ema_generator = self.d_optimizer = None
        if freeze_batch_norm:
            generator.freeze_batch_norm()
        if self.ema_decay:
            self.ema_generator = type(generator).from_config({**generator.get_config(), "name": "ema_generator"})
            self.ema_generator.trainable = False
            self.reset_ema()
        self.built = True

    def reset_ema(self) -> None:
        """Reset the average to G's weights, after loading some."""
        if self.ema_generator is not None:
            self.ema_generator.set_arrays(self.generator.get_arrays())

    @property
    def best_generator(self):
        """The moving average if there is one, else G."""
        return self.ema_generator or self.generator

    def compile(
        self,
        g_optimizer="adam",
        d_optimizer="adam",
        pixel: str = "mse",
        adversarial: str = "standard",
        updates: str = "alternating",
        label_smoothing: float = 0.0,
        terms: Sequence[losses.Term] = losses.TERMS,
        optimizer=None,
        loss=None,
        metrics=(),
        **kwargs,
    ):
        """Configure training. G's loss is the sum of `terms`: content + 1e-3 · adversarial (equation 3) by default.

        Args:
            g_optimizer, d_optimizer: Keras or tensorflow-addons optimizers, or their names, for G and D.
            pixel: "mse" (equation 4) or "mae".
            adversarial: "standard" or "relativistic" (see `losses.generator_loss`).
            updates: "alternating" (Goodfellow et al. 2014 with k = 1): D's step, then G's against the new D.
                "simultaneous": both steps by the gradients of one pass of D, which saves the other pass.
            label_smoothing: of D's target for HR (see `losses.discriminator_loss`).
            terms: of G's loss. Their weights are further arguments, NAME_weight: `pixel_weight`, of the pixel loss
                beside a feature-space content loss; `tv_weight`, of the total variation (2e-8 in the paper's
                SRResNet-VGG22); `texture_weight`, of `losses.texture_loss`; `phase_weight`, of `losses.phase_loss`,
                against hatching and colour shifts; `adversarial_weight`; `content_weight`.
            optimizer: for both networks, each with its own copy, in place of g_optimizer and d_optimizer.
            loss: must be None; `terms` are the losses.
            metrics: Keras metrics of HR and SR in [-1, 1], such as `evaluation.metrics.SSIM()`, for validation.
            **kwargs: Keras' own, such as jit_compile or run_eagerly.

        Raises:
            ValueError: an unknown choice or name.
        """
        if loss is not None:
            raise ValueError("loss is not supported: SRGAN's losses are its terms; see pixel, adversarial and terms")
        if optimizer is not None:
            g_optimizer, d_optimizer = optimizer, keras.optimizers.get(optimizer)
            d_optimizer = type(d_optimizer).from_config(d_optimizer.get_config())
        self.watched = [compat.metric(metric) for metric in metrics or ()]
        chosen = {"pixel": pixel, "adversarial": adversarial, "updates": updates, "label_smoothing": label_smoothing}
        for name, known in (("pixel", PIXEL_LOSSES), ("adversarial", ADVERSARIAL_LOSSES), ("updates", UPDATES)):
            if chosen[name] not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {chosen[name]!r}")
        weights = {term.setting: kwargs.pop(term.setting, term.weight) for term in terms}
        self.own_terms = [term.name for term in terms if term not in losses.TERMS]
        self.settings = {**chosen, **weights}
        self.simultaneous = self.discriminator is not None and updates == "simultaneous"
        there = {"": True, "features": self.features, "discriminator": self.discriminator}
        self.terms = [term for term in terms if there[term.needs] is not None and weights[term.setting]]
        kwargs.setdefault("jit_compile", False)  # Keras 3 would choose XLA, slower than oneDNN on CPUs
        super().compile(optimizer=self._configure(g_optimizer, self.generator), **kwargs)
        names = ["loss", *(f"loss/{term.name}" for term in self.terms), "loss/mse", "grad/g", "psnr_y"]
        # Only the mean squared distance of features is scaled to match the MSE (section 3.2).
        self._scaled_content = self.features is not None and self.features.distance_kind == "mse"
        if self._scaled_content:
            names.append("ratio/content_mse")
        if self.discriminator is not None:
            self.d_optimizer = self._configure(d_optimizer, self.discriminator)
            names += ["ratio/adversarial_content", "loss/d", "d/real", "d/fake", "grad/d"]
        self.logs = {name: keras.metrics.Mean(name=name) for name in names}

    @staticmethod
    def _configure(optimizer, network):
        try:
            optimizer = keras.optimizers.get(optimizer)
        except ValueError:
            if not isinstance(optimizer, str):
                raise
            optimizer = make_optimizer(optimizer, 1e-3)  # Keras' own default rate
        if network.compute_dtype == "float16" and not hasattr(optimizer, "inner_optimizer"):
            optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)  # else gradients underflow
        # Create slots now, so that a checkpoint can be restored before the first step.
        compat.build_optimizer(optimizer, network.trainable_variables)
        return compat.disable_all_reduce(optimizer)

    def learning_rate(self) -> tf.Tensor:
        """Return G's learning rate at the current step."""
        return compat.learning_rate(self.optimizer)

    @property
    def metrics(self):
        return [*getattr(self, "logs", {}).values(), *getattr(self, "watched", ())]

    def _maybe_symbolic_build(self, *arguments, **options):
        """Do nothing: Keras 3 would average a uint8 batch over workers, which fails; all layers are built."""

    def call(self, lr, training=False):
        """LR in [0, 1] → SR in [-1, 1] by `best_generator`."""
        return self.best_generator(lr, training=False)

    def fit(self, *args, callbacks=None, **kwargs):
        """Train as Keras' `fit`; callbacks that monitor `psnr_y` maximise it."""
        compat.set_monitor_mode(callbacks, ("psnr_y", "val_psnr_y"))
        if self.discriminator is not None and any(isinstance(one, _RATES) for one in callbacks or ()):
            logging.warning("callbacks set the learning rate of G only; set D's by d_optimizer.learning_rate")
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """Export `best_generator` by Keras; `srgan_tf.export` makes models for TensorFlow Serving and devices."""
        self.best_generator(tf.zeros([1, 8, 8, 3]))  # Keras requires one call
        return self.best_generator.export(filepath, *args, **kwargs)

    def prepare(self, data) -> tuple[tf.Tensor, tf.Tensor]:
        """Convert a batch, in any of Keras' forms, to LR in [0, 1] and HR in [-1, 1].

        Raises:
            ValueError: see `pairs.unpack`. InvalidArgumentError: floats of another range.
        """
        lr, hr = pairs.unpack(data)
        if lr is None:
            hr = pairs.as_levels(hr, tf.convert_to_tensor(self.optimizer.iterations) == 0)
            lr = pairs.make_lr(hr, self.generator.scale, self.degradation, self.everyday, self._draw())
        pairs.check_sizes(lr, hr, self.generator.scale)
        return pairs.in_ranges(lr, hr)

    def _draw(self) -> tf.Tensor:
        """Return the seed of this step's random degradation, different per replica."""
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        step = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int32)
        return tf.stack([self.seed, step * 1024 + replica])

    def train_step(self, data):
        """Train D, then G (k = 1), on the same SR: one forward pass of G."""
        lr, hr = self.prepare(data)
        logs = {}
        hr_pair = self._with_features(hr)
        with tf.GradientTape(persistent=self.simultaneous) as tape:
            sr = self.generator(lr, training=True)
            sr_pair = self._with_features(sr)
        if self.discriminator is not None and not self.simultaneous:
            logs |= self._train_discriminator(hr_pair, tf.nest.map_structure(tf.stop_gradient, sr_pair))
        with tape:  # continues recording, with the updated D
            judged = (None, None) if self.discriminator is None else self._judge(hr_pair, sr_pair)
            parts = self._generator_losses(hr_pair, sr_pair, *judged)
            total = parts["loss"]
            scaled_total = compat.scale_loss(self.optimizer, total)
            if self.simultaneous:
                d_parts, scaled_loss = self._discriminator_losses(*judged)
        logs |= {**parts, "grad/g": self._descend(self.optimizer, tape, scaled_total, self.generator)}
        if self.simultaneous:
            logs |= {**d_parts, "grad/d": self._descend(self.d_optimizer, tape, scaled_loss, self.discriminator)}
        self._average_statistics()
        self._update_ema()
        return self._log(logs)

    def _with_features(self, pictures) -> tuple[tf.Tensor, dict]:
        """Return the pictures and their features, {} without a feature network."""
        return pictures, {} if self.features is None else self.features.each(pictures)

    def _generator_losses(self, hr, sr, real, fake) -> dict[str, tf.Tensor]:
        inputs = losses.LossInputs(
            *(hr[0], sr[0], hr[1], sr[1], self.features, real, fake), self.generator.scale, self.settings
        )
        parts, total = {}, 0.0
        for term in self.terms:
            parts[f"loss/{term.name}"] = value = term.function(inputs)
            total += self.settings[term.setting] * value
        parts["loss/mse"] = losses.pixel_loss(inputs.hr, inputs.sr, "mse")
        # Wrong scales show in these ratios.
        if "loss/content" in parts and self._scaled_content:
            parts["ratio/content_mse"] = parts["loss/content"] / parts["loss/mse"]
        if {"loss/content", "loss/adversarial"} <= set(parts):
            weighted = self.settings["adversarial_weight"] * parts["loss/adversarial"]
            parts["ratio/adversarial_content"] = weighted / parts["loss/content"]
        return {"loss": total, **parts}

    def _judge(self, hr, sr) -> tuple[tf.Tensor, tf.Tensor]:
        """Return D's logits of HR and SR. One batch: separate ones let batch norm hide differences."""
        if isinstance(self.discriminator, FeatureDiscriminator):
            given = [tf.concat([hr[1][layer], sr[1][layer]], 0) for layer in self.features.judged]
        else:
            given = tf.concat([hr[0], sr[0]], 0)
        return tf.split(self.discriminator(given, training=True), 2)

    def _train_discriminator(self, hr, sr) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            parts, scaled_loss = self._discriminator_losses(*self._judge(hr, sr))
        return {**parts, "grad/d": self._descend(self.d_optimizer, tape, scaled_loss, self.discriminator)}

    def _discriminator_losses(self, real, fake) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        loss = losses.discriminator_loss(real, fake, self.settings["adversarial"], self.settings["label_smoothing"])
        probabilities = {"d/real": tf.reduce_mean(tf.sigmoid(real)), "d/fake": tf.reduce_mean(tf.sigmoid(fake))}
        return {"loss/d": loss, **probabilities}, compat.scale_loss(self.d_optimizer, loss)

    @staticmethod
    def _descend(optimizer, tape, scaled_loss, network) -> tf.Tensor:
        """Apply one optimizer step; return the norm of the gradients."""
        variables = network.trainable_variables
        if not variables:  # frozen
            optimizer.iterations.assign_add(1)
            return tf.zeros([])
        scaled = compat.all_reduce_mean(tape.gradient(scaled_loss, variables))
        gradients = compat.unscaled_gradients(optimizer, scaled)
        compat.apply_gradients(optimizer, scaled, gradients, variables)
        return tf.linalg.global_norm(gradients)

    def _average_statistics(self) -> None:
        """Average batch norm's running statistics over replicas, so that they do not drift apart."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            networks = [n for n in (self.generator, self.discriminator) if n is not None]
            statistics = [v for network in networks for v in network.non_trainable_variables]
            means = compat.all_reduce_mean([tf.convert_to_tensor(v) for v in statistics])
            for variable, mean in zip(statistics, means):
                variable.assign(mean)

    def _update_ema(self) -> None:
        if self.ema_generator is None:
            return
        # A short average early on forgets the random start (TensorFlow's rule).
        step = tf.cast(self.optimizer.iterations, tf.float32)
        decay = tf.minimum(self.ema_decay, (1 + step) / (10 + step))
        # By name: in Keras 2.15 the order of `weights` depends on what is trainable.
        weights = self.generator.named_weights()
        for name, average in self.ema_generator.named_weights().items():
            average.assign(weights[name] + decay * (average - weights[name]))

    def test_step(self, data):
        lr, hr = self.prepare(data)
        made = self(lr)
        sr = to_uint8(made)
        scores = metrics.psnr(to_uint8(hr), sr, shave=self.generator.scale)
        for metric in self.watched:
            metric.update_state(hr, made)
        scores = self._log({"psnr_y": scores, "loss": losses.pixel_loss(hr, made, self.settings["pixel"])})
        return {**scores, **{metric.name: metric.result() for metric in self.watched}}

    def _log(self, values: dict) -> dict:
        means = compat.all_reduce_mean([tf.reduce_mean(value) for value in values.values()])
        for name, mean in zip(values, means):
            self.logs[name].update_state(mean)
        return compat.step_logs({name: self.logs[name].result() for name in values})
