"""Cell scans to claims: serving cells placed first, neighbours near them, each by the best step that knows it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.claims import CellClaims
from locsvc.model import CellFallback, CellMeasurement, CellScan, EvidenceKind, Radio, Reason, WarningCode
from locsvc.reference.cells import CellQueries, CellStore
from locsvc.resolver.slots import Notes, Slot

if TYPE_CHECKING:
    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.cells import CellPlaces
    from locsvc.reference.store import Reference

# Steps that name the cell itself; all later ones name something wider.
_KNOWN_STEPS = frozenset({CellFallback.COVERAGE, CellFallback.SECTOR, CellFallback.CENTROID})
# A neighbour that is known no better than by its area says nothing that the serving cell does not.
_LAST_NEIGHBOUR_STEP = CellFallback.SITE
_STEP_WORDS = {
    CellFallback.PHYSICAL_IDENTITY: "a cell with its channel and physical identity nearby was taken",
    CellFallback.SITE: "other cells of its site were taken",
    CellFallback.AREA: "its tracking or location area was taken",
    CellFallback.NETWORK: "the whole network was taken",
    CellFallback.COUNTRY: "the whole country was taken",
}


@dataclass(slots=True)
class CellAsked:
    """One cell of a scan, to be placed; `near` is a place of the call's other evidence, if any."""

    slot: int
    measurement: CellMeasurement
    neighbour: bool
    serving: int  # index of the scan's serving cell among those asked, -1 for none
    age_s: float
    near: tuple[float, float]


@dataclass(slots=True)
class CellRows:
    """Claims of cells as they are collected."""

    cells: list[tuple[float, ...]] = field(default_factory=list)


def read_scan(
    scan: CellScan,
    call: int,
    evidence_id: str,
    age_s: float,
    near: tuple[float, float],
    asked: list[CellAsked],
    notes: Notes,
) -> None:
    """Adds the scan's cells to `asked`, with their slots."""
    serving = -1
    if scan.serving is not None:
        slot = notes.add(Slot(call, evidence_id, "serving", EvidenceKind.CELL_SCAN, age_s=age_s))
        serving = len(asked)
        asked.append(CellAsked(slot, scan.serving, neighbour=False, serving=-1, age_s=age_s, near=near))
    for i, neighbour in enumerate(scan.neighbours):
        measurement = neighbour
        if scan.serving is not None and not neighbour.mcc:
            # Neighbours are named within the serving cell's network where they leave it out.
            radio = neighbour.radio or scan.serving.radio
            measurement = replace(neighbour, mcc=scan.serving.mcc, mnc=scan.serving.mnc, radio=radio)
        slot = notes.add(Slot(call, evidence_id, f"neighbours[{i}]", EvidenceKind.CELL_SCAN, age_s=age_s))
        asked.append(CellAsked(slot, measurement, neighbour=True, serving=serving, age_s=age_s, near=near))
    if scan.serving is None and not scan.neighbours:
        notes.add(Slot(call, evidence_id, "", EvidenceKind.CELL_SCAN, reason=Reason.NO_POSITION))
        notes.warn(
            call,
            WarningCode.UNUSABLE_EVIDENCE,
            "the scan lists no cell; send at least the serving one",
            evidence_id,
            "cell_scan",
        )


@functools.cache
def _store_without_cells() -> CellStore:
    """A store that knows countries only: what is left without a cell dataset."""
    return CellStore.open(())


def claim_cells(
    asked: list[CellAsked], reference: Reference, rows: CellRows, notes: Notes, parameters: Parameters
) -> None:
    """Places all cells of all calls and adds the claims to `rows`: servings in one look-up, neighbours in another."""
    if not asked:
        return
    store = reference.cells or _store_without_cells()
    first = [i for i, a in enumerate(asked) if not a.neighbour]
    second = [i for i, a in enumerate(asked) if a.neighbour]
    _set_repeated_aside(asked, first, notes)
    found: dict[int, tuple[float, float]] = {}
    for indices, last in ((first, CellFallback.COUNTRY), (second, _LAST_NEIGHBOUR_STEP)):
        chosen = [i for i in indices if notes.slots[asked[i].slot].reason is not Reason.DUPLICATE]
        if not chosen:
            continue
        near = [found.get(asked[i].serving, asked[i].near) for i in chosen]
        places = store.place(_queries([asked[i].measurement for i in chosen], near), last=last)
        found |= _claim(asked, chosen, places, reference, rows, notes, parameters)


def _set_repeated_aside(asked: list[CellAsked], serving: list[int], notes: Notes) -> None:
    """The same serving cell scanned again says nothing new: the newest scan of it stays."""
    newest: dict[tuple[int, CellMeasurement], int] = {}
    for i in sorted(serving, key=lambda k: (asked[k].age_s, asked[k].slot)):
        slot = notes.slots[asked[i].slot]
        m = asked[i].measurement
        identity = CellMeasurement(
            m.radio, m.mcc, m.mnc, m.area, m.cell, m.pci, m.arfcn, timing_advance=m.timing_advance
        )
        if (slot.call, identity) in newest:
            slot.reason = Reason.DUPLICATE
        else:
            newest[slot.call, identity] = i


