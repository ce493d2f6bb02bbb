"""Whatever comes: a reading that passes the checks of the contract, or a refusal; never another exception."""

from __future__ import annotations

import contextlib
import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.formats.aml import data_sms, els_form, gsm7, psap_json, read
from locsvc.formats.aml import text as aml_text
from locsvc.formats.call_checks import call_violations
from locsvc.formats.reading import Reading, Unreadable
from tests.formats.aml.messages import FORM, IMEI, IMSI, PAIRS, form, report, text1, text2

JSON = json.dumps([{"number": "+441632960123", "status": "ok"} | FORM | {"device_number": "+441632960123"}])
PACKED = gsm7.pack(gsm7.septets_of(text1()))
WHOLE: list[bytes] = [text1().encode(), text2().encode(), form().encode(), JSON.encode(), PACKED, PACKED.hex().encode()]

any_text = st.text(max_size=60)
# What the separators and markers of all forms are made of.
crooked = st.text(st.sampled_from('A"ML=12;&%+-.,{}[]:\u201d\\\r\n\x00 ltgrdopcmsvN0') | st.characters(), max_size=120)
message_bytes = st.one_of(st.binary(max_size=200), crooked.map(lambda t: t.encode("utf-8", "surrogatepass")))


def reading_of(message: bytes | str) -> Reading | None:
    """The reading, sound in all its parts; None when it was refused."""
    try:
        reading = read(message, arrived_at=1752762000.0, hmac_key=None)
    except Unreadable:
        return None
    assert_sound(reading)
    return reading


def assert_sound(reading: Reading) -> None:
    call = model.Call("", reading.calling_number, reading.started_at, reading.evidence)
    assert call_violations(call) == []
    assert bool(reading.evidence) is not bool(reading.no_location)
    for text in (str(reading.no_location), *map(str, reading.warnings), *reading.details.values()):
        assert text.encode().decode() == text
        assert len(text) < 500


@given(message_bytes)
def test_any_octets(message: bytes) -> None:
    reading_of(message)


@given(st.one_of(crooked, st.text(max_size=200)))
def test_any_text(message: str) -> None:
    reading_of(message)


@given(crooked)
def test_any_text_behind_a_header(rest: str) -> None:
    for message in ('A"ML=1;' + rest, 'A"ML=2;lo=' + rest, "v=1&location_latitude=" + rest, '[{"lat":"' + rest):
        reading_of(message)


@given(message_bytes)
def test_each_reader_by_itself(message: bytes) -> None:
    text = message.decode("utf-8", "replace")
    for reader, given_message in ((aml_text.read, text), (psap_json.read, text)):
        with contextlib.suppress(Unreadable):
            assert_sound(reader(given_message))
    for octet_reader in (data_sms.read, els_form.read):
        with contextlib.suppress(Unreadable):
            assert_sound(octet_reader(message))


@given(st.sampled_from(WHOLE), st.data())
def test_cut_changed_and_doubled_messages(whole: bytes, data: st.DataObject) -> None:
    spoiled = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at, end = sorted(data.draw(st.tuples(st.integers(0, len(spoiled)), st.integers(0, len(spoiled)))))
        new = data.draw(st.one_of(st.binary(max_size=8), st.just(bytes(spoiled[at:end]) * 2), st.just(b"")))
        spoiled[at : min(end, at + 20)] = new
    reading_of(bytes(spoiled))


# A value that ends no pair and begins no other message.
values = st.text(st.characters(exclude_characters=";&%+\r\n{["), max_size=30).filter(
    lambda t: not re.search("ml|location_|device_|cell_", t, re.IGNORECASE)
)


@given(st.dictionaries(st.sampled_from(sorted(PAIRS.keys() - {"lt", "lg"})), values, max_size=4))
def test_spoiled_pairs_never_lose_their_neighbours(spoiled: dict[str, str]) -> None:
    reading = reading_of(text1(**spoiled))
    assert reading is not None
    if "N" not in (spoiled.get("pm", "").strip().upper(), spoiled.get("rd", "").strip().upper()):
        shape = report(reading).shape
        assert isinstance(shape, model.Circle | model.Point)
        assert shape.center == model.LatLng(54.76397, -0.18305)
        assert "rd" in spoiled or shape == model.Circle(shape.center, 50.0)
        assert "top" in spoiled or reading.evidence[0].observed_at == 1752761975.0
        assert "pm" in spoiled or report(reading).method is model.PositioningMethod.WIFI
    for key in ("mcc", "mnc", "si", "ei"):
        assert key in spoiled or reading.details[key] == read(text1()).details[key]


@given(
    st.dictionaries(
        st.sampled_from(sorted(FORM.keys() - {"v", "location_latitude", "location_longitude"})), values, max_size=5
    )
)
def test_spoiled_fields_never_lose_their_neighbours(spoiled: dict[str, str]) -> None:
    reading = reading_of(form(**spoiled))
    assert reading is not None
    fix, whole = report(reading), report(read(form()))
    assert "location_accuracy" in spoiled or fix.shape == whole.shape
    assert spoiled.keys() & {"location_accuracy", "location_confidence"} or fix.confidence == whole.confidence
    assert "location_altitude" in spoiled or fix.altitude_m == whole.altitude_m
    assert "location_floor" in spoiled or fix.floor == "2"
    assert "location_time" in spoiled or reading.evidence[0].observed_at == 1752761975.0
    assert "device_number" in spoiled or reading.calling_number == "+441632960123"


@given(st.sampled_from([text1(), form()]), st.integers(0, 400), st.text(string.printable, max_size=3))
def test_identities_stay_masked_in_spoiled_messages(whole: str, at: int, inserted: str) -> None:
    at %= len(whole)
    reading = reading_of(whole[:at] + inserted + whole[at:])
    assert IMSI not in repr(reading)
    assert IMEI not in repr(reading)


HUGE = {
    "header letters": "A" * 65_536,
    "headers": 'A"ML=1;' * 9_000,
    "semicolons": 'A"ML=1;' + ";" * 60_000,
    "pairs": 'A"ML=1;' + "a=1;" * 15_000,
    "headless": ";lt=1;lg=1" * 6_500,
    "ampersands": "v=1&" + "&" * 60_000,
    "fields": "v=1&" + "&".join(f"a{i}=1" for i in range(8_000)),
    "percent": "v=1&location_floor=" + "%41" * 20_000,
    "hexadecimal": "41" * 32_000,
    "hexadecimal with spaces": "4 1" * 20_000,
    "base64": "Q" * 65_000,
    "brackets": "[" * 65_000,
    "names": "[{" + ",".join(f'"lat":"{i}"' for i in range(4_000)) + "}]",
    "objects": "[" + ",".join('{"lat":1,"lon":2}' for _ in range(3_000)) + "]",
    "too long": "A" * 10_000_000,
    "zeros": "\0" * 65_000,
    "quotes": '"' * 65_000,
}


def test_longest_message() -> None:
    assert reading_of(text1() + " " * 60_000) is not None
    for message in (text1() + " " * 70_000, text1().encode() + b" " * 70_000, ""):
        with pytest.raises(Unreadable):
            read(message)


@pytest.mark.parametrize("name", HUGE)
def test_huge_messages_are_refused_or_bounded(name: str) -> None:
    for message in (HUGE[name], HUGE[name].encode()):
        reading = reading_of(message)
        if reading is not None:
            assert len(reading.evidence) <= 40
            assert len(reading.details) <= 100
