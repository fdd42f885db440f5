"""Print the scales of srgan_tf/models/vgg.py for VGG-16: those at which bicubic's content loss equals its MSE."""

import numpy as np
import tensorflow as tf

from srgan_tf.data.bicubic import downscale, enlarge
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.io import files, images
from srgan_tf.models import vgg

vgg.SCALES["vgg16"] = {(1, 1): 1.0}
pictures = [images.read(path)[None, :400, :400] for path in files.find(PHOTOS)]
pairs = [(hr, enlarge(downscale(hr, 4), 4)) for hr in pictures]
pairs = [tuple(tf.cast(picture, tf.float32) / 127.5 - 1 for picture in pair) for pair in pairs]
mse = np.mean([tf.reduce_mean(tf.math.squared_difference(hr, sr)) for hr, sr in pairs])
for layer in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
    content = np.mean([vgg.FeatureNetwork("vgg16", layer).loss(hr, sr) for hr, sr in pairs])
    print(f"{layer}: content {content:.4f}, MSE {mse:.5f}, scale 1/{np.sqrt(content / mse):.3g}")
