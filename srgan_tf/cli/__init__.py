"""Command-line programs: parse flags, call the library, print the result.

Each module is a program: its docstring is the help text, `define` defines its flags, `main` does the work, and
`command` runs it. `srgan-tf NAME` (main.py) and, for four of them, `python NAME.py` in the repository's root run it.
"""

import faulthandler
import math
import os
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import NoReturn

from absl import flags as absl_flags
from absl import logging

from srgan_tf import settings, terminal
from srgan_tf.errors import need_tensorflow
from srgan_tf.terminal import printable

HELP = ("-h", "--help", "-help", "--helpfull")


@dataclass(frozen=True)
class Program:
    """A program with its own flags, so that several can be imported into one process.

    Args:
        main: `main(flags, arguments)`, called with the parsed flags and the positional arguments.
        define: `define(flag)` defines the flags: `flag.string(…)` is absl's `DEFINE_string(…)`, and so on.
        description: for --help; its examples start with `srgan-tf NAME`, which is printed as the user typed it.
        groups: flags that --help lists last, by group title.
    """

    main: Callable[[absl_flags.FlagValues, list[str]], None]
    define: Callable[[SimpleNamespace], None]
    description: str
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __call__(self) -> None:
        """Parse the command line and run; user-correctable errors become one line and a non-zero exit.

        `--help` prints the description and the flags without importing TensorFlow.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        terminal.on_end(end)
        terminal.open_closed()
        program, words = typed()
        if any(word in HELP for word in words[: _end_of_flags(words)]):
            answer(self.help(" ".join(program)))
        parsed, arguments = self.parse(words)
        absl_flags.FLAGS.mark_as_parsed()  # absl's logging reads absl's own flags
        logging.set_verbosity(logging.WARNING)
        logging.use_absl_handler()
        logging.get_absl_handler().setFormatter(None)
        faulthandler.enable()
        guarded(self.main, parsed, arguments)

    def flags(self) -> absl_flags.FlagValues:
        """Return the flags with default values."""
        values = absl_flags.FlagValues()
        kinds = ("string", "integer", "float", "bool", "enum", "list", "multi_string")
        define = {kind: partial(getattr(absl_flags, f"DEFINE_{kind}"), flag_values=values) for kind in kinds}
        define["float"] = partial(_define_float, values)
        self.define(SimpleNamespace(**define))
        return values

    def parse(self, words: Sequence[str]) -> tuple[absl_flags.FlagValues, list[str]]:
        """Return the flags that a command line sets, and its positional arguments."""
        values = self.flags()
        try:
            return values, values(["", *_with_underscores(words)])[1:]
        except absl_flags.Error as error:
            problem = re.sub(r"\('(.+)', '.*'\)$", r"\1", str(error))  # absl prints a tuple for wrong booleans
            fail(f"{problem} (--help lists the flags)", 2)

    def help(self, program: str) -> str:
        """Return the help text. program: the command as typed, for the examples."""
        values = self.flags()
        grouped = {name for names in self.groups.values() for name in names}
        groups = {"flags": sorted(set(values) - grouped), **self.groups}
        name = self.main.__module__.rpartition(".")[2]
        parts = [(self.description or "").strip().replace(f"srgan-tf {name}", program)]
        for title, names in groups.items():
            lines = [f"  --{name}: {values[name].help}{_default(values[name].default)}" for name in names]
            parts += ["\n".join([f"{title}:", *lines])] * bool(lines)
        return "\n\n".join(parts)


def end(number: int) -> None:
    """End the program on a signal; its clean-up is not interrupted by more of them."""
    terminal.ignore()
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _end_of_flags(words: Sequence[str]) -> int:
    return words.index("--") if "--" in words else len(words)


def _with_underscores(words: Sequence[str]) -> list[str]:
    """Replace hyphens in flag names by absl's underscores, up to a bare --."""
    end = _end_of_flags(words)
    spelt = lambda flag: "--" + flag[1].replace("-", "_")  # noqa: E731
    return [*(re.sub("^--([^=]+)", spelt, word) for word in words[:end]), *words[end:]]


def _define_float(values, name: str, default, help: str, **bounds) -> None:
    """Define a float flag that refuses nan and inf."""
    absl_flags.DEFINE_float(name, default, help, flag_values=values, **bounds)
    check = lambda value: value is None or math.isfinite(value)  # noqa: E731
    absl_flags.register_validator(name, check, f"--{name} takes a finite number", flag_values=values)


def _default(value) -> str:
    return "" if value in (None, False, "") else f" (default: {value})"


def typed() -> tuple[list[str], list[str]]:
    """Return how this process was started, as words to type again: the program's and its arguments."""
    script, *words = sys.argv
    name = os.path.basename(script)
    if name == "__main__.py":
        return ["python", "-m", "srgan_tf", *words[:1]], words[1:]
    if name.endswith(".py"):
        return ["python", script], words
    return [name, *words[:1]], words[1:]


def command_line() -> str:
    """Return the command line to type to repeat this run."""
    program, words = typed()
    return shlex.join([*program, *words])


def answer(text: str) -> NoReturn:
    """Print and exit with 0, also for `--help | head`."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    flush(f"{text}\n")
    sys.exit(0)


def flush(text: str = "") -> None:
    """Print a text and flush standard output; fail where it takes no more, as on a full disk."""
    try:
        print(text, end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries again at exit
        fail(f"standard output: cannot write it ({error.strerror})")


def guarded(main, flags, arguments: list[str]) -> None:
    """Call `main`; print user-correctable errors as one line."""
    try:
        main(flags, arguments)
        flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, ValueError, RuntimeError) as error:
        flush()  # fails with the right message where standard output was what failed
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        # What this package raises has a message for users; what libraries raise may have none.
        modules = type(error).__module__, frame.f_globals.get("__name__", "")  # compiled code has no name
        ours = any(name.startswith("srgan_tf.") for name in modules)
        if isinstance(error, OSError) or ours:
            fail(f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error))
        raise


def fail(message: str, code: int = 1) -> NoReturn:
    """Print the problem and its fix in one line, and exit."""
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)


def import_tensorflow() -> None:
    """Import TensorFlow without its log lines."""
    need_tensorflow(" ".join(typed()[0]))
    settings.check_files()
    with terminal.silence():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if "TF_CONFIG" not in os.environ:  # workers must connect before anything is computed
            tf.zeros(())  # initialises the devices, which logs more
