"""`python -m srgan_tf`, and `srgan-tf`."""

import signal


def command() -> None:
    """Run the sub-command of this process' arguments."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as in the background of a shell
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until handlers are set, Ctrl-C ends without a traceback
    from srgan_tf.cli.main import command

    command()


if __name__ == "__main__":
    command()
