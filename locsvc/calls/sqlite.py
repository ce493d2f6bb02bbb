"""The journal in an SQLite file, for the processes of one host."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from locsvc.calls.bells import Bell, SocketBell
from locsvc.calls.database import Database
from locsvc.calls.schema import settings
from locsvc.errors import ConfigError, Unavailable

# Between two questions for a lock that is held: SQLite itself would sleep up to 100 ms.
_ASK_AGAIN_S: Final = 0.0005
# A lock held longer than this by another process counts as a journal that is down, and is tried again.
_LOCKED_S: Final = 2.0
# Reads at once, by threads.
_READERS: Final = 40
# Pages of the log, of 4 kB: 64 MB, half a minute of a heavy load.
_LONG_LOG_PAGES: Final = 16_384
_FORGETTING_S: Final = 5.0
_POSITION = settings.c.name == "position"
_NEXT = sa.cast(sa.cast(settings.c.value, sa.BigInteger) + 1, sa.Text)
_COUNT = sa.update(settings).where(_POSITION).values(value=_NEXT).returning(settings.c.value)
_COUNTED = sa.select(settings.c.value).where(_POSITION)


class SqliteDatabase(Database):
    """A file; several processes of one host write it in turn."""

    def __init__(self, file: Path) -> None:
        if str(file) in {"", ".", ":memory:"} or file.is_dir():
            raise ConfigError(f"{str(file)!r} is no file for a journal: give the path of a file, as calls.sqlite")
        self.file = file.absolute()
        try:
            # Nobody else may read it; SQLite gives the files beside it the same mode. A file that is there is not
            # opened: to close it again would take away the locks of this process's other connections.
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise ConfigError(f"there is no directory {self.file.parent} for the journal: make it") from None
        except PermissionError as error:
            raise ConfigError(f"the journal {self.file} may not be written: {error.strerror}") from error
        except OSError as error:
            raise Unavailable(f"the journal {self.file} cannot be opened: {error.strerror}") from error
        self._tidier: sqlite3.Connection | None = None
        self._forgets = False
        place = sa.URL.create("sqlite", database=str(self.file))
        # Reads wait this long for a lock, which in WAL mode only a clean-up takes.
        self.engine = sa.create_engine(place, pool_size=8, max_overflow=_READERS, connect_args={"timeout": 5.0})
        self._writers = sa.create_engine(place, poolclass=sa.NullPool, connect_args={"timeout": 0.0})
        for engine, begin in ((self.engine, _begin), (self._writers, _begin_to_write)):
            sa.event.listen(engine, "connect", _prepare)
            sa.event.listen(engine, "begin", begin)

    def insert(self, table: sa.Table) -> sqlite.Insert:
        """SQLite's INSERT."""
        return sqlite.insert(table)

    def writer(self) -> sa.Connection:
        """A connection that begins by taking the file."""
        return self._writers.connect()

    def bell(self) -> Bell:
        """A socket in a directory beside the file."""
        return SocketBell(self.file.with_name(self.file.name + ".wakes"))

    @contextlib.contextmanager
    def writing(self, connection: sa.Connection, *, lazily: bool = False) -> Iterator[None]:
        """A transaction that has the whole file; a lazy one is synced with the next that is not."""
        _driver(connection).execute(f"PRAGMA synchronous = {'NORMAL' if lazily else 'FULL'}")
        with connection.begin():
            yield

    def lock(self, connection: sa.Connection, kind: str, names: Sequence[str]) -> None:
        """Nothing: a transaction that writes has the whole file."""

    def position(self, connection: sa.Connection) -> int:
        """A counter: the greatest position that is there would fall when the newest call is erased."""
        return int(connection.scalar(_COUNT) or 0)

    def horizon(self, connection: sa.Connection) -> int:
        """The next count: transactions end in the order in which they begin."""
        return 1 + int(connection.scalar(_COUNTED) or 0)

    def forget(self) -> None:
        """Move the log into the file and empty it: deleted rows are zeros in the file already.

        Who reads just then keeps the log; then `tidy` tries on.
        """
        self._forgets = True
        until = time.monotonic() + _FORGETTING_S
        with contextlib.closing(self._plain()) as connection:
            while self._forgets and time.monotonic() < until:
                self._forgets = not _checkpoint(connection, "TRUNCATE")
                time.sleep(_ASK_AGAIN_S)

    def forget_soon(self) -> None:
        """Empty the log with the next `tidy`: whoever deleted may have found it in use, and has ended since."""
        self._forgets = True

    def tidy(self) -> None:
        """Move the log into the file, beside those who write; they wait only when it has grown long, for its rest."""
        if self._tidier is None:
            self._tidier = self._plain()
        if self._forgets:
            self._forgets = not _checkpoint(self._tidier, "TRUNCATE")
            return
        (_, pages, _) = self._tidier.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > _LONG_LOG_PAGES:
            # The log begins anew from its first page: its file, once grown, is written over, which costs the disk less.
            _checkpoint(self._tidier, "RESTART")

    def close(self) -> None:
        """Close all connections that are not in use; the last one empties the log."""
        if self._tidier is not None:
            self._tidier.close()
        super().close()

    def _plain(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, timeout=0.0, isolation_level=None, check_same_thread=False)


def _checkpoint(connection: sqlite3.Connection, how: str) -> bool:
    """True when the whole log is in the file."""
    try:
        (busy, _, _) = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    except sqlite3.OperationalError:
        return False
    return not busy


def _driver(connection: sa.Connection) -> Any:  # noqa: ANN401 - the driver's own
    return connection.connection.driver_connection


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions begin when they are told to.
    connection.isolation_level = None
    _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute("PRAGMA secure_delete = ON")
    # Whoever commits must not be the one who moves the log into the file: `tidy` does.
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def _begin(connection: sa.Connection) -> None:
    _driver(connection).execute("BEGIN")


def _begin_to_write(connection: sa.Connection) -> None:
    _patiently(lambda: _driver(connection).execute("BEGIN IMMEDIATE"))


def _patiently(attempt: Callable[[], object]) -> None:
    until = time.monotonic() + _LOCKED_S
    while True:
        try:
            attempt()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_ASK_AGAIN_S)
