"""A folder aside for what is made of tables and does not stay: places of callers are nobody's business afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from locsvc.errors import ConfigError

# Signals that end a process which handles them.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def folder_aside(prefix: str, within: Path | None = None) -> Iterator[Path]:
    """A folder that only this user may read; it is gone when this ends, in whatever way that is handled.

    Parameters
    ----------
    prefix
        What its name begins with.
    within
        Where it is, if not among the system's temporary files.

    Raises
    ------
    ConfigError
        There is no room left where it is.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    try:
        yield folder
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ConfigError(f"no room left under {folder.parent}; name a larger place with TMPDIR") from error
    finally:
        with _undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """What signals would do comes afterwards: a second Ctrl-C must not end the first one's tidying half way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    # What is ignored, or nobody handles, stays so.
    before = {number: signal.getsignal(number) for number in ENDING}
    handled = {number: old for number, old in before.items() if callable(old)}
    for number in handled:
        signal.signal(number, later)
    try:
        yield
    finally:
        for number, old in handled.items():
            signal.signal(number, old)
        if came:
            os.kill(os.getpid(), came[0])
