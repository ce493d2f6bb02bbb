"""Locations in SIP messages: bodies, the Geolocation header, the access network."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats import pidf_lo
from locsvc.formats.call_checks import call_violations
from locsvc.formats.multipart import MAX_DEPTH, MAX_PARTS, Parts
from locsvc.formats.reading import Reading, Unreadable
from locsvc.formats.sip import MAX_BODIES, MAX_BYTES, read
from locsvc.formats.sip_headers import fields_of, parameters, split_list, unquoted
from locsvc.model import Call, CellScan, Circle, DeviceReport, Evidence, LatLng, LineLookup, Point

_RFC_XML = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "rfc-xml"
RFC_6442 = sorted(_RFC_XML.glob("rfc6442-*.xml"))


def presence(latitude_deg: float, radius_m: float = 30) -> str:
    return (
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" '
        'xmlns:gml="http://www.opengis.net/gml" xmlns:gs="http://www.opengis.net/pidflo/1.0" entity="pres:a@example.com">'
        '\n<tuple id="a"><status><gp:geopriv><gp:location-info><gs:Circle srsName="urn:ogc:def:crs:EPSG::4326">'
        f'<gml:pos>{latitude_deg} 13.5</gml:pos><gs:radius uom="urn:ogc:def:uom:EPSG::9001">{radius_m}</gs:radius>'
        "</gs:Circle></gp:location-info><gp:usage-rules/></gp:geopriv></status>"
        "<timestamp>2026-03-14T12:00:00Z</timestamp></tuple></presence>"
    )


def circle(latitude_deg: float) -> Circle:
    return Circle(LatLng(latitude_deg, 13.5), 30)


INVITE = f"""INVITE urn:service:sos SIP/2.0
Via: SIP/2.0/TLS pc33.example.com;branch=z9hG4bK74bf9
Max-Forwards: 70
To: <urn:service:sos>
From: Caller <sip:+441632960001@example.com;user=phone>;tag=9fxced76sl
P-Asserted-Identity: "Caller" <tel:+44-1632-960-002>, <sip:a@example.com>
Call-ID: 3848276298220188511@example.com
Date: Sat, 14 Mar 2026 12:00:30 GMT
Geolocation: <cid:target123@example.com>
Geolocation-Routing: yes
Accept: application/sdp, application/pidf+xml
CSeq: 31862 INVITE
Content-Type: multipart/mixed; boundary=boundary1
Content-Length: 1

preamble --boundary1 that is none
--boundary1
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 192.0.2.1
--boundary1
Content-Type: application/pidf+xml
Content-ID: <target123@example.com>

