"""Cell scans to densities.

As wholes where located history knows several of their cells; else serving cells first, neighbours near them, each by
the best step that knows it.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion.cell_claims import CellClaims, of_cells
from locsvc.model import CellFallback, Radio, Reason, WarningCode
from locsvc.reference.cells import CellQueries, CellStore, open_places
from locsvc.reference.cells.finding import AZIMUTH, DEGREES_EAST, DEGREES_NORTH, METRES
from locsvc.resolver.learned import Measured, blend, of_claims, whole_scans
from locsvc.resolver.table import CELL_COLUMNS, SLOT_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.claims import Made
    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.cells import OpenPlaces
    from locsvc.reference.store import Reference
    from locsvc.resolver.devices import Reported
    from locsvc.resolver.learned import Blended, WholeScans
    from locsvc.resolver.slots import Notes, Slots
    from locsvc.resolver.table import EvidenceTable

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Steps after this one name something wider than the cell itself.
_LAST_KNOWN_STEP = int(CellFallback.CENTROID)
_BY_CHANNEL, _LTE = int(CellFallback.PHYSICAL_IDENTITY), int(Radio.LTE)
# A neighbour that is known no better than by its area says nothing that the serving cell does not.
_LAST_NEIGHBOUR_STEP = CellFallback.SITE
# Stands in for the step of a neighbour until its serving cell has been placed.
_KEPT_BACK = -1
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


class _Cells(NamedTuple):
    """Cells of calls, (n,): rows of the table, their columns, and what is asked of the dataset.

    `serving` is the place among them of the scan's serving cell, -1 for none.
    """

    rows: Floats
    slot: Ints
    call: Ints
    serving: Ints
    neighbour: Bools
    queries: CellQueries

    def take(self, at: Ints) -> _Cells:
        """Some of them, ascending; a serving cell that is not among them is none."""
        among = np.full(len(self.slot) + 1, -1)
        among[at] = np.arange(len(at))
        return _Cells(
            self.rows[at],
            self.slot[at],
            self.call[at],
            among[self.serving[at]],
            self.neighbour[at],
            self.queries.take(at),
        )


def claim_cells(
    table: EvidenceTable, reported: Reported, slots: Slots, reference: Reference, notes: Notes, parameters: Parameters
) -> list[Made]:
    """Densities of all cells of all calls: whole scans, then servings in one look-up, neighbours in another."""
    if not len(table.cells):
        return []
    cells, repeated = _cells_of(table.cells, reported, slots)
    if repeated:
        _set_repeated_aside(cells, slots)
    whole, made = None, []
    asked = slots.reason[cells.slot] != Reason.DUPLICATE if repeated else np.ones(len(cells.slot), bool)
    if reference.coverage is not None:
        begins = table.slots[cells.slot, _FIRST_OF_PIECE] > 0
        whole = whole_scans(cells.queries, _measured(cells.rows), begins, slots, reference.coverage, parameters)
        asked &= ~whole.member
        if len(whole.slot):
            made.append(_made_whole(whole, slots, parameters))
        if not asked.any():
            return made
    if not asked.all():
        cells = cells.take(np.flatnonzero(asked))
    found = _places_of(cells, reference.cells or _store_without_cells())
    blended = None
    if reference.coverage is not None:
        age, measured = slots.age_s[cells.slot], _measured(cells.rows)
        blended = blend(found, cells.queries, measured, age, reference.coverage, parameters)
    claims, odd = _claims_of(cells, found, blended, slots, parameters)
    if odd is not None:
        _note(cells, odd, found, slots, reference, notes)
    if len(claims.call):
        made.append(of_cells(claims, parameters))
    return made


def _cells_of(rows: Floats, reported: Reported, slots: Slots) -> tuple[_Cells, bool]:
    """The cells of a table, and whether some call has several serving ones."""
    n = len(rows)
    slot, call, serving = np.empty((3, n), np.int64)
    words, near = np.empty((3, n), np.int32), np.empty((2, n))
    network = np.empty(n, np.int8), np.empty(n, np.int16), np.empty(n, np.int16)
    queries = CellQueries(*network, words[0], np.empty(n, np.int64), words[1], words[2], near[0], near[1])
    cells = _Cells(rows, slot, call, serving, np.empty(n, bool), queries)
    return cells, _read(cells, slots.call, reported.latitude_deg, reported.longitude_deg)


@compiled
def _read(cells: _Cells, call_of_slot: Ints, latitude_of_call: Floats, longitude_of_call: Floats) -> bool:
    """Fills the columns of cells from their rows (CELL_COLUMNS); whether some call has several serving ones.

    Neighbours are named within the serving cell's network where they leave it out: in the rows, too.
    """
    rows, q = cells.rows, cells.queries
    repeated, last = False, -1
    for i in range(len(rows)):
        slot, serving, neighbour = int(rows[i, 0]), int(rows[i, _SERVING]), rows[i, _NEIGHBOUR] > 0.0
        call = call_of_slot[slot]
        cells.slot[i], cells.call[i], cells.serving[i], cells.neighbour[i] = slot, call, serving, neighbour
        if serving >= 0 and rows[i, _MCC] < 0.0:
            if rows[i, _RADIO] == 0.0:
                rows[i, _RADIO] = rows[serving, _RADIO]
            rows[i, _MCC], rows[i, _MNC] = rows[serving, _MCC], rows[serving, _MNC]
        q.radio[i], q.mcc[i], q.mnc[i] = int(rows[i, _RADIO]), int(rows[i, _MCC]), int(rows[i, _MNC])
        q.area[i], q.cell[i] = int(rows[i, _AREA]), int(rows[i, _CELL])
        q.pci[i], q.arfcn[i] = int(rows[i, _PCI]), int(rows[i, _ARFCN])
        q.near_latitude_deg[i], q.near_longitude_deg[i] = latitude_of_call[call], longitude_of_call[call]
        if not neighbour:
            repeated = repeated or call == last
            last = call
    return repeated


def _measured(rows: Floats) -> Measured:
    """What was measured of cells."""
    serving = rows[:, _NEIGHBOUR] == 0
    return Measured(rows[:, 0].astype(np.int64), serving, rows[:, _SIGNAL], rows[:, _QUALITY], rows[:, _ADVANCE])


def _places_of(cells: _Cells, store: CellStore) -> OpenPlaces:
    """What the dataset knows of the cells' places."""
    found = open_places(len(cells.slot))
    # Most cells are known by their own identity: one look-up for all of them.
    store.fill(cells.queries, found, last=CellFallback.CENTROID)
    servings, neighbours = _keep_neighbours_back(cells.neighbour, found.step)
    if servings:
        store.fill(cells.queries, found, first=CellFallback.PHYSICAL_IDENTITY)
    if neighbours:
        near = cells.queries.near_latitude_deg, cells.queries.near_longitude_deg
        _look_near_servings(cells.serving, *found, *near)
        store.fill(cells.queries, found, first=CellFallback.PHYSICAL_IDENTITY, last=_LAST_NEIGHBOUR_STEP)
    return found


