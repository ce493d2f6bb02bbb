"""A command under a pseudo-terminal, and what stands on its screen."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Self

# The terminal becomes the process's own, so that Ctrl-C reaches it.
_IN_CONTROL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\r|\n|[^\x1b\r\n]+")


class Terminal:
    """A process that has a terminal for stdin, stdout and stderr."""

    def __init__(self, command: list[str], *, columns: int, lines: int, term: str = "xterm-256color") -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCSVC_")}
        environment |= {"TERM": term, "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_CONTROL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""
        # A character may come in two reads.
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _ready(self, wait_s: float) -> bool:
        """Whether something can be read: by poll, as select knows no descriptor above 1,023."""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return bool(poll.poll(wait_s * 1_000.0))

    def _read(self, wait_s: float) -> bool:
        """Whether there is more to come."""
        if not self._ready(wait_s):
            return True
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            return False
        self.raw = (self.raw + self._decoder.decode(data)).replace("\r\n", "\n")
        return bool(data)

    def until(self, pattern: str, timeout_s: float = 60.0) -> None:
        """Read until the pattern is on the screen, which may be seen half drawn."""
        end, more = time.monotonic() + timeout_s, True
        while not re.search(pattern, self.text()):
            if not more or time.monotonic() > end:
                raise AssertionError(f"{pattern!r} did not come; the screen:\n{self.text()}")
            more = self._read(0.1)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait(self, timeout_s: float = 60.0) -> int:
        """The exit code, when all was read."""
        end = time.monotonic() + timeout_s
        while self._read(0.1) and time.monotonic() < end:
            if self.process.poll() is not None and not self._ready(0.0):
                break
        return self.process.wait(timeout=10)

    def cursor_shown(self) -> bool:
        """Whether the cursor can be seen."""
        return self.raw.rfind("\x1b[?25h") >= self.raw.rfind("\x1b[?25l")

    def text(self) -> str:
        """What stands on the screen and above it, as a terminal would show it."""
        rows: list[str] = [""]
        row, column = 0, 0
        for found in _CONTROL.finditer(self.raw):
            token, code = found.group(0), found.group(2)
            if token == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif token == "\r":
                column = 0
            elif code == "A":
                row = max(row - int(found.group(1) or 1), 0)
            elif code == "K":
                rows[row] = "" if found.group(1) == "2" else rows[row][:column]
            elif not token.startswith("\x1b"):
                line = rows[row].ljust(column)
                rows[row] = line[:column] + token + line[column + len(token) :]
                column += len(token)
        return "\n".join(rows)