{presence(52)}
--boundary1--
epilogue
"""


def shapes_of(reading: Reading) -> list[object]:
    return [e.content.shape for e in reading.evidence if isinstance(e.content, DeviceReport)]


def reasons(reading: Reading) -> str:
    return "\n".join(map(str, reading.warnings))


def check_plain(reading: Reading) -> None:
    assert shapes_of(reading) == [circle(52)]
    assert reading.evidence[0].observed_at == 1773489600.0
    assert reading.calling_number == "+441632960002"
    assert reading.started_at == 1773489630.0
    assert reading.details["Geolocation-Routing"] == "yes"
    assert reading.warnings == ()
    assert reading.no_location == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: t.encode(),
        lambda t: "\r\n\r\n" + t,
        lambda t: t.replace("Content-Type: multipart/mixed; ", "c: multipart/mixed;\n\t"),
        lambda t: t.replace("boundary=boundary1", 'Boundary="boundary1"'),
        lambda t: t.replace("Geolocation: <cid:", "GEOLOCATION : \n <cid:"),
        lambda t: t.replace("Content-ID: <target123@example.com>", "content-id: target123@example.com"),
        lambda t: t.replace("<cid:target123@example.com>", "<cid:target123%40example.com>;inserted-by=example.com"),
        lambda t: t.replace("<cid:target123@example.com>", "cid:target123@example.com"),
        lambda t: t.replace("cid:target123@", "CID:Target123@"),
        lambda t: t.replace("Content-Type: application/pidf+xml", "Content-Type: Application/PIDF+XML; charset=utf-8"),
        lambda t: t.replace("\n--boundary1", "\n--boundary1 \t"),
        lambda t: t.replace("<target123@example.com>\n\n<pres", "<target123@example.com>\n<pres"),
        lambda t: t.replace("v=0\n", "v=0\n--boundary1x\n--boundary1 no\n"),
    ],
)
def test_spellings_of_one_message(change: object) -> None:
    assert callable(change)
    check_plain(read(change(INVITE)))


def test_nested_parts() -> None:
    inner = INVITE.partition("\n\n")[2].replace("boundary1", "inner")
    head = INVITE.partition("\n\n")[0]
    nested = f"{head}\n\n--boundary1\nContent-Type: multipart/related;boundary=inner\n\n{inner}\n--boundary1--\n"
    check_plain(read(nested))


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary"])
def test_transfer_encodings(encoding: str) -> None:
    text = presence(52)
    if encoding == "base64":
        text = base64.encodebytes(text.encode()).decode()
    elif encoding == "quoted-printable":
        text = binascii.b2a_qp(text.encode()).decode()
    message = INVITE.replace(presence(52), text).replace(
        "Content-ID:", f"Content-Transfer-Encoding: {encoding}\nContent-ID:"
    )
    check_plain(read(message))


def test_a_single_body_in_a_message() -> None:
    head = INVITE.partition("\n\n")[0].replace(
        "multipart/mixed; boundary=boundary1", "application/pidf+xml\nContent-ID: <target123@example.com>"
    )
    check_plain(read(f"{head}\n\n{presence(52)}"))


def test_bodies_without_a_message() -> None:
    body = INVITE.partition("\n\n")[2]
    part = body.partition("--boundary1\n")[2]
    for reading in (
        read(presence(52)),
        read("\ufeff\n" + presence(52)),
        read(presence(52), content_type="application/pidf+xml"),
        read(body, content_type='multipart/mixed;\r\n boundary="boundary1"'),
        read(f"Content-Type: multipart/mixed; boundary=boundary1\n\n{body}"),
    ):
        assert shapes_of(reading) == [circle(52)]
        assert reading.warnings == ()
    guessed = read("--boundary1\n" + part)
    assert shapes_of(guessed) == [circle(52)]
    assert "'boundary1' is taken" in reasons(guessed)
    wrong = read(body, content_type="multipart/mixed; boundary=other")
    assert shapes_of(wrong) == [circle(52)]
    assert "boundary 'other'" in reasons(wrong)


@pytest.mark.parametrize("path", RFC_6442, ids=lambda p: str(p.stem))
def test_documents_of_the_rfc(path: Path) -> None:
    document = path.read_text(encoding="utf-8")
    reading = read(INVITE.replace(presence(52), document))
    assert shapes_of(reading) == [Point(LatLng(32.86726, -97.16054))]
    assert [e.content for e in reading.evidence] == [e.content for e in pidf_lo.read(document).evidence]
    assert any(isinstance(e.content, LineLookup) for e in reading.evidence) == ("person" in document)


def two_bodies(geolocation: str) -> str:
    second = f"--boundary1\nContent-Type: application/pidf+xml\nContent-ID: <b@example.com>\n\n{presence(53)}\n"
    return INVITE.replace("--boundary1--", second + "--boundary1--").replace(
        "Geolocation: <cid:target123@example.com>", geolocation
    )


@pytest.mark.parametrize(
    "geolocation",
    [
        "Geolocation: <cid:b@example.com>, <cid:target123@example.com>",
        "Geolocation: <cid:b@example.com>\nGeolocation: <cid:target123@example.com>",
        'Geolocation: <cid:b@example.com>;x="a,b", <cid:target123@example.com>, <cid:b@example.com>',
    ],
)
def test_locations_come_in_the_order_of_the_header(geolocation: str) -> None:
    reading = read(two_bodies(geolocation))
    assert shapes_of(reading) == [circle(53), circle(52)]
    assert [e.evidence_id for e in reading.evidence] == ["body", "body-2"]
    assert reading.warnings == ()


def test_a_body_that_nothing_points_to_comes_last() -> None:
    reading = read(two_bodies("Geolocation: <cid:b@example.com>"))
    assert shapes_of(reading) == [circle(53), circle(52)]
    assert "no Geolocation header points to this body" in reasons(reading)


def test_a_pointer_to_nothing_does_not_lose_the_body() -> None:
    reading = read(INVITE.replace("<cid:target123@example.com>", "<cid:gone@example.com>, <>, nonsense"))
    assert shapes_of(reading) == [circle(52)]
    assert "'cid:gone@example.com': points to no body" in reasons(reading)
    assert "'nonsense': has no URI" in reasons(reading)


def test_without_the_header_the_body_counts() -> None:
    check_plain(read(INVITE.replace("Geolocation: <cid:target123@example.com>\n", "")))
    given_ = read(presence(52), content_type="application/pidf+xml", geolocation="<https://ls.example.com/a>")
    assert given_.details["Geolocation-URI"] == "https://ls.example.com/a"
    assert shapes_of(given_) == [circle(52)]


def test_locations_by_reference_are_named_and_not_followed() -> None:
    head = INVITE.partition("\n\n")[0].replace(
        "<cid:target123@example.com>", "<sips:3sdefrhy2jj7@example.com>, <https://ls.example.com/a;b,c>;x=1"
    )
    reading = read(head + "\n\n")
    assert reading.evidence == ()
    assert "by reference only" in reading.no_location
    assert reading.details["Geolocation-URI"] == "sips:3sdefrhy2jj7@example.com"
    assert reading.details["Geolocation-URI[2]"] == "https://ls.example.com/a;b,c"
    assert "ask its server" in reasons(reading)


def test_the_cell_of_the_access_network_is_evidence_too() -> None:
    message = INVITE.replace(
        "Geolocation:",
        "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;\n utran-cell-id-3gpp=001010ABC0123ABC\n"
        "Cellular-Network-Info: 3GPP-NR-TDD;utran-cell-id-3gpp=00101000ABC0123456AB;cell-info-age=10\nGeolocation:",
    )
    reading = read(message, arrived_at=1773489640.0)
    assert shapes_of(reading) == [circle(52)]
    scans = [e.content for e in reading.evidence if isinstance(e.content, CellScan)]
    assert [s.serving and s.serving.cell for s in scans] == [0x123ABC, 0x123456AB]
    assert reading.evidence[-1].observed_at == 1773489630.0
    assert len({e.evidence_id for e in reading.evidence}) == 3
    bad = read(message.replace("3GPP-E-UTRAN-FDD;", "?;").replace("Cellular-Network-Info: 3GPP-NR-TDD", "X: y"))
    assert shapes_of(bad) == [circle(52)]
    assert "P-Access-Network-Info" in reasons(bad)


def test_a_rejection_says_why_there_is_no_location() -> None:
    message = 'SIP/2.0 424 Bad Location Information\nCSeq: 1 INVITE\nGeolocation-Error: 100;code="Cannot Process Location"\n\n'
    reading = read(message)
    assert reading.evidence == ()
    assert "Geolocation-Error 100" in reading.no_location
    assert reading.started_at is None


def test_a_message_without_location_says_so() -> None:
    message = INVITE.replace("application/pidf+xml\nContent-ID", "application/sdp\nContent-ID").replace(
        presence(52), "v=0"
    )
    reading = read(message)
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.calling_number == "+441632960002"


def test_a_body_that_is_broken_does_not_lose_the_other() -> None:
    reading = read(
        two_bodies("Geolocation: <cid:target123@example.com>").replace(presence(52), "<!DOCTYPE a><a/>presence")
    )
    assert shapes_of(reading) == [circle(53)]
    assert "DOCTYPE" in reasons(reading)


@pytest.mark.parametrize("media", ["text/xml", "application/xml", ""])
def test_a_location_under_another_name_is_read_with_a_warning(media: str) -> None:
    reading = read(INVITE.replace("Content-Type: application/pidf+xml", f"Content-Type: {media}"))
    assert shapes_of(reading) == [circle(52)]
    assert "is not application/pidf+xml" in reasons(reading)


def test_a_message_cut_in_half_keeps_what_was_complete() -> None:
    first = INVITE[: INVITE.index("--boundary1--") - 40]
    reading = read(first)
    assert shapes_of(reading) == [circle(52)]
    assert "cut off" in reasons(reading)


def test_compressed_bodies_are_not_opened() -> None:
    reading = read(INVITE.replace("Content-ID:", "Content-Encoding: gzip\nContent-ID:"))
    assert reading.evidence == ()
    assert "Content-Encoding 'gzip'" in reasons(reading)


def test_base64_that_is_none_is_read_as_it_is() -> None:
    reading = read(INVITE.replace("Content-ID:", "Content-Transfer-Encoding: base64\nContent-ID:"))
    assert "Content-Transfer-Encoding" in reasons(reading)
    assert shapes_of(reading) == [circle(52)]


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ("From: <sip:+441632960001@example.com>", "+441632960001"),
        ("From: <sip:%2B441632960001@example.com>", "+441632960001"),
        ("f: <tel:+44(0)>", "+440"),
        ("From: <tel:01632960001>", ""),
        ("From: <sip:anonymous@anonymous.invalid>", ""),
        ("From: <sip:+0441632960001@example.com>", ""),
        ("From: <tel:+" + "1" * 30 + ">", ""),
    ],
)
def test_calling_number(fields: str, number: str) -> None:
    assert read(f"Via: a\n{fields}\n\n").calling_number == number


@pytest.mark.parametrize(
    "message",
    ["", "hello", "Subject: lunch\n\nat noon", b"\x00\x01\xff", "v=0\no=-", "a" * (MAX_BYTES + 1), ": :\n:", "{}"],
)
def test_what_is_neither_sip_nor_a_location_is_unreadable(message: str | bytes) -> None:
    with pytest.raises(Unreadable):
        read(message)


def test_parts_are_bounded_in_number_and_depth() -> None:
    many = "Content-Type: multipart/mixed; boundary=b\n\n" + f"--b\n\n{presence(52)}\n" * 300 + "--b--"
    reading = read(many)
    assert len(shapes_of(reading)) <= MAX_BODIES
    assert "the others are left out" in reasons(reading)
    deep = presence(52)
    for i in range(MAX_DEPTH + 3):
        deep = f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n{deep}\n--b{i}--"
    assert shapes_of(read(deep)) == []
    parts = Parts()
    parts.take(fields_of("Content-Type: multipart/mixed; boundary=b"), b"--b\n\n" * 5000)
    assert len(parts.leaves) <= MAX_PARTS


def test_header_grammar() -> None:
    assert split_list('a "x,\\",y" b, c') == ['a "x,\\",y" b', "c"]
    assert split_list('"unclosed, a') == ['"unclosed, a']
    assert unquoted('"a\\"b"') == 'a"b'
    assert parameters('a;b="c;d";B=e;;=f') == ("a", {"b": "c;d"})


_words = [
    "--boundary1",
    "\r\n",
    "\n",
    "\n\n",
    "<",
    '"',
    "\\",
    "Content-Type: multipart/mixed;boundary=",
    "Geolocation: ",
    "%",
    "cid:",
    "\x00",
    "é",
]


@given(st.integers(0, len(INVITE)), st.integers(0, 60), st.lists(st.sampled_from(_words), max_size=4).map("".join))
def test_anything_is_read_or_unreadable(start: int, length: int, text: str) -> None:
    try:
        reading = read(INVITE[:start] + text + INVITE[start + length :])
    except Unreadable:
        return
    assert bool(reading.no_location) == (not reading.evidence)
    assert call_violations(Call(evidence=reading.evidence)) == []


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_unreadable(data: bytes) -> None:
    for message in (data, b"Content-Type: multipart/mixed;boundary=a\n\n--a\n" + data):
        try:
            reading = read(message)
        except Unreadable:
            continue
        assert isinstance(reading, Reading)
        assert all(isinstance(piece, Evidence) for piece in reading.evidence)
