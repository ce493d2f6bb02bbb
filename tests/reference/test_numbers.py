"""Telephone numbers to E.164 and to their country."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locsvc.reference import numbers
from locsvc.reference.numbers import known_region, normalise_number, number_plan_country


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+12125550123", None, "+12125550123"),
        ("212-555-0123", "US", "+12125550123"),
        ("(01632) 960 123", "GB", "+441632960123"),
        ("+44 (0)1632 960 123", None, "+441632960123"),
        ("+4401632960123", None, "+441632960123"),
        ("00441632960123", "IE", "+441632960123"),
        ("tel:+1-212-555-0123", None, "+12125550123"),
        ("020 91 00000", "IE", "+353209100000"),
        ("5550123", "US", None),
        ("112", "IE", None),
        ("020 91 00000", None, None),
        ("", "IE", None),
        ("+", None, None),
        ("+00000000", None, None),
        ("hello", "IE", None),
        ("+9991234567", None, None),
        ("+1" + "2" * 40, None, None),
    ],
)
def test_numbers_become_e164_or_nothing(text: str, region: str | None, expected: str | None) -> None:
    assert normalise_number(text, region) == expected


def by_the_parser(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@given(
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)),
    st.text("0123456789", min_size=4, max_size=14),
)
@example(44, "01632960123")
@example(1, "12125550123")
@example(39, "0612345678")
@example(54, "91123456789")
def test_the_fast_path_agrees_with_the_parser(code: int, national: str) -> None:
    text = f"+{code}{national}"
    assert normalise_number(text, None) == by_the_parser(text)


def test_plain_numbers_do_not_reach_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "_parsed", lambda *_: pytest.fail("parsed"))
    assert normalise_number("+35312345678", None) == "+35312345678"


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+353209100000", "IE"),
        ("+12125550123", "US"),
        ("+16135550123", "CA"),
        ("+441632960123", "GB"),
        ("+41441234567", "CH"),
        ("+423123456", "LI"),
        ("+80012345678", None),
        ("+9991", None),
        ("+", None),
        ("nothing", None),
    ],
)
def test_the_country_of_the_number_plan(number: str, country: str | None) -> None:
    assert number_plan_country(number) == country


def test_regions_are_told_apart_from_names() -> None:
    assert known_region("LI")
    assert not known_region("ie")
