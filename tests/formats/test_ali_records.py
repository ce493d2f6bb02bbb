"""Exchange records one by one and in files, classes of service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.formats import ali
from locsvc.formats.ali.classes import CLASSES
from locsvc.formats.ali.record import POSITIONS
from locsvc.formats.reading import Reading, Unreadable
from locsvc.fusion.parameters import LINE_KIND_OF_CLASS, MOVING_KINDS
from locsvc.reference.lines.codes import class_of_service
from tests.formats.ali_records import file_of, header, made, order, trailer


def line_of(reading: Reading) -> model.LineRecord:
    content = reading.evidence[0].content
    assert isinstance(content, model.LineLookup)
    assert content.record is not None
    return content.record


def test_positions_follow_each_other_without_a_gap() -> None:
    ends = [0, *(last for _, last in POSITIONS.values())]
    assert [first for first, _ in POSITIONS.values()] == [end + 1 for end in ends[:-1]]
    assert ends[-1] == 512
    assert list(POSITIONS) == list(ali.AliRecord.__slots__)


def test_a_full_record_is_a_line_with_its_address() -> None:
    text = order(
        "C",
        123,
        house_number_suffix="B",
        prefix_directional="N",
        street="MILL".ljust(60) + "LN",
        post_directional="W",
        location="APT 4 FLR 2",
        customer_name="A CALLER",
        zip="80903",
        zip4="0001",
        x_longitude="-104.7311",
        y_latitude="+38.84456",
        cell_id="000123",
        sector_id="2",
    )
    reading = ali.read(text.encode())
    assert not reading.warnings
    assert reading.calling_number == "+15555550123"
    assert line_of(reading) == model.LineRecord(
        number="+15555550123",
        class_of_service=model.ClassOfService.RESIDENCE,
        address=model.CivicAddress(
            state="CO",
            city="TESTHAM",
            street_predirection="N",
            street="MILL LN",
            street_postdirection="W",
            house_number="3",
            house_number_suffix="B",
            location="APT 4 FLR 2",
            name="A CALLER",
            postcode="80903-0001",
        ),
        position=model.LatLng(38.84456, -104.7311),
        placement=model.Placement.RECORD,
        provider="TESTX",
        updated_at=1_795_219_200.0,
    )
    assert reading.details["cell id"] == "000123"
    assert reading.details["function code"] == "C"


@pytest.mark.parametrize("kind", ["0", "1", "2", "3", "4", "5", "8", "9"])
def test_a_name_that_is_not_published_stays_out(kind: str) -> None:
    reading = ali.read(order("I", 100, customer_name="A CALLER", type_of_service=kind))
    address = line_of(reading).address
    assert address is not None
    assert (address.name == "") == (kind in "3459")
    assert ("A CALLER" in repr(reading)) == (kind not in "3459")


def test_version_1_is_the_first_240_characters() -> None:
    short = order("I", 101)[:240]
    reading = ali.read(short)
    assert not reading.warnings
    assert line_of(reading).address == line_of(ali.read(order("I", 101))).address
    assert line_of(reading).provider == ""


def test_a_wireless_record_is_of_the_mast_and_its_number_is_no_subscribers() -> None:
    reading = ali.read(order("I", 102, class_of_service="G", x_longitude="-104.7311", y_latitude="38.844560"))
    content = reading.evidence[0].content
    assert isinstance(content, model.LineLookup)
    assert (content.number, reading.calling_number) == ("", "")
    assert reading.details["pANI"] == "+15555550102"
    assert line_of(reading).class_of_service == model.ClassOfService.WIRELESS_PHASE1
    assert line_of(reading).placement == model.Placement.MAST


@pytest.mark.parametrize(
    ("longitude", "latitude"),
    [("0", "0"), ("-0.0", "0.0"), ("-1047311", "38.8"), ("-104.7", ""), ("", "38.8"), ("-204.7", "38"), ("WEST", "38")],
)
def test_coordinates_that_are_none_are_left_out_and_told(longitude: str, latitude: str) -> None:
    reading = ali.read(order("I", 103, x_longitude=longitude, y_latitude=latitude))
    line = line_of(reading)
    assert (line.position, line.placement) == (None, model.Placement.UNSPECIFIED)
    assert [w.field for w in reading.warnings] == ["Y,X"]
    assert line.address is not None


def test_what_is_wrong_in_one_field_loses_no_other() -> None:
    text = order("I", 104, class_of_service="?", extract_date="133126", end_of_record="x", customer_name="CAF\xc9")
    reading = ali.read(text.encode("latin-1"))
    line = line_of(reading)
    assert {w.field for w in reading.warnings} == {"class of service", "extract date", "end of record", "record"}
    assert (line.number, line.class_of_service, line.updated_at) == (
        "+15555550104",
        model.ClassOfService.UNSPECIFIED,
        None,
    )
    assert line.address is not None
    assert line.address.name == "CAF\xc9"


@pytest.mark.parametrize("length", [11, 14, 25, 80, 100, 239, 300, 511])
def test_a_cut_record_gives_what_is_whole(length: int) -> None:
    whole = line_of(ali.read(order("I", 105, house_number="1234567890", customer_name="A CALLER")))
    reading = ali.read(order("I", 105, house_number="1234567890", customer_name="A CALLER")[:length])
    line = line_of(reading)
    assert line.number == whole.number
    assert any(w.field == "record" for w in reading.warnings)
    assert whole.address is not None
    for name in ("house_number", "street", "city", "name"):
        if line.address is not None:
            assert getattr(line.address, name) in {"", getattr(whole.address, name)}
    # Half a house number is another house.
    assert length >= 21 or line.address is None


@pytest.mark.parametrize(
    "text", ["", "X5555550100", "I55555501", "UHL  112126", "I0555550100".ljust(512), order("I", 100) * 2]
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        ali.read_record(text)


# --- Files ---


def numbers(content: bytes) -> list[str]:
    return [r.record.number if r.record else r.problem for r in ali.records(content)]


@pytest.mark.parametrize("ends", ["", "\n", "\r\n", "\r", "\r\n\r\n"])
@pytest.mark.parametrize("length", [512, 240])
def test_records_stand_one_after_the_other_or_one_a_line(ends: str, length: int) -> None:
    whole = file_of(*(order("I", n) for n in range(5)), ends="").decode()
    content = "".join(whole[at : at + 512][:length] + ends for at in range(0, len(whole), 512)).encode()
    assert numbers(content) == [f"+155555500{n:02d}" for n in range(5)]


@given(st.lists(st.integers(1, 2000), max_size=12), st.sampled_from(["", "\n", "\r\n"]))
def test_blocks_of_any_size_give_the_same_records(sizes: list[int], ends: str) -> None:
    content = file_of(*(order("I", n) for n in range(7)), ends=ends)
    blocks, at = [], 0
    for size in sizes:
        blocks.append(content[at : at + size])
        at += size
    assert [r.text for r in ali.records([*blocks, content[at:]])] == [r.text for r in ali.records(content)]


def test_a_file_without_header_and_trailer_is_read() -> None:
    content = (order("I", 1) + "\n" + order("D", 2)).encode()
    found = list(ali.records(content))
    assert [r.record.function_code for r in found if r.record] == ["I", "D"]
    assert [r.number for r in found] == [1, 2]


@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_another_number_of_records_than_the_trailer_says_refuses_the_file(count: int) -> None:
    with pytest.raises(Unreadable, match=f"counts {count} records, the file has 2"):
        numbers(file_of(order("I", 1), order("I", 2), count=count))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((), "no ALI records"),
        ((header(), order("I", 1)), "without the trailer"),
        ((header(), order("I", 1), header(), trailer(1)), "second header"),
        ((order("I", 1), header(), trailer(0)), "outside"),
        ((header(), trailer(0), order("I", 1)), "outside"),
        ((header(), trailer(0)[:61].ljust(511) + "*"), "no number of records"),
    ],
)
def test_a_file_with_a_part_missing_is_refused(parts: tuple[str, ...], words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        numbers("\n".join(parts).encode())


def test_several_companies_in_one_file() -> None:
    one, two = file_of(order("I", 1)), file_of(order("I", 2), order("I", 3))
    assert len(numbers(one + two)) == 3


def test_a_count_of_six_digits_is_read_too() -> None:
    short = trailer(0)[:61] + "000001".ljust(450) + "*"
    assert len(numbers((header() + order("I", 1) + short).encode())) == 1


def test_bad_records_are_named_and_counted_and_lose_no_others() -> None:
    bad = ["Q" + order("I", 2)[1:], order("I", 3)[:-1] + "x", order("I", 4)[:300]]
    found = numbers(file_of(order("I", 1), *bad, order("I", 5)))
    assert found == [
        "+15555550001",
        "no function code and ten digits at the beginning",
        "no '*' at position 512",
        "neither 512 nor 240 characters",
        "+15555550005",
    ]


@pytest.mark.parametrize("length", [512, 240])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\x1a"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_what_stands_at_the_end_of_a_file_is_no_record(length: int, end: str, count: int) -> None:
    content = "".join(order("I", n)[:length] for n in range(count)) + end
    assert numbers(content.encode()) == [f"+155555500{n:02d}" for n in range(count)]


def test_blanks_behind_a_record_are_passed_over() -> None:
    assert numbers((order("I", 1) + "   \r\n" + order("I", 2)).encode()) == ["+15555550001", "+15555550002"]


def test_files_are_told_by_how_they_begin() -> None:
    assert ali.looks_like_file(file_of(order("I", 1))[:100])
    assert ali.looks_like_file(order("D", 1).encode())
    assert not ali.looks_like_file(b"number,class_of_service\n")
    assert not ali.looks_like_file(b"")


@given(st.binary(max_size=3000) | st.text(max_size=600).map(lambda t: t.encode()))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    for around in (content, order("I", 1).encode() + content, b"UHL" + content, content + trailer(1).encode()):
        try:
            found = list(ali.records(around))
        except Unreadable:
            continue
        assert all((r.record is None) == bool(r.problem) for r in found)


@given(st.text(st.characters(codec="latin-1"), max_size=512), st.integers(0, 511))
def test_any_record_is_read_or_refused(noise: str, at: int) -> None:
    text = made(function_code="I", npa="555", calling_number="5550100")
    spoilt = (text[:at] + noise + text[at + len(noise) :])[:512]
    try:
        reading = ali.read_record(spoilt)
    except Unreadable:
        return
    assert line_of(reading).number


# --- Classes ---


@pytest.mark.parametrize("entry", CLASSES, ids=lambda e: e.code or e.texts[0])
def test_a_class_means_to_records_what_it_means_to_the_density_and_to_tables(entry: ali.ServiceClass) -> None:
    assert entry.kind == LINE_KIND_OF_CLASS[entry.line_class]
    assert (entry.kind in MOVING_KINDS) <= entry.moves
    for name in filter(None, (entry.code, *entry.texts)):
        assert ali.service_class(name) is entry
        assert ali.service_class(f" {name.lower()} ") is entry
        # A table may say "TEXT" for the class of that name as well.
        assert class_of_service(name) == entry.line_class


def test_every_class_of_the_model_has_an_entry() -> None:
    assert {entry.line_class for entry in CLASSES} == set(model.ClassOfService)
