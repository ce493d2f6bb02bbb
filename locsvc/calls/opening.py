"""Opens the database of a journal, whichever it is."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from locsvc.calls.database import Database, reason
from locsvc.calls.schema import SCHEMA, metadata, settings
from locsvc.calls.sqlite import SqliteDatabase
from locsvc.errors import ConfigError, Unavailable

_FORMS: Final = "a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"


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
        if "file is not a database" in str(error):
            raise ConfigError(f"{_shown(url)} is no journal but another kind of file: give another path") from error
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
        # Where there is no psycopg it says so.
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
    if sa.inspect(connection).has_table(settings.name):
        _check_schema(connection)
    metadata.create_all(connection)
    rows = {"schema": str(SCHEMA), "audit_key": secrets.token_hex(32), "position": "0"}
    make = database.insert(settings).on_conflict_do_nothing()
    connection.execute(make, [{"name": name, "value": value} for name, value in rows.items()])


def _check_schema(connection: sa.Connection) -> None:
    found = connection.scalar(sa.select(settings.c.value).where(settings.c.name == "schema"))
    if found is not None and int(found) > SCHEMA:
        raise ConfigError(
            f"the journal has schema {found}, and this version of locsvc knows up to {SCHEMA}: run the newer version, "
            "or give another --journal"
        )


def audit_key(database: Database) -> str:
    """The key of the numbers in the audit."""
    with database.engine.connect() as connection:
        return str(connection.scalar(sa.select(settings.c.value).where(settings.c.name == "audit_key")))
