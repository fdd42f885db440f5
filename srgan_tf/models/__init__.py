"""Networks: the base class of generators, generators, discriminators, VGG, and weight files."""

import importlib

# A generator's name in recipes → its class. Strings, so that --help imports no TensorFlow.
GENERATORS = {
    "srresnet": "srgan_tf.models.srresnet:Generator",
    "compact": "srgan_tf.models.compact:Compact",
    "span": "srgan_tf.models.span:SPAN",
    "span-silu": "srgan_tf.models.span:SPANSiLU",
    "rrdb": "srgan_tf.models.rrdb:RRDB",
    "srvgg": "srgan_tf.models.srvgg:SRVGG",
    "edsr": "srgan_tf.models.edsr:EDSR",
    "msrresnet": "srgan_tf.models.msrresnet:MSRResNet",
}


def generator_class(name: str) -> type:
    """Return the class of a name in GENERATORS, or of a class name as in weight files.

    Raises:
        ValueError: there is no such generator.
    """
    for known, place in GENERATORS.items():
        module, kind = place.split(":")
        if name in (known, kind):
            return getattr(importlib.import_module(module), kind)
    raise ValueError(f"unknown generator {name!r}; there are {', '.join(GENERATORS)}")


def register_all() -> None:
    """Import every generator's class, which registers it with Keras for .keras files."""
    for name in GENERATORS:
        generator_class(name)
