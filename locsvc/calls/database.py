"""What the journal asks of a database, beyond the statements that SQLite and PostgreSQL share."""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from locsvc.calls.bells import Bell


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

    def forget_soon(self) -> None:
        """Another process has deleted something: the next `tidy` makes it unreadable, where that is ours to do."""
        return

    @abstractmethod
    def tidy(self) -> None:
        """What must be done once in a while."""

    @abstractmethod
    def writer(self) -> sa.Connection:
        """A connection for `writing`, that nobody else has."""

    @abstractmethod
    def bell(self) -> Bell:
        """The way of wakes to the other processes.

        Raises
        ------
        OSError, sqlalchemy.exc.SQLAlchemyError
            There can be none now.
        """

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()


def is_own_fault(error: BaseException) -> bool:
    """True when what was written is wrong, and not the database down: to write it again would fail again."""
    if isinstance(error, DBAPIError):
        return isinstance(error, IntegrityError | DataError) and not error.connection_invalidated
    return not isinstance(error, SQLAlchemyError | sqlite3.Error | OSError)


def reason(error: BaseException) -> str:
    """What the database said, in one line and without the statement."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return " ".join(str(original).split()) or type(original).__name__
