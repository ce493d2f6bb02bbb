"""Lone cells by located history: in a town of our own, where the truth of every draw is known, and on a real drive."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from locsvc.fusion.parameters import Parameters
from locsvc.geo import distance_m
from locsvc.learning.learn import Options, learn
from locsvc.model import CellFallback
from locsvc.reference.calibration import read_calibration
from locsvc.reference.cells import CellQueries
from locsvc.reference.coverage import CoverageStore, identities
from locsvc.reference.coverage.files import C_VISITS
from locsvc.reference.store import Reference
from locsvc.resolver.coverage_cells import lone_cells, reach_from
from locsvc.resolver.coverage_siblings import widths_of
from tests.resolver import coverage_town as town

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LOW = (1 << 52) - 1
HISTORY, DAYS = 12_000, 20
CONFIDENCES = (0.5, 0.68, 0.9, 0.95)


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    """The shipped calibration."""
    return Parameters.from_mapping(read_calibration(None)[0])


@pytest.fixture(scope="module")
def history() -> town.Reports:
    """What was driven."""
    return town.drive(np.random.default_rng(11), HISTORY, DAYS)


@pytest.fixture(scope="module")
def store(history: town.Reports, tmp_path_factory: pytest.TempPathFactory) -> CoverageStore:
    """What it teaches."""
    return town.learned(history, tmp_path_factory.mktemp("town") / "data")


def shares(level: Floats) -> list[float]:
    """How many truths regions hold, by CONFIDENCES."""
    return [float((level <= c).mean()) for c in CONFIDENCES]


def numbers_of(queries: CellQueries, store: CoverageStore) -> Ints:
    """Numbers of the cells in a coverage, (n,)."""
    radio, mcc, mnc, area, cell = (
        getattr(queries, name).astype(np.int64) for name in ("radio", "mcc", "mnc", "area", "cell")
    )
    found, _ = store.find(identities.full(radio, mcc, mnc, area, cell))
    return found


def middles(queries: CellQueries, store: CoverageStore) -> Floats:
    """Latitudes and longitudes of the cells' middles, (2, n)."""
    found = numbers_of(queries, store)
    result: Floats = store.cell_place[:][found].T / 1e7
    return result


def test_regions_hold_what_they_say(store: CoverageStore, parameters: Parameters, rng: np.random.Generator) -> None:
    found = town.judged(town.drive(rng, 1_500, DAYS), store, parameters, rng)
    assert (found.found.step == CellFallback.COVERAGE).all()
    for asked, held in zip(CONFIDENCES, shares(found.level), strict=True):
        # The town is not among the cities that the calibration was fitted on: five points beside chance.
        assert abs(held - asked) < 0.05 + 3 * math.sqrt(asked * (1 - asked) / 1_500), (asked, held)


def test_each_measurement_says_more(store: CoverageStore, parameters: Parameters, rng: np.random.Generator) -> None:
    reports = town.drive(rng, 800, DAYS)
    nothing = town.judged(town.without(reports, "level_dbm", "quality_db", "timing_advance"), store, parameters, rng)
    level = town.judged(town.without(reports, "quality_db", "timing_advance"), store, parameters, rng)
    both = town.judged(town.without(reports, "quality_db"), store, parameters, rng)
    assert level.log_density.mean() > nothing.log_density.mean() + 0.15
    assert both.log_density.mean() > level.log_density.mean() + 0.3
    assert np.median(both.error_m) < np.median(level.error_m) < np.median(nothing.error_m)
    # What was not measured costs precision, not truth.
    for found in (nothing, level):
        assert abs(shares(found.level)[2] - 0.9) < 0.08


def test_what_was_never_seen_is_doubted(store: CoverageStore, parameters: Parameters, rng: np.random.Generator) -> None:
    usual = town.drive(rng, 300, DAYS)
    loud = replace(usual, level_dbm=usual.level_dbm + 45)
    near, far = (town.asked(r, store, parameters).learned.weight for r in (usual, loud))
    assert np.median(far) < 0.7 * np.median(near)
    beyond = replace(usual, timing_advance=usual.timing_advance + 60)
    wild = town.judged(beyond, store, parameters, rng)
    # A delay of five kilometres where the cell was heard within two: wrong or far away, and the answer says so.
    assert np.median(wild.radius_m) > 2_000
    assert np.median(wild.radius_m) > 3 * np.median(town.judged(usual, store, parameters, rng).radius_m)


