"""`python -m srgan_tf`, and `srgan-tf`."""

import signal


def command() -> None:
    """Run the sub-command of this process' arguments."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until handlers are set, Ctrl-C ends without a traceback
    from srgan_tf.cli.main import command

    command()


if __name__ == "__main__":
    command()
