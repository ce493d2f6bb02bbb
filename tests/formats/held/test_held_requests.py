"""Requests of HELD: who, what, how soon."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.held import Identifier, LocationRequest, read_request, write_request
from locsvc.formats.held.names import LOCATION_TYPES
from locsvc.formats.held.requests import MAX_IDENTIFIERS
from locsvc.formats.reading import Unreadable
from locsvc.model import CellMeasurement, CellScan, Radio

IN_THE_RFCS = {
    "rfc6155-01-locationRequest": LocationRequest(
        ("geodetic",), True, 0.008, "", (Identifier("ip", "192.0.2.5", "4"),)
    ),
    "rfc6155-03-device": LocationRequest(identifiers=(Identifier("ip", "2001:db8::1:ea7:fee1:d1e", "6"),)),
    "rfc6155-04-device": LocationRequest(identifiers=(Identifier("mac", "A0-12-34-56-78-90"),)),
    "rfc6155-05-device": LocationRequest(
        identifiers=(Identifier("ip", "192.0.2.75", "4"), Identifier("udpport", "51393"))
    ),
    "rfc6155-06-device": LocationRequest(identifiers=(Identifier("nai", "user@example.net"),)),
    "rfc6155-07-device": LocationRequest(identifiers=(Identifier("uri", "sip:user@example.net;gr=kjh29x97us97d"),)),
    "rfc6155-08-device": LocationRequest(
        identifiers=(Identifier("uri", "tel:800-555-1111;extension=1234;phone-context=+1"),)
    ),
    "rfc6155-09-device": LocationRequest(identifiers=(Identifier("fqdn", "host.example.net"),)),
    "rfc6155-10-device": LocationRequest(identifiers=(Identifier("msisdn", "11235550123"),)),
    "rfc6155-11-device": LocationRequest(identifiers=(Identifier("duid", "1234567890AaBbCcDdEeFf"),)),
    "rfc6753-01-locationRequest": LocationRequest(("geodetic", "civic")),
    "rfc7840-01-locationRequest": LocationRequest(purpose="emergencyRouting", wants_routing=True),
}


@pytest.mark.parametrize("name", IN_THE_RFCS)
def test_requests_of_the_rfcs(shared: Path, name: str) -> None:
    assert read_request((shared / f"standards/vectors/rfc-xml/{name}.xml").read_bytes()) == IN_THE_RFCS[name]


def test_a_request_that_prose_follows(shared: Path) -> None:
    # The file holds the text of the RFC between two examples: what stands behind the first is not believed.
    text = (shared / "standards/vectors/rfc-xml/rfc5985-03-locationRequest.xml").read_text(encoding="utf-8")
    request = read_request(text)
    assert request.location_types == ("any",)
    assert request.warnings[0].field == "XML"
    second = text[text.rindex("<locationRequest") :]
    assert read_request(second) == LocationRequest(("geodetic", "civic", "locationURI"), exact=True)


def test_a_request_with_measurements(shared: Path) -> None:
    request = read_request((shared / "standards/vectors/rfc-xml/rfc7105-01-locationRequest.xml").read_bytes())
    assert (request.location_types, request.exact) == (("civic",), True)
    assert request.measured.details["measurements"] == "lldp"


def request(content: str = "", attributes: str = "") -> LocationRequest:
    return read_request(
        f'<locationRequest xmlns="urn:ietf:params:xml:ns:geopriv:held"{attributes}>{content}</locationRequest>'
    )


def test_cells_that_the_device_measured() -> None:
    cell = "<servingCell><mcc>001</mcc><mnc>01</mnc><eucid>411</eucid></servingCell>"
    measured = request(f"<measurements><cellular>{cell}</cellular></measurements>").measured
    assert measured.evidence[0].content == CellScan(CellMeasurement(Radio.LTE, "001", "01", None, 411))


@pytest.mark.parametrize(
    ("element", "types", "exact", "warned"),
    [
        ("<locationType>civic geodetic civic</locationType>", ("civic", "geodetic"), False, False),
        ('<locationType exact="1">civic</locationType>', ("civic",), True, False),
        ('<locationType exact="true">any civic</locationType>', ("any", "civic"), False, False),
        ('<locationType exact="true">astral</locationType>', ("any",), False, True),
        ('<locationType exact="maybe">civic astral</locationType>', ("civic",), False, True),
        ("<locationType/>", ("any",), False, False),
    ],
)
def test_types(element: str, types: tuple[str, ...], exact: bool, warned: bool) -> None:
    found = request(element)
    assert (found.location_types, found.exact) == (types, exact)
    assert bool(found.warnings) == warned


@pytest.mark.parametrize(
    ("text", "seconds", "purpose"),
    [
        ("8000", 8.0, ""),
        ("emergencyRouting", None, "emergencyRouting"),
        ("soon", None, ""),
        ("-1", None, ""),
        ("9" * 4000, None, ""),
        ("", None, ""),
    ],
)
def test_time(text: str, seconds: float | None, purpose: str) -> None:
    found = request(attributes=f' responseTime="{text}"')
    assert (found.response_time_s, found.purpose) == (seconds, purpose)
    assert bool(found.warnings) == (text not in ("8000", "emergencyRouting", ""))


@pytest.mark.parametrize(
    ("identifier", "number"),
    [
        (Identifier("msisdn", "15550100123"), "+15550100123"),
        (Identifier("uri", "tel:+44-1632-960001;ext=1"), "+441632960001"),
        (Identifier("uri", "sip:%2B441632960001@example.com"), "+441632960001"),
        (Identifier("uri", "tel:+1234567890123456"), ""),
        (Identifier("uri", "tel:555-0100;phone-context=+1"), ""),
        (Identifier("msisdn", "0155"), ""),
        (Identifier("imsi", "001010123456789"), ""),
    ],
)
def test_calling_number(identifier: Identifier, number: str) -> None:
    assert LocationRequest(identifiers=(identifier,)).calling_number == number


def test_identifiers_are_kept_for_the_server_and_hidden_from_others() -> None:
    found = request("<device><imsi>001010123456789</imsi><mac>zz</mac><min>0</min><x/></device>")
    assert [i.text for i in found.identifiers] == ["001010123456789", "zz", "0"]
    assert [i.shown() for i in found.identifiers] == ["001010*********", "zz", "0"]
    assert "123456789" not in repr(found)
    assert [w.field for w in found.warnings] == ["mac", "min", "x"]
    many = request("<device>" + "<fqdn>a.example</fqdn>" * 99 + "</device>")
    assert len(many.identifiers) == MAX_IDENTIFIERS


@pytest.mark.parametrize("message", ["", "<presence/>", "<locationResponse><device/></locationResponse>", "<error/>"])
def test_what_is_no_request_is_unreadable(message: str) -> None:
    with pytest.raises(Unreadable):
        read_request(message)


_names = st.sampled_from(["ip", "mac", "nai", "uri", "fqdn", "msisdn", "imsi", "min", "mdn", "duid"])
_texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(
    st.lists(st.sampled_from(LOCATION_TYPES), min_size=1, max_size=4, unique=True).map(tuple),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 600_000).map(lambda milliseconds: milliseconds / 1000)),
    st.lists(st.builds(Identifier, _names, _texts, st.sampled_from(["", "4", "6"])), max_size=4).map(tuple),
    st.booleans(),
)
def test_what_is_written_is_read_back(
    types: tuple[str, ...], exact: bool, time_s: float | None, identifiers: tuple[Identifier, ...], routing: bool
) -> None:
    wanted = LocationRequest(types, exact and "any" not in types, time_s, "", identifiers, routing)
    found = read_request(write_request(wanted))
    assert (found.location_types, found.exact, found.identifiers) == (types, wanted.exact, identifiers)
    assert found.wants_routing == routing
    assert found.response_time_s == (pytest.approx(time_s, abs=0.001) if time_s is not None else None)
    assert found.purpose == ""


def test_a_purpose_is_written_and_read_back() -> None:
    wanted = LocationRequest(("geodetic",), purpose="emergencyRouting")
    assert read_request(write_request(wanted)) == wanted
