"""Super-resolution on TensorFlow: upscale pictures; train, evaluate and export SRGAN and SRResNet."""

import importlib
import sys

import srgan_tf
from srgan_tf.cli import HELP, Program, answer, fail

PROGRAMS = ("upscale", "train", "evaluate", "export", "client", "shards", "bulk", "models", "doctor")


def program(name: str) -> Program:
    """Import a program by its sub-command."""
    return importlib.import_module(f"srgan_tf.cli.{name}").command


def overview() -> str:
    """Return the text of --help: one line per program."""
    about = {name: (program(name).description or "").strip().partition("\n")[0] for name in PROGRAMS}  # none by -OO
    lines = [f"  srgan-tf {name:10}{text}" for name, text in about.items()]
    return "\n".join([__doc__ or "", "", *lines, "", "srgan-tf NAME --help shows examples and the flags."])


def command() -> None:
    """Run the sub-command of this process' arguments."""
    known = f"one of {', '.join(PROGRAMS)} (--help describes them)"
    match sys.argv[1:]:
        case [name, *_] if name in PROGRAMS:
            program(name)()
        case [word, *_] if word in HELP:
            answer(overview())
        case ["--version", *_]:
            answer(f"srgan-tf {srgan_tf.__version__}")
        case [word, *_]:
            fail(f"unknown sub-command {word!r}; give {known}", 2)
        case _:
            fail(f"no sub-command; give {known}", 2)
