"""Training batches and benchmark pairs from HR pictures."""

import importlib

# Imported on first use: `levels` and `benchmarks` need no TensorFlow.
_HOMES = {"Photos": "batches", "patches": "batches", "downscale": "bicubic", "enlarge": "bicubic"}
__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"srgan_tf.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'srgan_tf.data' has no attribute {name!r}")
