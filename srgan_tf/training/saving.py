"""Save a training model to a .keras file and load it."""

import keras
from absl import logging

from srgan_tf import compat
from srgan_tf.models.vgg import FeatureNetwork


class Saving:
    """Serialise the networks, settings and compile arguments of `SRGAN`."""

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
            "rounding": self.generator.rounding,
        }

    @classmethod
    def from_config(cls, config):
        models = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("generator", "discriminator")}
        features = config["features"] and FeatureNetwork(**config["features"])
        return cls(**{**config, **models, "features": features})

    def get_compile_config(self):
        if not getattr(self, "settings", None):  # not compiled
            return None
        optimizers = {"g_optimizer": self.optimizer, "d_optimizer": self.d_optimizer}
        serialized = {name: keras.optimizers.serialize(each) for name, each in optimizers.items() if each is not None}
        for optimizer in filter(compat.is_legacy, optimizers.values()):
            name = type(optimizer).__name__
            logging.warning(".keras files cannot store the state of optimizer %s; a run's checkpoint can", name)
        watched = {"metrics": [keras.metrics.serialize(metric) for metric in self.watched]}
        return {**serialized, **self.settings, **watched, "own_terms": self.own_terms}

    def compile_from_config(self, config):
        if own := config.pop("own_terms", None):
            raise ValueError(
                f"the loss term {own[0]!r} is its author's own and not in the file; load_model(…, compile=False), then "
                "compile with terms=…"
            )
        names = {"g_optimizer", "d_optimizer"} & set(config)
        self.compile(**{**config, **{name: keras.optimizers.deserialize(config[name]) for name in names}})
