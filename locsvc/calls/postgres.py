"""The journal in PostgreSQL, for the processes of several hosts."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from locsvc.calls.bells import Bell, Changed, in_messages, out_of_message
from locsvc.calls.database import Database
from locsvc.calls.schema import metadata
from locsvc.errors import ConfigError

_READERS: Final = 10
_SETTINGS: Final = {"application_name": "locsvc", "statement_timeout": "10s"}
# A host that stands still within a transaction must not hold its calls for ever.
_WRITING: Final = {"idle_in_transaction_session_timeout": "5s", "lock_timeout": "5s"}
# Nor a silent server a writer.
_CONNECTING: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "tcp_user_timeout": "8000",
}
_CHANNEL: Final = "locsvc_calls"
# After a lost connection.
_AGAIN_S: Final = 0.2

# They are taken in the order of the array.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
# SQLSTATE of a lock that was not to be had in time (PostgreSQL documentation, appendix A).
_LOCK_NOT_AVAILABLE: Final = "55P03"
# No timeout of the server's ends a transaction whose client stands still between two messages of one statement. Whoever
# waits for its locks ends it: one that has locks of ours here, and for seconds has been waiting for its client.
_END_STANDING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE wait_event_type = 'Client' AND clock_timestamp() - state_change > interval '4 seconds' AND pid IN (
  SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
  WHERE locktype = 'advisory' AND granted AND datname = current_database())
"""
_POSITION = sa.text("SELECT txid_current()")
_HORIZON = sa.text("SELECT txid_snapshot_xmin(txid_current_snapshot())")
_LAZILY = sa.text("SET LOCAL synchronous_commit = off")


class PostgresDatabase(Database):
    """A database of a server; calls and numbers are locked one by one, so that hosts write side by side."""

    def __init__(self, url: sa.URL) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise ConfigError(
                "a journal in PostgreSQL needs psycopg: install it with pip install 'locsvc[postgres]'"
            ) from None
        reading, writing = _complete(url, _SETTINGS), _complete(url, _SETTINGS | _WRITING)
        self.engine = sa.create_engine(reading, pool_size=4, max_overflow=_READERS, pool_pre_ping=True)
        self._writers = sa.create_engine(writing, poolclass=sa.NullPool)
        sa.event.listen(self._writers, "connect", _wait_for_the_disk)

    def insert(self, table: sa.Table) -> postgresql.Insert:
        """PostgreSQL's INSERT."""
        return postgresql.insert(table)

    def writer(self) -> sa.Connection:
        """A connection that is closed after its use: one that was lost comes back to nobody."""
        return self._writers.connect()

    def bell(self) -> Bell:
        """LISTEN and NOTIFY."""
        return NotifyBell(self)

    def alone(self) -> Any:  # noqa: ANN401 - a psycopg.Connection, whose module may not be there
        """A connection of the driver that commits each statement."""
        import psycopg

        positional, named = self.engine.dialect.create_connect_args(self.engine.url)
        return psycopg.connect(*positional, **named, autocommit=True)

    @contextlib.contextmanager
    def writing(self, connection: sa.Connection, *, lazily: bool = False) -> Iterator[None]:
        """A transaction in READ COMMITTED: with the locks, each statement sees all that others have done before."""
        with connection.begin():
            if lazily:
                connection.execute(_LAZILY)
            yield

    def lock(self, connection: sa.Connection, kind: str, names: Sequence[str]) -> None:
        """Advisory locks, until the transaction ends; by key, so that all take the same ones in the same order."""
        try:
            connection.execute(_LOCK, {"keys": sorted({_lock_key(kind, name) for name in names})})
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                self._end_standing()
            raise

    def _end_standing(self) -> None:
        with contextlib.suppress(Exception), contextlib.closing(self.alone()) as connection:
            connection.execute(_END_STANDING)

    def position(self, connection: sa.Connection) -> int:
        """The number of the transaction."""
        return int(connection.execute(_POSITION).scalar_one())

    def horizon(self, connection: sa.Connection) -> int:
        """The oldest transaction that is under way: those before it have all ended, though not in their order."""
        return int(connection.execute(_HORIZON).scalar_one())

    def forget(self) -> None:
        """Have the rows that were deleted removed from the tables; the server's own logs are its owner's."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            try:
                for table in metadata.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM {table.name}")
            finally:
                connection.exec_driver_sql("RESET statement_timeout")

    def tidy(self) -> None:
        """Nothing: the server does."""


def _complete(url: sa.URL, settings: dict[str, str]) -> sa.URL:
    """The URL with settings of ours, of which each gives way to one that the URL has."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    given = url.query.get("options", "")
    query = _CONNECTING | dict(url.query) | {"options": f"{options} {given}".rstrip()}
    return url.set(drivername="postgresql+psycopg", query=query)


def _wait_for_the_disk(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
    (level,) = connection.execute("SHOW synchronous_commit").fetchone()
    if level == "off":
        connection.execute("SET synchronous_commit = on")
    connection.commit()


def _lock_key(kind: str, name: str) -> int:
    """A number of 64 bits, signed, that stands for a call or number among the advisory locks."""
    return int.from_bytes(hashlib.sha256(f"locsvc {kind} {name}".encode()).digest()[:8], "big", signed=True)


class NotifyBell(Bell):
    """LISTEN and NOTIFY, on connections of their own.

    A NOTIFY goes after the transaction, not in it: in it it would make all transactions of the server wait for each
    other's disk.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        # The server tells us of our own too.
        self._name = secrets.token_hex(4)
        self._sending = threading.Lock()
        self._sender: Any = None
        self._listener: Any = None
        with _driver_errors():
            self._listen()

    def ring(self, changed: Sequence[Changed]) -> None:
        """NOTIFY, from whichever thread."""
        with self._sending, _driver_errors():
            try:
                if self._sender is None:
                    self._sender = self._database.alone()
                for words in in_messages(changed):
                    self._sender.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, f"{self._name} {words}"))
            except Exception:
                _close(self._sender)
                self._sender = None
                raise

    def wait(self, timeout_s: float) -> Iterable[Changed]:
        """What the server told; a lost connection is made anew."""
        heard: list[Changed] = []
        try:
            if self._listener is None:
                self._listen()
            for notice in self._listener.notifies(timeout=timeout_s, stop_after=1):
                name, _, words = notice.payload.partition(" ")
                if name != self._name:
                    heard += out_of_message(words)
        except Exception:  # noqa: BLE001 - whatever the driver says, what was missed is looked for
            _close(self._listener)
            self._listener = None
            time.sleep(_AGAIN_S)
        return heard

    def close(self) -> None:
        """Close both connections."""
        with self._sending:
            _close(self._sender)
        _close(self._listener)

    def _listen(self) -> None:
        self._listener = self._database.alone()
        self._listener.execute(f"LISTEN {_CHANNEL}")


@contextlib.contextmanager
def _driver_errors() -> Iterator[None]:
    """Errors of the driver as OSError: SQLAlchemy doesn't see these connections."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise OSError(str(error)) from error


def _close(connection: Any) -> None:  # noqa: ANN401 - the driver's
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.close()