@compiled
def _keep_neighbours_back(neighbour: Bools, step: npt.NDArray[np.int8]) -> tuple[int, int]:
    """Closes the places (n,) of neighbours that are open; how many servings and how many neighbours were."""
    servings = neighbours = 0
    for i in range(len(step)):
        if step[i] == 0 and neighbour[i]:
            neighbours += 1
            step[i] = _KEPT_BACK
        elif step[i] == 0:
            servings += 1
    return servings, neighbours


@compiled
def _look_near_servings(
    serving: Ints,
    step: npt.NDArray[np.int8],
    numbers: Floats,
    _samples: Ints,
    near_latitude_deg: Floats,
    near_longitude_deg: Floats,
) -> None:
    """Opens what was kept back again, to be looked for near the serving cell's own place where that is known."""
    for i in range(len(step)):
        if step[i] != _KEPT_BACK:
            continue
        step[i] = 0
        s = serving[i]
        if s >= 0 and 0 < step[s] <= _LAST_NEIGHBOUR_STEP:
            near_latitude_deg[i], near_longitude_deg[i] = numbers[DEGREES_NORTH, s], numbers[DEGREES_EAST, s]


def _set_repeated_aside(cells: _Cells, slots: Slots) -> None:
    """The same serving cell scanned again says nothing new: the newest scan of it stays."""
    at = np.flatnonzero(~cells.neighbour)
    rows, slot, call = cells.rows, cells.slot, cells.call[at]
    identity = np.nan_to_num(rows[at][:, _RADIO:_SIGNAL], nan=-1.0)
    keys = (*identity.T, call)
    order = np.lexsort((slot[at], slots.age_s[slot[at]], *keys))
    same = np.ones(len(at), bool)
    same[0] = False
    for key in keys:
        same[1:] &= key[order][1:] == key[order][:-1]
    slots.reason[slot[at[order[same]]]] = Reason.DUPLICATE


