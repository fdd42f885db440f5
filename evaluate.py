"""Scores models on benchmarks: `python evaluate.py --help`."""

from srgan_tf.programs.evaluate import run

if __name__ == "__main__":
    run()
