"""Answers of HELD: locations, references, the handset's own fix, errors."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.errors import InvalidInput
from locsvc.formats import held, pidf_lo
from locsvc.formats.call_checks import call_violations
from locsvc.formats.held.names import ERROR_CODES
from locsvc.formats.reading import Reading, Unreadable
from locsvc.model import (
    Call,
    CellMeasurement,
    CellScan,
    Circle,
    DeviceReport,
    Evidence,
    LatLng,
    LineLookup,
    Point,
    PositioningMethod,
    Radio,
    Shape,
)

_VECTORS = Path(__file__).resolve().parents[4] / "shared" / "standards" / "vectors"
_FILE = _VECTORS / "held.json"
ROWS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []
# The model's names of civic elements; the others of a vector are looked for in the details.
CIVIC = {
    "country": "country",
    "A1": "state",
    "LMK": "landmark",
    "FLR": "floor",
    "NAM": "name",
    "PC": "postcode",
    "BLD": "building",
    "HNO": "house_number",
}


def reasons(reading: Reading) -> str:
    return "\n".join(map(str, reading.warnings))


def reports_of(reading: Reading, *, aml: bool) -> list[Evidence]:
    return [e for e in reading.evidence if isinstance(e.content, DeviceReport) and (e.evidence_id == "aml") is aml]


def shape_as_written(want: dict[str, Any]) -> Shape:
    place = LatLng(*want["pos"])
    return Circle(place, want["radius"]) if want["type"] == "Circle" else Point(place)


def check_aml(want: dict[str, Any], evidence: Evidence, reading: Reading) -> None:
    report = evidence.content
    assert isinstance(report, DeviceReport)
    assert report.shape == Circle(LatLng(want["lat"], want["lon"]), want["radius_m"])
    assert report.confidence == want["confidence"]
    unknown = want["method"] == "UNKNOWN"
    assert report.method is (PositioningMethod.UNSPECIFIED if unknown else PositioningMethod[want["method"]])
    assert evidence.observed_at == dt.datetime.fromisoformat(want["time_utc"]).timestamp()
    assert reading.details["aml.mcc"] == want["mcc"]
    assert reading.details["aml.mnc"] == want["mnc"]
    assert reading.details["aml.confidenceLevel"] == want["confidence_raw"]


def check_civic(want: dict[str, str], reading: Reading) -> None:
    lookups = [e.content for e in reading.evidence if isinstance(e.content, LineLookup)]
    assert len(lookups) == 1
    assert lookups[0].record is not None
    address = lookups[0].record.address
    for name, field in CIVIC.items():
        assert getattr(address, field) == want.get(name, "")
    # Street and place names stand in more than one field; none of them is lost.
    everything = [*reading.details.values(), *(getattr(address, f) for f in address.__slots__)]  # type: ignore[union-attr]
    assert all(any(text in other for other in everything) for text in want.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda r: str(r["id"]))
def test_vector(row: dict[str, Any]) -> None:
    want = row["expected"]
    reading = held.read((_VECTORS / row["input_file"]).read_bytes(), language=want.get("preferred_language", "en"))
    located = reports_of(reading, aml=False)
    assert [e.content.shape for e in located if isinstance(e.content, DeviceReport)] == [
        shape_as_written(s) for s in want.get("shapes", [])
    ]
    if "timestamp" in want:
        assert {e.observed_at for e in located} == {dt.datetime.fromisoformat(want["timestamp"]).timestamp()}
    if want.get("method") == "gnss":
        assert isinstance(located[0].content, DeviceReport)
        assert located[0].content.method is PositioningMethod.GNSS
    fixes = reports_of(reading, aml=True)
    assert len(fixes) == ("aml" in want)
    if "aml" in want:
        check_aml(want["aml"], fixes[0], reading)
    if "civic" in want:
        check_civic(want["civic"], reading)
    uris = [text for name, text in reading.details.items() if name.startswith("locationURI") and "Set" not in name]
    assert uris == want.get("location_uris", [])
    if "expires" in want:
        expires = dt.datetime.fromisoformat(reading.details["locationUriSet.expires"])
        assert expires == dt.datetime.fromisoformat(want["expires"])
    if "error" in want:
        assert reading.details["error.code"] == want["error"]["code"]
        assert reading.details["error.message"] == want["error"]["message"]
        assert reading.no_location == f"{want['error']['code']}: {want['error']['message']}"
    assert bool(reading.no_location) == (not reading.evidence)


def test_identities_of_the_handset_are_masked(shared: Path) -> None:
    reading = held.read((shared / "standards/vectors/held-xml/gg-amlData.xml").read_bytes())
    assert reading.details["aml.imsi"] == "234300*********"
    assert reading.details["aml.imei"] == "356700*********"
    assert "000000001" not in repr(reading)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("rfc5985-01-locationResponse", [Point(LatLng(-34.407, 150.88001))]),
        ("rfc5985-04-locationResponse", [Circle(LatLng(-34.407242, 150.882518), 30)]),
        ("rfc6753-02-locationResponse", [Point(LatLng(-34.407, 150.88001))]),
        ("rfc6753-03-presence", []),
        ("rfc7840-02-locationResponse", []),
        ("rfc7840-03-locationResponse", []),
    ],
)
def test_responses_of_the_rfcs(shared: Path, name: str, shapes: list[Shape]) -> None:
    reading = held.read((shared / f"standards/vectors/rfc-xml/{name}.xml").read_bytes())
    assert [e.content.shape for e in reading.evidence if isinstance(e.content, DeviceReport)] == shapes
    assert bool(reading.no_location) == (not shapes)
    if "7840" in name:
        assert "by reference only" in reading.no_location
        assert reading.details["dest"] == "sip:112@example.com"
        assert reading.details["locationURI"].startswith("https://ls.example.com:9768/")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rfc5985-02-error", "locationUnknown: Unable to determine location"),
        ("rfc6155-02-error", "badIdentifier: MAC address required"),
        ("rfc7105-03-error", "locationUnknown: Insufficient measurement data"),
    ],
)
def test_errors_of_the_rfcs(shared: Path, name: str, why: str) -> None:
    reading = held.read((shared / f"standards/vectors/rfc-xml/{name}.xml").read_bytes())
    assert reading.no_location == why
    assert reading.evidence == ()
    assert reading.warnings == ()
    assert reading.details.get("error.requiredIdentifiers", "") == ("mac ip" if "6155" in name else "")


def error(*messages: tuple[str, str]) -> str:
    texts = "".join(f'<message xml:lang="{tag}">{text}</message>' for tag, text in messages)
    return f'<error xmlns="urn:ietf:params:xml:ns:geopriv:held" code="timeout">{texts}</error>'


@pytest.mark.parametrize(
    ("language", "text"), [("de", "a"), ("DE-at", "a"), ("fr-CA", "c"), ("it", "b"), ("", "b"), ("en", "b")]
)
def test_the_text_of_an_error_is_in_the_wanted_language(language: str, text: str) -> None:
    reading = held.read(error(("fr", "c"), ("de-AT", "a"), ("en-US", "b")), language=language)
    assert reading.details["error.message"] == text


def test_errors_without_text_or_with_a_code_of_their_own() -> None:
    assert held.read(error()).no_location == "timeout"
    odd = held.read(error().replace("timeout", "outOfPaper"))
    assert odd.no_location == "outOfPaper"
    assert "no code of HELD" in reasons(odd)
    assert held.read("<error/>").no_location == "an error without a code"


PRESENCE = pidf_lo.write(Circle(LatLng(52, 13.5), 30), confidence=0.95, method="GPS", timestamp=1773489600.0)
AML = (
    '<aml xmlns="http://schemas.gridgears.io/aml"><latitude>52.00000</latitude><longitude>13.5</longitude>'
    "<radius>\n 12 </radius><timestamp>2026-03-14T12:00:00Z</timestamp><confidenceLevel>68</confidenceLevel>"
    "<positioningMethod>WiFi</positioningMethod><imsi>001010123456789</imsi></aml>"
)


def with_aml(aml: str) -> str:
    return held.write_response(PRESENCE).decode().replace("</tuple>", aml + "</tuple>")


def test_the_fix_of_the_handset_stands_beside_the_location() -> None:
    reading = held.read(with_aml(AML))
    assert [e.evidence_id for e in reading.evidence] == ["presence", "aml"]
    assert reading.evidence[1] == Evidence(
        DeviceReport(Circle(LatLng(52, 13.5), 12), 0.68, PositioningMethod.WIFI), "aml", "", 1773489600.0
    )
    assert reading.details["aml.imsi"] == "001010*********"


@pytest.mark.parametrize(
    ("before", "after", "shape", "warning"),
    [
        ("<radius>\n 12 </radius>", "<radius>0</radius>", Point(LatLng(52, 13.5)), "radius '0'"),
        ("<radius>\n 12 </radius>", "", Point(LatLng(52, 13.5)), "radius"),
        ("<radius>\n 12 </radius>", "<radius>1e30</radius>", Point(LatLng(52, 13.5)), "radius '1e30'"),
        ("WiFi", "Dowsing", Circle(LatLng(52, 13.5), 12), "positioningMethod 'Dowsing'"),
        (">68<", ">100<", Circle(LatLng(52, 13.5), 12), "confidenceLevel '100'"),
        ("2026-03-14T12", "2026-33-14T12", Circle(LatLng(52, 13.5), 12), "timestamp"),
    ],
)
def test_one_bad_field_of_the_handset_loses_no_other(before: str, after: str, shape: Shape, warning: str) -> None:
    assert before in AML
    reading = held.read(with_aml(AML.replace(before, after)))
    report = reading.evidence[1].content
    assert isinstance(report, DeviceReport)
    assert report.shape == shape
    assert warning in reasons(reading)


@pytest.mark.parametrize("level", ["", "100", "high"])
def test_a_radius_without_a_confidence_is_what_handsets_mean(level: str) -> None:
    report = held.read(with_aml(AML.replace("68", level))).evidence[1].content
    assert isinstance(report, DeviceReport)
    assert report.confidence == 0.68


@pytest.mark.parametrize("latitude", ["0", "91", "nan", "", "1e999", "\u0665\u0662"])
def test_a_fix_that_is_none_is_not_used(latitude: str) -> None:
    aml = AML.replace("52.00000", latitude).replace("13.5<", "0.0<")
    reading = held.read(with_aml(aml))
    assert len(reading.evidence) == 1
    assert any(w.field == "aml" for w in reading.warnings)
    assert "no fix" in held.read(f"<locationResponse>{aml}</locationResponse>").no_location


def test_documents_within_others_and_behind_http() -> None:
    document = held.write_response(PRESENCE)
    want = held.read(document)
    text = document.decode().partition("?>")[2]
    assert held.read(f"<Envelope><Body>{text}</Body></Envelope>") == want
    assert held.read(b"HTTP/1.1 200 OK\r\nContent-Type: application/held+xml\r\n\r\n" + document) == want
    assert held.read(PRESENCE).evidence == want.evidence


def test_a_response_cut_in_half_keeps_its_place() -> None:
    document = with_aml(AML)
    reading = held.read(document[: document.index("<latitude>")])
    assert [type(e.content) for e in reading.evidence] == [DeviceReport]
    assert any(w.field == "XML" for w in reading.warnings)


def test_what_is_written_is_read_back() -> None:
    uris = ["https://ls.example.com/a?b=1&c=2", "sip:a@example.com"]
    reading = held.read(held.write_response(PRESENCE, location_uris=uris, expires_at=1773493200.0))
    assert reading.evidence == pidf_lo.read(PRESENCE).evidence
    assert [reading.details["locationURI"], reading.details["locationURI[2]"]] == uris
    assert reading.details["locationUriSet.expires"] == "2026-03-14T13:00:00Z"
    only = held.read(held.write_response(location_uris=uris, expires_at=0.0))
    assert "by reference only" in only.no_location


@pytest.mark.parametrize("code", ERROR_CODES)
def test_errors_are_written_and_read_back(code: str) -> None:
    text = 'no <cell> & no "fix"\x00'
    reading = held.read(held.write_error(code, text, language="en", required=["mac", "ip"]))
    assert reading.no_location == f'{code}: no <cell> & no "fix"'
    assert reading.details["error.requiredIdentifiers"] == "mac ip"
    assert reading.warnings == ()


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(InvalidInput, match="outOfPaper"):
        held.write_error("outOfPaper")
    with pytest.raises(InvalidInput, match="write an error instead"):
        held.write_response()
    with pytest.raises(InvalidInput, match="expires_at"):
        held.write_response(location_uris=["sip:a@example.com"])
    with pytest.raises(InvalidInput, match="identifiers"):
        held.write_request(held.LocationRequest(identifiers=(held.Identifier("a><b", "1"),)))


def test_a_response_with_nothing_says_so() -> None:
    assert "neither a location nor a reference" in held.read("<locationResponse/>").no_location


@pytest.mark.parametrize(
    "message", ["", "x", "<html/>", b"\xff\x00", "<!DOCTYPE a><locationResponse/>", "HTTP/1.1 500\n\n"]
)
def test_what_is_no_held_is_unreadable(message: str | bytes) -> None:
    with pytest.raises(Unreadable):
        held.read(message)


REQUEST = (
    '<locationRequest xmlns="urn:ietf:params:xml:ns:geopriv:held" responseTime="emergencyDispatch">'
    '<device xmlns="urn:ietf:params:xml:ns:geopriv:held:id"><msisdn>15550100123</msisdn><imsi>001010123456789</imsi>'
    '</device><measurements xmlns="urn:ietf:params:xml:ns:geopriv:lm" time="2026-03-14T12:00:00Z"><cellular>'
    "<servingCell><mcc>001</mcc><mnc>01</mnc><eucid>411</eucid></servingCell></cellular></measurements></locationRequest>"
)


def test_a_request_gives_its_number_and_the_cells_that_were_measured() -> None:
    reading = held.read(REQUEST)
    assert reading.calling_number == "+15550100123"
    assert reading.evidence[0].content == CellScan(CellMeasurement(Radio.LTE, "001", "01", None, 411))
    assert reading.details["device.imsi"] == "001010*********"
    assert reading.details["responseTime"] == "emergencyDispatch"
    bare = held.read("<locationRequest/>")
    assert bare.no_location.startswith("the message asks for a location (any)")


_good = with_aml(AML) + REQUEST
_words = ["<aml>", "</", "nan", "9" * 400, "&", "\u0663", "<presence>", 'xml:lang="', "<error>", ""]


@given(
    st.integers(0, len(_good)), st.integers(0, 40), st.sampled_from(_words), st.sampled_from([_good, REQUEST, error()])
)
def test_anything_is_read_or_unreadable_and_within_the_contract(start: int, length: int, text: str, base: str) -> None:
    try:
        reading = held.read(base[:start] + text + base[start + length :])
    except Unreadable:
        return
    assert bool(reading.no_location) == (not reading.evidence)
    assert call_violations(Call(evidence=reading.evidence)) == []
