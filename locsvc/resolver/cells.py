"""Cell scans to densities.

As wholes where located history knows several of their cells; else serving cells first, neighbours near them, each by
the best step that knows it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.cell_claims import CellClaims, of_cells
from locsvc.fusion.claims import Made
from locsvc.model import CellFallback, Radio, Reason, WarningCode
from locsvc.reference.cells import CellPlaces, CellQueries, CellStore
from locsvc.resolver.learned import Measured, blend, of_claims, whole_scans
from locsvc.resolver.table import CELL_COLUMNS, SLOT_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.store import Reference
    from locsvc.resolver.devices import Reported
    from locsvc.resolver.learned import Blended, WholeScans
    from locsvc.resolver.slots import Notes, Slots
    from locsvc.resolver.table import EvidenceTable

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Steps after this one name something wider than the cell itself.
_LAST_KNOWN_STEP = CellFallback.CENTROID
# A neighbour that is known no better than by its area says nothing that the serving cell does not.
_LAST_NEIGHBOUR_STEP = CellFallback.SITE
_STEP_WORDS = {
    CellFallback.PHYSICAL_IDENTITY: "a cell with its channel and physical identity nearby was taken",
    CellFallback.SITE: "other cells of its site were taken",
    CellFallback.AREA: "its tracking or location area was taken",
    CellFallback.NETWORK: "the whole network was taken",
    CellFallback.COUNTRY: "the whole country was taken",
}
_NEIGHBOUR, _SERVING, _RADIO, _MCC, _MNC, _AREA, _CELL, _PCI, _ARFCN, _ADVANCE = range(1, 11)
_SIGNAL, _QUALITY = range(11, len(CELL_COLUMNS))
_FIRST_OF_PIECE = SLOT_COLUMNS.index("first_of_piece")


@functools.cache
def _store_without_cells() -> CellStore:
    """A store that knows countries only: what is left without a cell dataset."""
    return CellStore.open(())


def claim_cells(
    table: EvidenceTable, reported: Reported, slots: Slots, reference: Reference, notes: Notes, parameters: Parameters
) -> list[Made]:
    """Densities of all cells of all calls: whole scans, then servings in one look-up, neighbours in another."""
    if not len(table.cells):
        return []
    rows = table.cells
    slot = rows[:, 0].astype(np.int64)
    neighbour, serving = rows[:, _NEIGHBOUR] > 0, rows[:, _SERVING].astype(np.int64)
    _inherit_network(rows, serving)
    _set_repeated_aside(rows, slot, ~neighbour, slots)
    call = slots.call[slot]
    near = np.stack((reported.latitude_deg[call], reported.longitude_deg[call]))
    store = reference.cells or _store_without_cells()
    whole = None
    if reference.coverage is not None:
        begins = table.slots[slot, _FIRST_OF_PIECE] > 0
        whole = whole_scans(_queries(rows, near), _measured(rows), begins, slots, reference.coverage, parameters)
    free = np.ones(len(rows), bool) if whole is None else ~whole.member
    asked = np.flatnonzero(free & (slots.reason[slot] != Reason.DUPLICATE))
    # Most cells are known by their own identity: one look-up for all of them.
    queries = _queries(rows[asked], near[:, asked])
    places = store.place(queries, last=CellFallback.CENTROID)
    _place_others(places, rows[asked], near[:, asked], _among(serving[asked], asked, len(rows)), store)
    blended = None
    if reference.coverage is not None:
        age = slots.age_s[slot[asked]]
        blended = blend(places, queries, _measured(rows[asked]), age, reference.coverage, parameters)
    slots.fallback[slot[asked]] = places.step
    _note(rows[asked], slot[asked], places, slots, reference, notes)
    made = [] if whole is None or not len(whole.slot) else [_made_whole(whole, slots, parameters)]
    placed = np.flatnonzero(places.step > 0)
    if len(placed):
        at = asked[placed]
        slots.placed[slot[at]] = True
        made.append(_made(rows[at], slot[at], placed, places, blended, slots, parameters))
    return made


def _measured(rows: Floats) -> Measured:
    """What was measured of cells."""
    serving = rows[:, _NEIGHBOUR] == 0
    return Measured(rows[:, 0].astype(np.int64), serving, rows[:, _SIGNAL], rows[:, _QUALITY], rows[:, _ADVANCE])


def _among(serving: Ints, asked: Ints, count: int) -> Ints:
    """Where the serving cells (n,), rows of `count`, stand among those `asked`; -1 for none."""
    if len(asked) == count:
        return serving
    place = np.full(count + 1, -1)
    place[asked] = np.arange(len(asked))
    result: Ints = place[serving]
    return result


def _place_others(places: CellPlaces, rows: Floats, near: Floats, serving: Ints, store: CellStore) -> None:
    """Places the cells that are not known by their own identity: servings first, neighbours near them; in place."""
    neighbour = rows[:, _NEIGHBOUR] > 0
    for chosen, last in ((~neighbour, CellFallback.COUNTRY), (neighbour, _LAST_NEIGHBOUR_STEP)):
        at = np.flatnonzero(chosen & (places.step == 0))
        if not len(at):
            continue
        if last == _LAST_NEIGHBOUR_STEP:
            # Neighbours are looked for near the serving cell's own place.
            known = (serving >= 0) & (places.step[serving] > 0) & (places.step[serving] <= CellFallback.SITE)
            own = np.stack((places.latitude_deg[serving], places.longitude_deg[serving]))
            near = np.where(known, own, near)
        more = store.place(_queries(rows[at], near[:, at]), last=last)
        for name in CellPlaces.__dataclass_fields__:
            getattr(places, name)[at] = getattr(more, name)


def _inherit_network(rows: Floats, serving: Ints) -> None:
    """Neighbours are named within the serving cell's network where they leave it out; in place."""
    left_out = np.flatnonzero((serving >= 0) & (rows[:, _MCC] < 0))
    if len(left_out):
        source = serving[left_out]
        radio = rows[left_out, _RADIO]
        rows[left_out, _RADIO] = np.where(radio == 0, rows[source, _RADIO], radio)
        rows[left_out, _MCC], rows[left_out, _MNC] = rows[source, _MCC], rows[source, _MNC]


