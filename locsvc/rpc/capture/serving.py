"""A server process as `locsvc serve` starts it, for measurements from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from locsvc.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

# The first start of an installation compiles the core.
_START_S = 600.0
_STOP_S = 20.0
_SHOWN_CHARACTERS = 2_000


@dataclass(slots=True)
class ServerProcess:
    """`locsvc serve` on a free port of this machine, from `with` to its end.

    Parameters
    ----------
    data
        Data directory.
    folder
        Where its log goes.
    options
        Further options of `serve`.
    """

    data: Path
    folder: Path
    options: Sequence[str] = ()
    target: str = ""
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Of the process, or of the supervisor of its workers."""
        if self._process is None:
            raise Unavailable("the server is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "locsvc", "serve", "--port", "0", "--json", "--drain-s", "0"]
        log = self.folder / f"serve-{id(self):x}.log"
        with log.open("wb") as errors:
            # Of its own session: an interrupt at the terminal is for the bench, which then ends it in order.
            self._process = subprocess.Popen(  # noqa: S603 - this program
                [*command, "--data", str(self.data), *self.options],
                stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            )  # fmt: skip
        line = _line_within(self._process, _START_S)
        try:
            told = json.loads(line)
            self.target = f"{told['host']}:{told['port']}"
        except (ValueError, KeyError, TypeError):
            self.stop()
            words = log.read_text(encoding="utf-8", errors="replace")[-_SHOWN_CHARACTERS:].strip()
            raise Unavailable(f"the server did not start; its last words: {words or 'none'}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it: asked first, then killed with all its workers."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._process = None


def _line_within(process: subprocess.Popen[str], seconds: float) -> str:
    """The first line on its stdout; empty when it ends before, or the time is over."""
    found: list[str] = []

    def read() -> None:
        with contextlib.suppress(ValueError):
            found.append(process.stdout.readline() if process.stdout is not None else "")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(seconds)
    return found[0] if found else ""


def family_of(pid: int) -> list[int]:
    """The process and all below it; itself alone where the system does not tell (other than Linux)."""
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        found.append(each)
        with contextlib.suppress(OSError):
            waiting += [int(c) for c in Path(f"/proc/{each}/task/{each}/children").read_text(encoding="ascii").split()]
    return found


def cpu_s_of(pid: int) -> float | None:
    """CPU seconds of the process and all below it so far; None where the system does not tell."""
    ticks = 0
    try:
        for each in family_of(pid):
            fields = Path(f"/proc/{each}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    except OSError:
        return None
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int | None:
    """Bytes that the process and all below it hold alone (private), so far; None where the system does not tell."""
    kilobytes = 0
    try:
        for each in family_of(pid):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Private_"):
                    kilobytes += int(line.split()[1])
    except OSError:
        return None
    return kilobytes * 1024
