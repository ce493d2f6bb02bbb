"""Service orders: inserts, changes, deletions, unlocks and migrations of lines, all of a file or none.

A line belongs to the company that put it in. When a customer takes the number to another company, the old one unlocks
the line, and only then the new one may take it over, by an insert or a migration, which locks it again. An unlocked
line stays in force; nobody but the next company may touch it.

References
----------
NENA 02-010, function of change codes I, C, D, U and M; NENA 02-011 for their order.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

from locsvc.errors import BadData, DatasetError
from locsvc.model import LineRecord
from locsvc.reference.addresses import AddressStore
from locsvc.reference.importing import ImportReport, Rejects
from locsvc.reference.lines.placing import Placer
from locsvc.reference.lines.records import SourceRecord, usable
from locsvc.reference.lines.table import COLUMNS, DATASET, FILE, NAME, prepare, record_of, row_of
from locsvc.reference.snapshot import Draft, Entry, Snapshot, check_files, current_id, read_manifest

# Why an order is not carried out.
UNKNOWN_FUNCTION = "function code is none of I, C, D, U, M"
ALREADY_THERE = "insert of a line that is there already and is not unlocked"
NO_SUCH_LINE = "no such line"
OTHER_COMPANY = "the line belongs to another company, which has to unlock it"
UNLOCKED = "the line is unlocked: only an insert or a migration takes it"
NOT_UNLOCKED = "migration of a line that its company has not unlocked"
# What was carried out.
DONE = {"I": "inserted", "C": "changed", "D": "deleted", "U": "unlocked", "M": "migrated"}
_WITH_RECORD = frozenset("ICM")

# Company identifiers as NENA registers them; longer names, as in tables, are no identifiers to compare with.
_LONGEST_COMPANY = 5
# Beside the lines, so that files without it, and readers that know nothing of it, stay as they are.
_CREATE_UNLOCKED = "CREATE TABLE IF NOT EXISTS unlocked (number INTEGER PRIMARY KEY)"
_FIND = (
    f"SELECT {', '.join(f'lines.{c}' for c in COLUMNS)}, unlocked.number IS NOT NULL "  # noqa: S608 - our own names
    "FROM lines LEFT JOIN unlocked USING (number) WHERE lines.number = ?"
)
_PUT = f"INSERT OR REPLACE INTO lines VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - as above


def apply_orders(
    draft: Draft,
    orders: Iterable[SourceRecord],
    *,
    current: Entry | None,
    source: str,
    addresses: AddressStore | None,
    rejects: Path | None = None,
    licence: str = "",
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Carry out orders, in their order, on a copy of the current lines; what became of each is in the report.

    Parameters
    ----------
    current
        The lines in force; None: there are none yet.
    source
        Name of the orders' file, for a person.
    addresses
        Where records without coordinates are looked for; None: they stay without.
    rejects
        CSV file for the orders that were not carried out.
    licence
        Terms of the source; empty: as before.
    progress
        Called with the number of orders read so far, now and then.

    Raises
    ------
    BadData
        No order could be carried out, or whoever reads the orders finds their file damaged as a whole.
    DatasetError
        The current lines cannot be read.
    """
    started = time.monotonic()
    notes: Counter[str] = Counter()
    file = draft.dataset_dir(DATASET, NAME) / FILE
    if current is not None:
        shutil.copyfile(current.path / FILE, file)
    with Rejects(rejects) as rejected, _Lines(file, Placer(addresses, notes)) as lines:
        done: Counter[str] = Counter()
        for order, record in usable(orders, rejected, progress):
            refused = lines.carry_out(order.function, record)
            if refused:
                rejected.add(order.line, refused, order.text)
                continue
            done[DONE[order.function]] += 1
            if order.function in _WITH_RECORD:
                notes.update(order.notes)
        if not done:
            reasons = ", ".join(f"{number} x {reason}" for reason, number in rejected.counts.items())
            raise BadData(f"{source}: no order could be carried out ({reasons or 'it has none'}); the lines stay")
        count = lines.commit()
        told = dict(done) | dict(sorted(notes.items()))
        _describe(draft, current, count, source, licence, told)
        return rejected.report(count, time.monotonic() - started, told)


