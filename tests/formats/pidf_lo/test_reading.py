"""Documents as a whole: whose location it is, which comes first, confidence, method, time, number, addresses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.call_checks import call_violations
from locsvc.formats.pidf_lo import location_of, read
from locsvc.formats.reading import Unreadable
from locsvc.formats.xml import parse
from locsvc.model import (
    Call,
    Circle,
    CivicAddress,
    DeviceReport,
    Evidence,
    LatLng,
    LineLookup,
    LineRecord,
    Point,
    PositioningMethod,
)
from tests.formats.pidf_lo.documents import (
    CIRCLE,
    FLAT,
    METRE,
    NAMESPACES,
    TIME_S,
    device_of,
    geopriv,
    lookup_of,
    presence,
    reading_of,
    report_of,
    tuple_of,
    warned_of,
)

POINT = f"<gml:Point {FLAT}><gml:pos>53.35 -6.26</gml:pos></gml:Point>"
ADDRESS = "<ca:civicAddress><ca:A3>Testham</ca:A3><ca:RD>Mill Lane</ca:RD><ca:HNO>3</ca:HNO></ca:civicAddress>"
FLOOR = "<ca:civicAddress><ca:FLR>2</ca:FLR><ca:ROOM>14</ca:ROOM></ca:civicAddress>"
DISC = Circle(LatLng(53.35, -6.26), 30.0)
LOOKUP = LineLookup(record=LineRecord(address=CivicAddress(city="Testham", street="Mill Lane", house_number="3")))


def circle(radius: int) -> str:
    return CIRCLE.replace(">30<", f">{radius}<")


def radii_of(message: str) -> list[tuple[str, float]]:
    """Name and radius of each piece of evidence, in order."""
    return [
        (e.evidence_id, e.content.shape.radius_m)
        for e in read(message).evidence
        if isinstance(e.content, DeviceReport) and isinstance(e.content.shape, Circle)
    ]


# Whose location


def test_a_single_location_needs_no_name() -> None:
    reading = read(presence(tuple_of(CIRCLE, "GPS")))
    report = DeviceReport(DISC, 0.95, PositioningMethod.GNSS)
    assert reading.evidence == (Evidence(report, "", "", TIME_S),)
    assert (reading.warnings, reading.no_location, dict(reading.details)) == ((), "", {})


def test_devices_come_first_then_tuples_then_persons() -> None:
    message = presence(
        device_of(circle(1), kind="person") + tuple_of(circle(2)) + device_of(circle(3)) + device_of(circle(4)) + tuple_of(circle(5))
    )  # fmt: skip
    assert radii_of(message) == [("device", 3), ("device-2", 4), ("tuple", 2), ("tuple-2", 5), ("person", 1)]
    assert warned_of(read(message)) == ["presence"]


def test_a_device_without_a_location_does_not_stand_in_the_way() -> None:
    message = presence("<dm:device id='d'><dm:deviceID>mac:1</dm:deviceID></dm:device>" + tuple_of(CIRCLE))
    assert radii_of(message) == [("", 30)]
    assert read(message).warnings == ()


def test_times_and_methods_belong_to_their_own_tuple() -> None:
    message = presence(
        tuple_of(circle(1), "GPS", "2026-11-21T22:15:00Z") + tuple_of(circle(2), "Cell", "2026-11-21T22:16:00+00:00")
    )
    reading = read(message)
    reports = [(e.content.method, e.observed_at) for e in reading.evidence if isinstance(e.content, DeviceReport)]
    assert reports == [(PositioningMethod.GNSS, TIME_S), (PositioningMethod.CELL, TIME_S + 60)]


def test_two_geoprivs_in_one_tuple_are_two_places() -> None:
    status = geopriv(circle(1) + "<con:confidence>50</con:confidence>") + geopriv(circle(2))
    message = presence(f"<tuple id='t'><status>{status}</status></tuple>")
    reports = [e.content for e in read(message).evidence]
    assert [r.confidence for r in reports if isinstance(r, DeviceReport)] == [0.5, 0.95]


def test_parts_outside_a_geopriv_belong_together() -> None:
    loose = f"<tuple id='t'><status>{circle(1)}<con:confidence>50</con:confidence>{ADDRESS}</status></tuple>"
    reading = read(presence(loose + loose))
    assert [e.evidence_id for e in reading.evidence] == ["tuple", "tuple-civic", "tuple-2", "tuple-civic-2"]
    assert {e.content.confidence for e in reading.evidence if isinstance(e.content, DeviceReport)} == {0.5}


def test_several_shapes_of_one_place_stay_in_their_order() -> None:
    assert radii_of(presence(tuple_of(circle(1) + circle(2) + circle(3)))) == [
        ("tuple", 1),
        ("tuple-2", 2),
        ("tuple-3", 3),
    ]


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(device_of(CIRCLE), id="device"),
        pytest.param(geopriv(CIRCLE), id="geopriv"),
        pytest.param(f"<gp:location-info>{CIRCLE}</gp:location-info>", id="location-info"),
        pytest.param(f"<gml:location>{CIRCLE}</gml:location>", id="location of GML"),
        pytest.param(CIRCLE, id="shape"),
        pytest.param(geopriv(f"<gml:Feature><gml:extentOf>{CIRCLE}</gml:extentOf></gml:Feature>"), id="feature of GML"),
        pytest.param(f'<location xmlns="urn:ietf:params:xml:ns:lost1" profile="geodetic-2d">{CIRCLE}</location>', id="LoST"),
        pytest.param(f'<locationResponse xmlns="urn:ietf:params:xml:ns:geopriv:held">{presence(tuple_of(CIRCLE))}</locationResponse>', id="HELD"),
    ],
)  # fmt: skip
def test_parts_of_a_document(part: str) -> None:
    root = parse(f"<x {NAMESPACES}>{part}</x>").root[0]
    (evidence,) = location_of(root).evidence
    assert isinstance(evidence.content, DeviceReport)
    assert evidence.content.shape == DISC


# Confidence


@pytest.mark.parametrize(
    ("element", "confidence", "warned", "pdf"),
    [
        pytest.param("", 0.95, False, None, id="absent"),
        pytest.param('<con:confidence pdf="normal">67</con:confidence>', 0.67, False, "normal", id="normal"),
        pytest.param('<con:confidence pdf="rectangular">90.5</con:confidence>', 0.905, False, "rectangular", id="flat"),
        pytest.param('<con:confidence pdf="unknown"> 68 </con:confidence>', 0.68, False, None, id="white space"),
        pytest.param("<con:confidence>1</con:confidence>", 0.01, False, None, id="one percent"),
        pytest.param("<con:confidence>unknown</con:confidence>", 0.68, True, None, id="unknown"),
        pytest.param("<con:confidence>90%</con:confidence>", 0.9, True, None, id="percent sign"),
        pytest.param("<con:confidence>0.68</con:confidence>", 0.68, True, None, id="a fraction"),
        pytest.param("<con:confidence>0</con:confidence>", 0.68, True, None, id="zero"),
        pytest.param("<con:confidence>-5</con:confidence>", 0.68, True, None, id="negative"),
        pytest.param("<con:confidence>high</con:confidence>", 0.68, True, None, id="a word"),
        pytest.param("<con:confidence/>", 0.68, True, None, id="empty"),
        pytest.param("<con:confidence>100</con:confidence>", 0.95, True, None, id="certain"),
        pytest.param("<con:confidence>1e999</con:confidence>", 0.68, True, None, id="infinite"),
    ],
)
def test_confidence(element: str, confidence: float, warned: bool, pdf: str | None) -> None:
    assert report_of(CIRCLE + element).confidence == pytest.approx(confidence, rel=1e-12)
    reading = reading_of(CIRCLE + element)
    assert warned_of(reading) == (["confidence"] if warned else [])
    assert reading.details.get("pdf") == pdf


def test_a_point_has_no_confidence() -> None:
    assert report_of(POINT).confidence is None
    assert report_of(POINT + "<con:confidence>68</con:confidence>").confidence is None
    assert warned_of(reading_of(POINT + "<con:confidence>68</con:confidence>")) == ["confidence"]
    # A circle that lost its radius is a point, too.
    assert report_of(circle(0) + "<con:confidence>68</con:confidence>").confidence is None


def test_a_confidence_that_may_have_been_cut_off_is_not_95() -> None:
    whole = presence(tuple_of(CIRCLE + "<con:confidence>39</con:confidence>"))
    reading = read(whole[: whole.index("39<")])
    (evidence,) = reading.evidence
    assert evidence.content == DeviceReport(DISC, 0.68)
    assert warned_of(reading) == ["XML", "confidence"]


# Method, time, number


@pytest.mark.parametrize(
    ("token", "method"),
    [
        ("GPS", PositioningMethod.GNSS),
        ("gnss", PositioningMethod.GNSS),
        ("Device-Assisted_A-GPS", PositioningMethod.GNSS),
        ("802.11", PositioningMethod.WIFI),
        ("Cell", PositioningMethod.CELL),
        ("TA-NMR", PositioningMethod.CELL),
        ("OTDOA", PositioningMethod.NETWORK),
        ("Triangulation", PositioningMethod.NETWORK),
        ("Hybrid_A-GPS", PositioningMethod.FUSED),
        ("BT", PositioningMethod.BEACON),
        ("Manual", PositioningMethod.MANUAL),
        ("DHCP", PositioningMethod.UNSPECIFIED),
        ("tea leaves", PositioningMethod.UNSPECIFIED),
    ],
)
def test_method(token: str, method: PositioningMethod) -> None:
    reading = read(presence(tuple_of(CIRCLE, f" {token}\n")))
    assert reading.evidence[0].content == DeviceReport(DISC, 0.95, method)
    assert reading.details == ({} if method else {"method": token})


@pytest.mark.parametrize(
    ("text", "time_s", "warned"),
    [
        pytest.param("2026-11-21T22:15:00Z", TIME_S, False, id="UTC"),
        pytest.param("\n 2026-11-21T23:15:00.5+01:00 ", TIME_S + 0.5, False, id="another zone"),
        pytest.param("2026-11-21t22:15:00z", TIME_S, False, id="lower case"),
        pytest.param("2026-11-21T22:15:00", TIME_S, True, id="no zone"),
        pytest.param("2026-11-21", None, True, id="no time of day"),
        pytest.param("2026-11-31T22:15:00Z", None, True, id="no such day"),
        pytest.param("yesterday, at about ten", None, True, id="words"),
        pytest.param("", None, True, id="empty"),
        pytest.param("9" * 200_000, None, True, id="endless"),
        pytest.param("0001-01-01T00:00:00+14:00", -62_135_647_200.0, False, id="before the first year"),
    ],
)
def test_time(text: str, time_s: float | None, warned: bool) -> None:
    reading = read(presence(tuple_of(CIRCLE, time=text)))
    assert reading.evidence[0].observed_at == time_s
    assert warned_of(reading) == (["timestamp"] if warned else [])


def test_no_timestamp_is_no_time() -> None:
    message = presence(f"<tuple id='t'><status>{geopriv(CIRCLE)}</status></tuple>")
    assert read(message, arrived_at=TIME_S).evidence[0].observed_at is None


def test_a_time_after_the_message_came_gets_a_warning() -> None:
    message = presence(tuple_of(CIRCLE))
    assert read(message, arrived_at=TIME_S - 30).warnings == ()
    late = read(message, arrived_at=TIME_S - 3600)
    assert warned_of(late) == ["timestamp"]
    assert late.evidence[0].observed_at == TIME_S
    assert warned_of(location_of(parse(message).root, arrived_at=TIME_S - 3600)) == ["timestamp"]


@pytest.mark.parametrize(
    ("entity", "number", "warned"),
    [
        ("tel:+441632960123", "+441632960123", False),
        ("tel:+44-1632-960(123)", "+441632960123", False),
        ("tel:+44.1632.960.123;ext=4", "+441632960123", False),
        ("sip:+441632960123@example.com;user=phone", "+441632960123", False),
        ("SIPS:%2B441632960123@example.com", "+441632960123", False),
        ("pres:+441632960123@example.com", "+441632960123", False),
        ("pres:alice@example.com", "", False),
        ("sip:441632960123@example.com", "", False),
        ("", "", False),
        ("tel:01632960123;phone-context=+44", "", True),
        ("tel:+0441632960123", "", True),
        ("tel:+4416329601234567890", "", True),
    ],
)
def test_calling_number(entity: str, number: str, warned: bool) -> None:
    reading = read(presence(tuple_of(CIRCLE), entity))
    assert reading.calling_number == number
    assert warned_of(reading) == (["entity"] if warned else [])
    # A number that is not taken is not shown either.
    assert all("960123" not in warning.value for warning in reading.warnings)


def test_the_contact_of_a_tuple_can_be_the_number() -> None:
    contact = tuple_of(CIRCLE).replace("</tuple>", "<contact priority='0.8'> tel:+441632960123 </contact></tuple>")
    assert read(presence(contact)).calling_number == "+441632960123"
    assert read(presence(contact, "tel:+441632960100")).calling_number == "+441632960100"


def test_the_identity_of_a_device_is_masked() -> None:
    device = device_of(CIRCLE).replace("</dm:device>", "<dm:deviceID>imei:001011234567890</dm:deviceID></dm:device>")
    assert read(presence(device)).details == {"deviceID": "imei:0" + "*" * 14}


# Addresses


def test_an_address_is_a_line_record_without_a_position() -> None:
    assert lookup_of(ADDRESS) == LOOKUP
    assert reading_of(ADDRESS).warnings == ()


def test_a_shape_and_an_address_are_two_pieces() -> None:
    reading = reading_of(CIRCLE + ADDRESS)
    assert [(e.evidence_id, e.content) for e in reading.evidence] == [
        ("tuple", DeviceReport(DISC, 0.95)),
        ("tuple-civic", LOOKUP),
    ]
    assert {e.observed_at for e in reading.evidence} == {TIME_S}


def test_a_floor_beside_a_shape_is_the_floor_of_the_shape() -> None:
    assert report_of(CIRCLE + FLOOR) == DeviceReport(DISC, 0.95, floor="2")
    # By itself it is all that there is.
    assert lookup_of(FLOOR).record == LineRecord(address=CivicAddress(floor="2", room="14"))


def test_an_address_beside_an_unusable_shape_stays() -> None:
    reading = reading_of(f"<gml:Point {FLAT}><gml:pos>0 0</gml:pos></gml:Point>" + ADDRESS)
    assert [e.content for e in reading.evidence] == [LOOKUP]
    assert warned_of(reading) == ["gml:pos"]


def civic(inner: str, attribute: str = "") -> str:
    return f"<ca:civicAddress {attribute}>{inner}</ca:civicAddress>"


@pytest.mark.parametrize(
    ("inner", "address", "details", "warned"),
    [
        pytest.param("<ca:RD>\n Mill\n\tLane </ca:RD>", CivicAddress(street="Mill Lane"), {}, [], id="white space"),
        pytest.param("<ca:A6>Mill Lane</ca:A6>", CivicAddress(street="Mill Lane"), {}, [], id="street of RFC 4119"),
        pytest.param("<ca:A6>Old</ca:A6><ca:RD>New</ca:RD>", CivicAddress(street="New"), {"A6": "Old"}, [], id="both streets"),
        pytest.param("<ca:STS>Mill Lane</ca:STS>", CivicAddress(street="Mill Lane"), {}, ["STS"], id="street as its kind"),
        pytest.param("<ca:RD>Mill</ca:RD><ca:STS>Lane</ca:STS>", CivicAddress(street="Mill", street_suffix="Lane"), {}, [], id="kind of street"),
        pytest.param("<ca:PRM>Old</ca:PRM><cae:STP>Via</cae:STP><ca:RD>Appia</ca:RD>", CivicAddress(street="Old Via Appia"), {}, [], id="before the street"),
        pytest.param("<cae:HNP>A</cae:HNP><ca:HNO>22</ca:HNO><ca:HNS>b</ca:HNS>", CivicAddress(house_number="A22", house_number_suffix="b"), {}, [], id="house number"),
        pytest.param("<ca:country>ie</ca:country>", CivicAddress("IE"), {}, ["country"], id="country in lower case"),
        pytest.param("<ca:A3>X</ca:A3><ca:country>Ireland</ca:country>", CivicAddress(city="X"), {"country": "Ireland"}, ["country"], id="country in words"),
        pytest.param("<ca:RD>One</ca:RD><ca:RD>Two</ca:RD>", CivicAddress(street="One"), {}, ["RD"], id="twice"),
        pytest.param("<ca:A3>X</ca:A3><ca:SEAT>4</ca:SEAT><cae:MP>248</cae:MP>", CivicAddress(city="X"), {"SEAT": "4", "MP": "248"}, [], id="no words for it"),
        pytest.param('<ca:A3>X</ca:A3><p:lamp xmlns:p="urn:posts">7</p:lamp>', CivicAddress(city="X"), {"lamp": "7"}, [], id="somebody's own"),
        pytest.param(f"<ca:A3>{'x' * 2000}</ca:A3>", CivicAddress(city="x" * 1000), {}, ["A3"], id="endless"),
        pytest.param("<ca:A3> </ca:A3><ca:RD>Mill Lane</ca:RD>", CivicAddress(street="Mill Lane"), {}, [], id="empty element"),
    ],
)  # fmt: skip
def test_address(inner: str, address: CivicAddress, details: dict[str, str], warned: list[str]) -> None:
    assert lookup_of(civic(inner)).record == LineRecord(address=address)
    reading = reading_of(civic(inner))
    assert (dict(reading.details), warned_of(reading)) == (details, warned)


def test_an_address_that_says_nothing_is_none() -> None:
    reading = reading_of(civic(""))
    assert reading.evidence == ()
    assert reading.no_location


def test_an_address_in_another_language_is_the_same_place() -> None:
    both = civic("<ca:A3>Bruxelles</ca:A3>", 'xml:lang="fr"') + civic("<ca:A3>Brussel</ca:A3>", 'xml:lang="nl"')
    assert lookup_of(both).record == LineRecord(address=CivicAddress(city="Bruxelles"))
    assert warned_of(reading_of(both)) == ["civicAddress"]


def test_the_old_namespace_of_addresses_is_read() -> None:
    old = ADDRESS.replace(
        "<ca:civicAddress", '<ca:civicAddress xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicLoc"'
    )
    assert lookup_of(old) == LOOKUP
    assert warned_of(reading_of(old)) == ["namespace"]


# No location


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="nothing"),
        pytest.param(tuple_of(""), id="an empty location-info"),
        pytest.param(
            "<tuple id='t'><status><basic>open</basic></status></tuple>", id="a presence that is about presence"
        ),
    ],
)
def test_a_document_without_a_location_says_so(content: str) -> None:
    reading = read(presence(content))
    assert (reading.evidence, reading.no_location) == ((), "the document has no location")


@pytest.mark.parametrize(
    "message",
    [
        "<html><body>503</body></html>",
        '<error xmlns="urn:ietf:params:xml:ns:geopriv:held" code="locationUnknown"/>',
        '<device xmlns="urn:ietf:params:xml:ns:geopriv:held:id"><ip v="4">192.0.2.5</ip></device>',
        b"\x89PNG",
        "",
    ],
)
def test_what_is_no_pidf_lo_is_refused(message: str | bytes) -> None:
    with pytest.raises(Unreadable):
        read(message)


# Anything at all

PIECES = st.sampled_from(
    [
        "<gml:pos>", "</gml:pos>", "53.35 -6.26", "0 0", "nan", "1e999", "-91 181", "150 -34", ",", "9" * 400, "\n", "&amp;",
        f"<gs:Circle {FLAT}>", "</gs:Circle>", f"<gs:radius {METRE}>", "</gs:radius>", "<gml:Polygon>", "</gml:Polygon>",
        "<gml:exterior><gml:LinearRing><gml:posList>", "</gml:posList></gml:LinearRing></gml:exterior>", "1 2 3 4 5 6",
        '<gs:Ellipsoid srsName="urn:ogc:def:crs:EPSG::4979">', "</gs:Ellipsoid>", "<gs:semiMajorAxis>5</gs:semiMajorAxis>",
        "<gs:orientation uom='x'>-1e300</gs:orientation>", "<gs:ArcBand>", "</gs:ArcBand>", "<gs:outerRadius>7</gs:outerRadius>",
        "<gs:Prism><gs:base>", "</gs:base></gs:Prism>", "<gml:coordinates>", "</gml:coordinates>", "1:2:3N 4:5:6W",
        ADDRESS, FLOOR, CIRCLE, "<con:confidence>", "</con:confidence>", "unknown", "<timestamp>", "</timestamp>",
        "<ca:country>xx</ca:country>", "<dm:person>", "</dm:person>", "<gp:method>", "</gp:method>", "٣", "_",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join), st.booleans())
def test_whatever_is_read_passes_the_checks_of_a_call(content: str, closed: bool) -> None:
    message = presence(tuple_of(content))
    with contextlib.suppress(Unreadable):
        reading = read(message if closed else message[: message.index("</gp:location-info>")], arrived_at=TIME_S)
        assert bool(reading.evidence) != bool(reading.no_location)
        assert call_violations(Call("", reading.calling_number, None, reading.evidence)) == []
        for evidence in reading.evidence:
            if isinstance(evidence.content, DeviceReport):
                assert (evidence.content.confidence is None) == isinstance(evidence.content.shape, Point)


WHOLE = presence(
    device_of(CIRCLE + "<con:confidence>68</con:confidence>" + ADDRESS, "GPS") + tuple_of(POINT), "tel:+441632960123"
)


def test_a_document_cut_anywhere_never_says_more() -> None:
    whole = {e.content for e in read(WHOLE).evidence}
    unknown = {
        DeviceReport(DISC, 0.68),
        DeviceReport(Point(DISC.center)),
        DeviceReport(DISC, 0.68, PositioningMethod.GNSS),
    }
    for end in range(len(WHOLE)):
        with contextlib.suppress(Unreadable):
            reading = read(WHOLE[:end])
            assert "XML" in warned_of(reading)
            for evidence in reading.evidence:
                content = evidence.content
                if (
                    isinstance(content, LineLookup)
                    and content.record is not None
                    and content.record.address is not None
                ):
                    # As much of the address as came through.
                    assert content.record.address.city == "Testham"
                else:
                    assert content in whole | unknown


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8))
def test_a_document_with_some_bytes_changed_is_read_or_refused(place: int, noise: bytes) -> None:
    message = WHOLE.encode()[:place] + noise + WHOLE.encode()[place + len(noise) :]
    with contextlib.suppress(Unreadable):
        reading = read(message)
        assert call_violations(Call("", reading.calling_number, None, reading.evidence)) == []


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(presence(tuple_of(CIRCLE) * 500), id="500 tuples"),
        pytest.param(presence(tuple_of(CIRCLE * 1500)), id="1,500 circles"),
        pytest.param(presence(tuple_of("<gs:Circle/>" * 6000)), id="6,000 empty circles"),
        pytest.param(presence(tuple_of(f"<gml:Polygon><gml:exterior><gml:LinearRing><gml:posList>{'1 2 ' * 60_000}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>")), id="120,000 numbers"),
        pytest.param(presence(tuple_of(f"<gml:Point><gml:coordinates>{'1:2:3N 4:5:6W ' * 15_000}</gml:coordinates></gml:Point>")), id="15,000 places"),
        pytest.param(presence(tuple_of(f"<gml:Point><gml:coordinates>{', ' * 100_000}</gml:coordinates></gml:Point>")), id="100,000 commas"),
        pytest.param(presence(tuple_of(f"<gml:Point><gml:coordinates>{'1' + ' ' * 100_000 + '1' + ' ' * 100_000}</gml:coordinates></gml:Point>")), id="200,000 spaces"),
        pytest.param(presence(tuple_of(f"<gml:Point><gml:pos>{'9' * 200_000}</gml:pos></gml:Point>")), id="200,000 digits"),
        pytest.param(presence(tuple_of(CIRCLE, "x" * 200_000)), id="endless method"),
        pytest.param(presence(tuple_of("".join(civic(f"<ca:A3>{i}</ca:A3>") for i in range(2000)))), id="2,000 addresses"),
        pytest.param(presence(tuple_of(civic("<ca:x>y</ca:x>" * 4000))), id="4,000 parts of an address"),
        pytest.param(presence(tuple_of("".join(f"<x{i}:Circle xmlns:x{i}='gml{i}'/>" for i in range(4000)))), id="4,000 namespaces"),
    ],
)  # fmt: skip
def test_large_documents_are_read_in_bounds(message: str) -> None:
    reading = read(message)
    assert len(reading.evidence) <= 100
    assert len(reading.details) <= 100
    assert len(reading.warnings) <= 101
    assert call_violations(Call(evidence=reading.evidence)) == []


def test_a_confidence_in_a_shape_is_the_shapes() -> None:
    misplaced = CIRCLE.replace("</gs:Circle>", "<con:confidence>67</con:confidence></gs:Circle>")
    assert misplaced != CIRCLE
    assert report_of(misplaced).confidence == pytest.approx(0.67)
    assert warned_of(reading_of(misplaced)) == ["confidence"]


def test_what_is_no_shape_is_told() -> None:
    reading = reading_of('<gml:Envelope srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>1 2</gml:pos></gml:Envelope>')
    assert not reading.evidence
    assert [(w.field, w.value) for w in reading.warnings] == [("location-info", "Envelope")]
