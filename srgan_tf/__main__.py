"""`python -m srgan_tf` is `srgan-tf`."""

from srgan_tf.cli.main import command

if __name__ == "__main__":
    command()
