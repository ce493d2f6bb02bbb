"""Text messages of version 1 and 2: the fix, the crooked spellings, what was cut, one bad field at a time."""

from __future__ import annotations

import pytest

from locsvc import model
from locsvc.formats.aml import read
from locsvc.formats.aml import text as aml_text
from locsvc.formats.reading import Reading, Unreadable
from tests.formats.aml.messages import IMEI, IMSI, NOON_S, PAIRS, circle, report, text1, text2, warned, with_length

FIX = (54.76397, -0.18305, 50.0)


def test_version_1() -> None:
    reading = read(text1())
    assert reading == Reading(
        evidence=(
            model.Evidence(
                model.DeviceReport(
                    model.Circle(model.LatLng(54.76397, -0.18305), 50.0), 0.9, model.PositioningMethod.WIFI
                ),
                observed_at=NOON_S,
            ),
        ),
        details={"si": "001011*********", "ei": "001012*********", "mcc": "001", "mnc": "01"},
    )
    assert aml_text.read(text1()) == reading


def test_version_2() -> None:
    reading = read(text2())
    (evidence,) = reading.evidence
    assert evidence.content == model.DeviceReport(
        model.Circle(model.LatLng(-37.42175, -122.08461), 2000.1),
        0.68,
        model.PositioningMethod.FUSED,
        altitude_m=-100.1,
        vertical_uncertainty_m=100.1,
        platform=model.Platform.ANDROID,
    )
    assert (evidence.observed_at, reading.started_at) == (1752761975.0, 1752761970.0)
    assert reading.details["lg"] == "en-GB,fr"
    assert reading.warnings == ()


@pytest.mark.parametrize(
    "header",
    [
        "A\u201dML",
        "A\u201cML",
        "A\u2033ML",
        "A\uff02ML",
        "A''ML",
        "AML",
        'A\\"ML',
        'A""ML',
        "A&quot;ML",
        'a"ml',
        "A ML",
    ],
)
def test_crooked_headers_are_read_and_named(header: str) -> None:
    reading = read(text1(header))
    assert circle(reading) == FIX
    # The length counts the header as it was sent, so it fits all the same.
    assert [w.field for w in reading.warnings] == ['A"ML']
    assert header.lower() in reading.warnings[0].value.lower()


@pytest.mark.parametrize(
    "message",
    [
        "\ufeff" + text1(),
        "  " + text1() + " \r\n",
        f'"{text1()}"',
        f"\u201c{text1()}\u201d",
        text1().replace("+", " "),
        text1().encode(),
        text1().encode("utf-16"),
        text1().encode("utf-16-be"),
        text1().encode("utf-16-le"),
        text1().encode("utf-8-sig"),
    ],
)
def test_what_stands_around_it_costs_nothing(message: str | bytes) -> None:
    assert read(message) == read(text1())


def test_code_page_of_typographic_quotes() -> None:
    assert read(text1("A\u201dML").encode("cp1252")) == read(text1("A\u201dML"))


@pytest.mark.parametrize(
    "message",
    [
        f"2025-07-17 from +441632960123: {text1()}",
        text1().replace(";lc", ";\r\nlc"),
        text1().replace(";", "\n"),
        text1() + "\n" + text1(lt="+10.00000"),
        text1() + text1(lt="+10.00000"),
        "7" + text1(),
        "msg=1&text="
        + text1().replace('"', "%22").replace(";", "%3B").replace("=", "%3D").replace("+", "%2B")
        + "&z=1",
    ],
)
def test_what_was_put_around_or_into_it_is_named(message: str) -> None:
    reading = read(message)
    assert circle(reading) == FIX
    assert 'A"ML' in warned(reading)


def test_digit_before_the_header() -> None:
    assert read("7" + text2()).evidence == read(text2()).evidence


