"""HR pictures in, training batches and benchmark pairs out. Knows nothing of models."""

from srgan_tf.data.bicubic import downscale, upscale
from srgan_tf.data.patches import Photos, patches

__all__ = ["Photos", "downscale", "patches", "upscale"]
