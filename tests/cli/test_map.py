"""The page: one file, no network, nothing unescaped, everything on it."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from h3.api import numpy_int as h3
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.cli.map import MappedCall, map_page, reach_m, read_background
from locsvc.cli.map.projection import Box, Projection
from locsvc.cli.map.shapes import cell_paths, holds, region_rings, rings_path
from locsvc.errors import BadData

Scene = tuple[model.LocationEstimate, model.Trace]
SQUARE = [[(51.0, -9.0), (51.0, -8.0), (52.5, -8.0), (52.5, -9.0)]]
HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


class Page(html.parser.HTMLParser):
    """What is on a page: tags with their attributes, and the words outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._quiet = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._quiet += tag in {"style", "script"}

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in {"style", "script"}

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.words.append(data)

    def classes(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]

    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(*scenes: Scene, areas: bool = True) -> Page:
    background = [("Cork & County", SQUARE)] if areas else []
    return Page(map_page([MappedCall(estimate, trace, background) for estimate, trace in scenes]))


def test_the_page_asks_nothing_of_the_network(scene: Scene) -> None:
    text = map_page([MappedCall(*scene, [("Cork", SQUARE)])])
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
    }
    assert not [attrs for _, attrs in page.tags if {"src", "href", "srcset", "data", "action"} & attrs.keys()]
    policies = [
        a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]


def test_everything_of_an_answer_is_on_the_page(town: Scene) -> None:
    estimate, trace = town
    page = page_of(town)
    text = page.text()
    for words in (
        "Located",
        "Call c-1",
        "3 Mill Lane, Testham TE1 3ST",
        "52 m",
        "51.89850, -8.47560",
        "Cork City",
        "83 %",
    ):
        assert words in text
    for words in ("90 %", "31 m ± 8 m", "The scan is 6 minutes older than the fix.", "cell-1 serving", "device-2", "N"):
        assert words in text
    assert len(page.classes("cell")) == len(trace.cells)
    assert len(page.classes("outline")) == len(trace.outlines)
    assert len([tag for tag, attrs in page.tags if tag == "tr" and "data-piece" in attrs]) == len(
        estimate.contributions
    )
    for name in ("region", "radius", "here", "land", "scale", "north", "legend", "graticule"):
        assert page.classes(name), name


def test_alternatives_are_drawn_and_told(conflict: Scene) -> None:
    page = page_of(conflict)
    assert len(page.classes("mode")) == 1
    assert "Sources conflict" in page.text()
    assert "29 %" in page.text()
    (set_aside,) = [attrs for tag, attrs in page.tags if tag == "path" and "set-aside" in str(attrs.get("class"))]
    assert "outline" in str(set_aside["class"])


def test_an_answer_without_a_place_has_reasons_and_no_map(nowhere: Scene) -> None:
    page = page_of(nowhere)
    assert not page.classes("map")
    assert "No location" in page.text()
    assert "cell not found" in page.text()


def test_many_calls_have_a_picker(town: Scene, conflict: Scene, nowhere: Scene) -> None:
    page = page_of(town, conflict, nowhere)
    assert [tag for tag, _ in page.tags].count("option") == 3
    assert [attrs["id"] for attrs in page.classes("call")] == ["call-1", "call-2", "call-3"]
    assert not page_of(town).classes("picker")


