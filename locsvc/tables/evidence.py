"""Rows to the core's evidence: whole columns into the table of the resolver, no object a row.

A row says up to three things: a scan (`cell`), a fix (`device`) and a message (`aml`); its `t` is when. The pieces of a
call's second row are called `cell-2`, `device-2`, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from locsvc import model
from locsvc.resolver.table import (
    CELL_COLUMNS,
    FORM_ELLIPSE,
    FORM_POINT,
    IMPLIED,
    REPORT_COLUMNS,
    SERVING,
    SLOT_COLUMNS,
    EvidenceTable,
    LineAsked,
)
from locsvc.tables.rows import Cells, Ints, Rows

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]

CELL, DEVICE, AML = "cell", "device", "aml"
_DEVICE, _SCAN, _LINE = (
    float(model.EvidenceKind.DEVICE_REPORT),
    float(model.EvidenceKind.CELL_SCAN),
    float(model.EvidenceKind.LINE_LOOKUP),
)
_PARTS: Final = np.array([f"neighbours[{i}]" for i in range(64)], object)


def _exclusive(counts: Ints) -> Ints:
    result: Ints = np.cumsum(counts) - counts
    return result


def _names(kind: str, most: int) -> Names:
    """Names of a kind's pieces in a call's first, second, ... row."""
    return np.array([name_of(kind, k) for k in range(most + 1)], object)


def name_of(kind: str, rank: int) -> str:
    """The name of a piece in a call's row, counted from 0.

    >>> name_of("cell", 0), name_of("cell", 1)
    ('cell', 'cell-2')
    """
    return kind if rank == 0 else f"{kind}-{rank + 1}"


def ranks_of(call: Ints) -> Ints:
    """Which row of its call each row is, from 0; rows of a call stand together."""
    new = np.append(True, call[1:] != call[:-1])
    at = np.arange(len(call))
    result: Ints = at - np.maximum.accumulate(np.where(new, at, 0))
    return result


def table_of(rows: Rows, call: Ints, calls: int) -> EvidenceTable:
    """The evidence of rows as a table.

    Parameters
    ----------
    rows
        Without messages.
    call
        (n,) call of each row, ascending.
    calls
        How many calls there are.
    """
    rank = ranks_of(call)
    served = rows.serving.given()
    fixed = ~np.isnan(rows.latitude_deg) & ~np.isnan(rows.longitude_deg)
    around = rows.neighbour_counts
    asked = _numbers(rows, call, calls)
    asks = np.array([number is not None for number in asked], np.int64)
    count = served + around + fixed
    first = _exclusive(count) + _exclusive(asks)[call]
    total = int(count.sum() + asks.sum())
    serving_slot, row_of_neighbour = first[served], np.repeat(np.arange(len(call)), around)
    nth = np.arange(len(row_of_neighbour)) - _exclusive(around)[row_of_neighbour]
    neighbour_slot = first[row_of_neighbour] + served[row_of_neighbour] + nth
    fix_slot = (first + served + around)[fixed]
    in_call = np.bincount(call, weights=count, minlength=calls).astype(np.int64)
    asked_call = np.flatnonzero(asks)
    line_slot = (np.cumsum(in_call) + _exclusive(asks))[asked_call]

    slots = np.zeros((total, len(SLOT_COLUMNS)))
    names, parts = np.empty(total, object), np.full(total, "", object)
    most = int(rank.max(initial=0))
    scan_names = _names(CELL, most)
    for at, row, kind, named in (
        (serving_slot, np.flatnonzero(served), _SCAN, scan_names),
        (neighbour_slot, row_of_neighbour, _SCAN, scan_names),
        (fix_slot, np.flatnonzero(fixed), _DEVICE, _names(DEVICE, most)),
    ):
        slots[at, 0], slots[at, 1], slots[at, 2] = call[row], kind, rows.t[row]
        names[at] = named[rank[row]]
    slots[line_slot, 0], slots[line_slot, 1], slots[line_slot, 2] = asked_call, _LINE, np.nan
    names[line_slot] = IMPLIED
    parts[serving_slot], parts[neighbour_slot] = SERVING, _PARTS[nth]
    # The first slot of a piece is the one that speaks of the piece's age.
    slots[:, 4] = 1.0
    slots[neighbour_slot, 4] = (nth == 0) & ~served[row_of_neighbour]
    return EvidenceTable(
        np.full(calls, np.nan),
        names.tolist(),
        parts.tolist(),
        slots,
        _reports(rows, fixed, fix_slot),
        _cells(rows, served, serving_slot, neighbour_slot, row_of_neighbour),
        np.zeros((0, 2)),
        [
            LineAsked(s, k, asked[k] or "", None, implied=True)
            for s, k in zip(line_slot.tolist(), asked_call.tolist(), strict=True)
        ],
        [],
    )


def _numbers(rows: Rows, call: Ints, calls: int) -> Sequence[str | None]:
    """The calling number of each call: that of its first row with one."""
    found: list[str | None] = [None] * calls
    if rows.number is not None:
        if len(rows.number) == calls:
            return rows.number
        for k, number in zip(call.tolist(), rows.number, strict=True):
            if found[k] is None:
                found[k] = number
    return found


def _reports(rows: Rows, fixed: Bools, slot: Ints) -> Floats:
    """Rows of the table's reports: circles, and points where no radius is known."""
    reports = np.zeros((len(slot), len(REPORT_COLUMNS)))
    radius = rows.radius_m[fixed]
    sized = ~np.isnan(radius)
    reports[:, 0], reports[:, 1] = slot, np.where(sized, FORM_ELLIPSE, FORM_POINT)
    reports[:, 2], reports[:, 3] = rows.latitude_deg[fixed], rows.longitude_deg[fixed]
    reports[:, 4] = reports[:, 5] = np.where(sized, radius, 0.0)
    reports[:, 8], reports[:, 9], reports[:, 10] = rows.confidence[fixed], rows.method[fixed], rows.platform[fixed]
    return reports