def test_thin_history_is_wide_and_true(
    history: town.Reports, parameters: Parameters, tmp_path: Path, rng: np.random.Generator
) -> None:
    some = rng.choice(HISTORY, 90, replace=False)
    thin = town.learned(history.of(some), tmp_path / "data")
    reports = town.drive(rng, 800, DAYS)
    reports = reports.of(np.isin(reports.cell, history.cell[some]))
    found = town.judged(reports, thin, parameters, rng)
    assert np.median(found.found.learned.weight) < 0.5
    # The places where other towns' cells are heard again are no wider than these: the answer may be wide, not too sure.
    for asked, held in zip(CONFIDENCES, shares(found.level), strict=True):
        assert held > asked - 0.05, (asked, held)
    assert np.median(found.radius_m) < 5_000
    assert found.found.prefer_tower.any()
    assert not found.found.prefer_tower.all()


def once_each(history: town.Reports) -> town.Reports:
    """Some reports, no two of one cell in one place."""
    some = history.of(np.arange(600))
    # A place is the parent of the finer cell, whose parts stick out of it a little.
    place = [h3.cell_to_parent(h3.latlng_to_cell(*at, 12), 11) for at in zip(*some.places(), strict=True)]
    _, first = np.unique(np.stack((some.cell, np.array(place))), axis=1, return_index=True)
    return some.of(np.sort(first))


def looked_at(data: Path, history: town.Reports, session: list[str]) -> CoverageStore:
    """What a history teaches whose rows are of those sessions, all in one hour."""
    lat, lng = history.places()
    n = len(lat)
    table = {
        "session": session, "t": np.full(n, town.STARTED_S), "truth_lat": lat, "truth_lon": lng,
        "radio": ["LTE"] * n, "mcc": ["001"] * n, "mnc": ["01"] * n, "area": np.full(n, town.AREA),
        "cell": history.cell, "signal_dbm": history.level_dbm,
    }  # fmt: skip
    file = data.with_suffix(".parquet")
    pq.write_table(pa.table(table), file)
    learn([file], data, Options())
    store = Reference.open(data).coverage
    assert store is not None
    return store


def by_drive_and_by_calls(data: Path, history: town.Reports) -> tuple[CoverageStore, CoverageStore]:
    """The same bins, visited once each: by one drive, or by callers of whom none knows of another."""
    some = once_each(history)
    drive = looked_at(data / "drive", some, ["one"] * len(some.cell))
    calls = looked_at(data / "calls", some, [f"call {k}" for k in range(len(some.cell))])
    assert np.array_equal(drive.row_stats, calls.row_stats, equal_nan=True)
    return drive, calls


def test_one_pass_is_believed_less_than_calls(history: town.Reports, parameters: Parameters, tmp_path: Path) -> None:
    drive, calls = by_drive_and_by_calls(tmp_path, history)
    asked = town.without(town.drive(np.random.default_rng(4), 200, 1), "quality_db", "timing_advance")
    # In a cell of one visit one pass is all there is.
    asked = asked.of(calls.cell_stats[numbers_of(asked.queries(), calls), C_VISITS] > 20)
    assert len(asked.cell) > 50
    once, often = (town.asked(asked, store, parameters) for store in (drive, calls))
    assert (once.learned.weight < 0.8 * often.learned.weight).all()
    assert (once.spread_m > 1.2 * often.spread_m).all()


def test_cells_are_guessed_wider_where_few_passed(
    history: town.Reports, parameters: Parameters, tmp_path: Path
) -> None:
    drive, calls = by_drive_and_by_calls(tmp_path, history)
    asked = town.drive(np.random.default_rng(1), 1, 1)
    asked.cell[:] = town.FIRST_SITE * 256 + 9
    once, often = (town.asked(asked, store, parameters) for store in (drive, calls))
    assert once.step.tolist() == often.step.tolist() == [CellFallback.SITE]
    passes, few = widths_of(calls).passes[0], parameters.coverage_cell["few_passes"]
    assert passes > 10
    assert once.spread_m / often.spread_m == pytest.approx(math.sqrt((1 + few) / (1 + few / passes)))


def test_bins_beside_get_more_where_most_is_new(history: town.Reports, parameters: Parameters, tmp_path: Path) -> None:
    """Where the next visit is to a place never seen, the six beside are as likely as the bin; not where all came back."""
    once = once_each(history)
    n = len(once.cell)
    back = town.Reports(*(np.tile(getattr(once, name), 6) for name in town.Reports.__slots__))
    new = looked_at(tmp_path / "new", once, [f"call {k}" for k in range(n)])
    old = looked_at(tmp_path / "old", back, [f"call {k}" for k in range(6 * n)])
    asked = town.without(once.of(np.arange(40)), "level_dbm", "quality_db", "timing_advance")
    seen = {h3.latlng_to_cell(*place, 11) for place in zip(*once.places(), strict=True)}

    def driven(store: CoverageStore) -> Floats:
        found = town.asked(asked, store, parameters)
        rows = [town.histogram_of(found, row) for row in range(len(asked.cell))]
        return np.array([mass[[int(b) in seen for b in bins]].sum() for bins, mass in rows])

    assert np.median(driven(new)) < np.median(driven(old)) - 0.1