def test_lost_header_with_the_keys_of_version_1() -> None:
    reading = read(text1()[7:])
    assert circle(reading) == FIX
    assert 'A"ML' in warned(reading)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("3", text1().replace("ML=1", "ML=3")),
        ("", text1().replace("ML=1", "ML=")),
        ("7", text2().replace("ML=2", "ML=7")),
    ],
)
def test_unknown_version_is_read_by_its_keys(version: str, message: str) -> None:
    reading = read(message)
    assert len(reading.evidence) == 1
    assert any(w.field == 'A"ML' and w.value == version and "not known" in w.reason for w in reading.warnings)


@pytest.mark.parametrize("message", ['A"ML=9;x=1', 'A"ML=9', "SAML=1;lt=1;lg=2", "lt=1"])
def test_nothing_to_understand_is_unreadable(message: str) -> None:
    with pytest.raises(Unreadable):
        read(message)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ({"lt": "+00.00000", "lg": "+000.00000", "rd": "N", "pm": "N", "lc": "0"}, "pm=N"),
        ({"pm": "n"}, "pm=N"),
        ({"rd": "N"}, "rd=N"),
        ({"lt": "+00.00000", "lg": "+000.00000", "lc": "0"}, "0, longitude 0"),
        ({"lt": "-00.00000", "lg": "0"}, "0, longitude 0"),
        ({"lt": None}, "no lt"),
        ({"lg": ""}, "no lg"),
        ({"lt": "+91.00000"}, "lt cannot be used"),
        ({"lg": "-180.00001"}, "lg cannot be used"),
        ({"lg": "nan"}, "lg cannot be used"),
        ({"lt": "1e999"}, "lt cannot be used"),
        ({"lt": "9" * 1500}, "lt cannot be used"),
        ({"lt": "\u0665\u0664.\u0667"}, "lt cannot be used"),
    ],
)
def test_no_fix_never_becomes_a_place(pairs: dict[str, str | None], reason: str) -> None:
    reading = read(text1(**pairs))
    assert reading.evidence == ()
    assert reason in reading.no_location
    # What is understood beside the place stays.
    assert reading.details["mcc"] == "001"


def test_place_beside_the_statement_that_there_is_none_is_shown() -> None:
    reading = read(text1(rd="N"))
    assert (reading.details["lt"], reading.details["lg"]) == ("+54.76397", "-0.18305")
    assert {"lt", "lg"} <= warned(reading)


@pytest.mark.parametrize("place", [{"lt": "+00.00000"}, {"lg": "+000.00000"}])
def test_equator_and_meridian_are_places(place: dict[str, str]) -> None:
    assert len(read(text1(**place)).evidence) == 1


@pytest.mark.parametrize("radius", ["0", "0.0", None, "", "-5", "x", "20100001", "1,964", "1e99"])
def test_unknown_radius_gives_a_place_without_one(radius: str | None) -> None:
    reading = read(text1(rd=radius))
    fix = report(reading)
    assert fix.shape == model.Point(model.LatLng(54.76397, -0.18305))
    # A confidence says nothing without the radius that it is of.
    assert fix.confidence is None
    assert "rd" in warned(reading)


@pytest.mark.parametrize(
    ("key", "value", "read_as"),
    [
        ("rd", "20.0", 20.0),
        ("rd", "20.5m", 20.5),
        ("rd", "20,5", 20.5),
        ("lt", "+51,53321", 51.53321),
        ("lt", "\u221251.53321", -51.53321),
        ("lt", "51.53321\u00b0", 51.53321),
        ("lg", "\u20130.1", -0.1),
        ("lg", "-.5", -0.5),
    ],
)
def test_values_with_one_meaning_are_read(key: str, value: str, read_as: float) -> None:
    reading = read(text1(**{key: value}))
    assert circle(reading)[("lt", "lg", "rd").index(key)] == read_as
    assert (key in warned(reading)) is not (value in ("20.0", "-.5"))


@pytest.mark.parametrize(
    ("text", "confidence", "warns"),
    [
        ("68", 0.68, False),
        ("5", 0.05, False),
        ("0.68", 0.68, True),
        ("99.9", 0.999, True),
        ("100", 0.999, True),
        ("0", 0.68, True),
        (None, 0.68, True),
        ("1", 0.68, True),
        ("-1", 0.68, True),
        ("101", 0.68, True),
        ("high", 0.68, True),
        ("68%", 0.68, True),
    ],
)
def test_confidence(text: str | None, confidence: float, *, warns: bool) -> None:
    reading = read(text1(lc=text))
    assert report(reading).confidence == confidence
    assert ("lc" in warned(reading)) is warns