def _hostile(value: object) -> object:
    """The same object with every text replaced by one that would run."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(_hostile(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: _hostile(getattr(value, f.name)) for f in dataclasses.fields(value)}
        )
    return value


def test_hostile_text_stays_text(scene: Scene) -> None:
    estimate, trace = _hostile(scene[0]), _hostile(scene[1])
    assert isinstance(estimate, model.LocationEstimate)
    assert isinstance(trace, model.Trace)
    hostile = Page(map_page([MappedCall(estimate, trace, [(HOSTILE, SQUARE)])] * 2))
    tags = [tag for tag, _ in hostile.tags]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert not [name for _, attrs in hostile.tags for name in attrs if name.startswith("on")]
    assert HOSTILE in "".join(hostile.words)


def test_cells_are_shaded_by_the_probability_that_denser_ones_hold(town: Scene) -> None:
    estimate, trace = town
    cells = cell_paths(trace, estimate.region, Projection(51.8985, -8.4756), 1)
    assert [c.mass for c in cells] == list(trace.masses)
    shades = [c.shade for c in cells]
    assert shades == sorted(shades)
    assert set(shades) == {0, 1, 2, 3, 4, 5}
    darkest = sum(c.mass for c in cells if c.shade == 0)
    assert 0.25 <= darkest < 0.25 + max(trace.masses)
    assert estimate.region is not None
    inside = {c.cell for c in cells if c.within}
    assert sum(c.mass for c in cells if c.within) == pytest.approx(estimate.region.mass)
    assert inside == set(map(int, h3.uncompact_cells(list(estimate.region.cells), estimate.region.resolution)))


def test_the_region_edge_encloses_its_cells_and_no_others(scene: Scene) -> None:
    estimate, trace = scene
    if estimate.region is None:
        pytest.skip("an answer without a place has no region")
    plane = Projection(51.8985, -8.4756)
    rings = region_rings(estimate.region, trace, plane)
    for cell in cell_paths(trace, estimate.region, plane, 1):
        x_m, y_m = plane.project(np.array([h3.cell_to_latlng(cell.cell)]))[0]
        assert holds(rings, x_m, y_m) == cell.within


def test_compacted_cells_leave_no_slivers_in_the_region_edge() -> None:
    parent = int(h3.latlng_to_cell(51.8985, -8.4756, 8))
    children = [int(c) for c in h3.cell_to_children(parent, 9)]
    beside = [int(c) for c in h3.grid_ring(parent, 1)]
    tiny = [int(c) for c in h3.grid_disk(h3.latlng_to_cell(52.1, -8.2, 12), 1)]
    cells = (*children, *(int(c) for b in beside for c in h3.cell_to_children(b, 9)), *tiny)
    region = model.Region(12, tuple(sorted([parent, *beside, *tiny])), 0.9, 1.0)
    trace = model.Trace(cells, tuple(1 / len(cells) for _ in cells))
    assert len(region_rings(region, trace, Projection(51.8985, -8.4756))) == 2


latitudes = st.floats(-89.9, 89.9)
longitudes = st.floats(-180.0, 180.0)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distances_from_the_middle_are_true(lat: float, lng: float, other_lat: float, other_lng: float) -> None:
    far_m = h3.great_circle_distance((lat, lng), (other_lat, other_lng), unit="m")
    x_m, y_m = Projection(lat, lng).project(np.array([[other_lat, other_lng]]))[0]
    if far_m < 19_000_000:
        # The library's sphere has a radius of 6,371,007.18 m.
        assert np.hypot(x_m, y_m) == pytest.approx(far_m, rel=1e-5, abs=0.01)


@given(latitudes, longitudes, st.floats(0.5, 5_000.0), st.floats(0.0, 2 * np.pi))
def test_metres_near_the_middle_keep_their_bearing(lat: float, lng: float, far_m: float, bearing: float) -> None:
    plane = Projection(lat, lng)
    north = far_m * np.cos(bearing) / 111_195.08
    east = far_m * np.sin(bearing) / (111_195.08 * np.cos(np.radians(lat)))
    if abs(lat) < 80:
        x_m, y_m = plane.project(np.array([[lat + north, lng + east]]))[0]
        assert x_m == pytest.approx(far_m * np.sin(bearing), abs=0.005 * far_m + 0.001)
        assert -y_m == pytest.approx(far_m * np.cos(bearing), abs=0.005 * far_m + 0.001)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=3, max_size=20), st.sampled_from([0, 1, 2])
)
def test_a_path_leads_back_to_its_corners(corners: list[tuple[float, float]], decimals: int) -> None:
    path = rings_path([np.array(corners)], decimals)
    numbers = [tuple(map(float, pair.split(","))) for pair in re.findall(r"-?[\d.]+,-?[\d.]+", path)]
    walked = np.cumsum(np.array(numbers), axis=0)
    assert np.abs(walked - np.round(corners, decimals)).max() < 0.5 * 10.0**-decimals


def test_the_opening_view_holds_the_region_and_all_evidence_is_a_button_away(conflict: Scene) -> None:
    page = page_of(conflict)
    (drawing,) = page.classes("map")
    near = [float(n) for n in str(drawing["data-near"]).split()]
    whole = [float(n) for n in str(drawing["data-whole"]).split()]
    radius_m = conflict[0].radius_m or 0.0
    assert near[0] < -radius_m
    assert near[2] > radius_m
    assert whole[0] <= near[0] + (near[2] - near[0]) * 0.1
    assert [a.get("data-do") for tag, a in page.tags if tag == "button"] == ["+", "-", "region", "all", None]
    # One closer view for each of the two places.
    assert len([a for tag, a in page.tags if tag in {"button", "li"} and "data-box" in a]) == 2


def test_reach_is_the_furthest_thing_shown(conflict: Scene, nowhere: Scene) -> None:
    assert 39_000 < reach_m(*conflict) < 39_600
    assert reach_m(*nowhere) == 0


def test_a_box_has_room_round_a_single_point() -> None:
    box = Box.around(np.zeros((1, 2)), margin=0.2, least_m=40.0)
    assert (box.left_m, box.bottom_m) == (-20.0, 20.0)


def _geojson(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_background_is_read_from_geojson(tmp_path: Path) -> None:
    ring = [[-9.0, 51.0], [-8.0, 51.0], [-8.0, 52.5], [-9.0, 51.0]]
    feature = {
        "type": "Feature",
        "properties": {"name": "Cork"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    multi = feature | {
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring], [ring]]},
        "properties": {"x": "Other"},
    }
    point = feature | {"geometry": {"type": "Point", "coordinates": [0, 0]}}
    found = read_background(
        _geojson(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": [feature, multi, point]})
    )
    assert [(name, len(rings)) for name, rings in found] == [("Cork", 1), ("Other", 2)]
    assert found[0][1][0][0] == (51.0, -9.0)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"features": []},
        {"features": [3]},
        {"features": [{"geometry": {"type": "Polygon", "coordinates": [[["x"]]]}}]},
    ],
)
def test_what_is_not_geojson_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"a\.geojson"):
        read_background(_geojson(tmp_path / "a.geojson", value))


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text.replace("\n", "")])
def test_the_same_answer_gives_the_same_page(change: Callable[[str], str], town: Scene) -> None:
    assert change(map_page([MappedCall(*town)])) == change(map_page([MappedCall(*town)]))
