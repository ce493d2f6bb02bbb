"""Forms of Android's Emergency Location Service, and their HMAC."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from locsvc import model
from locsvc.formats.aml import els_form, read
from locsvc.formats.reading import Reading, Unreadable
from tests.formats.aml.messages import FORM, IMEI, IMSI, NOON_S, circle, form, report, warned

KEY = b"the key of a test"


def signed(body: str, key: bytes = KEY) -> str:
    return f"{body}&hmac={hmac.new(key, body.encode(), hashlib.sha1).hexdigest()}"


def test_form() -> None:
    reading = read(form())
    (evidence,) = reading.evidence
    assert evidence == model.Evidence(
        model.DeviceReport(
            model.Circle(model.LatLng(54.76397, -0.18305), 10.4),
            0.83,
            model.PositioningMethod.GNSS,
            altitude_m=57.5,
            vertical_uncertainty_m=3.0,
            floor="2",
            platform=model.Platform.ANDROID,
        ),
        observed_at=NOON_S,
    )
    assert (reading.calling_number, reading.started_at) == ("+441632960123", NOON_S - 5)
    assert reading.warnings == ()
    assert reading.details["device_imsi"] == "001011*********"
    assert reading.details["cell_network_mnc"] == "01"
    assert els_form.read(form().encode()) == reading


def test_authentic_form_is_read() -> None:
    assert read(signed(form()), hmac_key=KEY) == read(form())
    upper = signed(form()).rpartition("=")
    assert read(f"{upper[0]}={upper[2].upper()}\r\n", hmac_key=KEY) == read(form())


def test_unchecked_hmac_is_told() -> None:
    reading = read(signed(form()))
    assert circle(reading)[2] == 10.4
    assert [str(w) for w in reading.warnings] == ["hmac: was not checked: no key is set"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (signed(form()).replace("54.76397", "54.76398"), "does not fit"),
        (signed(form(), b"another key"), "does not fit"),
        (signed(form())[:-1], "does not fit"),
        (form(), "is missing"),
        (form() + "&hmac=", "is missing"),
        ("hmac=" + "0" * 40 + "&" + form(), "is missing"),
        # Encoded again on the way: other bytes than those that were signed.
        (signed(form()).replace("%2B", "+"), "does not fit"),
    ],
)
def test_what_is_not_authentic_gives_nothing(body: str, told: str) -> None:
    reading = read(body, hmac_key=KEY)
    assert (reading.evidence, reading.calling_number, reading.started_at, dict(reading.details)) == ((), "", None, {})
    assert told in reading.no_location
    assert warned(reading) == {"hmac"}


def test_fields_behind_the_hmac_are_not_covered_by_it() -> None:
    body = signed(form(location_floor=None))
    reading = read(body + "&location_floor=66", hmac_key=KEY)
    assert report(reading).floor == ""
    assert "hmac" in warned(reading)
    assert report(read(body + "&location_floor=66")).floor == "66"


@pytest.mark.parametrize(
    ("fields", "confidence", "warns"),
    [
        ({"location_confidence": "0.6827"}, 0.6827, set()),
        ({"location_confidence": "68"}, 0.68, {"location_confidence"}),
        ({"location_confidence": "1"}, 0.999, {"location_confidence"}),
        ({"location_confidence": "0"}, 0.68, {"location_confidence"}),
        ({"location_confidence": None}, 0.68, {"location_confidence"}),
        ({"location_confidence": None, "location_certainty": "83"}, 0.83, set()),
        ({"location_confidence": None, "location_certainty": "0.83"}, 0.83, {"location_certainty"}),
        ({"location_confidence": "0.7", "location_certainty": "83"}, 0.7, set()),
        ({"location_confidence": "x", "location_certainty": "83"}, 0.83, {"location_confidence"}),
    ],
)
def test_confidence_on_either_scale(fields: dict[str, str | None], confidence: float, warns: set[str]) -> None:
    reading = read(form(**fields))
    assert report(reading).confidence == confidence
    assert warned(reading) == warns


@pytest.mark.parametrize(
    "fields",
    [
        {"location_latitude": "%2B00.00000", "location_longitude": "%2B000.00000", "location_accuracy": "0"},
        {"location_latitude": "0", "location_longitude": "0.0"},
        {"location_latitude": None},
        {"location_longitude": ""},
        {"location_latitude": "NaN"},
        {"location_longitude": "-180.01"},
    ],
)
def test_no_fix_never_becomes_a_place(fields: dict[str, str | None]) -> None:
    reading = read(form(**fields))
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.calling_number == "+441632960123"


@pytest.mark.parametrize("accuracy", [None, "0", "-1", "inf", "x"])
def test_unknown_accuracy_gives_a_place_without_radius(accuracy: str | None) -> None:
    reading = read(form(location_accuracy=accuracy))
    assert report(reading).shape == model.Point(model.LatLng(54.76397, -0.18305))
    assert "location_accuracy" in warned(reading)


@pytest.mark.parametrize(
    ("source", "method"),
    [
        ("GPS", model.PositioningMethod.GNSS),
        ("WiFi", model.PositioningMethod.WIFI),
        ("cell", model.PositioningMethod.CELL),
        ("fused", model.PositioningMethod.FUSED),
        ("unknown", model.PositioningMethod.UNSPECIFIED),
        ("tea+leaves", model.PositioningMethod.UNSPECIFIED),
    ],
)
def test_source(source: str, method: model.PositioningMethod) -> None:
    reading = read(form(location_source=source))
    assert report(reading).method is method
    assert warned(reading) == ({"location_source"} if source == "tea+leaves" else set())


@pytest.mark.parametrize(
    ("time", "time_s"),
    [("1752761975123", NOON_S + 0.123), ("1752761975", NOON_S), ("0", None), ("-5", None), ("9" * 400, None)],
)
def test_unit_of_a_time_is_told_by_its_digits(time: str, time_s: float | None) -> None:
    assert read(form(location_time=time)).evidence[0].observed_at == time_s


def test_height_above_the_sea_is_no_altitude() -> None:
    reading = read(form(location_altitude=None, location_altitude_msl="12"))
    assert report(reading).altitude_m is None
    assert report(reading).vertical_uncertainty_m is None
    assert reading.details["location_altitude_msl"] == "12"
    assert warned(reading) == {"location_altitude_msl"}


@pytest.mark.parametrize(
    ("number", "read_as"),
    [
        ("%2B441632960123", "+441632960123"),
        ("+441632960123", "+441632960123"),  # a plus that nobody encoded
        ("00441632960123", "+441632960123"),
        ("%2B44+1632+960-123", "+441632960123"),
        ("01632960123", ""),
        ("%2B0441632960", ""),
        ("unknown", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_number(number: str | None, read_as: str) -> None:
    reading = read(form(device_number=number))
    assert reading.calling_number == read_as
    assert warned(reading) == (set() if read_as or not number else {"device_number"})


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("68719000000", True),  # wider than 28 bits: of NR
        ("268435455", False),  # of LTE or of UMTS
        ("68719476735", False),  # all ones: unknown
        ("0", False),
        ("-1", False),
        ("x", False),
    ],
)
def test_cell_that_tells_its_radio_is_a_scan(cell: str, *, found: bool) -> None:
    reading = read(form(cell_id=cell))
    scans = [e for e in reading.evidence if e.evidence_id == "cell"]
    assert len(scans) == found
    assert len(reading.evidence) == 1 + found
    if found:
        serving = model.CellMeasurement(model.Radio.NR, "001", "01", cell=int(cell))
        assert scans[0].content == model.CellScan(serving)
    else:
        assert "cell_id" in warned(reading)
        assert reading.details["cell_id"] == cell


def test_cell_without_a_fix_says_why() -> None:
    reading = read(form(cell_id="68719000000", location_latitude=None))
    assert [e.evidence_id for e in reading.evidence] == ["cell"]
    assert "location_latitude" in warned(reading)


def test_personal_fields_are_named_and_not_shown() -> None:
    reading = read(form(adr_medical_conditions="epilepsy", location_wifi_scan="02:00:00:00:00:00=-50"))
    assert warned(reading) == {"adr_medical_conditions", "location_wifi_scan"}
    assert "epilepsy" not in repr(reading)
    assert "02:00:00" not in repr(reading)


def test_identities_are_masked_everywhere() -> None:
    for body in (form(), form(device_imei=IMSI + "x"), form(kl=IMSI), form().replace("device_imsi=", "device_imsi")):
        shown = repr(read(body))
        assert IMSI not in shown
        assert IMEI not in shown


def test_what_nothing_could_carry_is_replaced() -> None:
    reading = read(form(location_floor="2%00", device_model="a\ud800b"))
    assert report(reading).floor == "2?"
    assert reading.details["device_model"].encode().decode() == reading.details["device_model"]
    assert json_floor("\ud800") == "?"


def json_floor(floor: str) -> str:
    return report(read(json.dumps({"lat": 1, "lon": 2, "floor": floor}))).floor


def test_ground_truth_of_a_test_is_no_location() -> None:
    reading = read(form(gt_location_latitude="10", gt_location_longitude="20"))
    assert circle(reading)[:2] == (54.76397, -0.18305)
    assert "gt_location_latitude" in warned(reading)


def test_two_values_of_one_name() -> None:
    assert read(form() + "&location_latitude=54.76397").evidence == read(form()).evidence
    other = read(form() + "&location_latitude=10")
    assert (other.evidence, other.no_location) == ((), "location_latitude stands twice and says different things")


@pytest.mark.parametrize(
    "wrapped", [f"https://example.org/els?{form()}", form().replace("&", "&amp;"), f' "{form()}"\r\n']
)
def test_what_stands_around_it_costs_nothing(wrapped: str) -> None:
    assert read(wrapped).evidence == read(form()).evidence


@pytest.mark.parametrize("body", ["", "a=1&b=2", "&&&", "location", "latitude=1"])
def test_other_forms_are_refused(body: str) -> None:
    with pytest.raises(Unreadable):
        els_form.read(body)


@pytest.mark.parametrize("name", FORM)
@pytest.mark.parametrize("bad", ["?", "%ZZ", "%FF%FE", "%00", "-1e400", "9" * 400, "NaN", "\ud800", "a=b=c"])
def test_one_bad_field_loses_nothing_else(name: str, bad: str) -> None:
    reading, unspoiled = read(form(**{name: bad})), read(form())
    if name in ("location_latitude", "location_longitude"):
        assert reading.evidence == ()
    else:
        assert_same_but(reading, unspoiled, name)
    assert name == "device_number" or reading.calling_number == unspoiled.calling_number
    assert name == "time" or reading.started_at == unspoiled.started_at
    for other in unspoiled.details.keys() - {name}:
        assert reading.details[other] == unspoiled.details[other]


def assert_same_but(reading: Reading, unspoiled: Reading, name: str) -> None:
    fix, wanted = report(reading), report(unspoiled)
    assert name == "location_accuracy" or fix.shape == wanted.shape
    assert name in ("location_confidence", "location_accuracy") or fix.confidence == wanted.confidence
    assert name == "location_source" or fix.method is wanted.method
    assert name == "location_altitude" or fix.altitude_m == wanted.altitude_m
    assert name == "location_floor" or fix.floor == wanted.floor
    assert name == "location_time" or reading.evidence[0].observed_at == unspoiled.evidence[0].observed_at
