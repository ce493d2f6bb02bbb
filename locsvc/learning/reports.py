"""Rows of tables as tallies: each says that some cells were heard at a place, how strongly, and in which epoch."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.learning.truths import Truths
from locsvc.reference.cells import keys
from locsvc.reference.coverage import identities
from locsvc.reference.coverage import tallies as t
from locsvc.reference.coverage.tallies import Tallies
from locsvc.tables.columns import plain, texts
from locsvc.tables.rows import Cells, Rows

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# A truth of that accuracy counts half: it is as wide as a place.
HALF_WEIGHT_M = 50.0
UNKNOWN_ACCURACY_WEIGHT = 0.5
VISIT_S = 3_600.0
# As split by splitmix64: any change of the input changes half of the bits.
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(slots=True)
class Scans:
    """Rows that are used, (n,): where and when they were, and what they weigh."""

    place: Ints
    child: Ints
    """H3 digit of the place's child that it was in."""
    epoch: Ints
    weight: Ints
    """Sixteenths."""
    mark: Ints
    """One bit, by a hash of the visit."""


@dataclass(slots=True)
class Heard:
    """Measured cells, (m,): the scan of each, whether it served, both identities and what was measured."""

    scan: Ints
    serving: Bools
    full: Ints
    physical: Ints
    """-1 where not known, as above; channel known too."""
    area: Ints
    network: Ints
    level_dbm: Floats
    quality_db: Floats
    advance: Floats

    def of(self, chosen: Bools | Ints) -> Heard:
        """Some of them."""
        return Heard(*(getattr(self, name)[chosen] for name in Heard.__dataclass_fields__))


def _whole(values: Floats) -> Ints:
    return np.where(np.isnan(values), -1.0, values).astype(np.int64)


def weights(accuracy_m: Floats) -> Ints:
    """What truths weigh, (n,) int64 sixteenths: 16 for a perfect one, 8 at 50 m or where the accuracy is not known.

    >>> weights(np.array([5.0, 50.0, 100.0, np.nan])).tolist()
    [16, 8, 3, 8]
    """
    share = np.where(np.isnan(accuracy_m), UNKNOWN_ACCURACY_WEIGHT, 1 / (1 + (accuracy_m / HALF_WEIGHT_M) ** 2))
    sixteenths: Ints = np.maximum(np.rint(share * t.PER_WEIGHT), 1).astype(np.int64)
    return sixteenths


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    for factor, shift in zip(_MIX, (np.uint64(30), np.uint64(27)), strict=True):
        values = (values ^ (values >> shift)) * factor
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def visit_marks(batch: pa.RecordBatch, rows: Rows, truths: Truths) -> Ints:
    """One bit of 64 for each row, (n,) int64, the same for rows of one call or session in one hour.

    A row that names neither a call nor a session is a visit of its own.
    """
    named = np.zeros(len(batch), bool)
    name = np.zeros(len(batch), np.uint64)
    for column in ("call_id", "session"):
        if column not in batch.schema.names:
            continue
        given = texts(plain(batch.column(column))).dictionary_encode()
        codes = [zlib.crc32(text.encode()) for text in given.dictionary.to_pylist()]
        held = given.indices.is_valid().to_numpy(zero_copy_only=False)
        index = given.indices.fill_null(0).to_numpy(zero_copy_only=False)
        fresh = held & ~named
        name[fresh] = np.array([*codes, 0], np.uint64)[index[fresh]]
        named |= held
    hour = np.floor(np.nan_to_num(rows.t) / VISIT_S).astype(np.int64).view(np.uint64)
    own = _mixed(_mixed(truths.latitude_deg.view(np.uint64)) ^ truths.longitude_deg.view(np.uint64))
    own = _mixed(own ^ np.nan_to_num(rows.t).view(np.uint64))
    bit = _mixed(np.where(named, name << np.uint64(32), own) ^ hour) >> np.uint64(58)
    marks: Ints = (np.uint64(1) << bit).view(np.int64)
    return marks


def scans_of(truths: Truths, rows: Rows, marks: Ints, resolution: int) -> Scans:
    """All rows as scans; those without truth are at a place that means nothing."""
    lat, lng = np.nan_to_num(truths.latitude_deg).tolist(), np.nan_to_num(truths.longitude_deg).tolist()
    finer = resolution + 1
    cell = np.fromiter((h3.latlng_to_cell(a, b, finer) for a, b in zip(lat, lng, strict=True)), np.int64, len(lat))
    # The place is the child's parent, so that the children are within it: cells of H3 are not quite.
    place = t.parents_of(t.places_of(cell), np.full(len(cell), resolution))
    child = (cell >> (3 * (15 - finer))) & 7
    return Scans(place, child, t.epochs(rows.t), weights(truths.accuracy_m), marks)


