"""The public names as the README uses them, for mypy to read; nothing runs this.

An ignored error is one that mypy must find: it complains of ignores that are not needed.
"""

import keras
import numpy as np

import srgan_tf

sr = srgan_tf.upscale("photo.jpg")
png, ending = srgan_tf.upscale_bytes(b"", name="photo.jpg", format="png")
generator = srgan_tf.load("srgan")
mixed = srgan_tf.blend(srgan_tf.load("srresnet"), generator, 0.5)
srgan_tf.save_weights(mixed, "mixed.npz")

upscaler = srgan_tf.Upscaler(mixed, scale=2, precision="float32")
large = upscaler(np.zeros((8, 8, 3), np.uint8))

photos = srgan_tf.Photos("DIV2K_train_HR", smallest=96)
model = srgan_tf.SRGAN(
    srgan_tf.Generator(blocks=16),
    srgan_tf.Discriminator(crop=96),
    srgan_tf.FeatureNetwork("vgg16", (5, 3)),
    ema_decay=0.999,
)
model.compile(keras.optimizers.Adam(1e-4), pixel="mse")
model.fit(srgan_tf.patches(photos, batch=16, crop=96), steps_per_epoch=1000, epochs=10)
small = srgan_tf.SRGAN(srgan_tf.Compact(scale=2), srgan_tf.FeatureDiscriminator([(1, 2), (3, 3)]))

rows = srgan_tf.evaluate(["runs/demo"], ["Set5"], data_dir="data")
best = max(row["psnr_y"] for row in rows)

_ = srgan_tf.no_such_name  # type: ignore[attr-defined]
not_a_number: int = srgan_tf.__version__  # type: ignore[assignment]
not_text: str = png  # type: ignore[assignment]
not_pixels: str = large  # type: ignore[assignment]
not_a_row: dict[str, float] = rows  # type: ignore[assignment]
srgan_tf.Upscaler(generator, no_such_option=1)  # type: ignore[call-arg]
srgan_tf.Generator(blocks="many")  # type: ignore[arg-type]
srgan_tf.patches(photos, batch="16")  # type: ignore[arg-type]
