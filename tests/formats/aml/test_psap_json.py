"""JSON of emergency centres' servers."""

from __future__ import annotations

import json

import pytest

from locsvc import model
from locsvc.formats.aml import psap_json, read
from locsvc.formats.reading import Unreadable
from tests.formats.aml.messages import IMEI, IMSI, NOON_S, PAIRS, circle, report, text1, warned

GERMAN = {
    "status": "ok",
    "number": "+441632960123",
    "emergency_number": 112,
    "time": "2025-07-17 14:19:30",
    "location_latitude": "54.76397",
    "location_longitude": "-0.18305",
    "location_time": "2025-07-17 14:19:35",
    "location_altitude": "57.5",
    "location_floor": "",
    "location_source": "wifi",
    "location_accuracy": "15.515",
    "location_vertical_accuracy": "2.5",
    "location_confidence": "0.6826895",
}


def test_german_array() -> None:
    reading = read(json.dumps([GERMAN]))
    assert reading.evidence == (
        model.Evidence(
            model.DeviceReport(
                model.Circle(model.LatLng(54.76397, -0.18305), 15.515),
                0.6826895,
                model.PositioningMethod.WIFI,
                altitude_m=57.5,
                vertical_uncertainty_m=2.5,
                platform=model.Platform.ANDROID,
            ),
            observed_at=NOON_S,
        ),
    )
    assert (reading.calling_number, reading.started_at) == ("+441632960123", NOON_S - 5)
    # Its times have no zone.
    assert warned(reading) == {"time", "location_time"}


@pytest.mark.parametrize(
    "document",
    [
        GERMAN,
        {"data": [GERMAN]},
        {"status": "ok", "result": {"messages": [GERMAN]}},
        {
            name: (float(str(v)) if name in ("location_latitude", "location_longitude") else v)
            for name, v in GERMAN.items()
        },
    ],
)
def test_envelopes_and_numbers(document: object) -> None:
    assert read(json.dumps(document).encode()).evidence == read(json.dumps([GERMAN])).evidence


@pytest.mark.parametrize(
    "document",
    [
        {"latitude": 54.76397, "longitude": -0.18305, "accuracy": 20, "timestamp": 1752761975},
        {"lat": "54.76397", "lng": "-0.18305", "radius": "20", "locationTime": "2025-07-17T14:19:35Z"},
        {
            "locationLatitude": 54.76397,
            "locationLongitude": -0.18305,
            "locationAccuracy": 20,
            "location_time": NOON_S * 1000,
        },
        {"breitengrad": "54,76397", "laengengrad": "-0,18305", "genauigkeit": "20", "location_time": "20250717141935"},
        {
            "location": {
                "latitude": 54.76397,
                "longitude": -0.18305,
                "accuracy": 20,
                "timestamp": "2025-07-17T14:19:35Z",
            }
        },
    ],
)
def test_other_names(document: dict[str, object]) -> None:
    reading = read(json.dumps(document))
    assert circle(reading) == (54.76397, -0.18305, 20.0)
    assert report(reading).confidence == 0.68


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([{"status": "no aml data"}], "no aml data"),
        ({"status": "error"}, "error"),
        ([], "empty"),
        ([{**GERMAN, "location_latitude": ""}], "no location_latitude"),
        ([{**GERMAN, "location_latitude": None}], "no location_latitude"),
        ([{**GERMAN, "location_latitude": "0.0", "location_longitude": 0}], "0, longitude 0"),
    ],
)
def test_no_location(document: object, reason: str) -> None:
    reading = read(json.dumps(document))
    assert reading.evidence == ()
    assert reason in reading.no_location


def test_several_messages_of_one_call_are_all_kept() -> None:
    later = GERMAN | {"location_latitude": "54.8", "location_time": "2025-07-17 14:19:50"}
    reading = read(json.dumps([GERMAN, {"status": "no aml data"}, later]))
    assert [(e.evidence_id, e.observed_at) for e in reading.evidence] == [("fix1", NOON_S), ("fix2", NOON_S + 15)]
    assert reading.no_location == ""


