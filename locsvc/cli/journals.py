"""The journal of live calls, opened by a command beside a server that may be writing it."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from locsvc import model
from locsvc.cli.options import Common
from locsvc.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from locsvc.calls.journal import Journal

_Function = TypeVar("_Function", bound=Callable[..., object])
# Where a server with a data directory keeps its journal unless it is told otherwise.
FILE_NAME = "calls.sqlite"
_SQLITE = "sqlite:///"


def journal_option(function: _Function) -> _Function:
    """Add `--journal`."""
    return click.option(
        "--journal",
        metavar="URL|FILE",
        help=f"The journal: a file of SQLite, or postgresql://...  [default: {FILE_NAME} in the data directory]",
    )(function)


@contextmanager
def opened(common: Common, given: str | None) -> Iterator[Journal]:
    """The journal that is named, or else the data directory's.

    Raises
    ------
    click.UsageError
        Neither is given.
    ConfigError
        There is none; a command that looks does not make one.
    Unavailable
        It cannot be reached.
    """
    from locsvc.calls.journal import Journal

    where = given or str(_in_data(common))
    file = _file_of(where)
    if file is not None and not file.is_file():
        raise ConfigError(f"there is no journal {file}: give --journal as the server was given it")
    journal = Journal.open(where)
    try:
        yield journal
    finally:
        journal.close()


def _in_data(common: Common) -> Path:
    data = common.data_directory()
    if data is None:
        raise click.UsageError("which journal? give --journal URL or FILE, or --data DIR")
    return data / FILE_NAME


def _file_of(where: str) -> Path | None:
    """The file of a journal, None when it is in a server."""
    if where.startswith(_SQLITE):
        return Path(where.removeprefix(_SQLITE))
    return None if "://" in where else Path(where)


def asked_number(number: str) -> str:
    """The number as calls have it.

    Raises
    ------
    InvalidInput
        It is not E.164.
    """
    from locsvc.formats.call_checks import call_violations

    violations = call_violations(model.Call(calling_number=number))
    if violations:
        raise InvalidInput(violations)
    return number


def noted(journal: Journal, method: str, *, call_id: str = "", calling_number: str = "") -> None:
    """Note for the audit that somebody at this machine looked."""
    from locsvc.calls.words import LookUp

    journal.look(LookUp(time.time(), who(), method, call_id, calling_number))


def who() -> str:
    """Who runs this command, for the audit."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A user without a name, as containers have.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
