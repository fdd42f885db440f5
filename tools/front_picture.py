"""Draw the README's picture: part of a held-out photograph shrunk four times, by bicubic, `srgan-tf upscale`, and HR.

python tools/front_picture.py docs/front.jpg
"""

import sys

import numpy as np
from PIL import Image

from srgan_tf import Upscaler
from srgan_tf.data.bicubic import downscale, enlarge
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.io import images

hr = images.read(PHOTOS / "heldout" / "brushes.jpg")
lr = downscale(hr[None], 4)
parts = [picture[100:400, 180:480] for picture in (enlarge(lr, 4)[0], Upscaler()(np.asarray(lr[0])), hr)]
Image.fromarray(np.concatenate([np.asarray(part) for part in parts], 1)).save(sys.argv[1], quality=92)
