"""Display text of line databases: layouts, what the classes of service make of it, what is cut or spoilt."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import ConfigError
from locsvc.formats import ali
from locsvc.formats.ali.layout import FIELDS
from locsvc.formats.ali.values import stamp
from locsvc.formats.call_checks import evidence_violations
from locsvc.formats.reading import Reading, Unreadable
from tests.formats.ali_records import display

HERE = model.LatLng(38.803314, -104.752107)
TAGGED = (
    "\x02ANI: (555) 555-0128 COS: WPH2 \r\nDATE: 11/21 TIME: 22:15:30\r\nNAME: TEST WIRELESS\r\n"
    "ADDR: 2886 MILL BLVD - SW SECTOR\r\nCITY: TESTHAM ST: CO\r\nCBN: (555)555-0125  PSAP: TESTHAM PD\r\n"
    "LAT: +38.803314 LON: -104.752107\r\nCOF: 27 COP: 95\r\nALT: 1842 ZUNC: 12\r\nESN: 262 CO: TESTX\r\n\x03"
)


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def report_of(reading: Reading) -> model.DeviceReport:
    content = reading.evidence[0].content
    assert isinstance(content, model.DeviceReport)
    return content


def line_of(reading: Reading, piece: int = 0) -> model.LineRecord:
    content = reading.evidence[piece].content
    assert isinstance(content, model.LineLookup)
    assert content.record is not None
    return content.record


def fields_with_warnings(reading: Reading) -> list[str]:
    return [w.field for w in reading.warnings]


# --- What classes of service make of it ---


def test_phase_2_is_the_callers_fix_and_the_address_the_masts() -> None:
    reading = ali.read(display(), utc_offset_s=0.0, arrived_at=at("2026-11-21T22:15:20Z"))
    assert report_of(reading) == model.DeviceReport(model.Circle(HERE, 19.0), 0.9)
    assert reading.calling_number == "+15555550125"
    assert reading.details["tower"] == "3690 MILL BOULEVARD, TESTHAM CO"
    assert reading.details["pANI"] == "+15555550128"
    assert reading.details["carrier"] == "TEST WIRELESS"
    assert reading.evidence[0].observed_at == at("2026-11-21T22:15:00Z")
    # Only what the FCC's rule stands in for.
    assert fields_with_warnings(reading) == ["confidence_percent"]


def test_phase_2_without_uncertainty_has_no_radius() -> None:
    for coordinates in ("+38.803314  -104.752107      0 ", "+38.803314  -104.752107", "+38.803314  -104.752107  many"):
        reading = ali.read(display(coordinates=coordinates))
        assert report_of(reading) == model.DeviceReport(model.Point(HERE), None)
        assert "uncertainty_m" in fields_with_warnings(reading)


@pytest.mark.parametrize("coordinates", [" " * 31, "+00.000000  +000.000000      0 ", "+98.803314  -104.752107     19"])
def test_phase_2_without_a_fix_is_phase_1(coordinates: str) -> None:
    reading = ali.read(display(coordinates=coordinates))
    line = line_of(reading)
    assert line.class_of_service == model.ClassOfService.WIRELESS_PHASE1
    assert (line.position, line.placement) == (None, model.Placement.UNSPECIFIED)
    assert line.address is not None
    assert line.address.street == "MILL BOULEVARD"
    assert "class_of_service" in fields_with_warnings(reading)


@pytest.mark.parametrize(("stated", "radius_m", "confidence"), [("0", None, None), ("2500", 2500.0, 0.9)])
def test_phase_1_is_the_mast_with_the_stated_circle_or_none(
    stated: str, radius_m: float | None, confidence: float | None
) -> None:
    reading = ali.read(display("WPH1", f"+38.803314  -104.752107 {stated:>6} "))
    line = line_of(reading)
    assert line.class_of_service == model.ClassOfService.WIRELESS_PHASE1
    assert (line.position, line.placement) == (HERE, model.Placement.MAST)
    assert (line.uncertainty_m, line.confidence) == (radius_m, confidence)
    # The number that asked is one of the network's, not the subscriber's.
    assert line.number == reading.calling_number == "+15555550125"


def test_a_wireless_number_that_asked_is_never_the_callers() -> None:
    for line_class in ("WPH1", "WPH2", "W911", "MOBL", "WRLS", "TEXT"):
        reading = ali.read(display(line_class, location=""))
        assert reading.calling_number == ""
        assert reading.details["pANI"] == "+15555550128"
        assert all(getattr(e.content, "number", "") == "" for e in reading.evidence)


def test_phase_0_without_coordinates_is_no_location() -> None:
    reading = ali.read(display("MOBL", " " * 31))
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.calling_number == "+15555550125"


@pytest.mark.parametrize(
    ("street", "more", "read", "sector"),
    [
        ("MILL BOULEVARD - ", "N Sector", "MILL BOULEVARD", "N sector"),
        # Cut in the middle of a word: put together without a blank.
        ("NORTH MILL BOULEVARD S", "OUTH - SE SECTOR", "NORTH MILL BOULEVARD SOUTH", "SE sector"),
        ("NORTH MILL BOULEVARD -", " 2 Sector", "NORTH MILL BOULEVARD", "2 sector"),
        ("SECTOR ROAD", "", "SECTOR ROAD", ""),
    ],
)
def test_the_sector_behind_the_masts_street_is_no_street(street: str, more: str, read: str, sector: str) -> None:
    reading = ali.read(display("WPH1", street=street, more=more))
    address = line_of(reading).address
    assert address is not None
    assert (address.street, address.location) == (read, sector)
    assert reading.details["tower"] == f"3690 {read}, TESTHAM CO" + (sector and f", {sector}")


def test_a_landline_is_a_line_at_its_address() -> None:
    reading = ali.read(display("RESD", " " * 31, location="APT 4", name="A CALLER"))
    content = reading.evidence[0].content
    assert isinstance(content, model.LineLookup)
    assert content.number == reading.calling_number == "+15555550128"
    line = line_of(reading)
    assert line.address == model.CivicAddress(
        state="CO", city="TESTHAM", street="MILL BOULEVARD", house_number="3690", location="APT 4", name="A CALLER"
    )
    assert (line.position, line.provider) == (None, "TESTX")


def test_a_dispatchable_wireless_location_is_the_address_and_the_fix() -> None:
    reading = ali.read(display("WDL2"))
    assert [e.evidence_id for e in reading.evidence] == ["fix", "address"]
    assert report_of(reading).shape == model.Circle(HERE, 19.0)
    assert line_of(reading, 1).class_of_service == model.ClassOfService.WIRELESS_DISPATCHABLE
    assert line_of(reading, 1).address == model.CivicAddress(
        state="CO", city="TESTHAM", street="MILL BOULEVARD", house_number="3690"
    )


def test_an_unknown_class_is_told_and_nothing_taken_for_granted() -> None:
    reading = ali.read(display("ZZZZ"))
    assert line_of(reading).class_of_service == model.ClassOfService.UNSPECIFIED
    assert line_of(reading).position == HERE
    assert "class_of_service" in fields_with_warnings(reading)


# --- Tags ---


def test_names_and_values_are_read_in_any_order() -> None:
    lines = TAGGED.strip("\x02\x03\r\n").split("\r\n")
    for text in (TAGGED, "\x02" + "\n".join(reversed(lines)) + "\n\x03"):
        reading = ali.read(text, utc_offset_s=-7 * 3600.0, arrived_at=at("2026-11-22T05:16:00Z"))
        assert reading.details["layout"] == "tagged"
        assert report_of(reading) == model.DeviceReport(
            model.Circle(HERE, 27.0), 0.95, altitude_m=1842.0, vertical_uncertainty_m=12.0
        )
        assert reading.evidence[0].observed_at == at("2026-11-22T05:15:30Z")
        assert reading.calling_number == "+15555550125"
        assert reading.details["tower"] == "2886 MILL BLVD, TESTHAM CO, SW sector"
        assert not reading.warnings


@pytest.mark.parametrize("stated", ["0", "100", "150", "-5", "high", "1e1"])
def test_a_percentage_that_is_none_is_not_believed(stated: str) -> None:
    reading = ali.read(TAGGED.replace("COP: 95", f"COP: {stated}"))
    assert report_of(reading).confidence == 0.9
    assert "confidence_percent" in fields_with_warnings(reading)


# --- Frames ---


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_end_in_any_way(end: str) -> None:
    assert report_of(ali.read(display(end=end))).shape == model.Circle(HERE, 19.0)


def test_what_stands_around_the_frame_is_passed_over() -> None:
    for text in ("\x06H\r" + display() + "Q", display() + "\x04", display()[:1] + "\r\n" + display()[1:]):
        assert report_of(ali.read(text)) == report_of(ali.read(display()))


def test_the_last_of_several_displays_is_read() -> None:
    reading = ali.read(display("WPH1") + "A" + display("WPH2"))
    assert report_of(reading).shape == model.Circle(HERE, 19.0)
    assert "STX" in fields_with_warnings(reading)


def test_text_from_a_screen_has_no_frame() -> None:
    reading = ali.read(display().strip("\x02\x03"))
    assert report_of(reading).shape == model.Circle(HERE, 19.0)
    assert fields_with_warnings(reading)[:2] == ["STX", "ETX"]


def test_a_site_that_leaves_the_first_line_out_is_read_too() -> None:
    lines = display()[1:].split("\r")
    reading = ali.read("\x02" + "\r".join(lines[1:]))
    assert report_of(reading).shape == model.Circle(HERE, 19.0)


@pytest.mark.parametrize("whole", [display(), TAGGED], ids=["columns", "tags"])
def test_a_display_cut_anywhere_never_tells_another_place_or_number(whole: str) -> None:
    full = ali.read(whole)
    shape = report_of(full).shape
    assert isinstance(shape, model.Circle)
    places = 0
    for length in range(1, len(whole)):
        try:
            reading = ali.read(whole[:length])
        except Unreadable:
            continue
        assert "ETX" in fields_with_warnings(reading)
        assert reading.calling_number in {"", full.calling_number}
        assert reading.details.get("pANI", "+15555550128") == "+15555550128"
        for piece in reading.evidence:
            if isinstance(piece.content, model.DeviceReport):
                places += 1
                assert piece.content.shape in {shape, model.Point(shape.center)}
    assert places > 10


# --- Times ---


@pytest.mark.parametrize(
    ("date", "clock", "arrived", "offset_h", "expected"),
    [
        ("11/21", "22:15", "2026-11-22T05:16:00Z", -7, "2026-11-22T05:15:00Z"),
        # Over the turn of the year, and on a day that not every year has.
        ("12/31", "23:59", "2027-01-01T07:00:00Z", -7, "2027-01-01T06:59:00Z"),
        ("01/01", "00:01", "2026-12-31T23:59:00Z", 0, "2027-01-01T00:01:00Z"),
        ("02/29", "10:00", "2026-03-01T10:00:00Z", 0, "2024-02-29T10:00:00Z"),
        ("11/21/24", "10:00", "2026-03-01T10:00:00Z", 0, "2024-11-21T10:00:00Z"),
        ("11/21/2025", "10:00:30", "2026-03-01T10:00:00Z", 0, "2025-11-21T10:00:30Z"),
        # No zone is stated: that in which it was shown just before it came; nothing fits: UTC.
        ("11/21", "22:15", "2026-11-22T05:16:00Z", None, "2026-11-22T05:15:00Z"),
        ("11/21", "22:15", "2026-11-21T22:15:02Z", None, "2026-11-21T22:15:00Z"),
        ("11/21", "22:15", "2026-11-22T05:45:00Z", None, "2026-11-21T22:15:00Z"),
        ("13/21", "22:15", "2026-11-22T05:45:00Z", 0, None),
        ("11/21", "25:15", "2026-11-22T05:45:00Z", 0, None),
        ("11/21", "", "2026-11-22T05:45:00Z", 0, None),
    ],
)
def test_the_year_is_that_of_the_arrival(
    date: str, clock: str, arrived: str, offset_h: float | None, expected: str | None
) -> None:
    found = stamp(date, clock, at(arrived), None if offset_h is None else offset_h * 3600.0)
    assert (found and found[0]) == (None if expected is None else at(expected))


@pytest.mark.parametrize("arrived", [None, float("nan"), float("inf"), -1.0, 1e300])
def test_without_a_time_of_arrival_there_is_no_year_and_no_time(arrived: float | None) -> None:
    reading = ali.read(display(), arrived_at=arrived)
    assert reading.evidence[0].observed_at is None
    assert "date" in fields_with_warnings(reading)


def test_the_layouts_zone_is_taken() -> None:
    values = layout_values() | {"utc_offset_h": -7}
    reading = ali.read(display(), arrived_at=at("2026-11-22T06:00:00Z"), layouts=[ali.Layout.from_mapping(values)])
    assert reading.evidence[0].observed_at == at("2026-11-22T05:15:00Z")
    assert "time" not in fields_with_warnings(reading)


# --- Layouts of one's own ---


def layout_values() -> dict[str, Any]:
    return {
        "name": "ours",
        "fields": {
            "number": {"line": 2, "columns": [1, 14]},
            "class_of_service": {"line": 2, "columns": [16, 19]},
            "date": {"line": 2, "columns": [21, 25]},
            "time": {"line": 2, "columns": [27, 31]},
            "latitude": {"line": 10, "word": 1},
            "longitude": {"line": 10, "word": 2},
            "uncertainty_m": {"line": 10, "word": 3},
            "x_trunk_group": {"after": "P#"},
        },
    }


def test_a_layout_of_ones_own_reads_its_own_details() -> None:
    text = (
        'name = "ours"\n[fields]\nnumber = { after = "CALLER " }\nclass_of_service = { after = "KIND " }\n'
        'latitude = { after = "N" }\nlongitude = { after = "E" }\nx_trunk_group = { after = "TG " }\n'
    )
    layout = ali.Layout.from_toml(text)
    reading = ali.read("CALLER 555 555 0101 KIND RESD TG 17\nN 38.5 E -104.5", layouts=[layout])
    assert line_of(reading).position == model.LatLng(38.5, -104.5)
    assert reading.details["trunk group"] == "17"
    assert reading.calling_number == "+15555550101"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "name None"),
        ({"name": "a b"}, "name 'a b'"),
        ({"columns": 3}, "'columns' is not known"),
        ({"fields": {}}, r"\[fields\]"),
        ({"fields": {"lat": {"line": 1, "columns": [1, 2]}}}, "fields.lat is not known"),
        ({"fields": {"number": 3}}, "is no place"),
        ({"fields": {"number": {"columns": [1, 2]}}}, r"number.line None"),
        ({"fields": {"number": {"line": 0, "columns": [1, 2]}}}, r"number.line 0"),
        ({"fields": {"number": {"line": True, "columns": [1, 2]}}}, r"number.line True"),
        ({"fields": {"number": {"line": 1}}}, "number.columns None"),
        ({"fields": {"number": {"line": 1, "columns": [5, 2]}}}, "before the first"),
        ({"fields": {"number": {"line": 1, "columns": [1, 20000]}}}, "columns 20000"),
        ({"fields": {"number": {"line": 1, "columns": "12"}}}, "columns '12'"),
        ({"fields": {"number": {"line": 1, "word": 1, "columns": [1, 2]}}}, "one of them"),
        ({"fields": {"number": {"line": 1, "words": 1}}}, "number.words is not known"),
        ({"fields": {"number": {"after": ""}}}, "number.after ''"),
        ({"fields": {"number": {"after": ["A", 3]}}}, "number.after 3"),
        ({"fields": {"number": {"after": "A", "width": -1}}}, "number.width -1"),
        ({"fields": {"number": {"after": "A"}, "name": {"after": "a"}}}, "of number too"),
        ({"anchor": 2}, "anchor 2"),
        ({"anchor": {"line": 2}}, "anchor.starts None"),
        ({"utc_offset_h": 99}, "utc_offset_h 99"),
        ({"utc_offset_h": "MST"}, "utc_offset_h 'MST'"),
    ],
)
def test_a_wrong_layout_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ali.Layout.from_mapping(layout_values() | change)


def test_a_text_that_is_no_toml_is_refused() -> None:
    for text in ("name = ", "[" * 20_000, "x" * 200_000, ""):
        with pytest.raises(ConfigError):
            ali.Layout.from_toml(text)


# --- Anything ---


@given(st.text(max_size=400) | st.binary(max_size=400), st.none() | st.floats())
def test_any_text_is_read_or_refused(text: str | bytes, arrived: float | None) -> None:
    try:
        ali.read(text, arrived_at=arrived)
    except Unreadable:
        return


@given(
    st.sampled_from([display(), display("RESD", end="\r\n"), display("WPH1"), TAGGED]),
    st.lists(st.tuples(st.integers(0, 400), st.text(max_size=12)), max_size=6),
    st.floats(1.7e9, 1.8e9),
)
def test_any_spoilt_display_is_read_or_refused(text: str, changes: list[tuple[int, str]], arrived: float) -> None:
    for place, noise in changes:
        text = text[:place] + noise + text[place + len(noise) :]
    try:
        reading = ali.read(text, arrived_at=arrived)
    except Unreadable:
        return
    assert bool(reading.evidence) != bool(reading.no_location)
    for piece in reading.evidence:
        content = piece.content
        confidence = content.confidence if isinstance(content, model.DeviceReport) else None
        assert confidence is None or 0.0 < confidence < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x02\x03",
        "\x02" * 10_000,
        "\r" * 100_000,
        "LAT:" * 10_000,
        "LAT: LON: " * 1000,
        "COF: " + "9" * 9000 + "\nLAT: " + "1" * 9000,
        "ADDR: " + "1 " * 4000,
    ],
)
def test_long_and_empty_texts_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        ali.read(text)


def test_the_documented_layout_is_one_and_names_every_field(repository: Path) -> None:
    page = (repository / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = re.search(r"^```toml\n(name = .*?)^```", page, re.DOTALL | re.MULTILINE)
    assert example is not None
    layout = ali.Layout.from_toml(example[1])
    assert (layout.name, layout.utc_offset_s) == ("our-site", -25_200.0)
    assert [name for name in FIELDS if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "latitude", "longitude", "radius_m"),
    [
        ("(303) 555-0142  WPH2  03/11 10:11\nLAT: 39.7392  LON: -104.9903\nCOF: 25  COP: 90", 39.7392, -104.9903, 25.0),
        ("(303) 555-0142 10:11 03/11\nWPH2\nLAT +39.7392\nLON -104.9903\nCOF=000040 COP=090", 39.7392, -104.9903, 40.0),
        ("720-555-0142\nCOS: WPH2\nX: -104.9903 Y: 39.7392 CF: 90% UNC: 35m", 39.7392, -104.9903, 35.0),
        ("(303) 555-0142 WPH2 03/11 10:11\nLAT 39.7392N LON 104.9903W UNC 300 FT CNF 90", 39.7392, -104.9903, 91.44),
        ("(303) 555-0142 WPH2\nLAT 39 44 21.12 N LON 104 59 25.08 W UNC 30", 39.7392, -104.9903, 30.0),
        ("(303) 555-0142 WPH2\nLAT 39.7392 LON 104.9903 UNC 30", 39.7392, -104.9903, 30.0),
        ("(671) 555-0142 WPH2\nLAT 13.4443 LON 144.7937 UNC 30", 13.4443, 144.7937, 30.0),
    ],
)
def test_names_and_values_behind_a_first_line_of_number_and_class(
    text: str, latitude: float, longitude: float, radius_m: float
) -> None:
    reading = ali.read(text)
    assert reading.details["layout"] == "tagged"
    (piece,) = reading.evidence
    assert isinstance(piece.content, model.DeviceReport)
    shape = piece.content.shape
    assert isinstance(shape, model.Circle)
    assert shape.center.latitude_deg == pytest.approx(latitude, abs=1e-6)
    assert shape.center.longitude_deg == pytest.approx(longitude, abs=1e-6)
    assert shape.radius_m == pytest.approx(radius_m)
    assert piece.content.confidence == 0.9


@pytest.mark.parametrize("text", ["(303) 555-0142 NO RECORD FOUND", "(303) 555-0142 10:11 03/11"])
def test_words_across_the_columns_of_the_class_are_none(text: str) -> None:
    with pytest.raises(Unreadable, match="no ALI display"):
        ali.read(f"\x02A001\r{text}\r\x03")


def test_a_street_that_begins_as_a_name_is_a_street() -> None:
    reading = ali.read("(303) 555-0142 RESD\nADDR: 12 LAT STREET\nCITY: UNC HILL ST: CO")
    (piece,) = reading.evidence
    assert isinstance(piece.content, model.LineLookup)
    assert piece.content.record is not None
    assert piece.content.record.address is not None
    assert "LAT STREET" in piece.content.record.address.line()


@pytest.mark.parametrize("height", ["16100", "-501"])
def test_a_height_that_the_contract_refuses_costs_itself(height: str) -> None:
    reading = ali.read(f"(303) 555-0142 WPH2\nLAT 39.7392 LON -104.9903 UNC 30 ALT={height}")
    (piece,) = reading.evidence
    assert isinstance(piece.content, model.DeviceReport)
    assert piece.content.altitude_m is None
    assert evidence_violations(piece) == []
    assert "altitude_m" in [w.field for w in reading.warnings]
