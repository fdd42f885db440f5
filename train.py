"""Train a generator: see `python train.py --help`."""

from srgan_tf.cli.train import command

if __name__ == "__main__":
    command()
