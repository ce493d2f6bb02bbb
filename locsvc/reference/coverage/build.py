"""Tallies to the files of a dataset: shelf by shelf, so that memory holds a part of it at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from locsvc.reference.cells.files import save
from locsvc.reference.coverage import files, shelves
from locsvc.reference.coverage import tallies as t
from locsvc.reference.coverage.cells import ShelfCells, cells_of
from locsvc.reference.coverage.groups import write_groups
from locsvc.reference.coverage.heard import NETWORK_BITS, Around, Ground, Rows, heard_at
from locsvc.reference.coverage.identities import ARFCN_BITS, PCI_BITS, PHYSICAL_BIT, networks_of
from locsvc.reference.coverage.rows import Faded, Marked, areas_of, child_shares, fade, marked, scan_stats
from locsvc.reference.coverage.tallies import Tallies

if TYPE_CHECKING:
    from locsvc.reference.coverage.terms import Terms

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Rows by cell that are turned into rows by place at a time.
_AT_A_TIME = 1 << 17


@dataclass(frozen=True, slots=True)
class Built:
    """How much is in a dataset."""

    cells: int
    physical: int
    rows: int
    places: int
    reports: int
    dropped: int
    """Tallies that were too old to count."""


@dataclass(slots=True)
class _Work:
    """What is gathered from shelf to shelf."""

    directory: Path
    scratch: Path
    terms: Terms
    newest: int
    places: list[Ints] = field(default_factory=list)
    scans: list[Faded] = field(default_factory=list)
    links: list[Faded] = field(default_factory=list)
    areas: list[tuple[Ints, Ints]] = field(default_factory=list)
    reports: int = 0
    dropped: int = 0


def write_coverage(
    directory: Path,
    scratch: Path,
    shelf: Callable[[int], Tallies],
    terms: Terms,
    newest: int,
) -> Built:
    """Write the dataset's files.

    Parameters
    ----------
    directory, scratch
        Where the files go; where others may lie meanwhile.
    shelf
        All tallies of a shelf, added up; asked for once each.
    terms
        How they are weighted and thinned.
    newest
        Epoch of the newest report.
    """
    work = _Work(directory, scratch, terms, newest)
    for number in range(shelves.SHELVES):
        _take(work, number, shelf(number))
    place, degrees, ground = _write_bins(work)
    parts = []
    for number in range(shelves.SHELVES):
        part = _cells(work, number, place, degrees)
        if part is not None:
            parts.append(part)
    identity, rows = _write_cells(work, parts)
    _write_links(work)
    _write_heard(work, identity, ground)
    physical = int((identity >> PHYSICAL_BIT).sum())
    return Built(len(identity), physical, rows, ground.places, work.reports, work.dropped)


def _take(work: _Work, number: int, tallies: Tallies) -> None:
    """Thins the tallies of a shelf, keeps them for the next time, and lays their rows aside."""
    terms = work.terms
    thin = t.coarsened(tallies, terms.most_places)
    kept = shelves.without_old(thin, work.newest, terms.epochs_per_half, terms.least_weight)
    work.dropped += len(thin) - len(kept)
    shelves.save(work.directory / files.shelf_file(number), kept, packed=True)
    weight = shelves.faded(np.arange(t.MAX_EPOCH + 1), work.newest, terms.epochs_per_half, terms.untimed_weight)
    rows = fade(kept, weight)
    heard, scans = rows.of(rows.kind <= t.NEIGHBOUR), rows.of(rows.kind == t.SCAN)
    work.reports += int(kept.sums[kept.kind == t.SCAN, t.REPORTS].sum())
    work.places += [np.unique(heard.place), np.unique(scans.place)]
    work.scans.append(scans)
    work.links.append(rows.of(rows.kind == t.CHANNEL))
    work.areas.append(areas_of(rows.of(rows.kind == t.AREA)))
    seen = marked(kept, kept.kind <= t.NEIGHBOUR, weight)
    columns = {name: getattr(heard, name) for name in Faded.__dataclass_fields__}
    columns |= {f"marked_{name}": getattr(seen, name) for name in Marked.__dataclass_fields__}
    with (work.scratch / f"rows-{number}.npz").open("wb") as opened:
        np.savez(opened, allow_pickle=False, **columns)


def _joined(parts: list[Faded]) -> Faded:
    return Faded(*(np.concatenate([getattr(p, name) for p in parts]) for name in Faded.__dataclass_fields__))


def _write_bins(work: _Work) -> tuple[Ints, Floats, Ground]:
    """Bins as places, ascending, and their centres; and the scans at them, written too."""
    place = np.unique(np.concatenate(work.places))
    work.places.clear()
    cell = t.h3_of(place)
    degrees = np.array([h3.cell_to_latlng(c) for c in cell.tolist()]).reshape(-1, 2)
    own = place[t.resolutions_of(place) == work.terms.resolution]
    # From the first to the last that can be within: at the places' resolution, digits below the bin's own are free.
    free = (np.int64(1) << (3 * (t.FINEST - t.resolutions_of(place)))) - 1
    finest = np.full(len(place), work.terms.resolution)
    last_inside = t.at_resolution(place, finest)
    first, last = np.searchsorted(own, last_inside & ~free), np.searchsorted(own, last_inside, side="right")
    save(work.directory, files.BIN_H3, cell)
    save(work.directory, files.BIN_PLACE, degrees)
    save(work.directory, files.BIN_FIRST, first.astype(np.int32))
    save(work.directory, files.BIN_LAST, last.astype(np.int32))
    return place, degrees, _write_scans(work, own, first, last)


def _write_scans(work: _Work, own: Ints, first: Ints, last: Ints) -> Ground:
    scans = _joined(work.scans)
    work.scans.clear()
    place = np.searchsorted(own, scans.place)
    order = np.lexsort((scans.what, place))
    scans, place = scans.of(order), place[order]
    stats = scan_stats(scans)
    save(work.directory, files.SCAN_START, np.searchsorted(place, np.arange(len(own) + 1)))
    save(work.directory, files.SCAN_NETWORK, scans.what.astype(np.int32))
    save(work.directory, files.SCAN_STATS, stats)
    save(work.directory, files.PLACE_CHILD, child_shares(place, scans, len(own)))
    key = place << NETWORK_BITS | scans.what
    around = Around.of(t.h3_of(own), work.terms.lent_share)
    return Ground(first, last, key, stats[:, files.S_REPORTS].astype(np.float64), len(own), around)


def _cells(work: _Work, number: int, place: Ints, degrees: Floats) -> tuple[int, ShelfCells] | None:
    """The cells of a shelf; their rows are laid aside."""
    file = work.scratch / f"rows-{number}.npz"
    with np.load(file, allow_pickle=False) as held:
        heard = Faded(*(held[name] for name in Faded.__dataclass_fields__))
        seen = Marked(*(held[f"marked_{name}"] for name in Marked.__dataclass_fields__))
    file.unlink()
    if not len(heard.what):
        return None
    made = cells_of(heard, seen, place, degrees, work.newest)
    np.save(work.scratch / f"bin-{number}.npy", made.row_bin)
    np.save(work.scratch / f"stats-{number}.npy", made.row_stats)
    made.row_bin, made.row_stats = made.row_bin[:0], made.row_stats[:0]
    return number, made


def _write_cells(work: _Work, parts: list[tuple[int, ShelfCells]]) -> tuple[Ints, int]:
    """Writes cells and their rows, all shelves' in one order; the identities, and how many rows there are."""
    directory = work.directory

    def column(name: str, none: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([none, *(getattr(part, name) for _, part in parts)])

    nothing = np.zeros(0, np.int64)
    identity = column("identity", nothing)
    # An identity is on one shelf, where its clusters are in order.
    order = np.argsort(identity, kind="stable")
    identity, count, serving = identity[order], column("rows", nothing)[order], column("serving", nothing)[order]
    start = np.append(0, np.cumsum(count))
    place = column("place", np.zeros((0, 2), np.int32))[order]
    stats = column("stats", np.zeros((0, files.CELL_WIDTH), np.float32))[order]
    area = _areas(work, identity)
    save(directory, files.CELL_IDENTITY, identity)
    save(directory, files.CELL_START, start)
    save(directory, files.CELL_SPLIT, start[:-1] + serving)
    save(directory, files.CELL_PLACE, place)
    save(directory, files.CELL_STATS, stats)
    save(directory, files.CELL_AREA, area.astype(np.int32))
    save(directory, files.CELL_RESOLUTION, column("resolution", np.zeros(0, np.int8))[order])
    write_groups(directory, identity, area, place, stats)
    first_row = np.empty(len(order), np.int64)
    first_row[order] = start[:-1]
    _write_rows(work, parts, first_row, int(start[-1]))
    return identity, int(start[-1])


def _areas(work: _Work, identity: Ints) -> Ints:
    """Area code of each cell, -1 where none was seen."""
    what, area = (np.concatenate([pair[k] for pair in work.areas]) for k in (0, 1))
    order = np.argsort(what)
    what, area = what[order], area[order]
    if not len(what):
        return np.full(len(identity), -1)
    at = np.minimum(np.searchsorted(what, identity), len(what) - 1)
    return np.where(what[at] == identity, area[at], -1)


def _write_rows(work: _Work, parts: list[tuple[int, ShelfCells]], first_row: Ints, total: int) -> None:
    """Writes the rows of all cells; `first_row` is where those of each cell go, in the order of the shelves."""
    shapes: dict[str, tuple[str, type, tuple[int, ...]]] = {
        "bin": (files.ROW_BIN, np.int32, (total,)),
        "stats": (files.ROW_STATS, np.float32, (total, files.ROW_WIDTH)),
    }
    for kind, (name, dtype, shape) in shapes.items():
        # Empty files cannot be mapped.
        out = _mapped(work.directory, name, dtype, shape) if total else np.zeros(shape, dtype)
        done = 0
        for number, part in parts:
            begin = first_row[done : done + len(part.rows)]
            done += len(part.rows)
            to = np.repeat(begin - (np.cumsum(part.rows) - part.rows), part.rows) + np.arange(int(part.rows.sum()))
            file = work.scratch / f"{kind}-{number}.npy"
            out[to] = np.load(file)
            file.unlink()
        if not total:
            save(work.directory, name, out)


def _mapped(directory: Path, name: str, dtype: type, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.lib.format.open_memmap(directory / f"{name}.npy", "w+", np.dtype(dtype), shape)


def _write_links(work: _Work) -> None:
    """Writes which channel and pci each full identity was seen with."""
    links = _joined(work.links)
    physical = (1 << PHYSICAL_BIT) | (networks_of(links.what) << (ARFCN_BITS + PCI_BITS)) | links.place
    order = np.lexsort((physical, links.what))
    save(work.directory, files.LINK_FULL, links.what[order])
    save(work.directory, files.LINK_PHYSICAL, physical[order])
    save(work.directory, files.LINK_REPORTS, links.sums[order, t.REPORTS].astype(np.float32))
    save(work.directory, files.LINK_ORDER, np.argsort(physical[order], kind="stable").astype(np.int32))


def _write_heard(work: _Work, identity: Ints, ground: Ground) -> None:
    """Writes the view by place from that by cell, some places at a time."""
    start = np.load(work.directory / f"{files.CELL_START}.npy")
    split = np.load(work.directory / f"{files.CELL_SPLIT}.npy")
    bins = np.load(work.directory / f"{files.ROW_BIN}.npy", mmap_mode="r")
    stats = np.load(work.directory / f"{files.ROW_STATS}.npy", mmap_mode="r")
    network = networks_of(identity)
    # Rows by bin, and where those of each bin begin.
    by_bin = np.argsort(bins, kind="stable").astype(np.int32)
    first_of_bin = np.append(0, np.cumsum(np.bincount(bins, minlength=len(ground.first))))
    counts = np.zeros(ground.places, np.int64)
    parts = []
    for begin, end in _stretches(bins, ground):
        wanted = np.append(0, np.cumsum(ground.around.near(begin, end)))
        row = _rows_of(np.flatnonzero(wanted[ground.last] > wanted[ground.first]), first_of_bin, by_bin)
        cell = np.searchsorted(start, row, side="right") - 1
        rows = Rows(cell, network[cell], bins[row].astype(np.int64), row < split[cell], stats[row])
        place, heard, made = heard_at(rows, ground, begin, end)
        counts += np.bincount(place, minlength=ground.places)
        parts.append((work.scratch / f"heard-{begin}-cell.npy", work.scratch / f"heard-{begin}-stats.npy"))
        np.save(parts[-1][0], heard.astype(np.int32))
        np.save(parts[-1][1], made)
    save(work.directory, files.PLACE_START, np.append(0, np.cumsum(counts)))
    total = int(counts.sum())
    _append(work, files.HEARD_CELL, [cells for cells, _ in parts], np.zeros(0, np.int32), total)
    _append(work, files.HEARD_STATS, [made for _, made in parts], np.zeros((0, files.HEARD_WIDTH), np.float32), total)


def _rows_of(bins: Ints, first_of_bin: Ints, by_bin: npt.NDArray[np.int32]) -> Ints:
    """Numbers of the rows of some bins, ascending."""
    count = first_of_bin[bins + 1] - first_of_bin[bins]
    at = np.repeat(first_of_bin[bins] - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    return np.sort(by_bin[at]).astype(np.int64)


def _append(work: _Work, name: str, parts: list[Path], none: npt.NDArray[Any], total: int) -> None:
    """Writes a column of parts that were laid aside, one after the other; `none` is one of no rows."""
    if not total:
        save(work.directory, name, none)
        return
    # Written, not mapped: what is mapped counts as this process's memory.
    with (work.directory / f"{name}.npy").open("wb") as out:
        header = {"descr": none.dtype.str, "fortran_order": False, "shape": (total, *none.shape[1:])}
        np.lib.format.write_array_header_1_0(out, header)
        for file in parts:
            np.load(file).tofile(out)
            file.unlink()


def _stretches(bins: npt.NDArray[np.int32], ground: Ground) -> list[tuple[int, int]]:
    """Places from, to: stretches with about so many rows each; a row of a wide bin counts at all its places."""
    if not len(bins):
        return [(0, ground.places)] if ground.places else []
    ends = ground.places + 1
    begun = np.bincount(ground.first[bins], minlength=ends) - np.bincount(ground.last[bins], minlength=ends)
    held = np.cumsum(np.cumsum(begun))[:-1]
    cuts = np.searchsorted(held, np.arange(_AT_A_TIME, int(held[-1]), _AT_A_TIME))
    edges = np.unique(np.concatenate(([0], cuts, [ground.places])))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
