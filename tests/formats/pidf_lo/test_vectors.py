"""The XML examples of the RFCs, and what their shapes must be read as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locsvc import model
from locsvc.formats.pidf_lo import location_of, read
from locsvc.formats.pidf_lo.names import GML, METHODS
from locsvc.formats.reading import Reading, Unreadable
from locsvc.formats.xml import parse
from locsvc.model import CivicAddress

# Read when the tests are collected, so that each vector is a test of its own.
_FOLDER = Path(__file__).resolve().parents[4] / "shared" / "standards" / "vectors"


def _rows(name: str) -> list[dict[str, Any]]:
    path = _FOLDER / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


SHAPES = _rows("pidflo-shapes.json")
EXAMPLES = _rows("rfc-xml-index.json")

ON_PURPOSE = {
    "rfc5222-02-findServiceResponse": "the ring is clockwise: it is turned round, and a warning says so",
    "rfc5491-02-presence": "the row names the first method of the document; the circle is a person's, entered by hand",
}
# The area that a service covers says nothing of the caller: read as the shape that it is, not as a location.
BOUNDARIES = {"rfc5222-02-findServiceResponse"}


def _params(rows: list[dict[str, Any]], key: str) -> list[Any]:
    return [pytest.param(row, id=Path(row[key]).stem) for row in rows] or [pytest.param({}, id="absent")]


def _document(row: dict[str, Any], key: str, shared: Path) -> bytes:
    folder = shared / "standards" / "vectors"
    if not row:
        pytest.skip(f"{folder} is absent")
    path: Path = folder / row[key]
    return path.read_bytes()


def _reading(row: dict[str, Any], shared: Path) -> Reading:
    root = parse(_document(row, "input_file", shared)).root
    if row["id"] in BOUNDARIES:
        boundary = root.find(f".//{{{GML}}}Polygon")
        assert boundary is not None
        return location_of(boundary)
    return location_of(root)


def _expected(row: dict[str, Any], want: dict[str, Any]) -> tuple[model.Shape, float | None]:
    """The shape that a row describes, and the height beside it."""
    if "ring" in want:
        corners = tuple(model.LatLng(*position[:2]) for position in want["ring"][:-1])
        if row["id"] == "rfc5222-02-findServiceResponse":
            corners = (corners[0], *corners[:0:-1])
        if want["type"] == "Prism":
            return model.Prism(model.Polygon(corners), want["ring"][0][2], want["height"]), None
        return model.Polygon(corners), None
    latitude, longitude, *height = want["pos"]
    center = model.LatLng(latitude, longitude)
    # In the order of the model's fields.
    names = (
        "innerRadius outerRadius startAngle openingAngle radius semiMajorAxis semiMinorAxis verticalAxis orientation"
    )
    sizes = [want[name] for name in names.split() if name in want]
    shape: model.Shape = getattr(model, want["type"])(center, *(height if sizes else []), *sizes)
    return shape, (height[0] if height and not sizes else None)


@pytest.mark.parametrize("row", _params(SHAPES, "id"))
def test_shapes(row: dict[str, Any], shared: Path) -> None:
    reading = _reading(row, shared)
    reports = [e.content for e in reading.evidence if isinstance(e.content, model.DeviceReport)]
    # Exactly, although the rows allow 1e-9: the numbers are only parsed.
    assert [(r.shape, r.altitude_m) for r in reports] == [_expected(row, want) for want in row["expected_shapes"]]


@pytest.mark.parametrize("row", _params(SHAPES, "id"))
def test_confidences(row: dict[str, Any], shared: Path) -> None:
    reading = _reading(row, shared)
    stated = row["confidence"]
    percent = float(stated["value"]) if stated else row["default_confidence_if_absent"]
    for evidence in reading.evidence:
        if isinstance(evidence.content, model.DeviceReport):
            # A point has no confidence (RFC 7459 section 5).
            expected = None if isinstance(evidence.content.shape, model.Point) else percent / 100
            assert evidence.content.confidence == expected
    assert reading.details.get("pdf") == (stated["pdf"] if stated else None)


@pytest.mark.parametrize("row", _params(SHAPES, "id"))
def test_methods(row: dict[str, Any], shared: Path) -> None:
    reading = _reading(row, shared)
    report = reading.evidence[0].content
    if row["id"] == "rfc5491-02-presence":
        report = reading.evidence[1].content
        row = row | {"method": "Manual"}
    assert isinstance(report, model.DeviceReport)
    token = row["method"] or ""
    assert report.method == METHODS.get(token.lower(), model.PositioningMethod.UNSPECIFIED)
    # What the model has no word for is kept as it came.
    assert reading.details.get("method", "") == ("" if token.lower() in METHODS else token)


def test_every_purposeful_difference_is_about_a_row(shared: Path) -> None:
    if not SHAPES:
        pytest.skip(f"{shared / 'standards/vectors/pidflo-shapes.json'} is absent")
    assert ON_PURPOSE.keys() <= {row["id"] for row in SHAPES}


# Roots of documents that are, or hold, PIDF-LO; of a HELD response only those with a location in them.
_WITH_LOCATION = {
    *(("presence", name) for name in ("rfc4119", "rfc5491", "rfc6442", "rfc7105")),
    ("civicAddress", "rfc5139"),
    ("civicAddress", "rfc6848"),
    ("gp:geopriv", "rfc7459"),
    ("gml:Polygon", "rfc7459"),
    ("pidf:presence", "rfc7459"),
}


@pytest.mark.parametrize("row", _params(EXAMPLES, "file"))
def test_every_example_of_the_rfcs_is_read_or_refused(row: dict[str, Any], shared: Path) -> None:
    message = _document(row, "file", shared)
    try:
        reading = read(message)
    except Unreadable:
        assert (row["root"], Path(row["file"]).stem[:7]) not in _WITH_LOCATION
        return
    if (row["root"], Path(row["file"]).stem[:7]) in _WITH_LOCATION:
        assert reading.evidence
    assert bool(reading.evidence) != bool(reading.no_location)
    # Only fragments without their namespaces need mending, and one with a space before a namespace's name.
    mended = [w for w in reading.warnings if w.field == "XML"]
    assert bool(mended) == (row["well_formed"] != "yes" or "rfc4119-02" in row["file"])


ADDRESSES = {
    "rfc4119-02-presence": CivicAddress(
        "US",
        "New York",
        city="New York",
        street="Broadway",
        house_number="123",
        location="Suite 75",
        postcode="10027-0401",
    ),
    "rfc5139-02-civicAddress": CivicAddress(
        "AU",
        "NSW",
        city="Wollongong",
        district="North Wollongong",
        street="Flinders",
        street_suffix="Street",
        landmark="Gilligan's Island",
        location="Corner",
        name="Video Rental Store",
        postcode="2500",
        room="Westerns and Classics",
        place_type="store",
    ),
    "rfc5222-03-findService": CivicAddress(
        "DE", "Bavaria", city="Munich", street="Otto-Hahn-Ring", house_number="6", postcode="81675"
    ),
    "rfc6848-03-civicAddress": CivicAddress("US", "CA", "Sacramento", street="I5"),
    "rfc6848-04-civicAddress": CivicAddress("US", "CA", "Sacramento", street="Boulevard Colorado", house_number="A223"),
}


@pytest.mark.parametrize(("name", "address"), ADDRESSES.items(), ids=ADDRESSES)
def test_addresses_of_the_rfcs(name: str, address: CivicAddress, shared: Path) -> None:
    path = shared / "standards" / "vectors" / "rfc-xml" / f"{name}.xml"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    (evidence,) = read(path.read_bytes()).evidence
    assert evidence.content == model.LineLookup(record=model.LineRecord(address=address))


def test_device_comes_before_person(shared: Path) -> None:
    path = shared / "standards" / "vectors" / "rfc-xml" / "rfc6442-02-presence.xml"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    assert [e.evidence_id for e in read(path.read_bytes()).evidence] == ["device", "person-civic"]