def test_unknown_cells_by_their_site(
    history: town.Reports, parameters: Parameters, tmp_path: Path, rng: np.random.Generator
) -> None:
    reports = town.drive(rng, 1_500, DAYS)
    gone = np.unique(history.cell)[::3]
    store = town.learned(history.of(~np.isin(history.cell, gone)), tmp_path / "data")
    reports = reports.of(np.isin(reports.cell, gone))
    found = town.judged(reports, store, parameters, rng)
    assert (found.found.step == CellFallback.SITE).all()
    assert (found.found.learned.weight == 0).all()
    held = shares(found.level)
    # Four cells are no sample of cells: that the guess is neither plainly too sure nor useless is what is asked.
    assert 0.8 < held[2] <= 1.0
    assert np.median(found.radius_m) < 4_500


def test_unknown_cells_by_area_and_network(store: CoverageStore, parameters: Parameters) -> None:
    reports = town.drive(np.random.default_rng(1), 2, 1)
    reports.cell[:] = 9_999 * 256 + 1
    queries = reports.queries()
    queries.area[1] = 78
    nan = np.full(2, np.nan)
    found = lone_cells(queries, nan, nan, nan, np.zeros(2), store, parameters)
    assert found.step.tolist() == [CellFallback.AREA, CellFallback.NETWORK]
    away = distance_m(*town.CENTRE, found.latitude_deg, found.longitude_deg)
    assert (away < 1_000).all()
    assert found.spread_m[0] > 500
    queries.mnc[:] = 2
    unknown = lone_cells(queries, nan, nan, nan, np.zeros(2), store, parameters)
    assert unknown.step.tolist() == [0, 0]
    assert np.isnan(unknown.latitude_deg).all()


def test_how_far_siblings_are_off_is_learned(store: CoverageStore) -> None:
    widths = widths_of(store)
    assert widths is widths_of(store)
    site, _, area, network = widths.offset_m[:, 0]
    # Sectors of a site stand some hundred metres from one another, sites kilometres.
    assert 200 < site < area
    # One area tells nothing of how far away another is.
    assert np.isnan(network)
    assert np.isnan(widths.offset_m[1, 0])
    assert np.isnan(widths.offset_m[:, -1]).all()


def test_an_area_that_nobody_drove_is_as_far_off_as_areas_are_from_each_other(
    history: town.Reports, parameters: Parameters, tmp_path: Path
) -> None:
    """Twice the town, 20 km apart: a cell of a third area is not in either, however many cells of each are known."""
    lat, lng = history.places()
    table = {
        "t": np.tile(town.STARTED_S + 600.0 * np.arange(len(lat)), 2), "truth_lat": np.append(lat, lat + 0.18),
        "truth_lon": np.tile(lng, 2), "radio": ["LTE"] * 2 * len(lat), "mcc": ["001"] * 2 * len(lat),
        "mnc": ["01"] * 2 * len(lat), "area": np.repeat([town.AREA, town.AREA + 1], len(lat)),
        "cell": np.append(history.cell, history.cell + 256 * 50),
    }  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "towns.parquet")
    learn([tmp_path / "towns.parquet"], tmp_path / "data", Options())
    store = Reference.open(tmp_path / "data").coverage
    assert store is not None
    widths = widths_of(store)
    # A cell of one town that is guessed from the other is 20 km off, in one of two directions.
    assert widths.offset_m[3, 0] == pytest.approx(20_000 / np.sqrt(2), rel=0.1)
    assert widths.offset_m[2, 0] < 3_000
    queries = history.of(np.zeros(1, np.int64)).queries()._replace(
        area=np.array([99], np.int32), cell=np.array([9_999 * 256 + 1])
    )  # fmt: skip
    nan = np.full(1, np.nan)
    found = lone_cells(queries, nan, nan, nan, np.zeros(1), store, parameters)
    assert found.step.tolist() == [CellFallback.NETWORK]
    assert found.spread_m[0] > 12_000


