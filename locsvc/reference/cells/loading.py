"""Import of cell tables into a draft."""

from __future__ import annotations

import csv
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

from locsvc.errors import BadData
from locsvc.reference.cells.blocks import Block, read_block
from locsvc.reference.cells.build import write_cells
from locsvc.reference.cells.columns import CellColumns, from_values, join
from locsvc.reference.cells.rows import (
    KNOWN_HEADERS,
    OPENCELLID,
    UNKNOWN_RADIO,
    CellValues,
    Unusable,
    parse_row,
)
from locsvc.reference.importing import (
    COLUMN_COUNT,
    MALFORMED,
    NOT_UTF8,
    ImportReport,
    Rejects,
    TableLayout,
    find_layout,
    open_binary,
    read_table,
)
from locsvc.reference.snapshot import Draft

Progress = Callable[[int], None]

DATASET = "cells"
DUPLICATE = "identity again (the newest row was kept)"
BLOCK_BYTES = 8 << 20
# Blocks being read ahead while the next is unpacked: more would only take memory.
READERS = 2
ROWS_AT_A_TIME = 50_000
# A file whose first rows all name a radio we never heard of is no cell file, or a damaged one.
ROWS_TO_JUDGE = 100
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What a name of the identity's column says about the radio, where no column says it.
RADIO_OF_IDENTITY = {"ecellid": "LTE", "eci": "LTE", "nci": "NR"}
RADIO_OF_CHANNEL = {"earfcn": "LTE", "nrarfcn": "NR", "uarfcn": "UMTS"}


def import_cells(
    draft: Draft,
    source: Path,
    *,
    name: str,
    mapping: Mapping[str, str] | None = None,
    rejects: Path | None = None,
    licence: str = "",
    progress: Progress | None = None,
) -> ImportReport:
    """Report of the import of one cell table (CSV, plain or gzip) as `name` into the draft.

    OpenCelliD and MLS files are recognised with and without their header; other tables by known column names, or by
    `mapping`. A table with a column of azimuths is taken as one of masts: its positions are the antennas'.

    Parameters
    ----------
    draft
        Draft to write into.
    source
        The table.
    name
        Name of this import; one of the same name is replaced.
    mapping
        Our column (radio, mcc, mnc, plmn, area, cell, pci, arfcn, latitude, longitude, range_m, samples, azimuth_deg,
        created, updated, signal_dbm) -> the table's, or "=text" for the same text in every row.
    rejects
        File for the rows that were not taken.
    licence
        Terms of the source.
    progress
        Called with the number of rows read so far.

    Raises
    ------
    BadData
        The file is unreadable, not a cell table, or has no usable row.
    InvalidInput
        `mapping` names columns that do not exist, or `name` cannot be a name.
    """
    started = time.monotonic()
    layout = _layout(source, mapping)
    with Rejects(rejects) as rejected:
        judge = _Judge(source, rejected)
        read = _read_opencellid if _is_opencellid(layout) else _read_mapped
        columns = join(list(read(source, layout, judge, progress or (lambda _: None))))
        judge.close(len(columns))
        rows, doubled = write_cells(draft.dataset_dir(DATASET, name), columns)
        if doubled:
            rejected.counts[DUPLICATE] += doubled
        draft.describe(
            DATASET,
            name,
            rows=rows,
            source=source.name,
            licence=licence,
            built_at=time.time(),
            extra={"masts": "azimuth_deg" in layout.columns()},
        )
    return rejected.report(rows, time.monotonic() - started)


def _layout(source: Path, mapping: Mapping[str, str] | None) -> TableLayout:
    # Whoever maps may say "azimuth" or "lat" for our column as a table may.
    ours = {alias: column for column, aliases in KNOWN_HEADERS.items() for alias in aliases}
    mapping = {ours.get(column, column): theirs for column, theirs in (mapping or {}).items()}
    layout = find_layout(source, known=KNOWN_HEADERS, mapping=mapping, headerless=OPENCELLID)
    columns = layout.columns()
    if not layout.has_header and layout.width < len(OPENCELLID) - 1:
        raise BadData(
            f"{source} is not a cell file: the first line names no column we know, and has {layout.width}"
            f" columns, not the {len(OPENCELLID)} of OpenCelliD"
        )
    if "radio" not in columns:
        radio = _implied_radio(source)
        layout.constants["radio"] = radio
    missing = [c for c in ("cell", "latitude", "longitude") if c not in columns]
    if "plmn" not in columns:
        missing += [c for c in ("mcc", "mnc") if c not in columns]
    if missing:
        raise BadData(f"{source} has no column for {', '.join(missing)}; map them, for example {missing[0]}=Column")
    return layout