def _queries(cells: list[CellMeasurement], near: list[tuple[float, float]]) -> CellQueries:
    def column(values: list[int | None], kind: type) -> np.ndarray[tuple[int], np.dtype[np.signedinteger]]:
        return np.array([-1 if v is None else v for v in values], dtype=kind)

    lat, lng = np.array(near, dtype=np.float64).reshape(-1, 2).T
    return CellQueries(
        radio=np.array([c.radio for c in cells], dtype=np.int8),
        mcc=np.array([int(c.mcc) if c.mcc.isdecimal() else -1 for c in cells], dtype=np.int16),
        mnc=np.array([int(c.mnc) if c.mnc.isdecimal() else -1 for c in cells], dtype=np.int16),
        area=column([c.area for c in cells], np.int32),
        cell=column([c.cell for c in cells], np.int64),
        pci=column([c.pci for c in cells], np.int32),
        arfcn=column([c.arfcn for c in cells], np.int32),
        near_latitude_deg=lat.copy(),
        near_longitude_deg=lng.copy(),
    )


def _claim(
    asked: list[CellAsked],
    chosen: list[int],
    places: CellPlaces,
    reference: Reference,
    rows: CellRows,
    notes: Notes,
    parameters: Parameters,
) -> dict[int, tuple[float, float]]:
    """Claims of the cells that were placed; the places by index among `asked`."""
    neighbour_exponent = parameters.dependence["neighbour_exponent"]
    found: dict[int, tuple[float, float]] = {}
    columns = (
        places.step,
        places.latitude_deg,
        places.longitude_deg,
        places.range_m,
        places.samples,
        places.azimuth_deg,
    )
    for i, step, lat, lng, range_m, samples, azimuth in zip(chosen, *(c.tolist() for c in columns), strict=True):
        a = asked[i]
        slot = notes.slots[a.slot]
        slot.fallback = CellFallback(step)
        if step == 0:
            _not_placed(a, slot, reference, notes)
            continue
        if step not in _KNOWN_STEPS:
            _wider(a, slot, reference, notes)
        if step <= CellFallback.SITE:
            found[i] = (lat, lng)
        slot.placed = True
        radio = a.measurement.radio or Radio.LTE
        advance = a.measurement.timing_advance
        exponent = neighbour_exponent if a.neighbour else 1.0
        rows.cells.append(
            (
                slot.call,
                a.slot,
                lat,
                lng,
                a.age_s,
                exponent,
                step,
                range_m,
                samples,
                azimuth,
                math.nan if advance is None or a.neighbour else advance,
                radio,
                a.neighbour,
            )
        )
    return found


def _wider(a: CellAsked, slot: Slot, reference: Reference, notes: Notes) -> None:
    """Notes that something wider than the cell answered."""
    known_by_channel = slot.fallback is CellFallback.PHYSICAL_IDENTITY and a.measurement.cell is None
    if known_by_channel:
        return
    slot.reason = Reason.UNKNOWN_CELL
    if a.neighbour:
        return
    code = WarningCode.UNKNOWN_CELL if reference.cells is not None else WarningCode.DEGRADED_DATASET
    what = "the serving cell is not in the cell dataset" if reference.cells is not None else "no cell dataset is loaded"
    notes.warn(slot.call, code, f"{what}; {_STEP_WORDS[slot.fallback]}", slot.evidence_id, "cell_scan.serving")


def _not_placed(a: CellAsked, slot: Slot, reference: Reference, notes: Notes) -> None:
    """Notes a cell of which nothing is known."""
    slot.reason = Reason.CELL_NOT_FOUND if reference.cells is not None else Reason.DATASET_MISSING
    if a.neighbour:
        return
    code = WarningCode.UNKNOWN_CELL if reference.cells is not None else WarningCode.DEGRADED_DATASET
    what = (
        "neither the serving cell nor its site, area, network or country is known"
        if reference.cells is not None
        else "no cell dataset is loaded; import one with 'locsvc import cells'"
    )
    notes.warn(slot.call, code, what, slot.evidence_id, "cell_scan.serving")


def cell_claims(rows: CellRows) -> CellClaims:
    """The collected cells as arrays."""
    c = np.array(rows.cells, dtype=np.float64).reshape(-1, 13).T
    call, order, step, radio = (c[i].astype(np.int64) for i in (0, 1, 6, 11))
    return CellClaims(call, order, c[2], c[3], c[4], c[5], step, c[7], c[8], c[9], c[10], radio, c[12] > 0)
