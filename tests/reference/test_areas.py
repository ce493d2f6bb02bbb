"""Areas: what an import makes of GeoJSON, and which areas hold a point or a circle."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import shape

from locsvc.errors import BadData, DatasetError, InvalidInput
from locsvc.geo import destination
from locsvc.reference.areas import AreaStore, circles, import_areas
from locsvc.reference.areas.geojson import UnusableGeometryError, mend
from locsvc.reference.importing import ImportReport
from locsvc.reference.snapshot import Draft, Snapshot

Ring = list[tuple[float, float]]

COUNTIES = ("ireland-counties", "liechtenstein_admin", "uk-ceremonial-counties")


def box(west: float, south: float, east: float, north: float) -> Ring:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def polygon(*rings: Ring) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": [[list(c) for c in ring] for ring in rings]}


def collection(*features: tuple[dict[str, object], object]) -> dict[str, object]:
    members = [{"type": "Feature", "properties": p, "geometry": g} for p, g in features]
    return {"type": "FeatureCollection", "features": members}


class World:
    """A data directory into which GeoJSON is put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def put(self, content: object, *, name: str = "test", name_field: str | None = None) -> ImportReport:
        source = self.folder / f"{name}.geojson"
        source.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return self.put_file(source, name=name, name_field=name_field)

    def put_file(self, source: Path, *, name: str, name_field: str | None = None) -> ImportReport:
        with Draft.begin(self.data) as draft:
            report = import_areas(draft, source, name=name, name_field=name_field, rejects=self.folder / "rejects.csv")
            draft.publish()
        return report

    def open(self) -> AreaStore:
        return AreaStore.open(Snapshot.open(self.data).entries("areas"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> AreaStore:
    world = World(tmp_path_factory.mktemp("areas"))
    for name in COUNTIES:
        world.put_file(shared / "data" / "areas" / f"{name}.geojson", name=name)
    return world.open()


@pytest.fixture(scope="session")
def irish(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> AreaStore:
    world = World(tmp_path_factory.mktemp("irish"))
    world.put_file(shared / "data" / "areas" / "ireland-counties.geojson", name="ireland")
    return world.open()


def holding(store: AreaStore, latitude_deg: float, longitude_deg: float) -> list[str]:
    _, areas = store.locate(np.array([latitude_deg]), np.array([longitude_deg]))
    return sorted(store.names[a] for a in areas)


def test_polygons_multipolygons_and_collections_with_holes(world: World) -> None:
    holed = polygon(box(0, 50, 4, 54), box(1, 51, 2, 52))
    multi = {
        "type": "MultiPolygon",
        "coordinates": [polygon(box(10, 50, 11, 51))["coordinates"], polygon(box(12, 50, 13, 51))["coordinates"]],
    }
    nested = {
        "type": "GeometryCollection",
        "geometries": [{"type": "Point", "coordinates": [0, 0]}, polygon(box(20, 50, 21, 51))],
    }
    report = world.put(collection(({"name": "holed"}, holed), ({"name": "multi"}, multi), ({"name": "nested"}, nested)))
    store = world.open()
    assert report.rows == 3
    assert not report.rejected
    assert store.names == ("holed", "multi", "nested")
    assert store.dataset_of == ("test",) * 3
    assert holding(store, 50.5, 0.5) == ["holed"]
    assert holding(store, 51.5, 1.5) == []
    assert holding(store, 50.5, 12.5) == ["multi"]
    assert holding(store, 50.5, 11.5) == []
    assert holding(store, 50.5, 20.5) == ["nested"]


def test_a_point_on_a_common_border_is_in_both(world: World) -> None:
    world.put(
        collection(({"name": "west"}, polygon(box(0, 50, 1, 51))), ({"name": "east"}, polygon(box(1, 50, 2, 51))))
    )
    assert holding(world.open(), 50.5, 1.0) == ["east", "west"]


def test_points_come_back_in_order_and_nan_is_nowhere(world: World) -> None:
    world.put(collection(({"name": "all"}, polygon(box(0, 50, 4, 54))), ({"name": "part"}, polygon(box(0, 50, 1, 51)))))
    latitude = np.array([53.0, math.nan, 10.0, 50.5, 53.0])
    point, area = world.open().locate(latitude, np.array([3.0, 3.0, 3.0, 0.5, math.inf]))
    assert point.dtype == np.int32
    assert point.tolist() == [0, 3, 3]
    assert sorted(area[1:].tolist()) == [0, 1]
    assert area[0] == 0


@pytest.mark.parametrize(
    ("ring", "hole"),
    [
        (box(179, -20, -179, -15), box(179.2, -18, -179.2, -17)),
        (box(179, -20, 181, -15), box(179.2, -18, 180.8, -17)),
        (box(-181, -20, -179, -15), box(179.2, -18, 180.8, -17)),
    ],
    ids=["jumps", "runs on east", "runs on west"],
)
def test_the_antimeridian_is_no_border(world: World, ring: Ring, hole: Ring) -> None:
    report = world.put(collection(({"name": "Taveuni"}, polygon(ring, hole))))
    store = world.open()
    assert report.notes == {"crosses the antimeridian: cut there": 1}
    for longitude in (179.5, -179.5, 180.0, -180.0, 180.5, -180.5, 540.0):
        assert holding(store, -19.0, longitude) == ["Taveuni"], longitude
        assert holding(store, -17.5, longitude) == [], longitude
    assert holding(store, -19.0, 0.0) == []
    assert holding(store, -19.0, 178.5) == []


def test_the_frame_of_the_world_and_a_ring_round_the_pole_stay(world: World) -> None:
    antarctica = [(-180.0, -90.0), (-180.0, -70.0), (0.0, -65.0), (180.0, -70.0), (180.0, -90.0), (-180.0, -90.0)]
    world.put(
        collection(({"name": "world"}, polygon(box(-180, -90, 180, 90))), ({"name": "south"}, polygon(antarctica)))
    )
    assert holding(world.open(), 10.0, 0.0) == ["world"]
    assert holding(world.open(), -85.0, 120.0) == ["south", "world"]


def test_a_crossed_outline_is_repaired_and_counted(world: World) -> None:
    bow_tie = [(0.0, 50.0), (2.0, 52.0), (2.0, 50.0), (0.0, 52.0), (0.0, 50.0)]
    report = world.put(collection(({"name": "bow tie"}, polygon(bow_tie))))
    assert report.rows == 1
    assert report.notes == {"outlines not valid: repaired": 1}
    store = world.open()
    assert holding(store, 51.0, 0.3) == ["bow tie"]
    assert holding(store, 51.0, 1.7) == ["bow tie"]
    assert holding(store, 51.8, 1.0) == []


def test_unusable_features_are_counted_by_reason_and_listed(world: World, tmp_path: Path) -> None:
    good = polygon(box(0, 50, 1, 51))
    flat = polygon([(0.0, 50.0), (1.0, 50.0), (2.0, 50.0), (0.0, 50.0)])
    report = world.put(
        collection(
            ({"name": "good"}, good),
            ({"name": "good"}, good),
            ({"name": "none"}, None),
            ({"name": "point"}, {"type": "Point", "coordinates": [0, 0]}),
            ({"name": "metres"}, polygon(box(500_000, 5_700_000, 500_100, 5_700_100))),
            ({"name": "nan"}, polygon([(0.0, math.nan), (1.0, 50.0), (1.0, 51.0)])),
            ({"name": "text"}, {"type": "Polygon", "coordinates": [["a", "b", "c"]]}),
            ({"name": "number"}, {"type": "Polygon", "coordinates": 7}),
            ({"name": "flat"}, flat),
        )
    )
    assert report.rows == 1
    assert report.rejected == {
        "coordinates are no latitude and longitude in degrees": 2,
        "malformed geometry": 2,
        "no geometry": 1,
        "no polygon in the geometry": 1,
        "same name and outline as a feature before": 1,
        "the polygon has no area": 1,
    }
    listed = (tmp_path / "rejects.csv").read_text(encoding="utf-8")
    assert "metres" in listed
    assert "\n5,coordinates" in listed


def test_the_name_field_is_found_given_or_asked_for(world: World) -> None:
    one = polygon(box(0, 50, 1, 51))
    world.put(collection(({"ID": 7, "NAME": "A"}, one), ({"ID": 8, "NAME": " "}, polygon(box(1, 50, 2, 51)))))
    assert world.open().names == ("A", "unnamed 2")
    world.put(collection(({"ID": 7, "NAME": "A"}, one)), name_field="ID")
    assert world.open().names == ("7",)
    with pytest.raises(BadData, match="OBJECTID, SHAPE_AREA"):
        world.put(collection(({"OBJECTID": 7, "SHAPE_AREA": 1.5}, one)))
    with pytest.raises(InvalidInput, match=r"'Name'.*ID, NAME"):
        world.put(collection(({"ID": 7, "NAME": "A"}, one)), name_field="Name")
    assert world.open().names == ("7",), "a failed import leaves the former one in force"


def test_a_bare_geometry_and_a_lone_feature_are_taken(world: World) -> None:
    world.put(polygon(box(0, 50, 1, 51)))
    assert world.open().names == ("unnamed 1",)
    world.put({"type": "Feature", "properties": {"name": "lone"}, "geometry": polygon(box(0, 50, 1, 51))})
    assert world.open().names == ("lone",)


def test_packed_geojson_is_taken(world: World, tmp_path: Path) -> None:
    source = tmp_path / "packed.geojson.gz"
    source.write_bytes(gzip.compress(json.dumps(collection(({"name": "A"}, polygon(box(0, 50, 1, 51))))).encode()))
    assert world.put_file(source, name="packed").rows == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "is not GeoJSON"),
        ('{"type": "FeatureCollection"}', "no list of features"),
        ('{"type": "FeatureCollection", "features": []}', "no features"),
        ('{"type": "FeatureCollection", "features": [17, null]}', "2 x no geometry"),
        (
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "EPSG:27700"}},
                "features": [],
            },
            "EPSG:27700",
        ),
    ],
)
def test_files_that_are_no_areas_are_refused(world: World, content: object, message: str) -> None:
    with pytest.raises(BadData, match=message):
        world.put(content)