def test_blocks_of_numbers_stand_for_sites(history: town.Reports, parameters: Parameters, tmp_path: Path) -> None:
    """GSM identities do not name a site, but numbers that differ in the last digit are one."""
    lat, lng = history.places()
    site, sector = np.divmod(history.cell, 256)
    table = {
        "t": town.STARTED_S + 600.0 * np.arange(len(lat)), "truth_lat": lat, "truth_lon": lng,
        "radio": ["GSM"] * len(lat), "mcc": ["001"] * len(lat), "mnc": ["01"] * len(lat),
        "area": np.full(len(lat), 5), "cell": site * 10 + sector,
    }  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "gsm.parquet")
    learn([tmp_path / "gsm.parquet"], tmp_path / "data", Options())
    store = Reference.open(tmp_path / "data").coverage
    assert store is not None
    of_town = history.of(np.zeros(1, np.int64)).queries()
    asked = of_town._replace(
        radio=np.array([1], np.int8), area=np.array([5], np.int32),
        cell=np.array([town.FIRST_SITE * 10 + 9]),
    )  # fmt: skip
    nan = np.full(1, np.nan)
    found = lone_cells(asked, nan, nan, nan, np.zeros(1), store, parameters)
    assert found.step.tolist() == [CellFallback.SITE]
    east, north = town.SITES_M[0]
    at = town.Reports(*(np.array([v]) for v in (east, north, 0, 0.0, 0.0, 0.0, 0))).places()
    assert distance_m(*at, found.latitude_deg, found.longitude_deg)[0] < 700


def test_histograms_are_what_the_core_takes(
    history: town.Reports, store: CoverageStore, parameters: Parameters, rng: np.random.Generator
) -> None:
    reports = town.drive(rng, 200, DAYS)
    found = town.asked(reports, store, parameters)
    there = {h3.latlng_to_cell(*place, 11) for place in zip(*history.places(), strict=True)}
    for row in range(0, 200, 10):
        bins, mass = town.histogram_of(found, row)
        assert 0 < len(bins) <= 1_000
        assert mass.sum() == pytest.approx(1.0)
        assert (mass > 0).all()
        assert (np.diff(bins & LOW) > 0).all()
        cells = [int(b) for b in bins]
        assert all(h3.is_valid_cell(c) for c in cells)
        held = set(cells)
        assert not any(int(h3.cell_to_parent(c, r)) in held for c in cells for r in range(7, h3.get_resolution(c)))
        # Most of it lies where the town was driven, all of it within the reach.
        driven = sum(m for c, m in zip(cells, mass.tolist(), strict=True) if c in there)
        assert driven > 0.5
        far = max(
            float(distance_m(found.latitude_deg[row], found.longitude_deg[row], *h3.cell_to_latlng(c))) for c in cells
        )
        assert far <= found.learned.reach_m[row]


def test_an_identity_heard_in_two_places_is_in_either(
    history: town.Reports, parameters: Parameters, tmp_path: Path
) -> None:
    cell = int(np.bincount(history.cell).argmax())
    here = history.of(history.cell == cell)
    away = here.of(np.arange(0, len(here.cell), 2))
    away.east_m = away.east_m + 200_000.0
    both = town.Reports(*(np.concatenate((getattr(here, n), getattr(away, n))) for n in town.Reports.__slots__))
    store = town.learned(both, tmp_path / "data")
    assert len(store.cell_identity) == 2
    found = town.asked(here.of(np.array([0])), store, parameters)
    bins, mass = town.histogram_of(found, 0)
    assert (np.diff(bins & LOW) > 0).all()
    middle = found.latitude_deg[0], found.longitude_deg[0]
    far = np.array([float(distance_m(*middle, *h3.cell_to_latlng(int(b)))) for b in bins])
    # The cloud is round one of them: between the two there is nothing.
    assert distance_m(*middle, *town.CENTRE) < 5_000
    assert found.spread_m[0] < 3_000
    assert 0.1 < mass[far > 20_000].sum() < 0.6
    assert far.max() <= found.learned.reach_m[0]
    # Where something else says where the caller is, it is the one that is near.
    queries = here.of(np.array([0])).queries()
    lat, lng = away.places()
    queries.near_latitude_deg[:], queries.near_longitude_deg[:] = lat[0], lng[0]
    nan = np.full(1, np.nan)
    there = lone_cells(queries, nan, nan, nan, np.zeros(1), store, parameters)
    assert distance_m(there.latitude_deg[0], there.longitude_deg[0], lat[0], lng[0]) < 5_000


