"""The chain of look-ups."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from locsvc import geo
from locsvc.errors import DatasetError
from locsvc.model import CellFallback, Radio
from locsvc.reference.cells import CellPlaces, CellQueries, CellStore, import_cells
from locsvc.reference.snapshot import Draft, Snapshot

COLUMNS = {
    "radio": np.int8,
    "mcc": np.int16,
    "mnc": np.int16,
    "area": np.int32,
    "cell": np.int64,
    "pci": np.int32,
    "arfcn": np.int32,
    "near_latitude_deg": np.float64,
    "near_longitude_deg": np.float64,
}
HEADER = "radio,mcc,mnc,area,cell,pci,arfcn,latitude,longitude,range_m,samples,updated,azimuth"
ENB = 50 << 8


def ask(*queries: Mapping[str, float]) -> CellQueries:
    unknown = {"radio": 3, "mcc": 999, "mnc": 1, "near_latitude_deg": np.nan, "near_longitude_deg": np.nan}
    rows = [dict.fromkeys(COLUMNS, -1) | unknown | dict(query) for query in queries]
    return CellQueries(*(np.array([row[name] for row in rows], dtype) for name, dtype in COLUMNS.items()))


def steps(places: CellPlaces) -> list[CellFallback]:
    return [CellFallback(step) for step in places.step.tolist()]


def publish(data: Path, name: str, rows: list[str], header: str = HEADER) -> None:
    source = data.parent / f"{name}.csv"
    source.write_text("\n".join([header, *rows]))
    with Draft.begin(data) as draft:
        import_cells(draft, source, name=name)
        draft.publish()


def opened(data: Path) -> CellStore:
    return CellStore.open(Snapshot.open(data).entries("cells"))


def without_azimuth(rows: list[str]) -> list[str]:
    return [row.rsplit(",", 1)[0] for row in rows]


CENTROIDS = [
    f"LTE,999,1,7,{ENB + 1},10,100,50.000,10.000,1000,5,1000,",
    f"LTE,999,1,7,{ENB + 2},11,100,50.002,10.000,1200,5,1000,",
    f"LTE,999,1,7,{99 << 8},10,100,50.200,10.000,3000,5,1000,",
    f"LTE,999,1,8,{98 << 8},10,200,50.100,10.100,0,5,1000,",
    f"LTE,999,1,9,{97 << 8},12,100,51.000,11.000,2000,5,1000,",
    f"LTE,999,2,7,{ENB + 1},10,100,53.000,10.000,1000,5,1000,",
    "GSM,999,1,7,77,,,50.3,10,900,5,1000,",
    "GSM,999,1,8,77,,,50.9,10,900,5,1000,",
    "GSM,999,1,8,78,,,50.9,10,900,5,1000,",
    "GSM,999,1,,79,,,50.8,10,900,5,1000,",
    "UMTS,999,1,7,700000,,,50.4,10,900,5,1000,",
    "UMTS,999,1,8,700000,,,50.5,10,900,5,3000,",
    "UMTS,999,1,9,700000,,,50.6,10,900,5,2000,",
    f"NR,999,1,7,{(5 << 14) + 3},900,,50.7,10,500,5,1000,",
]


@pytest.fixture
def store(tmp_path: Path) -> CellStore:
    publish(tmp_path / "data", "centroids", without_azimuth(CENTROIDS), HEADER.removesuffix(",azimuth"))
    return opened(tmp_path / "data")


def test_the_chain_from_row_to_country_widens(store: CellStore) -> None:
    places = store.place(
        ask(
            {"area": 7, "cell": ENB + 1},
            {"pci": 11, "arfcn": 100, "near_latitude_deg": 50.0, "near_longitude_deg": 10.0},
            {"area": 7, "cell": ENB + 9},
            {"area": 7, "cell": 55 << 8},
            {"area": 555, "cell": 55 << 8},
            {"mnc": 77},
            {"mcc": 1},
        )
    )
    assert steps(places) == [
        CellFallback.CENTROID,
        CellFallback.PHYSICAL_IDENTITY,
        CellFallback.SITE,
        CellFallback.AREA,
        CellFallback.NETWORK,
        CellFallback.COUNTRY,
        CellFallback.UNSPECIFIED,
    ]
    assert (np.diff(places.range_m[:6]) > 0).all()
    assert np.isnan([places.latitude_deg[6], places.longitude_deg[6], places.range_m[6]]).all()
    assert (places.latitude_deg[0], places.longitude_deg[0], places.range_m[0]) == (50.0, 10.0, 1000)
    assert (places.samples[0], places.updated_at[0]) == (5, 1000)
    assert places.samples[1:6].tolist() == [5, 2, 3, 13, 14]
    assert np.isnan(places.azimuth_deg).all()
    assert np.isnan(places.updated_at[2:]).all()


def test_one_at_a_time_is_the_same_as_all_at_once(store: CellStore) -> None:
    questions: list[dict[str, float]] = [
        {"area": 7, "cell": ENB + 1},
        {"pci": 10, "near_latitude_deg": 50.0, "near_longitude_deg": 10.0},
        {"area": 7, "cell": ENB + 9},
        {"radio": 1, "area": 8, "cell": 77},
        {"radio": 2, "area": 99, "cell": 700000},
        {"mnc": 77},
        {"mcc": 272, "mnc": 5},
        {"mcc": 1},
    ]
    together = store.place(ask(*questions))
    for index, question in enumerate(questions):
        alone = store.place(ask(question))
        for name in CellPlaces.__slots__:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[index], err_msg=name)


@pytest.mark.parametrize("last", [s for s in CellFallback if s >= CellFallback.CENTROID])
def test_steps_after_the_last_are_not_asked(store: CellStore, last: CellFallback) -> None:
    queries = ask(
        {"area": 7, "cell": ENB + 1},
        {"pci": 11, "arfcn": 100, "near_latitude_deg": 50.0, "near_longitude_deg": 10.0},
        {"area": 7, "cell": ENB + 9},
        {"area": 7, "cell": 55 << 8},
        {"area": 555, "cell": 55 << 8},
        {"mcc": 272},
    )
    whole = steps(store.place(queries))
    assert steps(store.place(queries, last=last)) == [s if s <= last else CellFallback.UNSPECIFIED for s in whole]


def test_nothing_asked_and_nothing_known(store: CellStore) -> None:
    assert len(store.place(ask()).step) == 0
    blank = store.place(ask({"radio": 0, "mcc": -1, "mnc": -1}))
    assert steps(blank) == [CellFallback.UNSPECIFIED]
    alone = CellStore.open([])
    assert steps(alone.place(ask({"mcc": 272, "mnc": 1, "cell": 5, "area": 6}))) == [CellFallback.COUNTRY]
    assert alone.nearest(50, 10, 3) == []


def test_a_row_without_a_range_has_none(store: CellStore) -> None:
    assert np.isnan(store.place(ask({"cell": 98 << 8})).range_m[0])


def test_lte_is_found_in_any_area(store: CellStore) -> None:
    places = store.place(
        ask({"area": -1, "cell": ENB + 1}, {"area": 4242, "cell": ENB + 1}, {"cell": ENB + 1, "mnc": 2})
    )
    assert steps(places) == [CellFallback.CENTROID] * 3
    assert places.latitude_deg.tolist() == [50, 50, 53]


def test_gsm_is_found_in_its_area_only(store: CellStore) -> None:
    gsm = {"radio": Radio.GSM, "cell": 77}
    places = store.place(
        ask(gsm | {"area": 7}, gsm | {"area": 8}, gsm | {"area": 9}, gsm, gsm | {"area": 9, "cell": 79})
    )
    assert places.step.tolist()[:2] == [CellFallback.CENTROID] * 2
    assert places.latitude_deg[:2].tolist() == [50.3, 50.9]
    # Area 9 has an LTE cell only, and a GSM cell's area is not that one's.
    assert steps(places)[2:4] == [CellFallback.NETWORK] * 2
    # A table that knows no areas is taken at its word.
    assert (steps(places)[4], places.latitude_deg[4]) == (CellFallback.CENTROID, 50.8)


def test_umts_with_its_rnc_takes_the_newest_area(store: CellStore) -> None:
    umts = {"radio": Radio.UMTS, "cell": 700000}
    places = store.place(ask(umts | {"area": 9}, umts | {"area": 7}, umts | {"area": 50}, umts))
    assert places.latitude_deg.tolist() == [50.6, 50.4, 50.5, 50.5]


def test_nr_site_is_the_gnb_of_22_bits(store: CellStore) -> None:
    nr = {"radio": Radio.NR, "area": -1}
    places = store.place(ask(nr | {"cell": (5 << 14) + 4}, nr | {"cell": (6 << 14) + 3}))
    assert steps(places) == [CellFallback.SITE, CellFallback.NETWORK]


@pytest.mark.parametrize("cell", [0, 268435455, 2147483647, 68719476735, -1])
def test_markers_for_unknown_are_not_looked_up(store: CellStore, cell: int) -> None:
    assert steps(store.place(ask({"area": 7, "cell": cell}))) == [CellFallback.AREA]
    assert steps(store.place(ask({"area": 65535, "cell": cell}))) == [CellFallback.NETWORK]


def test_physical_identity_is_the_nearest_with_that_channel(store: CellStore) -> None:
    near = {"near_latitude_deg": 50.09, "near_longitude_deg": 10.09, "pci": 10}
    places = store.place(
        ask(
            near,
            near | {"arfcn": 200},
            near | {"arfcn": 100},
            near | {"arfcn": 300},
            near | {"near_latitude_deg": 51.5},
            near | {"mnc": 2},
            near | {"mnc": 2, "near_latitude_deg": 53.01, "near_longitude_deg": 10.01},
        )
    )
    physical, network = CellFallback.PHYSICAL_IDENTITY, CellFallback.NETWORK
    assert steps(places) == [physical, physical, physical, network, network, network, physical]
    assert places.latitude_deg[[0, 1, 2, 6]].tolist() == [50.1, 50.1, 50.0, 53.0]


def test_two_candidates_at_like_distance_widen_the_answer(store: CellStore) -> None:
    def range_at(latitude: float, longitude: float) -> float:
        near = {"near_latitude_deg": latitude, "near_longitude_deg": longitude, "pci": 10, "arfcn": 100}
        return float(store.place(ask(near)).range_m[0])

    apart = float(geo.distance_m(50.0, 10.0, 50.2, 10.0))
    assert range_at(50.0, 10.0) == pytest.approx(1250)
    assert range_at(50.099, 10.0) == pytest.approx(1250 + apart, rel=1e-3)


def test_physical_identity_across_the_antimeridian(tmp_path: Path) -> None:
    row = "LTE,542,1,7,256,10,,-17.0,179.99,1000,5,1000,"
    publish(tmp_path / "data", "fiji", without_azimuth([row]), HEADER.removesuffix(",azimuth"))
    query = ask({"mcc": 542, "pci": 10, "near_latitude_deg": -17.0, "near_longitude_deg": -179.95})
    assert steps(opened(tmp_path / "data").place(query)) == [CellFallback.PHYSICAL_IDENTITY]


def test_a_table_without_channels_matches_any(tmp_path: Path) -> None:
    rows = [",".join(row.split(",")[:6] + row.split(",")[7:12]) for row in CENTROIDS]
    publish(tmp_path / "data", "pci-only", rows, HEADER.replace(",arfcn", "").removesuffix(",azimuth"))
    near = {"near_latitude_deg": 50.0, "near_longitude_deg": 10.0, "pci": 11}
    places = opened(tmp_path / "data").place(ask(near | {"arfcn": 4711}, near))
    assert steps(places) == [CellFallback.PHYSICAL_IDENTITY] * 2


def test_a_mast_goes_before_a_centroid(store: CellStore, tmp_path: Path) -> None:
    masts = [f"LTE,999,1,7,{ENB + 1},10,100,50.01,10.01,,0,,0", f"LTE,999,1,7,{ENB + 3},10,100,50.01,10.01,,0,,"]
    publish(tmp_path / "data", "masts", masts)
    publish(tmp_path / "data", "newer", without_azimuth(CENTROIDS[:1]), HEADER.removesuffix(",azimuth"))
    places = opened(tmp_path / "data").place(ask({"cell": ENB + 1}, {"cell": ENB + 3}, {"cell": ENB + 2}))
    assert steps(places) == [CellFallback.SECTOR, CellFallback.SECTOR, CellFallback.CENTROID]
    assert places.azimuth_deg[0] == 0
    assert np.isnan(places.azimuth_deg[1])
    assert places.latitude_deg[0] == 50.01
    assert store.place(ask({"cell": ENB + 1})).step[0] == CellFallback.CENTROID


def test_a_country_half_covered_is_the_whole_country(tmp_path: Path) -> None:
    rows = [f"LTE,272,1,7,{256 * n},,,{51.9 + n / 1000},-8.5,1000,5,1000" for n in range(1, 50)]
    publish(tmp_path / "data", "cork", rows, HEADER.removesuffix(",azimuth"))
    places = opened(tmp_path / "data").place(ask({"mcc": 272, "cell": 5 << 20}, {"mcc": 272, "mnc": 9}))
    assert steps(places) == [CellFallback.NETWORK, CellFallback.COUNTRY]
    # Of Cork alone 5 km would do, but a cell that is not among Cork's is more likely elsewhere.
    assert places.range_m[0] >= 60_000
    dublin = geo.distance_m(places.latitude_deg[1], places.longitude_deg[1], 53.35, -6.26)
    assert float(dublin) < places.range_m[1]


def test_rows_for_people(store: CellStore) -> None:
    exact, both, site, area, near, nothing = store.rows(
        ask(
            {"area": 7, "cell": ENB + 1},
            {"radio": Radio.GSM, "cell": 77},
            {"cell": ENB + 9},
            {"area": 7, "cell": 55 << 8},
            {"pci": 10, "near_latitude_deg": 50.0, "near_longitude_deg": 10.0},
            {"mnc": 2, "area": 9},
        ),
        10,
    )
    (row,) = exact
    assert (row.cell.radio, row.cell.mcc, row.cell.mnc, row.cell.area, row.cell.cell) == (3, "999", "01", 7, ENB + 1)
    assert (row.cell.pci, row.cell.arfcn, row.range_m, row.samples, row.updated_at) == (10, 100, 1000, 5, 1000)
    assert (row.is_mast, row.azimuth_deg, row.distance_m) == (False, None, None)
    assert [r.cell.area for r in both] == [7, 8]
    assert [r.cell.cell for r in site] == [ENB + 1, ENB + 2]
    assert {r.cell.cell for r in area} == {ENB + 1, ENB + 2, 99 << 8}
    assert [r.cell.cell for r in near] == [ENB + 1, 98 << 8, 99 << 8]
    assert near[0].distance_m == 0
    assert nothing == []
    assert len(store.rows(ask({"area": 7, "cell": 55 << 8}), 2)[0]) == 2


def test_nearest_is_what_all_distances_say(tmp_path: Path, rng: np.random.Generator) -> None:
    count = 400
    latitude = np.concatenate([rng.uniform(-80, 80, count), rng.normal(-17, 0.2, count)])
    longitude = np.concatenate([rng.uniform(-180, 180, count), (179.9 + rng.normal(0, 0.2, count) + 180) % 360 - 180])
    latitude, longitude = latitude.round(6), longitude.round(6)
    rows = [f"LTE,999,1,7,{n + 256},,,{a},{o},,," for n, (a, o) in enumerate(zip(latitude, longitude, strict=True))]
    publish(tmp_path / "data", "world", rows, HEADER.removesuffix(",azimuth"))
    store = opened(tmp_path / "data")
    for at in [
        (0.0, 0.0),
        (-17.0, 179.999),
        (-17.1, -179.99),
        (89.9, 10.0),
        (-90.0, 0.0),
        (45.0, -180.0),
        (52.0, -8.0),
    ]:
        metres = geo.distance_m(*at, latitude, longitude)
        found = store.nearest(*at, 25)
        assert [r.distance_m for r in found] == pytest.approx(np.sort(metres)[:25].tolist(), abs=0.05)
    assert len(store.nearest(0.0, 0.0, 5000)) == 2 * count


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    publish(tmp_path / "data", "some", CENTROIDS)
    (entry,) = Snapshot.open(tmp_path / "data").entries("cells")
    (entry.path / "place.npy").unlink()
    with pytest.raises(DatasetError, match=r"place\.npy"):
        CellStore.open([entry])
    (entry.path / "place.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(DatasetError, match=r"place\.npy"):
        CellStore.open([entry])


@pytest.mark.real
def test_real_rows_of_ireland_are_found_and_each_step_widens(tmp_path: Path, shared: Path) -> None:
    with Draft.begin(tmp_path) as draft:
        import_cells(draft, shared / "data/cells/opencellid_ireland_272.csv.gz", name="ireland")
        draft.publish()
    store = opened(tmp_path)
    with gzip.open(shared / "data/cells/opencellid_ireland_272.csv.gz", "rt") as file:
        rows = [line.split(",") for line in file if line.startswith("LTE,")]
    questions = [{"mcc": 272, "mnc": int(r[2]), "area": int(r[3]), "cell": int(r[4])} for r in rows]
    exact = store.place(ask(*questions))
    assert set(steps(exact)) == {CellFallback.CENTROID}
    truth = np.array([(float(r[7]), float(r[6])) for r in rows])
    np.testing.assert_allclose(np.stack([exact.latitude_deg, exact.longitude_deg], axis=1), truth, atol=1e-7)
    ranges = [exact.range_m]
    changes: dict[CellFallback, dict[str, int]] = {
        CellFallback.SITE: {},
        CellFallback.AREA: {"cell": -1},
        CellFallback.NETWORK: {"cell": -1, "area": -1},
        CellFallback.COUNTRY: {"cell": -1, "area": -1, "mnc": -1},
    }
    for step, change in changes.items():
        # For the site, an identity beside the known one that the table does not have.
        places = store.place(ask(*({**question, "cell": question["cell"] | 0xFF, **change} for question in questions)))
        assert (places.step == step).mean() > 0.99
        ranges.append(places.range_m)
    for narrow, wide in pairwise(ranges):
        assert np.nanmedian(narrow) < np.nanmedian(wide)
        # A few sites and areas hold one badly placed cell that makes them wider than what they are part of.
        assert np.mean(wide < narrow) < 0.05
