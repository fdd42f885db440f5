"""The command-line programs: flags in, one library call, result out.

`train.py`, `export.py`, … at the top of the repository and the installed `srgan-tf-…` commands are the same.
"""

import os
import signal
import sys
import traceback
from contextlib import contextmanager

from absl import app, flags, logging


def run(main, description: str) -> None:
    """Parse the flags and run `main(arguments)`; what a user can mend becomes one line and a non-zero exit.

    `--help` prints the description and the flags of main's module, without waiting for TensorFlow.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.WARNING)
    logging.use_absl_handler()
    logging.get_absl_handler().setFormatter(None)
    app.run(lambda arguments: guarded(main, arguments), flags_parser=lambda argv: _parse(argv, main, description))


def _parse(argv: list[str], main, description: str) -> list[str]:
    if any(argument in ("-h", "--help", "-help", "--helpfull") for argument in argv[1:]):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `--help | head` is no error
        wanted = flags.FLAGS.get_key_flags_for_module(main.__module__)
        print(description.strip() + "\n\nflags:")
        for flag in sorted(wanted, key=lambda flag: flag.name):
            default = "" if flag.default in (None, False, "") else f" (default: {flag.default})"
            print(f"  --{flag.name}: {flag.help}{default}")
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        fail(f"{error} (--help lists the flags)", 2)


def guarded(main, arguments: list[str]) -> None:
    try:
        main(arguments[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, OSError) or type(error).__module__.startswith("srgan_tf") or _raised_here(error):
            fail(str(error))
        raise


def _raised_here(error: Exception) -> bool:
    """Whether our own code raised it, with a message made for users, rather than a library that we misused."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].startswith("srgan_tf.")


def fail(message: str, code: int = 1) -> None:
    """Say in one line what is wrong and what mends it, and exit."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


@contextmanager
def silence():
    """Nothing on standard error from here, not from C++ either, which prints however it is asked not to."""
    kept, silent = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)


def import_tensorflow() -> None:
    """Import TensorFlow without its lines on drivers and rounding."""
    with silence():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if "TF_CONFIG" not in os.environ:  # several workers must come together before anything is computed
            tf.zeros(())  # sets the devices up, which says more of the kind
