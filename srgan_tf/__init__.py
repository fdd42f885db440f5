"""SRGAN and SRResNet (Ledig et al. 2017) on TensorFlow: train, evaluate, upscale, export."""

import importlib

__version__ = "0.1.0"

# Imported on first use: `import srgan_tf` and the programs' --help must not wait for TensorFlow.
_HOMES = {
    "Generator": "srgan_tf.generator",
    "Compact": "srgan_tf.compact",
    "Discriminator": "srgan_tf.discriminator",
    "FeatureDiscriminator": "srgan_tf.discriminator",
    "FeatureNetwork": "srgan_tf.features",
    "SRGAN": "srgan_tf.srgan",
    "Photos": "srgan_tf.data",
    "patches": "srgan_tf.data",
    "load": "srgan_tf.weights",
    "save_weights": "srgan_tf.weights",
    "blend": "srgan_tf.weights",
    "Upscaler": "srgan_tf.upscaling",
    "upscale": "srgan_tf.upscaling",
    "evaluate": "srgan_tf.evaluation",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'srgan_tf' has no attribute {name!r}")


def __dir__():
    return __all__