def heard_of(rows: Rows) -> Heard:
    """The cells of all rows that have an identity, each once a row: serving before neighbours."""
    n = len(rows.t)
    serving = _heard(rows.serving, np.arange(n), np.ones(n, bool), None)
    found = serving
    if rows.neighbours is not None:
        row = np.repeat(np.arange(n), rows.neighbour_counts)
        around = _heard(rows.neighbours, row, np.zeros(len(row), bool), rows.serving)
        found = Heard(*(np.concatenate((getattr(serving, f), getattr(around, f))) for f in Heard.__dataclass_fields__))
    found = found.of((found.full >= 0) | (found.physical >= 0))
    if not len(found.scan):
        return found
    # A scan that lists its serving cell among the neighbours, or a neighbour twice, heard it once.
    for identity in (found.full, found.physical):
        order = np.lexsort((~found.serving, identity, found.scan))
        scan, named = found.scan[order], identity[order]
        again = np.append(False, (scan[1:] == scan[:-1]) & (named[1:] == named[:-1]) & (named[1:] >= 0))
        identity[order[again]] = identities.UNKNOWN
    return found.of((found.full >= 0) | (found.physical >= 0))


def _heard(cells: Cells, scan: Ints, serving: Bools, of_serving: Cells | None) -> Heard:
    """Measured cells with their identities; neighbours that name no network are of their serving cell's."""
    radio, mcc, mnc = cells.radio, _whole(cells.mcc), _whole(cells.mnc)
    if of_serving is not None:
        bare = mcc < 0
        radio = np.where(radio == 0, of_serving.radio[scan], radio)
        mcc = np.where(bare, _whole(of_serving.mcc)[scan], mcc)
        mnc = np.where(bare, _whole(of_serving.mnc)[scan], mnc)
    area, arfcn, pci = _whole(cells.area), _whole(cells.arfcn), _whole(cells.pci)
    area = np.where(keys.known_areas(radio.astype(np.int8), area.astype(np.int32)), area, identities.UNKNOWN)
    full = identities.full(radio, mcc, mnc, area, _whole(cells.cell))
    physical = identities.physical(radio, mcc, mnc, arfcn, pci)
    # Without a channel a pci names a cell only where nothing better does.
    physical = np.where((arfcn < 0) & (full >= 0), identities.UNKNOWN, physical)
    network = identities.networks_of(np.where(full >= 0, full, physical))
    return Heard(
        scan, serving, full, physical, area, network, cells.signal_dbm, cells.quality_db,
        np.where(serving, cells.timing_advance, np.nan),
    )  # fmt: skip


def _sums(heard: Heard, scans: Scans, listed: Ints, cells: Ints) -> Ints:
    """Columns of the sums of each measured cell, (m, 13)."""
    weight = scans.weight[heard.scan]
    made = np.zeros((len(weight), t.SUMS), np.int64)
    made[:, t.REPORTS], made[:, t.WEIGHT] = 1, weight
    made[:, t.LISTED], made[:, t.CELLS] = listed[heard.scan], cells[heard.scan]
    for column, values, per_unit in (
        (t.LEVEL, heard.level_dbm, t.PER_DB),
        (t.QUALITY, heard.quality_db, t.PER_DB),
        (t.ADVANCE, heard.advance, 1),
    ):
        known = ~np.isnan(values)
        value = np.rint(np.nan_to_num(values) * per_unit).astype(np.int64)
        made[:, column] = weight * known
        made[:, column + 1] = weight * value
        made[:, column + 2] = weight * value * value
    return made


def tallies_of(heard: Heard, scans: Scans) -> Tallies:
    """What measured cells and their scans come to; not added up yet."""
    n = len(scans.place)
    cells = np.bincount(heard.scan, minlength=n)
    listed = np.bincount(heard.scan[~heard.serving], minlength=n).clip(0, 1)
    sums = _sums(heard, scans, listed, cells * listed)
    both = (heard.full >= 0) & (heard.physical >= 0)
    known = heard.full >= 0
    area = known & (heard.area >= 0)
    by_child = sums.copy()
    by_child[:, t.CHILD :] = 0
    by_child[np.arange(len(sums)), t.CHILD + scans.child[heard.scan]] = 1
    # The network of a scan is that of its first cell, the serving one where there is one.
    first = np.unique(heard.scan, return_index=True)[1]
    kind = np.where(heard.serving, t.SERVING, t.NEIGHBOUR)
    place = scans.place[heard.scan]
    channel = heard.physical & ((1 << (identities.ARFCN_BITS + identities.PCI_BITS)) - 1)
    parts = [
        _tallies(heard.full, kind, place, heard.scan, sums, scans, known),
        _tallies(heard.physical, kind, place, heard.scan, sums, scans, heard.physical >= 0),
        _tallies(heard.full, np.full_like(kind, t.AREA), heard.area, heard.scan, sums, scans, area),
        _tallies(heard.full, np.full_like(kind, t.CHANNEL), channel, heard.scan, sums, scans, both),
        _tallies(heard.network, np.full_like(kind, t.SCAN), place, heard.scan, by_child, scans, first),
    ]
    return Tallies.join(parts)


def _tallies(
    what: Ints, kind: Ints, place: Ints, scan: Ints, sums: Ints, scans: Scans, chosen: Bools | Ints
) -> Tallies:
    at = scan[chosen]
    where = t.wheres(kind[chosen], place[chosen], scans.epoch[at])
    return Tallies(what[chosen], where, scans.mark[at], sums[chosen])
