"""Networks: the contract that generators keep (`base`), the generators, the discriminators, VGG, and weight files."""

import importlib

# The registry: a generator's name in recipes → where its class is. Light, since --help lists the names.
GENERATORS = {
    "srresnet": "srgan_tf.models.srresnet:Generator",
    "compact": "srgan_tf.models.compact:Compact",
    "span": "srgan_tf.models.span:SPAN",
    "rrdb": "srgan_tf.models.rrdb:RRDB",
}


def generator_class(name: str) -> type:
    """The class of a name in GENERATORS, or of the name of the class itself, as weight files have it.

    Raises:
        ValueError: no generator has this name.
    """
    for known, place in GENERATORS.items():
        module, kind = place.split(":")
        if name in (known, kind):
            return getattr(importlib.import_module(module), kind)
    raise ValueError(f"no generator is called {name!r}; there are {', '.join(GENERATORS)}")


def register_all() -> None:
    """Import every generator's class, which registers it with Keras, so that .keras files load."""
    for name in GENERATORS:
        generator_class(name)
