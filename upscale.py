"""Upscale pictures: see `python upscale.py --help`."""

from srgan_tf.cli.upscale import command

if __name__ == "__main__":
    command()
