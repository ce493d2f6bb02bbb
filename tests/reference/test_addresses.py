"""Addresses: what an import keeps, which is the nearest, and where an address is."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locsvc.errors import BadData, DatasetError, InvalidInput
from locsvc.geo import geodesic_m
from locsvc.model import CivicAddress, LatLng, Placement
from locsvc.reference.addresses import AddressPlace, AddressStore, import_addresses, importer
from locsvc.reference.addresses import nearest as nearest_module
from locsvc.reference.addresses import store as store_module
from locsvc.reference.addresses.table import AddressTable
from locsvc.reference.addresses.words import number_keys, place_key, street_key
from locsvc.reference.importing import ImportReport
from locsvc.reference.snapshot import Draft, Snapshot

TOWNS = ("baltimore", "helsinki", "liechtenstein")


class World:
    """A data directory into which tables of addresses are put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def put(self, header: str, *rows: str, name: str = "test", mapping: dict[str, str] | None = None) -> ImportReport:
        source = self.folder / f"{name}.csv"
        source.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        return self.put_file(source, name=name, mapping=mapping)

    def put_file(self, source: Path, *, name: str, mapping: dict[str, str] | None = None) -> ImportReport:
        with Draft.begin(self.data) as draft:
            report = import_addresses(
                draft, source, name=name, mapping=mapping, rejects=self.folder / "rejects.csv", licence="ODbL"
            )
            draft.publish()
        return report

    def open(self) -> AddressStore:
        return AddressStore.open(Snapshot.open(self.data).entries("addresses"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> AddressStore:
    world = World(tmp_path_factory.mktemp("addresses"))
    for town in TOWNS:
        world.put_file(shared / "data" / "addresses" / f"{town}_addresses.csv", name=town)
    return world.open()


def store_of(folder: Path, places: Sequence[tuple[float, float]]) -> AddressStore:
    """Addresses at given places; the house number is the number of the place."""
    gathered = importer._Gathered(("house_number", "street"))
    for number, (lat, lng) in enumerate(places):
        values = {"latitude": repr(lat), "longitude": repr(lng), "house_number": str(number), "street": "High Street"}
        assert gathered.add(values) is None
    gathered.save(folder)
    return AddressStore([AddressTable(folder)])


def by_brute_force(store: AddressStore, latitude: float, longitude: float) -> list[tuple[float, int]]:
    """Distance and row of every address, nearest first, by exact geodesics."""
    degrees = [table.degrees(np.arange(table.rows)) for table in store._tables]
    lat, lng = np.concatenate([d[0] for d in degrees]), np.concatenate([d[1] for d in degrees])
    distance_m = geodesic_m(np.full(len(lat), latitude), np.full(len(lat), longitude), lat, lng)
    return sorted(zip(distance_m.tolist(), range(store.rows), strict=True))


def about(true_m: float) -> object:
    """The distance with the tolerance of a sphere's arc for the ellipsoid's chord, which is crude near the antipodes."""
    return pytest.approx(true_m, rel=2e-3 if true_m < 1e7 else 6e-2, abs=0.02)


def test_the_usual_columns_are_found(world: World) -> None:
    report = world.put(
        "osm_type,osm_id,lat,lon,number,street,unit,city,postcode,building",
        "n,1,60.17,24.94,1,Kaivokatu,B,Helsinki,00100,yes",
    )
    store = world.open()
    assert report.rows == store.rows == 1
    assert store.address(0) == CivicAddress(
        house_number="1", street="Kaivokatu", unit="B", city="Helsinki", postcode="00100"
    )
    assert store.position(0) == LatLng(60.17, 24.94)


def test_a_building_that_is_a_name_stays(world: World) -> None:
    world.put("lat,lon,street,building", "60.17,24.94,Kaivokatu,Ateneum")
    assert world.open().address(0).building == "Ateneum"


def test_columns_are_mapped_and_constants_given(world: World) -> None:
    world.put(
        "breite,laenge,str,nr,ort",
        "47.1,9.5,Dorfstrasse,24,Triesen",
        mapping={
            "latitude": "breite",
            "longitude": "laenge",
            "street": "str",
            "house_number": "nr",
            "city": "ort",
            "country": "=LI",
        },
    )
    assert world.open().address(0) == CivicAddress(
        country="LI", city="Triesen", street="Dorfstrasse", house_number="24"
    )


def test_tables_without_coordinates_or_with_wrong_mappings_are_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="longitude"):
        world.put("lat,street,city", "1,A,B")
    with pytest.raises(InvalidInput, match="strasse"):
        world.put("lat,lon,street", "1,2,A", mapping={"street": "strasse"})
    with pytest.raises(InvalidInput, match="cannot all have the same"):
        world.put("lat,lon,street", "1,2,A", mapping={"latitude": "=1.0"})
    with pytest.raises(BadData, match="1 x coordinates are 0,0"):
        world.put("lat,lon,street", "0,0,A")
    with pytest.raises(BadData):
        world.put("a,b,c", "1,2,3")
    with pytest.raises(BadData, match="cannot be read"):
        world.put_file(world.folder / "absent.csv", name="absent")


def test_bad_rows_are_counted_by_reason_and_listed(world: World, tmp_path: Path) -> None:
    report = world.put(
        "lat,lon,number,street",
        "60.1,24.9,1,A",
        ",24.9,2,A",
        "north,24.9,3,A",
        "95,24.9,4,A",
        "nan,24.9,5,A",
        "60.1,inf,6,A",
        "0,0,7,A",
        "60.1,24.9,8,",
        "60.1,24.9",
    )
    assert report.rows == 1
    assert report.rejected == {
        "coordinates are 0,0": 1,
        "coordinates are no latitude and longitude in degrees": 4,
        "no coordinates": 1,
        "no street, town, post code or name": 1,
        "wrong number of columns": 1,
    }
    assert "4,coordinates are no latitude and longitude in degrees" in (tmp_path / "rejects.csv").read_text()


def test_imports_lie_side_by_side_and_are_replaced_by_name(world: World) -> None:
    world.put("lat,lon,street", "60.1,24.9,A", name="a")
    world.put("lat,lon,street", "60.2,24.9,B", "60.3,24.9,C", name="b")
    world.put("lat,lon,street", "60.2,24.9,D", name="a")
    store = world.open()
    assert sorted(store.address(row).street for row in range(store.rows)) == ["B", "C", "D"]
    assert store.position(0) == LatLng(60.2, 24.9)
    for beyond in (-1, 3):
        with pytest.raises(IndexError):
            store.address(beyond)


def test_a_damaged_file_is_named(world: World) -> None:
    world.put("lat,lon,street", "60.1,24.9,A")
    entries = Snapshot.open(world.data).entries("addresses")
    (entries[0].path / "street.ends.npy").write_bytes(b"nonsense")
    with pytest.raises(DatasetError, match=r"street\.ends\.npy"):
        AddressStore.open(entries)


def test_no_addresses_at_all() -> None:
    store = AddressStore.open([])
    row, distance_m = store.nearest(np.array([1.0]), np.array([2.0]), 1e6)
    assert row.tolist() == [-1]
    assert distance_m.tolist() == [math.inf]
    assert store.near(1.0, 2.0, 5) == []
    assert store.place(CivicAddress(street="A")) is None


@pytest.mark.real
def test_the_real_nearest_is_the_one_of_brute_force(real: AddressStore, rng: np.random.Generator) -> None:
    corners = [(60.15, 24.9, 60.2, 25.0), (39.25, -76.7, 39.35, -76.55), (47.05, 9.48, 47.26, 9.62)]
    latitude = np.concatenate([rng.uniform(s, n, 60) for s, _, n, _ in corners])
    longitude = np.concatenate([rng.uniform(w, e, 60) for _, w, _, e in corners])
    row, distance_m = real.nearest(latitude, longitude, 3000.0)
    again, again_m = real.nearest(latitude, longitude, 3000.0)
    assert np.array_equal(row, again)
    assert np.array_equal(distance_m, again_m), "the same from the cache to the last bit"
    assert (row >= 0).sum() > 100
    for lat, lng, found, found_m in zip(latitude, longitude, row, distance_m, strict=True):
        expected_m, _ = by_brute_force(real, lat, lng)[0]
        if expected_m > 3000.0:
            assert found == -1
            assert found_m == math.inf
            continue
        assert found_m == pytest.approx(expected_m, abs=0.02, rel=1e-5)
        place = real.position(int(found))
        assert geodesic_m(lat, lng, place.latitude_deg, place.longitude_deg) == pytest.approx(expected_m, abs=0.02)


@pytest.mark.real
def test_one_query_is_a_batch_of_one(real: AddressStore) -> None:
    latitude, longitude = np.array([60.1702, 47.14, 10.0, math.nan]), np.array([24.9414, 9.52, 10.0, 1.0])
    row, distance_m = real.nearest(latitude, longitude, 500.0)
    alone = [real.nearest(latitude[i : i + 1], longitude[i : i + 1], 500.0) for i in range(4)]
    assert row.tolist() == [int(r[0]) for r, _ in alone]
    assert distance_m.tolist() == [float(d[0]) for _, d in alone]
    assert row[2:].tolist() == [-1, -1]


@given(
    places=st.lists(
        st.tuples(st.floats(-90, 90), st.floats(-180, 180)).filter(lambda p: abs(p[0]) + abs(p[1]) > 0.001),
        min_size=1,
        max_size=12,
    ),
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    limit=st.integers(1, 5),
)
def test_the_nearest_anywhere_on_earth(
    tmp_path_factory: pytest.TempPathFactory,
    places: list[tuple[float, float]],
    latitude: float,
    longitude: float,
    limit: int,
) -> None:
    store = store_of(tmp_path_factory.mktemp("earth"), places)
    expected = by_brute_force(store, latitude, longitude)
    row, distance_m = store.nearest(np.array([latitude]), np.array([longitude]), math.inf)
    assert distance_m[0] == about(expected[0][0])
    assert {r: d for d, r in expected}[int(row[0])] == about(expected[0][0])
    near = store.near(latitude, longitude, limit)
    assert len(near) == min(limit, len(places))
    assert [d for _, d in near] == sorted(d for _, d in near)
    for (_, found_m), (true_m, _) in zip(near, expected, strict=False):
        assert found_m == about(true_m)


def test_the_nearest_lies_over_the_antimeridian_and_the_pole(tmp_path: Path) -> None:
    store = store_of(tmp_path, [(-17.0, -179.9995), (-17.0, 179.99), (89.9999, 0.0), (89.99, 180.0)])
    row, distance_m = store.nearest(np.array([-17.0, 89.9999]), np.array([179.9998, 180.0]), 1000.0)
    assert [store.address(int(r)).house_number for r in row] == ["0", "2"]
    assert distance_m == pytest.approx([74.5, 22.3], abs=0.1)


def test_of_equally_near_addresses_the_lowest_row_is_taken(tmp_path: Path) -> None:
    store = store_of(tmp_path, [(60.1, 24.9)] * 5)
    row, distance_m = store.nearest(np.full(3, 60.1), np.full(3, 24.9), 100.0)
    assert row.tolist() == [0, 0, 0]
    assert distance_m == pytest.approx([0.0] * 3, abs=1e-6)


def test_a_short_reach_that_found_nothing_does_not_hide_what_is_farther(tmp_path: Path) -> None:
    store = store_of(tmp_path, [(60.1, 24.9)])
    here = np.array([60.11]), np.array([24.9])
    assert store.nearest(*here, 100.0)[0].tolist() == [-1]
    assert store.nearest(*here, 2000.0)[0].tolist() == [0]
    assert store.nearest(*here, 100.0)[0].tolist() == [-1]


@pytest.mark.parametrize(
    "full", [{}, {"_MOST_TILES": 2}, {"_MOST_CANDIDATES": 3, "_MOST_IN_A_TILE": 3}, {"_MOST_IN_A_TILE": 0}]
)
def test_a_full_cache_changes_nothing(full: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, room in full.items():
        monkeypatch.setattr(nearest_module, name, room)
    monkeypatch.setattr(store_module, "_KEPT_ADDRESSES", 2)
    store = store_of(tmp_path, [(60.1 + i / 1000, 24.9) for i in range(20)])
    latitude = np.array([60.1 + i / 1000 for i in range(20)])
    for _ in range(2):
        row, distance_m = store.nearest(latitude, np.full(20, 24.9), 50.0)
        assert [int(store.address(int(r)).house_number) for r in row] == list(range(20))
    assert distance_m.max() < 0.02


@pytest.mark.parametrize(
    "pair",
    [
        ("E Fairmount Ave.", "East  Fairmount Avenue"),
        ("MAIN ST", "Main Street"),
        ("St John's Rd", "Saint Johns Road"),
        ("Bahnhofstr.", "Bahnhofstraße"),
        ("av. de la Gare", "Avenue de la Gare"),
        ("Städtle", "STADTLE"),
        ("Am Bach", "Ambach"),
        ("Östergatan", "o\u0308stergatan"),
        ("Straße des 17. Juni", "strasse des 17 juni"),
        ("Wolfe St N", "Wolfe Street North"),
        ("Łódzka", "lodzka"),
    ],
)
def test_streets_written_differently_are_the_same(pair: tuple[str, str]) -> None:
    assert street_key(pair[0]) == street_key(pair[1])


@pytest.mark.parametrize("pair", [("Main Street", "Main Road"), ("High Street", "High Street East"), ("A", "B")])
def test_streets_that_differ_stay_different(pair: tuple[str, str]) -> None:
    assert street_key(pair[0]) != street_key(pair[1])


@given(st.text(max_size=40))
def test_any_text_has_a_key_that_ignores_case_and_spaces(text: str) -> None:
    assert place_key(text) == place_key(f"  {text}  ")
    assert street_key(text) == street_key(f" {text} ")
    assert all(number_keys(text))


HEADER = "lat,lon,number,street,unit,city,postcode,country"


def town(world: World) -> AddressStore:
    """Mill Lane in two towns, one of them with an address that does not say where it is."""
    world.put(
        HEADER,
        "53.0000,-6.0,1,Mill Lane,,Testham,T1,IE",
        "53.0010,-6.0,3,Mill Lane,,Testham,T1,IE",
        "53.0011,-6.0,3,Mill Lane,B,Testham,T1,IE",
        "53.0020,-6.0,5,Mill Lane,,,,",
        "53.0030,-6.0,7-9,Station Road,,Testham,T2,IE",
        "52.0000,-7.0,1,Mill Lane,,Farford,F1,IE",
        "52.0005,-7.0,4,Mill Lane,,Farford,F1,IE",
        "51.0000,-8.0,77,Mill Lane,,,,",
        "53.5000,-2.0,1,Mill Lane,,Testham,M1,GB",
    )
    return world.open()


def found(store: AddressStore, **wanted: str) -> AddressPlace:
    place = store.place(CivicAddress(**wanted))
    assert place is not None
    return place


def test_an_exact_address_is_exact(world: World) -> None:
    place = found(town(world), street="MILL LN", house_number="1", city="testham", country="IE")
    assert place.placement == Placement.GEOCODED_EXACT
    assert (place.latitude_deg, place.longitude_deg, place.spread_m) == (53.0, -6.0, 0.0)
    assert place.address.postcode == "T1"


def test_the_town_the_post_code_or_the_country_tells_streets_of_one_name_apart(world: World) -> None:
    store = town(world)
    assert found(store, street="Mill Lane", house_number="1", city="Farford").latitude_deg == 52.0
    assert found(store, street="Mill Lane", house_number="1", postcode="f 1").latitude_deg == 52.0
    assert found(store, street="Mill Lane", house_number="1", city="Testham", country="GB").latitude_deg == 53.5
    assert found(store, street="Mill Lane", house_number="1", city="Testham", postcode="M1").latitude_deg == 53.5
    wrong_town = found(store, street="Mill Lane", house_number="1", city="Nextham", postcode="F1")
    assert wrong_town.latitude_deg == 52.0


def test_the_unit_chooses_among_addresses_with_one_number(world: World) -> None:
    store = town(world)
    wanted = {"street": "Mill Lane", "house_number": "3", "city": "Testham", "country": "IE"}
    assert found(store, **wanted, unit="b").latitude_deg == 53.0011
    assert found(store, **wanted, unit="Z").placement == Placement.GEOCODED_EXACT


def test_an_address_that_does_not_say_its_town_counts_where_the_town_is(world: World) -> None:
    store = town(world)
    place = found(store, street="Mill Lane", house_number="5", city="Testham", country="IE")
    assert (place.placement, place.latitude_deg) == (Placement.GEOCODED_EXACT, 53.002)
    far = found(store, street="Mill Lane", house_number="77", city="Testham", country="IE")
    assert far.placement == Placement.GEOCODED_STREET


def test_an_unknown_number_is_placed_on_its_street_with_the_streets_spread(world: World) -> None:
    place = found(town(world), street="Mill Lane", house_number="99", city="Testham", country="IE")
    assert place.placement == Placement.GEOCODED_STREET
    assert 53.0 <= place.latitude_deg <= 53.002
    assert 100.0 <= place.spread_m < 250.0
    assert place.address == CivicAddress(country="IE", city="Testham", street="Mill Lane", postcode="T1")


def test_an_address_that_fits_two_places_is_placed_over_both(world: World) -> None:
    place = found(town(world), street="Mill Lane", house_number="1")
    assert place.placement == Placement.GEOCODED_STREET
    assert place.spread_m > 100_000.0


def test_an_unknown_street_is_placed_in_its_locality(world: World) -> None:
    store = town(world)
    place = found(store, street="No Such Way", house_number="1", city="Farford")
    assert place.placement == Placement.GEOCODED_LOCALITY
    assert place.spread_m == 500.0
    assert place.address == CivicAddress(country="IE", city="Farford")
    code = found(store, postcode="T2")
    assert (code.placement, code.latitude_deg) == (Placement.GEOCODED_LOCALITY, 53.003)
    both = found(store, city="Testham", postcode="M1", country="GB")
    assert both.latitude_deg == 53.5


def test_nothing_known_is_no_place(world: World) -> None:
    store = town(world)
    assert store.place(CivicAddress(street="Mill Lane", house_number="1", city="Nowhere", country="IE")) is None
    assert store.place(CivicAddress(name="Somebody")) is None
    assert store.place(CivicAddress()) is None


def test_the_number_may_stand_in_the_street_and_in_a_list(world: World) -> None:
    store = town(world)
    assert found(store, street="4 Mill Lane", city="Farford").placement == Placement.GEOCODED_EXACT
    assert found(store, street="Mill Lane 4", city="Farford").placement == Placement.GEOCODED_EXACT
    assert found(store, street="Mill Lane", house_number="4-6", city="Farford").placement == Placement.GEOCODED_EXACT
    for number in ("7 - 9", "7", "9", "7;11"):
        assert found(store, street="Station Road", house_number=number).placement == Placement.GEOCODED_EXACT, number
    assert found(store, street="Station Road", house_number="8").placement == Placement.GEOCODED_STREET


def test_the_number_itself_goes_before_a_pair_that_ends_with_it(world: World) -> None:
    world.put(
        "lat,lon,number,street", "53.0,-6.0,10-12,Mill Lane", "53.0005,-6.0,12,Mill Lane", "53.001,-6.0,1012,Mill Lane"
    )
    store = world.open()
    assert found(store, street="Mill Lane", house_number="12").latitude_deg == 53.0005
    assert found(store, street="Mill Lane", house_number="10").latitude_deg == 53.0
    assert found(store, street="Mill Lane", house_number="1012").latitude_deg == 53.001


def test_find_lists_exact_matches_or_the_street_and_its_addresses(world: World) -> None:
    store = town(world)
    exact = store.find(CivicAddress(street="Mill Lane", house_number="3", city="Testham", country="IE"), 10)
    assert [p.placement for p in exact] == [Placement.GEOCODED_EXACT] * 2
    assert len({p.row for p in exact}) == 2
    street = store.find(CivicAddress(street="Mill Lane", city="Farford"), 10)
    assert [p.placement for p in street] == [Placement.GEOCODED_STREET] + [Placement.GEOCODED_EXACT] * 2
    assert {p.address.house_number for p in street[1:]} == {"1", "4"}
    assert len(store.find(CivicAddress(street="Mill Lane", city="Farford"), 2)) == 2
    for place in (*exact, *street[1:]):
        assert store.address(place.row) == place.address


@pytest.mark.real
def test_every_real_address_is_found_by_its_own_words(real: AddressStore) -> None:
    by_placement: dict[Placement, int] = {}
    for row in range(0, real.rows, 7):
        address, place = real.address(row), real.position(row)
        if not address.street or not address.house_number:
            continue
        match = real.place(address)
        assert match is not None
        by_placement[match.placement] = by_placement.get(match.placement, 0) + 1
        off_m = geodesic_m(place.latitude_deg, place.longitude_deg, match.latitude_deg, match.longitude_deg)
        if match.placement == Placement.GEOCODED_EXACT:
            assert off_m <= 300.0, address
        else:
            assert match.placement == Placement.GEOCODED_STREET
    assert by_placement[Placement.GEOCODED_EXACT] > 0.97 * sum(by_placement.values())


@pytest.mark.real
def test_tables_keep_neighbours_together(real: AddressStore, shared: Path) -> None:
    table: AddressTable = real._tables[1]
    latitude, longitude = table.degrees(np.arange(table.rows))
    steps_m = geodesic_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    with (shared / "data" / "addresses" / "helsinki_addresses.csv").open(encoding="utf-8") as file:
        rows = [(float(r["lat"]), float(r["lon"])) for r in csv.DictReader(file)]
    source = np.array(rows)
    source_steps_m = geodesic_m(source[:-1, 0], source[:-1, 1], source[1:, 0], source[1:, 1])
    assert np.median(steps_m) < np.median(source_steps_m) / 3


@given(
    st.binary(max_size=200)
    | st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8)), max_size=5).map(
        lambda rows: "\n".join(["lat,lon,street", *(",".join(row) for row in rows)]).encode(errors="replace")
    )
)
@example(b"\r\x01")
def test_any_file_is_imported_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    world = World(tmp_path_factory.mktemp("any"))
    source = world.folder / "any.csv"
    source.write_bytes(content)
    try:
        report = world.put_file(source, name="any")
    except (BadData, InvalidInput):
        return
    assert world.open().rows == report.rows > 0
