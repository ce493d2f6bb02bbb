"""The table of lines in SQLite: its columns, and a record to and from a row."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from locsvc.model import CivicAddress, ClassOfService, LatLng, LineRecord, Placement

DATASET = "lines"
NAME = "lines"
FILE = "lines.sqlite"
# What became of records that share a number.
AGAIN = "number came more than once: newest record kept"
# In SQLite's user_version: a file with another one is of another version of locsvc.
SCHEMA = 1

CIVIC_FIELDS = tuple(f.name for f in fields(CivicAddress))
# The number is the E.164 number without its "+": an integer key is SQLite's own row number, found without an index.
COLUMNS = (
    "number",
    "class_of_service",
    "latitude_deg",
    "longitude_deg",
    "placement",
    "uncertainty_m",
    "confidence",
    "provider",
    "updated_at",
    *CIVIC_FIELDS,
)
_TEXT = "TEXT NOT NULL"
_TYPES = {
    "number": "INTEGER PRIMARY KEY",
    "class_of_service": "INTEGER NOT NULL",
    "latitude_deg": "REAL",
    "longitude_deg": "REAL",
    "placement": "INTEGER NOT NULL",
    "uncertainty_m": "REAL",
    "confidence": "REAL",
    "updated_at": "REAL",
}
_FIRST_CIVIC = len(COLUMNS) - len(CIVIC_FIELDS)

CREATE = f"CREATE TABLE IF NOT EXISTS lines ({', '.join(f'{c} {_TYPES.get(c, _TEXT)}' for c in COLUMNS)})"
# The newest of several records of one number stays; without times the last one; one with a time before one without.
INSERT = (
    f"INSERT INTO lines VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - our own column names
    f"ON CONFLICT (number) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[1:])} "
    "WHERE coalesce(excluded.updated_at, -9e18) >= coalesce(lines.updated_at, -9e18)"
)

Value = str | int | float | None

_CLASSES = {int(c): c for c in ClassOfService}
_PLACEMENTS = {int(p): p for p in Placement}
_NO_ADDRESS = ("",) * len(CIVIC_FIELDS)


def select(count: int) -> str:
    """The query for `count` numbers."""
    return f"SELECT {', '.join(COLUMNS)} FROM lines WHERE number IN ({', '.join('?' * count)})"  # noqa: S608 - as above


def prepare(connection: sqlite3.Connection) -> None:
    """Makes the file ready to be written: the table, and no care for what happens when the process ends."""
    # A draft that is not finished is thrown away, so there is nothing to roll back to; publishing syncs the file.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute(CREATE)


def write_rows(file: Path, rows: Iterable[tuple[Value, ...]]) -> int:
    """The number of records in the new file."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        prepare(connection)
        connection.execute("BEGIN")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
        count: int = connection.execute("SELECT count(*) FROM lines").fetchone()[0]
        return count


def row_of(record: LineRecord) -> tuple[Value, ...]:
    """The row of a record, in the order of `COLUMNS`."""
    address = record.address
    civic = _NO_ADDRESS if address is None else tuple(getattr(address, name) for name in CIVIC_FIELDS)
    place = record.position
    return (
        int(record.number[1:]),
        int(record.class_of_service),
        place.latitude_deg if place else None,
        place.longitude_deg if place else None,
        int(record.placement),
        record.uncertainty_m,
        record.confidence,
        record.provider,
        record.updated_at,
        *civic,
    )


def record_of(row: Sequence[Value]) -> LineRecord:
    """The record of a row."""
    number, line_class, latitude, longitude, placement, uncertainty_m, confidence, provider, updated_at = row[
        :_FIRST_CIVIC
    ]
    civic = row[_FIRST_CIVIC:]
    return LineRecord(
        f"+{number}",
        _CLASSES.get(line_class, ClassOfService.UNSPECIFIED),  # type: ignore[arg-type]  # the column's type
        CivicAddress(*civic) if any(civic) else None,  # type: ignore[arg-type]  # the columns' type
        LatLng(latitude, longitude) if latitude is not None else None,  # type: ignore[arg-type]
        _PLACEMENTS.get(placement, Placement.UNSPECIFIED),  # type: ignore[arg-type]
        uncertainty_m,  # type: ignore[arg-type]
        confidence,  # type: ignore[arg-type]
        provider,  # type: ignore[arg-type]
        updated_at,  # type: ignore[arg-type]
    )
