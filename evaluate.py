"""Score models on benchmarks: see `python evaluate.py --help`."""

from srgan_tf.cli.evaluate import command

if __name__ == "__main__":
    command()