def _cells(rows: Rows, served: Bools, serving_slot: Ints, neighbour_slot: Ints, row_of_neighbour: Ints) -> Floats:
    """Rows of the table's cells in the order of their slots: each serving cell before its neighbours."""
    own = np.zeros((len(serving_slot), len(CELL_COLUMNS)))
    own[:, 0], own[:, 2] = serving_slot, -1
    _fill(own, rows.serving, served)
    if rows.neighbours is None or not len(neighbour_slot):
        return own
    others = np.zeros((len(neighbour_slot), len(CELL_COLUMNS)))
    others[:, 0], others[:, 1] = neighbour_slot, 1.0
    _fill(others, rows.neighbours, np.ones(len(neighbour_slot), bool))
    every = np.concatenate((own, others))
    order = np.argsort(every[:, 0], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    nth_served = np.cumsum(served) - 1
    has = served[row_of_neighbour]
    every[len(own) :, 2] = np.where(has, place[np.where(has, nth_served[row_of_neighbour], 0)], -1)
    ordered: Floats = np.ascontiguousarray(every[order])
    return ordered


def _fill(out: Floats, cells: Cells, chosen: Bools) -> None:
    """Sets what names the cells, -1 where it is not known, and what was measured, NaN where it was not."""
    out[:, 3] = cells.radio[chosen]
    for column, values in enumerate((cells.mcc, cells.mnc, cells.area, cells.cell, cells.pci, cells.arfcn), 4):
        out[:, column] = np.nan_to_num(values[chosen], nan=-1.0)
    for column, values in enumerate((cells.timing_advance, cells.signal_dbm, cells.quality_db), 10):
        out[:, column] = values[chosen]


def calls_of(rows: Rows, call: Ints, wanted: Sequence[int]) -> list[model.Call]:
    """Some calls as objects: for those that hold messages, which are opened one by one.

    A message tells its own time, so that it gets none of the row's.
    """
    rank = ranks_of(call).tolist()
    starts = np.searchsorted(call, np.arange(int(call.max(initial=-1)) + 2)).tolist()
    first_neighbour = _exclusive(rows.neighbour_counts).tolist()
    numbers = _numbers(rows, call, len(starts) - 1)
    made = []
    for k in wanted:
        pieces: list[model.Evidence] = []
        for i in range(starts[k], starts[k + 1]):
            pieces += _pieces(rows, i, rank[i], first_neighbour[i])
        made.append(model.Call(calling_number=numbers[k] or "", evidence=tuple(pieces)))
    return made


def _pieces(rows: Rows, i: int, rank: int, first_neighbour: int) -> list[model.Evidence]:
    """What one row says."""
    t = None if np.isnan(rows.t[i]) else float(rows.t[i])
    pieces = []
    around = range(first_neighbour, first_neighbour + int(rows.neighbour_counts[i]))
    serving = _measured(rows.serving, i) if rows.serving.given()[i] else None
    if serving is not None or around:
        near = tuple(_measured(rows.neighbours, j) for j in around) if rows.neighbours is not None else ()
        pieces.append(model.Evidence(model.CellScan(serving, near), name_of(CELL, rank), observed_at=t))
    lat, lng, radius, stated = (
        float(v[i]) for v in (rows.latitude_deg, rows.longitude_deg, rows.radius_m, rows.confidence)
    )
    if not (np.isnan(lat) or np.isnan(lng)):
        center = model.LatLng(lat, lng)
        shape = model.Point(center) if np.isnan(radius) else model.Circle(center, radius)
        method, platform = model.PositioningMethod(int(rows.method[i])), model.Platform(int(rows.platform[i]))
        report = model.DeviceReport(shape, None if np.isnan(stated) else stated, method, platform=platform)
        pieces.append(model.Evidence(report, name_of(DEVICE, rank), observed_at=t))
    text = None if rows.aml is None else rows.aml[i]
    if text is not None:
        raw = model.RawMessage("aml", text.encode())
        pieces.append(model.Evidence(model.DeviceReport(raw=raw), name_of(AML, rank)))
    return pieces


def _measured(cells: Cells, i: int) -> model.CellMeasurement:
    def whole(values: Floats) -> int | None:
        return None if np.isnan(values[i]) else int(values[i])

    def told(values: Floats) -> float | None:
        return None if np.isnan(values[i]) else float(values[i])

    mcc, mnc = whole(cells.mcc), whole(cells.mnc)
    return model.CellMeasurement(
        model.Radio(int(cells.radio[i])),
        "" if mcc is None else f"{mcc:03d}",
        "" if mnc is None else f"{mnc:02d}",
        whole(cells.area),
        whole(cells.cell),
        whole(cells.pci),
        whole(cells.arfcn),
        told(cells.signal_dbm),
        told(cells.quality_db),
        whole(cells.timing_advance),
    )