def _set_repeated_aside(rows: Floats, slot: Ints, is_serving: npt.NDArray[np.bool_], slots: Slots) -> None:
    """The same serving cell scanned again says nothing new: the newest scan of it stays."""
    at = np.flatnonzero(is_serving)
    call = slots.call[slot[at]]
    if len(at) < 2 or not (call[1:] == call[:-1]).any():
        return
    identity = np.nan_to_num(rows[at][:, _RADIO:_SIGNAL], nan=-1.0)
    keys = (*identity.T, call)
    order = np.lexsort((slot[at], slots.age_s[slot[at]], *keys))
    same = np.ones(len(at), bool)
    same[0] = False
    for key in keys:
        same[1:] &= key[order][1:] == key[order][:-1]
    slots.reason[slot[at[order[same]]]] = Reason.DUPLICATE


def _queries(rows: Floats, near: Floats) -> CellQueries:
    return CellQueries(
        radio=rows[:, _RADIO].astype(np.int8),
        mcc=rows[:, _MCC].astype(np.int16),
        mnc=rows[:, _MNC].astype(np.int16),
        area=rows[:, _AREA].astype(np.int32),
        cell=rows[:, _CELL].astype(np.int64),
        pci=rows[:, _PCI].astype(np.int32),
        arfcn=rows[:, _ARFCN].astype(np.int32),
        near_latitude_deg=near[0].copy(),
        near_longitude_deg=near[1].copy(),
    )


def _note(rows: Floats, slot: Ints, places: CellPlaces, slots: Slots, reference: Reference, notes: Notes) -> None:
    """Notes cells that something wider answered for, and those of which nothing is known."""
    by_channel = (places.step == CellFallback.PHYSICAL_IDENTITY) & (rows[:, _CELL] < 0)
    odd = ((places.step == 0) | (places.step > _LAST_KNOWN_STEP)) & ~by_channel
    loaded = reference.cells is not None or reference.coverage is not None
    code = WarningCode.UNKNOWN_CELL if loaded else WarningCode.DEGRADED_DATASET
    for i in np.flatnonzero(odd).tolist():
        s, step = int(slot[i]), CellFallback(int(places.step[i]))
        if step:
            slots.reason[s] = Reason.UNKNOWN_CELL
            what = "the serving cell is not in the cell dataset" if loaded else "no cell dataset is loaded"
            what = f"{what}; {_STEP_WORDS[step]}"
        else:
            slots.reason[s] = Reason.CELL_NOT_FOUND if loaded else Reason.DATASET_MISSING
            what = (
                "neither the serving cell nor its site, area, network or country is known"
                if loaded
                else "no cell dataset is loaded; import one with 'locsvc import cells'"
            )
        if rows[i, _NEIGHBOUR] == 0:
            notes.warn(int(slots.call[s]), code, what, slots.names[s], "cell_scan.serving")


def _made_whole(whole: WholeScans, slots: Slots, parameters: Parameters) -> Made:
    """Densities of scans that located history knows as wholes."""
    n = len(whole.slot)
    unknown, found = np.full(n, np.nan), whole.scans
    claims = CellClaims(
        slots.call[whole.slot],
        whole.slot,
        found.latitude_deg,
        found.longitude_deg,
        slots.age_s[whole.slot],
        whole.exponent,
        np.full(n, int(CellFallback.COVERAGE)),
        unknown,
        np.zeros(n),
        unknown,
        unknown,
        np.full(n, int(Radio.LTE)),
        np.zeros(n, bool),
        found.learned,
        found.spread_m,
    )
    return of_cells(claims, parameters)


def _made(
    rows: Floats,
    slot: Ints,
    at: Ints,
    places: CellPlaces,
    blended: Blended | None,
    slots: Slots,
    parameters: Parameters,
) -> Made:
    """Densities of the cells (rows) that have a place, which are `at` among the places."""
    neighbour = rows[:, _NEIGHBOUR] > 0
    radio = rows[:, _RADIO].astype(np.int64)
    claims = CellClaims(
        slots.call[slot],
        slot,
        places.latitude_deg[at],
        places.longitude_deg[at],
        slots.age_s[slot],
        np.where(neighbour, parameters.dependence["neighbour_exponent"], 1.0),
        places.step[at].astype(np.int64),
        places.range_m[at],
        places.samples[at].astype(np.float64),
        places.azimuth_deg[at],
        np.where(neighbour, np.nan, rows[:, _ADVANCE]),
        np.where(radio == 0, int(Radio.LTE), radio),
        neighbour,
        None if blended is None else of_claims(blended.learned, at),
        None if blended is None else blended.spread_m[at],
    )
    return of_cells(claims, parameters)
