"""Lines by number, from an SQLite file that nobody changes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from locsvc.errors import DatasetError
from locsvc.model import LineRecord
from locsvc.reference.lines.table import FILE, SCHEMA, Value, record_of, select
from locsvc.reference.numbers import normalise_number
from locsvc.reference.snapshot import Entry

# Queries are compiled once for each of these numbers of numbers, and filled up with a number that no line has.
_SIZES = (1, 4, 16, 64, 256)
_NO_NUMBER = -1
_QUERIES = {size: select(size) for size in _SIZES}
# Records that are kept, and numbers known to have none: 20 MB; when they are full, the cache starts anew.
_KEPT_RECORDS = 1 << 14
# The file is mapped as far as this; the operating system keeps what is read of it.
_MAPPED_BYTES = 1 << 32


class _Held:
    """A connection that is closed with the thread or the store that held it.

    By itself it would wait for a full collection, which a server seldom makes, and keep a removed snapshot on the disk:
    a connection and its compiled statements hold each other.
    """

    __slots__ = ("connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class LineStore:
    """Line records of one import.

    Thread-safe for reading: each thread has a connection of its own. SQLite is asked directly, not through SQLAlchemy,
    which costs a number alone twice as much: figures in `docs/decisions/0009-lines-sqlite.md`.

    Attributes
    ----------
    default_region
        Region in which numbers without a country code were read; None when the import had none.
    """

    def __init__(self, file: Path, default_region: str | None = None) -> None:
        self.default_region = default_region
        self._file = file
        # A caller's number is looked up when the call comes, and again with each better position.
        self._known: dict[int, LineRecord | None] = {_NO_NUMBER: None}
        self._own = threading.local()
        # Serves threads that come when the file's directory is gone already (a snapshot two imports old).
        self._held = _Held(self._connect())
        self._shared = threading.Lock()
        try:
            (schema,) = self._held.connection.execute("PRAGMA user_version").fetchone()
            self._held.connection.execute(_QUERIES[1], (_NO_NUMBER,)).fetchall()
        except sqlite3.Error as error:
            raise DatasetError(f"{file} cannot be read ({error}); import the lines again") from error
        if schema != SCHEMA:
            raise DatasetError(f"{file} has schema {schema}, not {SCHEMA}; import the lines again")

    @staticmethod
    def open(entry: Entry) -> LineStore:
        """The lines of one import.

        Raises
        ------
        DatasetError
            Their file cannot be read; it is named.
        """
        region = entry.extra.get("default_region")
        return LineStore(entry.path / FILE, region if isinstance(region, str) else None)

    def lookup(self, numbers: Sequence[str]) -> list[LineRecord | None]:
        """The record of each number, None where there is none.

        Parameters
        ----------
        numbers
            E.164 with "+"; a number that is not is read as dialled in `default_region`.

        Raises
        ------
        DatasetError
            The file is damaged.
        """
        keys = [self._key(number) for number in numbers]
        known = self._known
        asked = list({key for key in keys if key not in known})
        if not asked:
            return [known[key] for key in keys]
        found: dict[int, LineRecord | None] = {key: known.get(key) for key in keys}
        for first in range(0, len(asked), _SIZES[-1]):
            some = asked[first : first + _SIZES[-1]]
            size = next(size for size in _SIZES if size >= len(some))
            for row in self._rows(size, [*some, *[_NO_NUMBER] * (size - len(some))]):
                found[row[0]] = record_of(row)  # type: ignore[index]  # the key column
        if len(known) + len(asked) > _KEPT_RECORDS:
            # Others may be reading the old one.
            self._known = known = {_NO_NUMBER: None}
        known.update((key, found[key]) for key in asked[:_KEPT_RECORDS])
        return [found[key] for key in keys]

    def close(self) -> None:
        """Close what this thread and the store itself hold open; other threads' connections close with them."""
        with contextlib.suppress(AttributeError):
            del self._own.held
        self._held.connection.close()

    def _key(self, number: str) -> int:
        normal = normalise_number(number, self.default_region)
        return int(normal[1:]) if normal else _NO_NUMBER

    def _rows(self, size: int, keys: Sequence[int]) -> list[tuple[Value, ...]]:
        try:
            held: _Held | None = getattr(self._own, "held", None)
            if held is None:
                try:
                    held = self._own.held = _Held(self._connect())
                except DatasetError:
                    with self._shared:
                        return self._held.connection.execute(_QUERIES[size], keys).fetchall()
            rows: list[tuple[Value, ...]] = held.connection.execute(_QUERIES[size], keys).fetchall()
        except sqlite3.Error as error:
            raise DatasetError(f"{self._file} cannot be read ({error}); import the lines again") from error
        return rows

    def _connect(self) -> sqlite3.Connection:
        # immutable: no locks and no journal, which a snapshot never has.
        where = f"file:{quote(str(self._file.absolute()))}?mode=ro&immutable=1"
        try:
            connection = sqlite3.connect(where, uri=True, isolation_level=None, check_same_thread=False)
            connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        except sqlite3.Error as error:
            raise DatasetError(f"{self._file} cannot be opened ({error}); import the lines again") from error
        return connection
