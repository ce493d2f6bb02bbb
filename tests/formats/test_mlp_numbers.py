"""Angles and times of MLP, and the area that holds several places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.mlp_numbers import angle_deg, time_s
from locsvc.formats.mlp_shapes import held_by
from locsvc.geo import distance_m
from locsvc.model import Circle, LatLng, Point, Polygon

_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "mlp.json"
ROWS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []


@pytest.mark.parametrize("row", [r for r in ROWS if r["kind"] == "mlp_dms"], ids=lambda r: str(r["id"]))
def test_vector_of_an_angle(row: dict[str, Any]) -> None:
    found = angle_deg(row["input"])
    if isinstance(row["expected"], dict):
        assert found is None
    else:
        assert found is not None
        assert found[0] == pytest.approx(row["expected"], abs=row["tolerance"])


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("30.27453", (30.27453, "")),
        ("-86.5", (-86.5, "")),
        ("86.5 W", (-86.5, "W")),
        ("S12.25", (-12.25, "S")),
        ("-0 30 0", (-0.5, "")),
        ("30 16.5N", (30.275, "N")),
        ("30\u00b016'28.308\"n", (30.27453, "N")),
        ("30 16 28.308S", (-30.27453, "S")),
        ("301628.312", (30.274531111111, "")),
        ("N301628.312", (30.274531111111, "N")),
        ("0454530.0W", (-45.75833333333333, "W")),
        ("30 60 00N", None),
        ("30 00 60N", None),
        ("N30 00 00S", None),
        ("-30 00 00S", None),
        ("nan", None),
        ("1e2", None),
        ("", None),
        ("1" * 5000, None),
        ("\u0663\u0660.5", None),
        ("30 16 28.308" + " " * 5000 + "N", None),
    ],
)
def test_angles(text: str, want: tuple[float, str] | None) -> None:
    found = angle_deg(text)
    if want is None or found is None:
        assert found is want
    else:
        assert found[0] == pytest.approx(want[0], abs=1e-12)
        assert found[1] == want[1]


@given(st.integers(0, 89), st.integers(0, 59), st.integers(0, 59999), st.sampled_from("NS"))
def test_angles_of_all_three_spellings_agree(degrees: int, minutes: int, milliseconds: int, letter: str) -> None:
    seconds = milliseconds / 1000
    want = (degrees + minutes / 60 + seconds / 3600) * (-1 if letter == "S" else 1)
    spaced = angle_deg(f"{degrees} {minutes} {seconds:.3f}{letter}")
    together = angle_deg(f"{degrees:02}{minutes:02}{seconds:06.3f}{letter}")
    decimal = angle_deg(f"{want:.12f}")
    assert spaced is not None
    assert together is not None
    assert decimal is not None
    assert spaced[0] == together[0] == pytest.approx(want, abs=1e-12)
    assert decimal[0] == pytest.approx(want, abs=1e-11)


@pytest.mark.parametrize(
    ("text", "offset", "want"),
    [
        ("20260314120000", "", 1773489600.0),
        ("20260314140000", "+0200", 1773489600.0),
        ("20260314050000", "-07:00", 1773489600.0),
        ("20260314120000.250", "+0000", 1773489600.25),
        ("20161231235960", "", 1483228799.0),
        ("20260230120000", "", None),
        ("00000101000000", "", None),
        ("2026031412000", "", None),
        ("20260314120000", "+2500", None),
        ("20260314120000", "CET", None),
        ("9" * 5000, "", None),
    ],
)
def test_times(text: str, offset: str, want: float | None) -> None:
    assert time_s(text, offset) == want


@given(
    st.lists(st.tuples(st.floats(-60, 60), st.floats(170, 190)), min_size=1, max_size=30),
    st.sampled_from([0.0, 90.0, 180.0]),
)
def test_what_holds_places_holds_them_all_across_180_degrees_too(
    corners: list[tuple[float, float]], turn: float
) -> None:
    places = [LatLng(lat, (lng + turn + 180) % 360 - 180) for lat, lng in corners]
    held = held_by(places)
    if isinstance(held, Circle):
        c = held.center
        far_m = max(float(distance_m(c.latitude_deg, c.longitude_deg, p.latitude_deg, p.longitude_deg)) for p in places)
        assert far_m <= held.radius_m
    elif isinstance(held, Polygon):
        ring = [((v.longitude_deg - turn) % 360, v.latitude_deg) for v in held.vertices]
        for place in places:
            x, y = (place.longitude_deg - turn) % 360, place.latitude_deg
            for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
                assert (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) >= -1e-9
    else:
        # All of them are one place, but for what no instrument tells apart.
        assert isinstance(held, Point)
        for place in places:
            assert place.latitude_deg == pytest.approx(held.center.latitude_deg, abs=1e-7)
            assert place.longitude_deg == pytest.approx(held.center.longitude_deg, abs=1e-7)
        assert len({(round(p.latitude_deg, 9), round(p.longitude_deg, 9)) for p in places}) == 1