def _note(cells: _Cells, odd: Bools, places: OpenPlaces, slots: Slots, reference: Reference, notes: Notes) -> None:
    """Notes cells that something wider answered for, and those of which nothing is known."""
    loaded = reference.cells is not None or reference.coverage is not None
    code = WarningCode.UNKNOWN_CELL if loaded else WarningCode.DEGRADED_DATASET
    for i in np.flatnonzero(odd).tolist():
        s, step = int(cells.slot[i]), CellFallback(int(places.step[i]))
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
        if not cells.neighbour[i]:
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


def _claims_of(
    cells: _Cells, found: OpenPlaces, blended: Blended | None, slots: Slots, parameters: Parameters
) -> tuple[CellClaims, Bools | None]:
    """The claims of the cells that have a place, and which cells something is to be told of (None: of none)."""
    n = len(cells.slot)
    call, slot, step, radio, at = np.empty((5, n), np.int64)
    lat, lng, age, exponent, reach, samples, azimuth, advance = np.empty((8, n))
    neighbour, odd = np.empty((2, n), bool)
    claimed = _Claimed(
        call, slot, lat, lng, age, exponent, step, reach, samples, azimuth, advance, radio, neighbour, at
    )
    further = parameters.dependence["neighbour_exponent"]
    k, told = _describe(cells, found, slots.age_s, further, slots.fallback, slots.placed, claimed, odd)
    columns: dict[str, Any] = {name: column[:k] for name, column in claimed._asdict().items()}
    own = columns.pop("at")
    claims = CellClaims(**columns)
    if blended is not None:
        some = k < n
        claims.learned = of_claims(blended.learned, own) if some else blended.learned
        claims.spread_m = blended.spread_m[own] if some else blended.spread_m
    return claims, odd if told else None


class _Claimed(NamedTuple):
    """Columns of `CellClaims`, and `at`, which of the cells each is of."""

    call: Ints
    order: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    age_s: Floats
    exponent: Floats
    step: Ints
    range_m: Floats
    samples: Floats
    azimuth_deg: Floats
    timing_advance: Floats
    radio: Ints
    neighbour: Bools
    at: Ints


@compiled
def _describe(
    cells: _Cells,
    found: OpenPlaces,
    age_of_slot: Floats,
    neighbour_exponent: float,
    fallback: Ints,
    placed: Bools,
    out: _Claimed,
    odd: Bools,
) -> tuple[int, int]:
    """Fills the columns of claims from the cells that have a place; how many they are, and how many are odd.

    Steps and that there is a place are noted in the slots. Odd are cells that are not known or by something wider, but
    for those without an identity that were found by their channel.
    """
    k = told = 0
    for i in range(len(cells.slot)):
        slot, step, neighbour, radio = cells.slot[i], found.step[i], cells.neighbour[i], cells.queries.radio[i]
        odd[i] = step == 0 or step > _LAST_KNOWN_STEP
        if step == _BY_CHANNEL and cells.queries.cell[i] < 0:
            odd[i] = False
        told += odd[i]
        fallback[slot] = step
        if step == 0:
            continue
        placed[slot] = True
        out.call[k], out.order[k], out.step[k], out.at[k] = cells.call[i], slot, step, i
        out.latitude_deg[k], out.longitude_deg[k] = found.numbers[DEGREES_NORTH, i], found.numbers[DEGREES_EAST, i]
        out.age_s[k], out.exponent[k] = age_of_slot[slot], neighbour_exponent if neighbour else 1.0
        out.range_m[k], out.azimuth_deg[k] = found.numbers[METRES, i], found.numbers[AZIMUTH, i]
        out.samples[k], out.timing_advance[k] = found.samples[i], math.nan if neighbour else cells.rows[i, _ADVANCE]
        out.radio[k], out.neighbour[k] = radio if radio != 0 else _LTE, neighbour
        k += 1
    return k, told
