"""SRGAN and SRResNet (Ledig et al. 2017) on TensorFlow: train, evaluate, upscale, export."""

import importlib

__version__ = "0.1.0"

# Imported on first use: `import srgan_tf` and the programs' --help must not wait for TensorFlow.
_HOMES = {
    "Generator": "srgan_tf.models.srresnet",
    "Compact": "srgan_tf.models.compact",
    "Discriminator": "srgan_tf.models.discriminators",
    "FeatureDiscriminator": "srgan_tf.models.discriminators",
    "FeatureNetwork": "srgan_tf.models.vgg",
    "SRGAN": "srgan_tf.training.model",
    "Photos": "srgan_tf.data",
    "patches": "srgan_tf.data",
    "load": "srgan_tf.models.weights",
    "save_weights": "srgan_tf.models.weights",
    "blend": "srgan_tf.models.weights",
    "Upscaler": "srgan_tf.inference.upscaling",
    "upscale": "srgan_tf.inference.upscaling",
    "evaluate": "srgan_tf.evaluation.evaluate",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'srgan_tf' has no attribute {name!r}")


def __dir__():
    return __all__