@pytest.mark.parametrize(
    ("letter", "method"),
    [
        ("W", model.PositioningMethod.WIFI),
        ("g", model.PositioningMethod.GNSS),
        ("C", model.PositioningMethod.CELL),
        ("F", model.PositioningMethod.FUSED),
        ("U", model.PositioningMethod.UNSPECIFIED),
        ("Z", model.PositioningMethod.UNSPECIFIED),
    ],
)
def test_method(letter: str, method: model.PositioningMethod) -> None:
    reading = read(text1(pm=letter))
    assert report(reading).method is method
    assert warned(reading) == ({"pm"} if letter == "Z" else set())


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("20250717141935", NOON_S),
        ("2025-07-17T14:19:35Z", NOON_S),
        ("2025-07-17 16:19:35+02:00", NOON_S),
        ("2025-07-17 12:19:35.5 -0200", NOON_S + 0.5),
        ("1752761975", NOON_S),
        ("1752761975250", NOON_S + 0.25),
        ("20161231235960", 1483228800.0),
        ("20250230141935", None),
        ("20250717246060", None),
        ("20250717", None),
        ("19800106000000", None),
        ("99990717141935", None),
        ("00000000000000", None),
        ("9" * 5000, None),
    ],
)
def test_time_of_the_fix(text: str, time_s: float | None) -> None:
    reading = read(text1(top=text))
    assert reading.evidence[0].observed_at == time_s
    assert circle(reading) == FIX
    assert ("top" in warned(reading)) is (time_s is None)


@pytest.mark.parametrize(
    ("age_s", "observed_at", "warns"),
    [(20.0, NOON_S, False), (-200.0, NOON_S, False), (-3600.0, None, True), (7200.0, NOON_S, True)],
)
def test_time_is_held_against_the_arrival(age_s: float, observed_at: float | None, *, warns: bool) -> None:
    reading = read(text1(), arrived_at=NOON_S + age_s)
    assert reading.evidence[0].observed_at == observed_at
    assert warned(reading) == ({"top"} if warns else set())


def test_age_counts_from_the_call_where_it_is_known() -> None:
    assert warned(read(text2(lt="-9999"))) == {"lt"}
    assert read(text2(et=None)).evidence[0].observed_at is None
    assert warned(read(text2(et=None))) == {"lt"}


def test_length() -> None:
    whole = text1()
    assert warned(read(whole)) == set()
    for stated, told in (
        (len(whole) + 1, "miscount"),
        (len(whole) + 20, "20 are missing"),
        (10, "something was added"),
    ):
        reading = read(whole.rpartition("=")[0] + f"={stated}")
        assert circle(reading) == FIX
        assert told in next(w.reason for w in reading.warnings if w.field == "ml")


@pytest.mark.parametrize("kept", range(7, len(text1()) - 1))
def test_cut_message_keeps_what_is_whole_and_says_so(kept: int) -> None:
    message = text1()[:kept]
    reading = read(message)
    assert "ml" in warned(reading)
    if reading.evidence:
        fix = report(reading)
        assert fix.shape is not None
        # The place is whole, and the radius is the sent one or none: never its first digit.
        assert fix.shape in (model.Circle(model.LatLng(*FIX[:2]), 50.0), model.Point(model.LatLng(*FIX[:2])))
        assert fix.confidence in (None, 0.68, 0.9)
        assert reading.evidence[0].observed_at in (None, NOON_S)
    assert bool(reading.evidence) is (len('A"ML=1;lt=+54.76397;lg=-0.18305') <= kept)
    if "rd=50;" in message:
        assert circle(reading) == FIX


