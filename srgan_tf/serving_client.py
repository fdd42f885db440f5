"""Upscale pictures by a model behind TensorFlow Serving: see `python -m srgan_tf.serving_client --help`."""

from srgan_tf.programs.client import command

if __name__ == "__main__":
    command()