def _implied_radio(source: Path) -> str:
    with open_binary(source) as raw:
        header = raw.readline(1 << 16).decode("utf-8-sig", errors="replace")
    words = {"".join(c for c in w.casefold() if c.isalnum()) for w in header.replace(";", ",").split(",")}
    implied = {r for words_of in (RADIO_OF_IDENTITY, RADIO_OF_CHANNEL) for w, r in words_of.items() if w in words}
    if len(implied) != 1:
        raise BadData(f"{source} has no column for the radio; map it, for example radio=Column or radio==LTE")
    return implied.pop()


def _is_opencellid(layout: TableLayout) -> bool:
    plain = {ours: index for index, ours in enumerate(OPENCELLID) if ours}
    return layout.indexes == plain and not layout.constants and layout.delimiter == ","


class _Judge:
    """Turns rows to values or rejects, and sees whether the file is a cell file at all."""

    def __init__(self, source: Path, rejects: Rejects) -> None:
        self._source = source
        self._rejects = rejects
        self.accepted = 0
        self._refused = 0

    def parse(self, line: int, text: str, values: Mapping[str, str], *, zero_pci_is_unknown: bool) -> CellValues | None:
        try:
            row = parse_row(values, zero_pci_is_unknown=zero_pci_is_unknown)
        except Unusable as reason:
            self.refuse(line, str(reason), text)
            return None
        self.accepted += 1
        return row

    def refuse(self, line: int, reason: str, text: str) -> None:
        self._rejects.add(line, reason, text)
        self._refused += 1
        if self._refused == ROWS_TO_JUDGE:
            self._check()

    def close(self, rows: int) -> None:
        self._check()
        if not rows:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self._rejects.counts.items()))
            raise BadData(f"{self._source} has no usable row ({reasons or 'nothing after the header'})")

    def _check(self) -> None:
        strange = self._rejects.counts[UNKNOWN_RADIO]
        if strange and not self.accepted and strange == self._refused:
            raise BadData(
                f"{self._source} is not a cell file: the radio of its first {strange} rows is none of GSM, UMTS, LTE,"
                " NR; map the columns if it is a table of another form"
            )


def _read_opencellid(source: Path, layout: TableLayout, judge: _Judge, progress: Progress) -> Iterator[CellColumns]:
    line = 1
    for block in _parsed_blocks(source):
        judge.accepted += len(block.columns)
        mended = []
        for number, content in block.odd:
            if layout.has_header and line + number == 1:
                continue
            row = _odd_row(line + number, content, judge)
            if row is not None:
                mended.append(row)
        line += block.lines
        yield block.columns
        yield from_values(mended)
        progress(judge.accepted)


def _odd_row(line: int, content: bytes, judge: _Judge) -> CellValues | None:
    try:
        text = content.decode("utf-8").rstrip("\r")
        cells = next(csv.reader([text], strict=True), [])
    except UnicodeDecodeError:
        judge.refuse(line, NOT_UTF8, content.decode("utf-8", errors="surrogateescape"))
        return None
    except csv.Error:
        judge.refuse(line, MALFORMED, text)
        return None
    if len(cells) < len(OPENCELLID):
        if "".join(cells).strip():
            judge.refuse(line, COLUMN_COUNT, text)
        return None
    values = {ours: cell.strip() for ours, cell in zip(OPENCELLID, cells, strict=False) if ours}
    return judge.parse(line, text, values, zero_pci_is_unknown=True)


def _parsed_blocks(source: Path) -> Iterator[Block]:
    """Blocks in order, read by threads (numpy lets them run side by side) while the next is unpacked."""
    with open_binary(source) as raw, ThreadPoolExecutor(READERS) as pool:
        waiting: deque[Future[Block]] = deque()
        for content in _whole_lines(source, raw):
            waiting.append(pool.submit(read_block, content))
            if len(waiting) > READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _whole_lines(source: Path, raw: IO[bytes]) -> Iterator[bytes]:
    content = raw.read(BLOCK_BYTES)
    content = content.removeprefix(BYTE_ORDER_MARK)
    while content:
        cut = content.rfind(b"\n") + 1
        more = raw.read(BLOCK_BYTES)
        if not more:
            yield content if content.endswith(b"\n") else content + b"\n"
            return
        if not cut:
            raise BadData(f"{source} is not a CSV file: it has a line longer than {BLOCK_BYTES} bytes")
        yield content[:cut]
        content = content[cut:] + more


def _read_mapped(source: Path, layout: TableLayout, judge: _Judge, progress: Progress) -> Iterator[CellColumns]:
    # OpenCelliD and its like, which count samples, write 0 for a physical identity that they do not know.
    crowd_sourced = "samples" in layout.columns()
    rows: list[CellValues] = []
    for row in read_table(source, layout):
        if row.problem is not None:
            judge.refuse(row.line, row.problem, row.text)
            continue
        parsed = judge.parse(row.line, row.text, row.values, zero_pci_is_unknown=crowd_sourced)
        if parsed is not None:
            rows.append(parsed)
        if len(rows) >= ROWS_AT_A_TIME:
            yield from_values(rows)
            rows = []
            progress(judge.accepted)
    yield from_values(rows)
    progress(judge.accepted)
