"""SQLite and PostgreSQL: what the journal must ask of each in its own way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from locsvc.calls.schema import SCHEMA, metadata, settings
from locsvc.errors import ConfigError, Unavailable

# Between two questions for a lock that is held: SQLite itself would sleep up to 100 ms.
_ASK_AGAIN_S: Final = 0.0005
# A lock held longer than this by another process counts as a journal that is down, and is tried again.
_LOCKED_S: Final = 2.0
# Reads at once, by threads.
_READERS: Final = 40
_FORMS: Final = "a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"


class Database(ABC):
    """One database of a journal.

    Attributes
    ----------
    engine
        For reads.
    """

    engine: sa.Engine

    @abstractmethod
    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows ON CONFLICT."""

    @contextlib.contextmanager
    @abstractmethod
    def writing(self, connection: sa.Connection, *, lazily: bool = False) -> Iterator[None]:
        """A transaction that writes; `lazily` does without waiting for the disk."""

    @abstractmethod
    def lock(self, connection: sa.Connection, kind: str, names: Sequence[str]) -> None:
        """Wait until no other transaction has these calls or numbers."""

    @abstractmethod
    def position(self, connection: sa.Connection) -> int:
        """What the changes of this transaction are marked with.

        Whoever has seen all changes below a `horizon`, and asks for those from it on, misses none.
        """

    @abstractmethod
    def horizon(self, connection: sa.Connection) -> int:
        """A position below which no more changes will come."""

    @abstractmethod
    def forget(self) -> None:
        """Make what was deleted unreadable, as far as the database can."""

    @abstractmethod
    def tidy(self) -> None:
        """What must be done once in a while."""

    @abstractmethod
    def writer(self) -> sa.Connection:
        """A connection for `writing`, that nobody else has."""

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()


def open_database(url: str | Path) -> Database:
    """The database at a path or URL, with its tables.

    Raises
    ------
    ConfigError
        There can be no journal there, or it is of a newer schema.
    Unavailable
        It cannot be reached or opened now.
    """
    database = _of(url)
    try:
        with database.writer() as connection, database.writing(connection):
            _make_tables(database, connection)
    except (SQLAlchemyError, sqlite3.Error) as error:
        database.close()
        raise Unavailable(f"the journal {_shown(url)} cannot be opened: {reason(error)}") from error
    except ConfigError:
        database.close()
        raise
    return database


def _of(url: str | Path) -> Database:
    text = str(url)
    if isinstance(url, Path) or "://" not in text:
        return SqliteDatabase(Path(text))
    try:
        parsed = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise ConfigError(f"{_shown(url)} is no journal: give {_FORMS}") from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        return SqliteDatabase(Path(parsed.database or ""))
    if backend in {"postgresql", "postgres"}:
        from locsvc.calls.postgres import PostgresDatabase

        return PostgresDatabase(parsed)
    raise ConfigError(f"{_shown(url)} is no journal: give {_FORMS}")


def _shown(url: str | Path) -> str:
    """Without its password."""
    try:
        return sa.make_url(str(url)).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return str(url)


def _make_tables(database: Database, connection: sa.Connection) -> None:
    database.lock(connection, "tables", ["all"])
    metadata.create_all(connection)
    rows = {"schema": str(SCHEMA), "audit_key": secrets.token_hex(32), "position": "0"}
    make = database.insert(settings).on_conflict_do_nothing()
    connection.execute(make, [{"name": name, "value": value} for name, value in rows.items()])
    found = connection.scalar(sa.select(settings.c.value).where(settings.c.name == "schema"))
    if found is None or int(found) > SCHEMA:
        raise ConfigError(
            f"the journal has schema {found}, and this version of locsvc knows up to {SCHEMA}: run the newer version, "
            "or give another --journal"
        )


def audit_key(database: Database) -> str:
    """The key of the numbers in the audit."""
    with database.engine.connect() as connection:
        return str(connection.scalar(sa.select(settings.c.value).where(settings.c.name == "audit_key")))