def current_lines(data: Path) -> Entry | None:
    """The lines in force, every byte compared with its checksum; None when there are none yet.

    Raises
    ------
    DatasetError
        They are damaged.
    """
    if current_id(data) is None:
        return None
    snapshot = Snapshot.open(data, verify=False)
    files = [f for e in read_manifest(snapshot.path).entries if e.dataset == DATASET for f in e.files]
    check_files(snapshot.path, files, verify=True)
    return next((entry for entry in snapshot.entries(DATASET) if entry.name == NAME), None)


def _describe(draft: Draft, current: Entry | None, count: int, source: str, licence: str, told: dict[str, int]) -> None:
    before = dict(current.extra) if current is not None else {}
    base = before.get("before_orders") or (current.version.source if current is not None else "")
    draft.describe(
        DATASET,
        NAME,
        rows=count,
        source=f"{base} and orders to {source}" if base else source,
        licence=licence or (current.version.licence if current is not None else ""),
        built_at=time.time(),
        # Orders are of the North American number plan, all of which dial alike.
        extra={"default_region": "US", "before_orders": base} | before | {"notes": told},
    )


class _Lines:
    """The file of lines while orders change it."""

    def __init__(self, file: Path, placer: Placer) -> None:
        self._file = file
        self._placer = placer

    def __enter__(self) -> Self:
        try:
            self._connection = sqlite3.connect(self._file, isolation_level=None)
            prepare(self._connection)
            self._connection.execute(_CREATE_UNLOCKED)
            self._connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise DatasetError(f"{self._file} cannot be changed ({error}); import the lines again") from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def commit(self) -> int:
        """The number of lines that there are now."""
        self._connection.execute("COMMIT")
        count: int = self._connection.execute("SELECT count(*) FROM lines").fetchone()[0]
        return count

    def carry_out(self, function: str, order: LineRecord) -> str:
        """Why the order is not carried out; empty when it is."""
        number = int(order.number[1:])
        row = self._connection.execute(_FIND, (number,)).fetchone()
        held = record_of(row[:-1]) if row is not None else None
        unlocked = row is not None and bool(row[-1])
        refused = _refusal(function, order, held, unlocked=unlocked)
        if refused:
            return refused
        if function == "U":
            self._connection.execute("INSERT INTO unlocked VALUES (?)", (number,))
        elif function == "D":
            self._connection.execute("DELETE FROM lines WHERE number = ?", (number,))
        else:
            record = _taken_over(order, held) if function == "M" and held is not None else order
            self._connection.execute(_PUT, row_of(self._placer.placed(record)))
            if unlocked:
                self._connection.execute("DELETE FROM unlocked WHERE number = ?", (number,))
        return ""


def _refusal(function: str, order: LineRecord, held: LineRecord | None, *, unlocked: bool) -> str:
    """Why an order cannot be carried out on the record that is held; empty when it can."""
    if function not in DONE:
        return UNKNOWN_FUNCTION
    if held is None:
        return "" if function == "I" else NO_SUCH_LINE
    if function == "I":
        return "" if unlocked else ALREADY_THERE
    if function == "M":
        return "" if unlocked else NOT_UNLOCKED
    if unlocked:
        return UNLOCKED
    return OTHER_COMPANY if _differ(held.provider, order.provider) else ""


def _differ(held: str, given: str) -> bool:
    """Whether two identifiers of companies are of different companies."""
    if not held or not given or max(len(held), len(given)) > _LONGEST_COMPANY:
        return False
    return held.upper() != given.upper()


def _taken_over(order: LineRecord, held: LineRecord) -> LineRecord:
    """The record after a migration; one that says nothing of the place takes the line as it is."""
    if order.position is not None or (order.address is not None and (order.address.street or order.address.city)):
        return order
    return replace(held, provider=order.provider, updated_at=order.updated_at or held.updated_at)
