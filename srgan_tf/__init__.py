"""SRGAN and SRResNet (Ledig et al. 2017) on TensorFlow: train, evaluate, upscale, export."""

import importlib
import sys

from srgan_tf.errors import need_tensorflow

__version__ = "0.2.0"

TYPE_CHECKING = False  # as in `typing`, whose import takes longer than all the rest of this file

# Imported on first use: `import srgan_tf` and the programs' --help must not wait for TensorFlow.
_HOMES = {
    "Generator": "srgan_tf.models.srresnet",
    "Compact": "srgan_tf.models.compact",
    "RRDB": "srgan_tf.models.rrdb",
    "SPAN": "srgan_tf.models.span",
    "SPANSiLU": "srgan_tf.models.span",
    "SRVGG": "srgan_tf.models.srvgg",
    "EDSR": "srgan_tf.models.edsr",
    "MSRResNet": "srgan_tf.models.msrresnet",
    "Discriminator": "srgan_tf.models.discriminators",
    "FeatureDiscriminator": "srgan_tf.models.discriminators",
    "FeatureNetwork": "srgan_tf.models.vgg",
    "SRGAN": "srgan_tf.training.model",
    "Photos": "srgan_tf.data.batches",
    "patches": "srgan_tf.data.batches",
    "load": "srgan_tf.models.weights",
    "save_weights": "srgan_tf.models.weights",
    "blend": "srgan_tf.models.weights",
    "Upscaler": "srgan_tf.inference.upscaling",
    "upscale": "srgan_tf.inference.pictures",
    "upscale_bytes": "srgan_tf.inference.pictures",
    "evaluate": "srgan_tf.evaluation.evaluate",
}

_LIGHT = ("Upscaler", "upscale", "upscale_bytes")  # need no TensorFlow themselves

# Explicit imports; type checkers let `__getattr__` accept anything.
if TYPE_CHECKING:
    from srgan_tf.data.batches import Photos, patches
    from srgan_tf.evaluation.evaluate import evaluate
    from srgan_tf.inference.pictures import upscale, upscale_bytes
    from srgan_tf.inference.upscaling import Upscaler
    from srgan_tf.models.compact import Compact
    from srgan_tf.models.discriminators import Discriminator, FeatureDiscriminator
    from srgan_tf.models.edsr import EDSR
    from srgan_tf.models.msrresnet import MSRResNet
    from srgan_tf.models.rrdb import RRDB
    from srgan_tf.models.span import SPAN, SPANSiLU
    from srgan_tf.models.srresnet import Generator
    from srgan_tf.models.srvgg import SRVGG
    from srgan_tf.models.vgg import FeatureNetwork
    from srgan_tf.models.weights import blend, load, save_weights
    from srgan_tf.training.model import SRGAN
else:

    def __getattr__(name):
        if name in _HOMES:
            from srgan_tf import settings

            settings.check_files()
            if name not in _LIGHT:
                need_tensorflow(f"srgan_tf.{name}")
            # Kept, so that the next use asks neither for settings nor for what is registered.
            globals()[name] = found = getattr(importlib.import_module(_HOMES[name]), name)
            _register()
            return found
        raise AttributeError(f"module 'srgan_tf' has no attribute {name!r}")


def _register() -> None:
    """Once Keras is there, import all that it may find in our .keras files: keras.models.load_model asks for it."""
    if "keras" in sys.modules:
        importlib.import_module("srgan_tf.training.model")
        importlib.import_module("srgan_tf.models").register_all()


_register()


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "EDSR",
    "RRDB",
    "SPAN",
    "SRGAN",
    "SRVGG",
    "Compact",
    "Discriminator",
    "FeatureDiscriminator",
    "FeatureNetwork",
    "Generator",
    "MSRResNet",
    "Photos",
    "SPANSiLU",
    "Upscaler",
    "__version__",
    "blend",
    "evaluate",
    "load",
    "patches",
    "save_weights",
    "upscale",
    "upscale_bytes",
]
