"""The training model: one `train_step` for every row of the paper's table 1, SRResNet included."""

import keras
import tensorflow as tf
from absl import logging

from srgan_tf import compat
from srgan_tf.data.bicubic import downscale
from srgan_tf.data.degradation import degrade, degrade_everyday
from srgan_tf.evaluation import metrics
from srgan_tf.models.discriminators import FeatureDiscriminator
from srgan_tf.models.vgg import FeatureNetwork
from srgan_tf.training import losses


def to_lr_range(lr) -> tf.Tensor:
    """uint8 LR → the generator's input range [0, 1] (section 3.2)."""
    return tf.cast(lr, tf.float32) / 255


def to_hr_range(hr) -> tf.Tensor:
    """uint8 HR → the generator's output range [-1, 1] (section 3.2)."""
    return tf.cast(hr, tf.float32) / 127.5 - 1


@keras.saving.register_keras_serializable("srgan_tf")
class SRGAN(keras.Model):
    """Trains a `Generator` against a `Discriminator`; without one that is SRResNet.

    Takes uint8 batches, as `srgan_tf.data.patches` makes them: HR crops [batch, height, width, 3] in 0-255, whose
    LR is made in the step, on the training device, by MATLAB's bicubic, quantised to 8 bits as a file would be;
    or ready (LR, HR) pairs. Validation data are (LR, HR) pairs.

    Args:
        generator: G, trained in place.
        discriminator: D, trained in place, or None; a `FeatureDiscriminator` judges what `features` makes of pictures.
        features: the `FeatureNetwork` in which content is compared (equation 5); None compares pixels (equation 4).
        ema_decay: keep an exponential moving average of G with this decay, batch-norm statistics included
            (averaged weights beside statistics of other weights are off by 10 dB and more). It is what
            validation scores, `call` computes and `best_generator` returns. None: no average.
        freeze_batch_norm: of G, with its running statistics (see `Generator.freeze_batch_norm`); for the last
            steps, which then train what inference computes.
        degradation: how LR is made of HR crops: "bicubic", or "real" (see `data.degradation`), for photographs that
            are blurred, noisy or compressed.
        everyday: share of the batches, in [0, 1], whose LR is made as phones and messengers do instead.
        seed: of the random degradation, which is a function of it and of the step.

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
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(discriminator, FeatureDiscriminator):
            there, asked = features.judged if features else [], list(discriminator.feature_layers)
            if there != asked:
                raise ValueError(
                    f"the discriminator judges features of layers {asked}, but features has {there} to judge"
                )
        self.degradation, self.seed, self.everyday = degradation, seed, everyday
        self.generator, self.discriminator, self.features = generator, discriminator, features
        self.ema_decay, self.freeze_batch_norm = ema_decay, freeze_batch_norm
        self.ema_generator = self.d_optimizer = None
        if freeze_batch_norm:
            generator.freeze_batch_norm()
        if ema_decay is not None:
            self.ema_generator = type(generator).from_config({**generator.get_config(), "name": "ema_generator"})
            self.ema_generator.trainable = False
            self.reset_ema()
        self.built = True

    def reset_ema(self) -> None:
        """Set the average to G's present weights, after loading some."""
        if self.ema_generator is not None:
            self.ema_generator.set_arrays(self.generator.get_arrays())

    @property
    def best_generator(self):
        """The generator to use: the moving average where there is one, else G itself."""
        return self.ema_generator or self.generator

    def compile(
        self,
        g_optimizer="adam",
        d_optimizer="adam",
        pixel: str = "mse",
        pixel_weight: float = 0.0,
        adversarial: str = "standard",
        adversarial_weight: float = 1e-3,
        label_smoothing: float = 0.0,
        tv_weight: float = 0.0,
        phase_weight: float = 0.0,
        **kwargs,
    ):
        """Set the training up. The loss is content + adversarial_weight · adversarial (equation 3) and what is added.

        Args:
            g_optimizer, d_optimizer: Keras or tensorflow-addons optimizers, or their names, for G and D.
            pixel: "mse" (equation 4) or "mae".
            pixel_weight: of the pixel loss beside a feature-space content loss; the paper has none.
            adversarial: "standard" or "relativistic" (see `losses.generator_loss`).
            label_smoothing: of D's target for HR (see `losses.discriminator_loss`).
            tv_weight: of the total variation; 2e-8 in the paper's SRResNet-VGG22.
            phase_weight: of the `losses.phase_loss`, against hatching and shifts of colour; the paper has none.
            **kwargs: Keras' own, such as jit_compile or run_eagerly.
        """
        for name, value, known in (
            ("pixel", pixel, losses.PIXEL_LOSSES),
            ("adversarial", adversarial, losses.ADVERSARIAL_LOSSES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        self.settings = {
            "pixel": pixel,
            "pixel_weight": pixel_weight,
            "adversarial": adversarial,
            "adversarial_weight": adversarial_weight,
            "label_smoothing": label_smoothing,
            "tv_weight": tv_weight,
            "phase_weight": phase_weight,
        }
        kwargs.setdefault("jit_compile", False)  # Keras 3 would choose XLA, slower than oneDNN on CPUs
        super().compile(optimizer=self._prepared(g_optimizer, self.generator), **kwargs)
        names = ["loss", "loss/content", "loss/mse", "grad/g", "psnr_y"]
        if self.discriminator is not None:
            self.d_optimizer = self._prepared(d_optimizer, self.discriminator)
            names += ["loss/adversarial", "ratio/adversarial_content", "loss/d", "d/real", "d/fake", "grad/d"]
        if self.features is not None:
            names.append("ratio/content_mse")
        if tv_weight:
            names.append("loss/tv")
        if phase_weight:
            names.append("loss/phase")
        self.logs = {name: keras.metrics.Mean(name=name) for name in names}

    @staticmethod
    def _prepared(optimizer, network):
        try:
            optimizer = keras.optimizers.get(optimizer)
        except ValueError:
            if not isinstance(optimizer, str):
                raise
            optimizer = compat.make_optimizer(optimizer, 1e-3)  # Keras' own default rate
        if network.compute_dtype == "float16" and not hasattr(optimizer, "inner_optimizer"):
            optimizer = compat.with_loss_scaling(optimizer)
        # Slots exist from the start, so that a checkpoint can be restored before the first step.
        compat.build_optimizer(optimizer, network.trainable_variables)
        return compat.leave_aggregation(optimizer)

    def state(self) -> dict[str, list]:
        """The variables that a checkpoint must hold for training to go on exactly.

        As lists of plain variables: `tf.train.Checkpoint` does not see through the lists of layers in a Keras 3
        model, and leaves what is in them out without a word.
        """
        return {name: [compat.local(v) for v in variables] for name, variables in self._variables().items()}

    def spread_state(self) -> None:
        """Bring all replicas to the first one's state, which is what `state` holds, after restoring it."""
        for variables in self._variables().values():
            for variable in variables:
                if compat.local(variable) is not variable:
                    variable.assign(compat.local(variable))

    def _variables(self) -> dict[str, list]:
        names = ("generator", "ema_generator", "discriminator", "optimizer", "d_optimizer")
        holders = {name: holder for name in names if (holder := getattr(self, name)) is not None}
        variables = {
            name: compat.optimizer_variables(holder) if name.endswith("optimizer") else holder.weights
            for name, holder in holders.items()
        }
        return {name: [compat.tf_variable(v) for v in values] for name, values in variables.items()}

    def learning_rate(self) -> tf.Tensor:
        """Of G, at the present step."""
        return compat.learning_rate(self.optimizer)

    @property
    def metrics(self):
        return list(getattr(self, "logs", {}).values())

    def _maybe_symbolic_build(self, *arguments, **options):
        """Keras 3 would take the mean of a uint8 batch over all workers here, which fails. All is built already."""

    def call(self, lr, training=False):
        """LR in [0, 1] → SR in [-1, 1] by `best_generator`."""
        return self.best_generator(lr, training=False)

    def prepare(self, data) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch as LR in [0, 1] and HR in [-1, 1]."""
        lr, hr = data if isinstance(data, (tuple, list)) else (self._make_lr(data), data)
        return to_lr_range(lr), to_hr_range(hr)

    def _make_lr(self, hr) -> tf.Tensor:
        scale = self.generator.scale
        if self.degradation == "bicubic" and not self.everyday:
            return downscale(hr, scale)
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        step = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int32)
        seed = tf.stack([self.seed, step * 1024 + replica])

        def usual():
            return downscale(hr, scale) if self.degradation == "bicubic" else degrade(hr, scale, seed)

        if not self.everyday:
            return usual()
        # Drawn from the same seed by an algorithm of its own, so that the draws of either branch do not depend on it.
        drawn = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(seed, -1))
        return tf.cond(drawn < self.everyday, lambda: degrade_everyday(hr, scale, seed), usual)

    def train_step(self, data):
        """One step of D, then one of G (k = 1), on the same SR: G's forward pass is made once."""
        lr, hr = self.prepare(data)
        logs = {}
        seen_hr = self._see(hr)
        with tf.GradientTape() as tape:
            sr = self.generator(lr, training=True)
            seen_sr = self._see(sr)
        if self.discriminator is not None:
            logs |= self._train_discriminator(seen_hr, tf.nest.map_structure(tf.stop_gradient, seen_sr))
        with tape:  # goes on recording, with D as it is after its step
            parts = self._generator_losses(seen_hr, seen_sr)
            total = parts["loss"]
            scaled_total = compat.scale_loss(self.optimizer, total)
        logs |= {**parts, "grad/g": self._descend(self.optimizer, tape, scaled_total, self.generator)}
        self._average_statistics()
        self._update_ema()
        return self._log(logs)

    def _see(self, pictures) -> tuple[tf.Tensor, dict]:
        """What losses and D look at: the pictures, and their features where a network makes some."""
        return pictures, {} if self.features is None else self.features.each(pictures)

    def _generator_losses(self, hr, sr) -> dict[str, tf.Tensor]:
        s = self.settings
        mse = losses.pixel_loss(hr[0], sr[0], "mse")
        pixel = mse if s["pixel"] == "mse" else losses.pixel_loss(hr[0], sr[0], s["pixel"])
        content = pixel if self.features is None else self.features.distance(hr[1], sr[1])
        parts = {"loss/content": content, "loss/mse": mse}
        total = content
        if self.features is not None:
            parts["ratio/content_mse"] = content / mse
            total += s["pixel_weight"] * pixel
        if s["tv_weight"]:
            parts["loss/tv"] = losses.total_variation(sr[0])
            total += s["tv_weight"] * parts["loss/tv"]
        if s["phase_weight"]:
            parts["loss/phase"] = losses.phase_loss(hr[0], sr[0], self.generator.scale)
            total += s["phase_weight"] * parts["loss/phase"]
        if self.discriminator is not None:
            real, fake = self._judge(hr, sr)
            parts["loss/adversarial"] = losses.generator_loss(real, fake, s["adversarial"])
            weighted = s["adversarial_weight"] * parts["loss/adversarial"]
            parts["ratio/adversarial_content"] = weighted / content
            total += weighted
        return {"loss": total, **parts}

    def _judge(self, hr, sr) -> tuple[tf.Tensor, tf.Tensor]:
        """D's logits of HR and SR, in one batch: batch norm in two would take out the means that tell them apart."""
        if isinstance(self.discriminator, FeatureDiscriminator):
            seen = [tf.concat([hr[1][layer], sr[1][layer]], 0) for layer in self.features.judged]
        else:
            seen = tf.concat([hr[0], sr[0]], 0)
        return tf.split(self.discriminator(seen, training=True), 2)

    def _train_discriminator(self, hr, sr) -> dict[str, tf.Tensor]:
        s = self.settings
        with tf.GradientTape() as tape:
            real, fake = self._judge(hr, sr)
            loss = losses.discriminator_loss(real, fake, s["adversarial"], s["label_smoothing"])
            scaled_loss = compat.scale_loss(self.d_optimizer, loss)
        norm = self._descend(self.d_optimizer, tape, scaled_loss, self.discriminator)
        probabilities = {"d/real": tf.reduce_mean(tf.sigmoid(real)), "d/fake": tf.reduce_mean(tf.sigmoid(fake))}
        return {"loss/d": loss, **probabilities, "grad/d": norm}

    @staticmethod
    def _descend(optimizer, tape, scaled_loss, network) -> tf.Tensor:
        """Take one optimizer step; the norm of the gradients."""
        variables = network.trainable_variables
        scaled = compat.all_reduce_mean(tape.gradient(scaled_loss, variables))
        gradients = compat.unscaled_gradients(optimizer, scaled)
        compat.apply_gradients(optimizer, scaled, gradients, variables)
        return tf.linalg.global_norm(gradients)

    def _average_statistics(self) -> None:
        """Batch norm's running statistics, each replica's of its share of the batch, must not drift apart."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            networks = [n for n in (self.generator, self.discriminator) if n is not None]
            statistics = [v for network in networks for v in network.non_trainable_variables]
            means = compat.all_reduce_mean([tf.convert_to_tensor(v) for v in statistics])
            for variable, mean in zip(statistics, means):
                variable.assign(mean)

    def _update_ema(self) -> None:
        if self.ema_generator is None:
            return
        # Early on the average is short, so that it does not remember the random start (TensorFlow's own rule).
        step = tf.cast(self.optimizer.iterations, tf.float32)
        decay = tf.minimum(self.ema_decay, (1 + step) / (10 + step))
        # By name: in Keras 2.15 the order of `weights` depends on what is trainable.
        weights = self.generator.named_weights()
        for name, average in self.ema_generator.named_weights().items():
            average.assign(weights[name] + decay * (average - weights[name]))

    def test_step(self, data):
        lr, hr = self.prepare(data)
        sr = metrics.to_uint8(self(lr))
        scores = metrics.psnr(tf.round((hr + 1) * 127.5), sr, shave=self.generator.scale)
        return self._log({"psnr_y": scores})

    def _log(self, values: dict) -> dict:
        means = compat.all_reduce_mean([tf.reduce_mean(value) for value in values.values()])
        for name, mean in zip(values, means):
            self.logs[name].update_state(mean)
        return compat.step_logs({name: self.logs[name].result() for name in values})

    def get_config(self):
        def serialized(model):
            return None if model is None else keras.saving.serialize_keras_object(model)

        return {
            **super().get_config(),
            "generator": serialized(self.generator),
            "discriminator": serialized(self.discriminator),
            "features": self.features and self.features.get_config(),
            "ema_decay": self.ema_decay,
            "freeze_batch_norm": self.freeze_batch_norm,
            "degradation": self.degradation,
            "seed": self.seed,
            "everyday": self.everyday,
        }

    @classmethod
    def from_config(cls, config):
        models = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("generator", "discriminator")}
        features = config["features"] and FeatureNetwork(**config["features"])
        return cls(**{**config, **models, "features": features})

    def get_compile_config(self):
        optimizers = {"g_optimizer": self.optimizer, "d_optimizer": self.d_optimizer}
        serialized = {name: keras.optimizers.serialize(each) for name, each in optimizers.items() if each is not None}
        for optimizer in filter(compat.is_legacy, optimizers.values()):
            name = type(optimizer).__name__
            logging.warning("a .keras file does not keep the state of %s; a run's checkpoints do", name)
        return {**serialized, **self.settings}

    def compile_from_config(self, config):
        names = {"g_optimizer", "d_optimizer"} & set(config)
        self.compile(**{**config, **{name: keras.optimizers.deserialize(config[name]) for name in names}})