def test_messages_of_other_callers_are_left_out() -> None:
    # Numbers that are not in E.164 tell callers apart all the same.
    for one, other in (("+441632960123", "+441632960124"), ("01632960123", "01632960124")):
        reading = read(json.dumps([GERMAN | {"number": one}, GERMAN | {"number": other, "location_latitude": "10"}]))
        assert circle(reading)[0] == 54.76397
        assert any("other callers" in w.reason for w in reading.warnings)


def test_text_message_inside() -> None:
    document = {"msisdn": "+441632960123", "message": text1(), "received": "2025-07-17T14:19:40Z"}
    reading = read(json.dumps(document))
    assert reading.evidence == read(text1()).evidence
    assert reading.calling_number == "+441632960123"


def test_text_message_that_was_taken_apart() -> None:
    reading = read(json.dumps(PAIRS | {"msisdn": "+441632960123"}))
    assert reading.evidence == read(text1()).evidence
    assert reading.details == read(text1()).details
    assert reading.calling_number == "+441632960123"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[",
        "[1, 2, 3]",
        "{}",
        "[{}]",
        '{"a": 1}',
        "[" * 60_000,
        '{"a":' * 10_000,
        "[" * 390,
        "{" + '"a":[' * 300 + "]" * 300 + "}",
        '{"location_latitude": 1,}',
        "[[[[[[[[" + json.dumps(GERMAN) + "]]]]]]]]",
        "[NaN]",
        '"' + "\\u0031" * 100 + '"',
    ],
)
def test_no_message_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        psap_json.read(text)


@pytest.mark.parametrize(
    "number", ["9" * 5000, "-" + "1" * 5000, "1e999", "NaN", "Infinity", "-Infinity", "1" + "0" * 400 + ".5"]
)
@pytest.mark.parametrize(
    "name", ["location_latitude", "location_accuracy", "location_time", "time", "location_confidence"]
)
def test_numbers_that_are_none_cost_their_field_only(name: str, number: str) -> None:
    whole = json.dumps(GERMAN | {name: 0.25})
    reading = read(whole.replace("0.25", number))
    assert name in warned(reading)
    assert reading.calling_number == "+441632960123"
    assert bool(reading.evidence) is (name != "location_latitude")


@pytest.mark.parametrize("bad", [None, True, False, [], {}, [1], "", "x", "\ud800", -1e300])
@pytest.mark.parametrize("name", GERMAN)
def test_one_bad_field_loses_nothing_else(name: str, bad: object) -> None:
    reading, unspoiled = read(json.dumps([GERMAN | {name: bad}])), read(json.dumps([GERMAN]))
    if name in ("location_latitude", "location_longitude"):
        assert reading.evidence == ()
        assert reading.no_location
    else:
        fix, wanted = report(reading), report(unspoiled)
        assert name == "location_accuracy" or fix.shape == wanted.shape
        assert name == "location_source" or fix.method is wanted.method
        assert name == "location_time" or reading.evidence[0].observed_at == unspoiled.evidence[0].observed_at
        assert name == "location_altitude" or fix.altitude_m == wanted.altitude_m
    assert name == "number" or reading.calling_number == unspoiled.calling_number


def test_two_values_of_one_name() -> None:
    text = json.dumps(GERMAN)[:-1]
    assert read(text + ', "latitude": 54.76397}').evidence == read(json.dumps(GERMAN)).evidence
    assert read(text + ', "location_latitude": 10}').evidence == ()


def test_identities_are_masked_everywhere() -> None:
    document = GERMAN | {"device_imsi": IMSI, "imei": IMEI, "subscriber": IMSI, "iccid": "8944" + IMSI}
    shown = repr(read(json.dumps(document)))
    assert IMSI not in shown
    assert IMEI not in shown
    assert "001011*********" in shown


def test_a_message_of_nulls_says_no_location() -> None:
    reading = read('{"location_latitude": null, "location_longitude": null, "location_accuracy": null}')
    assert reading.evidence == ()
    assert reading.no_location
