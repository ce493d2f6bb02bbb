"""Tallies: what is packed comes back, and adding and coarsening know no order."""

from __future__ import annotations

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.reference.coverage import shelves
from locsvc.reference.coverage import tallies as t
from locsvc.reference.coverage.tallies import Tallies, coarsened, visits_of


def some(rng: np.random.Generator, size: int) -> Tallies:
    lat, lng = rng.normal(55.0, 0.03, size), rng.normal(2.5, 0.05, size)
    cells = [int(h3.latlng_to_cell(a, b, 11)) for a, b in zip(lat, lng, strict=True)]
    place = t.places_of(np.array(cells, np.int64))
    kind, epoch = rng.integers(0, 5, size), rng.integers(0, 700, size)
    marks = np.int64(1) << rng.integers(0, 63, size)
    return Tallies(
        rng.integers(1, 6, size) << 40, t.wheres(kind, place, epoch), marks, rng.integers(-9999, 9999, (size, t.SUMS))
    )


def same(one: Tallies, other: Tallies) -> bool:
    return all(
        np.array_equal(a, b)
        for a, b in zip(
            (one.what, one.where, one.marks, one.sums), (other.what, other.where, other.marks, other.sums), strict=True
        )
    )


@pytest.mark.parametrize("resolution", range(13))
def test_places_and_parents_are_those_of_the_library(rng: np.random.Generator, resolution: int) -> None:
    lat, lng = rng.uniform(-89, 89, 200), rng.uniform(-180, 180, 200)
    cells = np.array([h3.latlng_to_cell(a, b, 12) for a, b in zip(lat, lng, strict=True)], np.int64)
    parents = t.parents_of(t.places_of(cells), np.full(len(cells), resolution))
    assert t.h3_of(parents).tolist() == [h3.cell_to_parent(int(c), resolution) for c in cells]
    assert (t.resolutions_of(parents) == resolution).all()


def test_kind_place_and_epoch_come_back(rng: np.random.Generator) -> None:
    held = some(rng, 500)
    assert (t.wheres(held.kind, held.place, held.epoch) == held.where).all()
    assert set(held.kind.tolist()) == set(range(5))
    assert (held.where > 0).all()


def test_epochs_hold_all_times() -> None:
    seconds = np.array([np.nan, -1e10, 0.0, t.EPOCH_S - 0.5, t.EPOCH_S, 1e15])
    assert t.epochs(seconds).tolist() == [t.NO_EPOCH, 1, 1, 1, 2, t.MAX_EPOCH]


def test_adding_in_any_order(rng: np.random.Generator) -> None:
    held = some(rng, 3000)
    whole = held.added()
    order = rng.permutation(len(held))
    parts = [held.of(order[:900]).added(), held.of(order[900:])]
    assert same(Tallies.join(parts).added(), whole)
    assert same(Tallies.join(parts[::-1]).added(), whole)
    assert (whole.sums.sum(axis=0) == held.sums.sum(axis=0)).all()
    assert len(Tallies.empty().added()) == len(Tallies.join([]).added()) == 0


@pytest.mark.parametrize("most", [1, 20, 200, 10_000])
def test_coarsening_in_any_order(rng: np.random.Generator, most: int) -> None:
    held = some(rng, 3000).added()
    whole = coarsened(held, most)
    order = rng.permutation(len(held))
    cuts = np.split(order, [500, 1700])
    found = Tallies.empty()
    for cut in cuts:
        found = coarsened(Tallies.join([found, held.of(cut)]).added(), most)
    assert same(found, whole)
    heard = whole.kind <= t.NEIGHBOUR
    for what in np.unique(whole.what[heard]):
        places = np.unique(whole.place[heard & (whole.what == what)])
        region = t.parents_of(places, np.full(len(places), t.REGION))
        for number in np.unique(region):
            own = t.resolutions_of(places[region == number])
            assert len(own) <= most
            assert len(np.unique(own)) == 1
    # Scans, areas and channels stay as they are.
    assert same(whole.of(~heard), held.of(held.kind > t.NEIGHBOUR))


def test_visits_are_told_from_bits(rng: np.random.Generator) -> None:
    for visits in (1, 2, 5, 20, 60):
        draws = np.int64(1) << rng.integers(0, 63, (2000, visits))
        found = visits_of(np.bitwise_or.reduce(draws, axis=1))
        assert found.mean() == pytest.approx(visits, rel=0.05)
    assert visits_of(np.array([-1])).item() < 310


@pytest.mark.parametrize("packed", [True, False])
def test_shelves_give_back_what_was_put_on_them(
    tmp_path_factory: pytest.TempPathFactory, rng: np.random.Generator, packed: bool
) -> None:
    held = some(rng, 2000).added()
    shelf = shelves.shelf_of(held)
    assert len(np.unique(shelf)) > 10
    file = tmp_path_factory.mktemp("shelf") / "t.npz"
    for number in range(shelves.SHELVES):
        part = held.of(shelf == number)
        shelves.save(file, part, packed=packed)
        assert same(shelves.load(file), part)
    extreme = Tallies(
        np.array([-1, 1 << 62]),
        np.array([0, (1 << 63) - 1]),
        np.array([-1, 1 << 62]),
        np.zeros((2, t.SUMS), np.int64) - (1 << 60),
    )
    shelves.save(file, extreme, packed=packed)
    assert same(shelves.load(file), extreme)


def test_what_reports_count_halves() -> None:
    weights = shelves.faded(np.array([0, 100, 94, 88, 200]), 100, 6.0, 0.5)
    assert weights.tolist() == [0.5, 1.0, 0.5, 0.25, 1.0]