def test_room_grows_with_what_is_asked(store: CoverageStore, parameters: Parameters) -> None:
    reports = town.drive(np.random.default_rng(3), 3_000, DAYS)
    many = town.asked(reports, store, parameters)
    for row in (0, 1_500, 2_999):
        one = town.asked(reports.of(np.array([row])), store, parameters)
        for got, alone in zip(town.histogram_of(many, row), town.histogram_of(one, 0), strict=True):
            assert np.array_equal(got, alone)
        assert many.spread_m[row] == one.spread_m[0]


def test_the_cloud_is_where_history_fits(store: CoverageStore, parameters: Parameters) -> None:
    reports = town.drive(np.random.default_rng(3), 200, DAYS)
    usual = town.asked(reports, store, parameters)
    middle, (lat, lng) = middles(reports.queries(), store), reports.places()
    own = distance_m(middle[0], middle[1], lat, lng)
    moved = distance_m(usual.latitude_deg, usual.longitude_deg, lat, lng)
    assert np.median(moved) < 0.8 * np.median(own)
    # Of a level that was never heard history knows less, and the cloud is nearer to the cell and wider.
    strange = town.asked(replace(reports, level_dbm=reports.level_dbm + 45), store, parameters)
    assert np.median(strange.spread_m) > 1.2 * np.median(usual.spread_m)


def test_old_scans_leave_the_histogram(store: CoverageStore, parameters: Parameters) -> None:
    reports = town.drive(np.random.default_rng(3), 50, DAYS)
    now, later = (town.asked(reports, store, parameters, age_s=age).learned.weight for age in (0.0, 3_600.0))
    still = parameters.time["still_weight"]
    assert np.allclose(later / now, still, atol=0.01)


def test_reach_from_a_mast(store: CoverageStore, parameters: Parameters) -> None:
    found = town.asked(town.drive(np.random.default_rng(3), 20, DAYS), store, parameters)
    lat = found.latitude_deg + 0.02
    moved = reach_from(found, lat, found.longitude_deg)
    assert np.allclose(moved - found.learned.reach_m, 2_225, rtol=0.01)


@pytest.mark.real
def test_cork_by_day(shared: Path, tmp_path: Path, parameters: Parameters, rng: np.random.Generator) -> None:
    """The first two thirds of a drive teach; the last days are asked: better than the middle of the cell, and true."""
    table = pq.read_table(shared / "data" / "drives" / "cork.parquet")
    day = np.array([t.toordinal() for t in table["t"].to_pylist()])
    before = day <= np.unique(day)[8]
    pq.write_table(table.take(np.flatnonzero(before)), tmp_path / "before.parquet")
    learn([tmp_path / "before.parquet"], tmp_path / "data", Options())
    store = Reference.open(tmp_path / "data").coverage
    assert store is not None
    later = table.take(np.flatnonzero(~before)).to_pylist()

    def column(name: str, missing: float) -> Floats:
        return np.array([missing if r[name] is None else r[name] for r in later], np.float64)

    n = len(later)
    nowhere, unknown = np.full(n, np.nan), np.full(n, -1, np.int32)
    radio = np.array([{"GSM": 1, "UMTS": 2, "LTE": 3}[r["radio"]] for r in later], np.int8)
    network = radio, np.full(n, 272, np.int16), np.full(n, 3, np.int16)
    named = column("area", -1).astype(np.int32), column("cell", -1).astype(np.int64)
    queries = CellQueries(*network, *named, unknown, unknown, nowhere, nowhere)
    level, quality = column("signal_dbm", np.nan), column("quality_db", np.nan)
    found = lone_cells(queries, level, quality, nowhere, np.zeros(n), store, parameters)
    # Of GSM nothing was learned before: such rows are for the cell dataset.
    assert (found.step[queries.radio == 3] > 0).all()
    kept = np.flatnonzero(found.step > 0)
    assert len(kept) > 0.98 * n
    asked = queries.take(kept)
    nothing = np.zeros(len(kept))
    found = lone_cells(asked, level[kept], quality[kept], nothing + np.nan, nothing, store, parameters)
    truth = tuple(np.array([float(r[name]) for r in later]) for name in ("truth_lat", "truth_lon"))
    truth = (truth[0][kept], truth[1][kept])
    result = town.judged_claims(found, truth, parameters, rng)
    known = found.step == CellFallback.COVERAGE
    assert 0.75 < known.mean() < 0.95
    middle = distance_m(truth[0][known], truth[1][known], *middles(asked, store)[:, known])
    assert np.median(result.error_m[known]) < 0.7 * np.median(middle)
    # One cell names itself through a whole drive and is 12 % of the rows known: no history could have told.
    assert 0.78 < shares(result.level[known])[2] < 0.97
    assert 0.75 < shares(result.level[~known])[2] <= 1.0
