"""Export generators: see `python export.py --help`."""

from srgan_tf.cli.export import command

if __name__ == "__main__":
    command()
