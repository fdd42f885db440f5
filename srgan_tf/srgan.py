"""The training model: one `train_step` for SRResNet."""

import keras
import tensorflow as tf

from srgan_tf import compat, losses, metrics
from srgan_tf.data.bicubic import downscale


def to_lr_range(lr) -> tf.Tensor:
    """uint8 LR → the generator's input range [0, 1] (section 3.2)."""
    return tf.cast(lr, tf.float32) / 255


def to_hr_range(hr) -> tf.Tensor:
    """uint8 HR → the generator's output range [-1, 1] (section 3.2)."""
    return tf.cast(hr, tf.float32) / 127.5 - 1


@keras.saving.register_keras_serializable("srgan_tf")
class SRGAN(keras.Model):
    """Trains a `Generator`; without a discriminator that is SRResNet.

    Takes uint8 batches, as `srgan_tf.data.patches` makes them: HR crops [batch, height, width, 3] in 0-255, whose
    LR is made in the step, on the training device, by MATLAB's bicubic, quantised to 8 bits as a file would be;
    or ready (LR, HR) pairs. Validation data are (LR, HR) pairs.

    Args:
        generator: G, trained in place.
        ema_decay: keep an exponential moving average of G with this decay, batch-norm statistics included
            (averaged weights beside statistics of other weights are off by 10 dB and more). It is what
            validation scores, `call` computes and `best_generator` returns. None: no average.
        freeze_batch_norm: normalise with the running statistics while training too, leaving them as they are;
            for the last steps, which then train what inference computes.

    Example:
        >>> model = SRGAN(Generator(), ema_decay=0.999)
        >>> model.compile(g_optimizer=keras.optimizers.Adam(1e-4), pixel="mse")
        >>> model.fit(patches("photos/"), steps_per_epoch=1000)
    """

    def __init__(self, generator, ema_decay: float | None = None, freeze_batch_norm: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.generator, self.ema_decay, self.freeze_batch_norm = generator, ema_decay, freeze_batch_norm
        self.ema_generator = None
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

    def compile(self, g_optimizer="adam", pixel: str = "mse", **kwargs):
        """Set the training up.

        Args:
            g_optimizer: Keras optimizer, or its name, for G.
            pixel: "mse" (equation 4) or "mae".
            **kwargs: Keras' own, such as jit_compile or run_eagerly.
        """
        kwargs.setdefault("jit_compile", False)  # Keras 3 would choose XLA, slower than oneDNN on CPUs
        super().compile(optimizer=self._prepared(g_optimizer, self.generator), **kwargs)
        if pixel not in losses.PIXEL_LOSSES:
            raise ValueError(f"pixel must be one of {', '.join(losses.PIXEL_LOSSES)}, not {pixel!r}")
        self.pixel = pixel
        self.logs = {name: keras.metrics.Mean(name=name) for name in ("loss/content", "grad/g", "psnr_y")}

    @staticmethod
    def _prepared(optimizer, network):
        optimizer = keras.optimizers.get(optimizer)
        if network.compute_dtype == "float16" and not hasattr(optimizer, "inner_optimizer"):
            optimizer = compat.with_loss_scaling(optimizer)
        # Slots exist from the start, so that a checkpoint can be restored before the first step.
        optimizer.build(network.trainable_variables)
        return optimizer

    def state(self) -> dict[str, list]:
        """The variables that a checkpoint must hold for training to go on exactly.

        As lists of plain variables: `tf.train.Checkpoint` does not see through the lists of layers in a Keras 3
        model, and leaves what is in them out without a word.
        """
        holders = {name: getattr(self, name, None) for name in ("generator", "ema_generator", "optimizer")}
        variables = {
            name: holder.variables if name.endswith("optimizer") else holder.weights
            for name, holder in holders.items()
            if holder is not None
        }
        return {name: [compat.tf_variable(v) for v in values] for name, values in variables.items()}

    def learning_rate(self) -> tf.Tensor:
        """Of G, at the present step."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return tf.convert_to_tensor(optimizer.learning_rate)

    @property
    def metrics(self):
        return list(getattr(self, "logs", {}).values())

    def call(self, lr, training=False):
        """LR in [0, 1] → SR in [-1, 1] by `best_generator`."""
        return self.best_generator(lr, training=False)

    def prepare(self, data) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch as LR in [0, 1] and HR in [-1, 1]."""
        lr, hr = data if isinstance(data, (tuple, list)) else (downscale(data, self.generator.scale), data)
        return to_lr_range(lr), to_hr_range(hr)

    def train_step(self, data):
        lr, hr = self.prepare(data)
        variables = self.generator.trainable_variables
        with tf.GradientTape() as tape:
            sr = self.generator(lr, training=not self.freeze_batch_norm)
            content = losses.pixel_loss(hr, sr, self.pixel)
            scaled_loss = compat.scale_loss(self.optimizer, content)
        scaled = tape.gradient(scaled_loss, variables)
        gradients = compat.unscaled_gradients(self.optimizer, scaled)
        compat.apply_gradients(self.optimizer, scaled, gradients, variables)
        self._update_ema()
        return self._log({"loss/content": content, "grad/g": tf.linalg.global_norm(gradients)})

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
        for name, value in values.items():
            self.logs[name].update_state(value)
        return {name: self.logs[name].result() for name in values}

    def get_config(self):
        config = super().get_config()
        return {
            **config,
            "generator": keras.saving.serialize_keras_object(self.generator),
            "ema_decay": self.ema_decay,
            "freeze_batch_norm": self.freeze_batch_norm,
        }

    def get_compile_config(self):
        return {"g_optimizer": keras.optimizers.serialize(self.optimizer), "pixel": self.pixel}

    def compile_from_config(self, config):
        self.compile(**{**config, "g_optimizer": keras.optimizers.deserialize(config["g_optimizer"])})

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "generator": keras.saving.deserialize_keras_object(config["generator"])})
