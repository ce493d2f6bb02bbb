"""Line records of any source that is not a table: read elsewhere, written here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from locsvc.errors import BadData
from locsvc.model import LineRecord
from locsvc.reference.addresses import AddressStore
from locsvc.reference.importing import ImportReport, Rejects
from locsvc.reference.lines.placing import Placer
from locsvc.reference.lines.table import AGAIN, DATASET, FILE, NAME, Value, row_of, write_rows
from locsvc.reference.numbers import normalise_number
from locsvc.reference.snapshot import Draft

PROGRESS_RECORDS = 20_000
IMPOSSIBLE_NUMBER = "not a possible telephone number"


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a source, or why it cannot be used."""

    line: int
    """Where it stands in the source, from 1."""
    text: str
    """As it stands there."""
    record: LineRecord | None
    problem: str = ""
    """A few words, the same for all with the same fault; empty when there is a record."""
    function: str = ""
    """Of a service order: I, C, D, U or M."""
    notes: tuple[str, ...] = ()
    """What was left out of it."""


def import_records(
    draft: Draft,
    records: Iterable[SourceRecord],
    *,
    source: str,
    default_region: str | None,
    addresses: AddressStore | None,
    rejects: Path | None = None,
    licence: str = "",
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import records in place of the former lines; what became of each is in the report.

    Parameters
    ----------
    source
        Name of the source, for a person.
    default_region
        ISO 3166-1 alpha-2 of the region in which numbers without a country code are looked up later.
    addresses
        Where records without coordinates are looked for; None: they stay without.
    rejects
        CSV file for the records that could not be used.
    progress
        Called with the number of records read so far, now and then.

    Raises
    ------
    BadData
        There is no usable record, or whoever reads the source finds it damaged as a whole.
    """
    started = time.monotonic()
    notes: Counter[str] = Counter()
    with Rejects(rejects) as rejected:
        kept = 0

        def rows() -> Iterator[tuple[Value, ...]]:
            nonlocal kept
            placer = Placer(addresses, notes)
            for given, record in usable(records, rejected, progress):
                kept += 1
                notes.update(given.notes)
                yield row_of(placer.placed(record))

        count = write_rows(draft.dataset_dir(DATASET, NAME) / FILE, rows())
        if not count:
            reasons = ", ".join(f"{number} x {reason}" for reason, number in rejected.counts.items())
            raise BadData(f"{source} has no usable line record ({reasons or 'no records'})")
        if kept > count:
            notes[AGAIN] = kept - count
        told = dict(sorted(notes.items()))
        extra = {"default_region": default_region, "notes": told}
        draft.describe(DATASET, NAME, rows=count, source=source, licence=licence, built_at=time.time(), extra=extra)
        return rejected.report(count, time.monotonic() - started, told)


def usable(
    records: Iterable[SourceRecord], rejected: Rejects, progress: Callable[[int], None] | None
) -> Iterator[tuple[SourceRecord, LineRecord]]:
    """The records that can be used, each with its line; the others are rejected on the way."""
    for count, given in enumerate(records, start=1):
        if progress is not None and count % PROGRESS_RECORDS == 0:
            progress(count)
        if given.record is None:
            rejected.add(given.line, given.problem, given.text)
        elif normalise_number(given.record.number, None) != given.record.number:
            rejected.add(given.line, IMPOSSIBLE_NUMBER, given.text)
        else:
            yield given, given.record
