"""A terminal to write progress to, whose text can be read back."""

import io
import pty
import re
import termios


class Terminal(io.StringIO):
    encoding = "utf-8"

    def __init__(self, columns: int = 61):
        super().__init__()
        self._ends = [io.FileIO(end) for end in pty.openpty()]
        termios.tcsetwinsize(self.fileno(), (25, columns))

    def fileno(self):
        return self._ends[1].fileno()

    def plain(self) -> str:
        """What was written, without colours."""
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.getvalue())
