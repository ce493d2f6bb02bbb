"""Tables of the journal, in SQLAlchemy Core: one schema for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

# Raised when a table changes; a journal of a newer schema is refused, one of an older is brought up in `opening.py`.
SCHEMA: Final = 1

# Keys of pieces: 8 bytes that stand for their call or number, then 16 of their name or content. As one column they are
# found by one index, and those of one call lie side by side in it.
_KEY_BYTES = 24
# SQLite counts rows by itself in columns of this type only.
_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData()

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("call_id", sa.String(128), primary_key=True),
    sa.Column("calling_number", sa.String(16), nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("pieces", sa.Integer, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("deadline_told", sa.Boolean, nullable=False),
    sa.Index("calls_by_number", "calling_number", "started_at"),
    sa.Index("calls_by_start", "started_at"),
    sqlite_with_rowid=False,
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("call_id", sa.String(128), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    # The number that this change gave the call, empty in all others.
    sa.Column("calling_number", sa.String(16), nullable=False),
    # Of the transaction that wrote it; see `Database.position`.
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Index("changes_by_position", "position"),
    sqlite_with_rowid=False,
)

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("call_id", sa.String(128), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    # Place among the pieces of the revision.
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("evidence_id", sa.String(128), nullable=False),
    sa.Column("name_key", sa.LargeBinary(_KEY_BYTES), nullable=False),
    sa.Column("content_key", sa.LargeBinary(_KEY_BYTES), nullable=False),
    # The time that it counts for; a column, as JSON would round it.
    sa.Column("observed_at", sa.Double, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("evidence_by_name", "name_key", unique=True),
    sa.Index("evidence_by_content", "content_key", unique=True),
    sqlite_with_rowid=False,
)

# Evidence that came before its call, by the caller's number.
waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("waiting_id", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("calling_number", sa.String(16), nullable=False),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("evidence_id", sa.String(128), nullable=False),
    # Not unique: after the window the same words are another call's.
    sa.Column("name_key", sa.LargeBinary(_KEY_BYTES), nullable=False),
    sa.Column("content_key", sa.LargeBinary(_KEY_BYTES), nullable=False),
    sa.Column("observed_at", sa.Double, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("waiting_by_number", "calling_number", "received_at"),
    sa.Index("waiting_by_name", "name_key"),
    sa.Index("waiting_by_content", "content_key"),
)

estimates = sa.Table(
    "estimates",
    metadata,
    sa.Column("call_id", sa.String(128), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("confidence", sa.Double, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    # JSON, deflated: a region has thousands of cells.
    sa.Column("body", sa.LargeBinary, nullable=False),
)

look_ups = sa.Table(
    "look_ups",
    metadata,
    sa.Column("look_up_id", _COUNTED, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("call_id", sa.String(128), nullable=False),
    # A keyed hash; the key is among the settings.
    sa.Column("number_hash", sa.String(64), nullable=False),
    sa.Index("look_ups_by_time", "at"),
)
