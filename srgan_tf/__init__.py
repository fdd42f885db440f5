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

__all__ = ["__version__", *_HOMES]

# Explicit imports; type checkers let `__getattr__` accept anything. `as` exports the name.
if TYPE_CHECKING:
    from srgan_tf.data.batches import Photos as Photos
    from srgan_tf.data.batches import patches as patches
    from srgan_tf.evaluation.evaluate import evaluate as evaluate
    from srgan_tf.inference.pictures import upscale as upscale
    from srgan_tf.inference.pictures import upscale_bytes as upscale_bytes
    from srgan_tf.inference.upscaling import Upscaler as Upscaler
    from srgan_tf.models.compact import Compact as Compact
    from srgan_tf.models.discriminators import Discriminator as Discriminator
    from srgan_tf.models.discriminators import FeatureDiscriminator as FeatureDiscriminator
    from srgan_tf.models.edsr import EDSR as EDSR
    from srgan_tf.models.msrresnet import MSRResNet as MSRResNet
    from srgan_tf.models.rrdb import RRDB as RRDB
    from srgan_tf.models.span import SPAN as SPAN
    from srgan_tf.models.span import SPANSiLU as SPANSiLU
    from srgan_tf.models.srresnet import Generator as Generator
    from srgan_tf.models.srvgg import SRVGG as SRVGG
    from srgan_tf.models.vgg import FeatureNetwork as FeatureNetwork
    from srgan_tf.models.weights import blend as blend
    from srgan_tf.models.weights import load as load
    from srgan_tf.models.weights import save_weights as save_weights
    from srgan_tf.training.model import SRGAN as SRGAN
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