class SqliteDatabase(Database):
    """A file; several processes of one host write it in turn."""

    def __init__(self, file: Path) -> None:
        if str(file) in {"", ".", ":memory:"} or file.is_dir():
            raise ConfigError(f"{str(file)!r} is no file for a journal: give the path of a file, as calls.sqlite")
        self.file = file.absolute()
        try:
            # Nobody else may read it; SQLite gives the files beside it the same mode.
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
        except FileNotFoundError:
            raise ConfigError(f"there is no directory {self.file.parent} for the journal: make it") from None
        except PermissionError as error:
            raise ConfigError(f"the journal {self.file} may not be written: {error.strerror}") from error
        except OSError as error:
            raise Unavailable(f"the journal {self.file} cannot be opened: {error.strerror}") from error
        place = sa.URL.create("sqlite", database=str(self.file))
        # Reads wait this long for a lock, which in WAL mode only a clean-up takes.
        self.engine = sa.create_engine(place, pool_size=8, max_overflow=_READERS, connect_args={"timeout": 5.0})
        self._writers = sa.create_engine(place, poolclass=sa.NullPool, connect_args={"timeout": 0.0})
        for engine, begin in ((self.engine, _begin), (self._writers, _begin_to_write)):
            sa.event.listen(engine, "connect", _prepare)
            sa.event.listen(engine, "begin", begin)

    def insert(self, table: sa.Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def writer(self) -> sa.Connection:
        return self._writers.connect()

    @contextlib.contextmanager
    def writing(self, connection: sa.Connection, *, lazily: bool = False) -> Iterator[None]:
        # Without the sync a crash of the machine, not of the process, can lose the newest; the next sync keeps these too.
        _driver(connection).execute(f"PRAGMA synchronous = {'NORMAL' if lazily else 'FULL'}")
        with connection.begin():
            yield

    def lock(self, connection: sa.Connection, kind: str, names: Sequence[str]) -> None:
        """Nothing: a transaction that writes has the whole file."""

    def position(self, connection: sa.Connection) -> int:
        # A counter: the greatest position that is there would fall when the newest call is erased.
        count = sa.update(settings).where(settings.c.name == "position").values(value=_NEXT).returning(settings.c.value)
        return int(connection.scalar(count) or 0)

    def horizon(self, connection: sa.Connection) -> int:
        return 1 + int(connection.scalar(sa.select(settings.c.value).where(settings.c.name == "position")) or 0)

    def forget(self) -> None:
        """Move the log into the file and empty it: deleted rows are zeros in the file already."""
        self._checkpoint("TRUNCATE", patience_s=5.0)

    def tidy(self) -> None:
        """Move the log into the file, beside those who write; wait for them only when it has grown long."""
        log = self.file.with_name(self.file.name + "-wal")
        with contextlib.suppress(OSError):
            size = log.stat().st_size
            if size > _LONG_LOG_BYTES:
                self._checkpoint("TRUNCATE", patience_s=0.05)
            elif size > _LOG_BYTES:
                self._checkpoint("PASSIVE", patience_s=0.0)

    def _checkpoint(self, how: str, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        with contextlib.closing(sqlite3.connect(self.file, timeout=0.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            while True:
                with contextlib.suppress(sqlite3.OperationalError):
                    (busy, _, _) = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
                    if not busy:
                        return
                if time.monotonic() >= until:
                    return
                time.sleep(_ASK_AGAIN_S)


# 4 MB, SQLite's own measure, and as much as a few seconds of the heaviest load.
_LOG_BYTES: Final = 4 << 20
_LONG_LOG_BYTES: Final = 64 << 20
_NEXT = sa.cast(sa.cast(settings.c.value, sa.BigInteger) + 1, sa.Text)


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


def is_own_fault(error: BaseException) -> bool:
    """True when what was written is wrong, and not the database down: to write it again would fail again."""
    if isinstance(error, DBAPIError):
        return isinstance(error, IntegrityError | DataError) and not error.connection_invalidated
    return not isinstance(error, SQLAlchemyError | sqlite3.Error | OSError)


def reason(error: BaseException) -> str:
    """What the database said, in one line and without the statement."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return " ".join(str(original).split()) or type(original).__name__


def lock_key(kind: str, name: str) -> int:
    """A number of 64 bits, signed, that stands for a call or number among PostgreSQL's advisory locks."""
    return int.from_bytes(hashlib.sha256(f"locsvc {kind} {name}".encode()).digest()[:8], "big", signed=True)