def test_wgs84_by_its_old_names_is_taken(world: World) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert world.put({"crs": crs, **collection(({"name": "A"}, polygon(box(0, 50, 1, 51))))}).rows == 1


def test_imports_lie_side_by_side_and_are_replaced_by_name(world: World) -> None:
    world.put(collection(({"name": "A"}, polygon(box(0, 50, 1, 51)))), name="police")
    world.put(collection(({"name": "B"}, polygon(box(0, 50, 2, 51)))), name="fire")
    world.put(collection(({"name": "C"}, polygon(box(0, 50, 2, 51)))), name="fire")
    store = world.open()
    assert dict(zip(store.names, store.dataset_of, strict=True)) == {"A": "police", "C": "fire"}
    assert holding(store, 50.5, 0.5) == ["A", "C"]


def test_a_damaged_file_is_named(world: World) -> None:
    world.put(collection(({"name": "A"}, polygon(box(0, 50, 1, 51)))))
    entries = Snapshot.open(world.data).entries("areas")
    (entries[0].path / "names.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"names\.json"):
        AreaStore.open(entries)


def test_no_areas_at_all_hold_nothing() -> None:
    store = AreaStore.open([])
    here = np.array([50.0])
    assert store.locate(here, here)[0].shape == (0,)
    assert store.undivided(here, here, np.array([10.0])).tolist() == [-2]
    assert store.outlines(50.0, 0.0, 1000.0) == []


@pytest.mark.real
def test_real_areas_hold_what_a_check_of_every_polygon_says(
    real: AreaStore, shared: Path, rng: np.random.Generator
) -> None:
    latitude = np.concatenate([rng.uniform(50, 59, 400), rng.uniform(47.04, 47.28, 100)])
    longitude = np.concatenate([rng.uniform(-10.5, 2, 400), rng.uniform(9.46, 9.65, 100)])
    expected = set()
    index = 0
    for name in COUNTIES:
        read = json.loads((shared / "data" / "areas" / f"{name}.geojson").read_text(encoding="utf-8"))
        for feature in read["features"]:
            parts = shapely.make_valid(shapely.get_parts(shape(feature["geometry"])))
            inside = shapely.intersects_xy(parts[:, None], longitude, latitude).any(axis=0)
            expected |= {(int(p), index) for p in np.flatnonzero(inside)}
            index += 1
    point, area = real.locate(latitude, longitude)
    assert len(expected) > 200
    assert set(zip(point.tolist(), area.tolist(), strict=True)) == expected
    assert (np.diff(point) >= 0).all()


@pytest.mark.real
def test_real_names(real: AreaStore) -> None:
    assert len(real.names) == 34 + 74 + 18
    assert "Cork City" in holding(real, 51.897, -8.472)
    assert "Greater London" in holding(real, 51.5, -0.1)
    assert "Vaduz" in holding(real, 47.139, 9.522)
    assert sum(n.startswith("unnamed ") for n in real.names) == 5


@pytest.mark.real
def test_an_undivided_circle_has_all_its_points_in_its_area(irish: AreaStore, rng: np.random.Generator) -> None:
    n = 3000
    latitude, longitude = rng.uniform(51.3, 55.5, n), rng.uniform(-10.7, -5.0, n)
    radius = 10.0 ** rng.uniform(1.0, 4.6, n)
    area = irish.undivided(latitude, longitude, radius)
    assert np.array_equal(area, irish.undivided(latitude, longitude, radius)), "from the cache as when asked first"
    assert (area >= 0).sum() > 300
    assert (area == -2).sum() > 100
    for bearing in np.arange(0.0, 360.0, 10.0):
        for part in (1.0, 0.5):
            rim_lat, rim_lon = destination(latitude, longitude, bearing, radius * part)
            held: list[list[int]] = [[] for _ in range(n)]
            for p, a in zip(*irish.locate(rim_lat, rim_lon), strict=True):
                held[p].append(int(a))
            for one, found in zip(area.tolist(), held, strict=True):
                assert one == -1 or found == ([] if one == -2 else [one])


@pytest.mark.real
def test_far_from_a_border_undivided_is_sure(irish: AreaStore) -> None:
    # The middle of county Galway: its border is more than 5 km off.
    area = irish.undivided(np.array([53.35]), np.array([-8.75]), np.array([3000.0]))
    assert irish.names[area[0]] == "Galway County"


def test_circles_in_areas_upon_each_other_are_undivided_among_both(world: World) -> None:
    world.put(
        collection(({"name": "county"}, polygon(box(0, 50, 2, 52))), ({"name": "town"}, polygon(box(0.5, 50.5, 1, 51))))
    )
    store = world.open()
    where = np.array([50.75, 51.5, 55.0, 50.75]), np.array([0.75, 1.5, 5.0, 0.75])
    number = store.undivided_among(*where, np.array([1000.0, 1000.0, 1000.0, 90_000.0]))
    assert [store.combinations[k] for k in number[:3]] == [(0, 1), (0,), ()]
    assert number[3] == -1
    assert store.undivided(*where, np.full(4, 1000.0)).tolist() == [-1, 0, -2, -1]


def test_a_full_table_of_tiles_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    world.put(
        collection(({"name": "west"}, polygon(box(0, 50, 1, 52))), ({"name": "east"}, polygon(box(1, 50, 2, 52))))
    )
    where = rng.uniform(50.9, 51.1, 60), rng.uniform(0.9, 1.1, 60), rng.uniform(10.0, 3000.0, 60)
    expected = world.open().undivided(*where)
    assert set(expected.tolist()) == {-1, 0, 1}
    monkeypatch.setattr(circles, "_MOST_TILES", 4)
    small = world.open()
    for _ in range(2):
        assert np.array_equal(small.undivided(*where), expected)


def test_undivided_leaves_odd_places_and_the_seam_open(world: World) -> None:
    world.put(collection(({"name": "wide"}, polygon(box(170, -60, -170, 89)))))
    store = world.open()
    latitude = np.array([10.0, 10.0, 88.0, math.nan, math.inf])
    longitude = np.array([175.0, 179.999, 175.0, 0.0, 0.0])
    assert store.undivided(latitude, longitude, np.full(5, 100.0)).tolist() == [0, -1, -1, -1, -1]
    assert store.undivided(latitude[:1], longitude[:1], np.array([math.nan])).tolist() == [-1]
    assert store.undivided(latitude[:0], longitude[:0], latitude[:0]).shape == (0,)


def test_outlines_are_clipped_to_the_neighbourhood(world: World) -> None:
    world.put(
        collection(
            ({"name": "holed"}, polygon(box(0, 50, 4, 54), box(1, 51, 2, 52))),
            ({"name": "far"}, polygon(box(20, 50, 21, 51))),
        )
    )
    found = world.open().outlines(51.0, 1.0, 20_000.0)
    assert [name for name, _ in found] == ["holed"]
    for ring in found[0][1]:
        assert ring[0] == ring[-1]
        for latitude, longitude in ring:
            assert abs(latitude - 51.0) < 0.19
            assert abs(longitude - 1.0) < 0.3
    assert world.open().outlines(53.9, 10.0, 20_000.0) == []


def test_outlines_run_on_over_the_antimeridian(world: World) -> None:
    world.put(collection(({"name": "wide"}, polygon(box(179, -20, -179, -15)))))
    found = world.open().outlines(-17.0, 179.95, 50_000.0)
    longitudes = [longitude for _, rings in found for ring in rings for _, longitude in ring]
    assert min(longitudes) < 179.6
    assert max(longitudes) > 180.3


@given(
    st.lists(st.tuples(st.floats(-179, 179), st.floats(-85, 85)), min_size=3, max_size=9),
    st.integers(0, 2**32 - 1),
)
def test_any_ring_is_taken_or_refused_and_never_breaks(ring: Ring, seed: int) -> None:
    try:
        mended = mend(polygon(ring))
    except UnusableGeometryError:
        return
    assert mended.outline.is_valid
    west, south, east, north = mended.outline.bounds
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90
    spread = np.random.default_rng(seed)
    xy = np.column_stack([spread.uniform(west, east, 20), spread.uniform(south, north, 20)])
    store = AreaStore(["a"], ["d"], np.array([mended.outline]))
    point, _ = store.locate(xy[:, 1], xy[:, 0])
    assert point.tolist() == np.flatnonzero(shapely.intersects_xy(mended.outline, xy)).tolist()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "coordinates"]), inner),
    max_leaves=20,
)
CORNERS = st.lists(st.lists(st.floats(-400, 400), min_size=0, max_size=3), max_size=6)
GEOMETRIES = st.recursive(
    st.fixed_dictionaries({"type": st.sampled_from(["Polygon", "MultiPolygon", "Point"]), "coordinates": JSON})
    | st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": st.lists(CORNERS, max_size=3)})
    | st.fixed_dictionaries(
        {"type": st.just("MultiPolygon"), "coordinates": st.lists(st.lists(CORNERS, max_size=2), max_size=3)}
    )
    | JSON,
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("GeometryCollection"), "geometries": st.lists(inner, max_size=3)}
    ),
    max_leaves=5,
)


@given(GEOMETRIES)
def test_anything_called_a_geometry_is_taken_or_refused(geometry: object) -> None:
    try:
        outline = mend(geometry).outline
    except UnusableGeometryError:
        return
    assert outline.is_valid
    assert outline.area > 0