def test_half_a_message_still_locates() -> None:
    message = text1()
    reading = read(message[: len(message) // 2])
    assert circle(reading) == FIX
    assert "ml" in warned(reading)


@pytest.mark.parametrize(
    ("ending", "warns", "has_radius"),
    [
        ("lo=51.53321,-0.12601,20.1", False, True),
        ("lo=51.53321,-0.12601,2", True, False),
        ("lo=51.53321,-0.12601", True, False),  # no radius was sent
        ("lo=51.53321,-0.12", True, None),
        ("lo=51.53321", True, None),
    ],
)
def test_version_2_that_ends_with_the_place(ending: str, has_radius: bool | None, *, warns: bool) -> None:
    reading = read('A"ML=2;et=1752761970;' + ending)
    assert ("lo" in warned(reading)) is warns
    if has_radius is None:
        assert reading.evidence == ()
    else:
        assert isinstance(report(reading).shape, model.Circle) is has_radius


def test_cut_offset_is_not_believed() -> None:
    # "lt=59" may have been "lt=590".
    reading = read('A"ML=2;et=1752761970;lo=51.53321,-0.12601,20.1;lt=59')
    assert reading.evidence[0].observed_at is None
    assert "lt" in warned(reading)


@pytest.mark.parametrize(
    ("lz", "altitude_m", "vertical_m"),
    [
        ("10.5,3.0", 10.5, 3.0),
        ("10.5,0", 10.5, None),
        ("10.5", 10.5, None),
        ("99999,1", None, None),
        ("x,1", None, None),
    ],
)
def test_altitude(lz: str, altitude_m: float | None, vertical_m: float | None) -> None:
    fix = report(read(text2(lz=lz)))
    assert (fix.altitude_m, fix.vertical_uncertainty_m) == (altitude_m, vertical_m)


def test_two_values_of_one_key() -> None:
    same = read(text1().replace("lt=", "lt=+54.76397;lt="))
    assert circle(same) == FIX
    other = read(text1().replace("lt=", "lt=+10.00000;lt="))
    assert (other.evidence, other.no_location) == ((), "lt stands twice and says different things")
    # In version 2 "lt" is no part of the place.
    age = read(text2().replace("lt=5", "lt=5;lt=6"))
    assert (len(age.evidence), age.evidence[0].observed_at, age.no_location) == (1, None, "")
    radius = read(text1().replace("rd=", "rd=7;rd="))
    assert report(radius).shape == model.Point(model.LatLng(*FIX[:2]))
    assert {"rd"} <= warned(radius)


BAD = ["", "?", "\u0661\u0662", "-1e400", "99999999999999999999", "NaN", "None", "a=b", "\x00", "\ud800", "9" * 400]


@pytest.mark.parametrize("key", PAIRS)
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_field_loses_nothing_else(key: str, bad: str) -> None:
    reading = read(text1(**{key: bad}))
    unspoiled = read(text1())
    if key in ("lt", "lg"):
        assert reading.evidence == ()
    else:
        assert_same_but(reading, unspoiled, key)
    for name in unspoiled.details.keys() - {key}:
        assert reading.details[name] == unspoiled.details[name]


def assert_same_but(reading: Reading, unspoiled: Reading, key: str) -> None:
    """All of the fix but the part that the key states."""
    fix, wanted = report(reading), report(unspoiled)
    if key != "rd":
        assert fix.shape == wanted.shape
        assert key == "lc" or fix.confidence == wanted.confidence
    else:
        assert fix.shape == model.Point(model.LatLng(*FIX[:2]))
    assert key == "pm" or fix.method is wanted.method
    assert key == "top" or reading.evidence[0].observed_at == unspoiled.evidence[0].observed_at


@pytest.mark.parametrize(
    "message", [text1(), text2(), text1(si=IMSI + "x"), text1(kl=IMSI), text1().replace("si=", "si")]
)
def test_identities_are_masked_everywhere(message: str) -> None:
    shown = repr(read(message))
    assert IMSI not in shown
    assert IMEI not in shown


def test_serving_cell_of_kaios_is_a_detail() -> None:
    reading = read(with_length(text1().rpartition(";ml")[0] + ";ci=17811"))
    assert reading.details["ci"] == "17811"
    assert len(reading.evidence) == 1
