"""Telephone numbers: to E.164, and to the country of their number plan.

The rule is "possible", not "valid": a number passes when its plan has numbers of that length. Validity tables lag
behind new ranges, and refuse those kept for drama and tests (555-01xx, +44 1632 960xxx), which test calls use.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata

# ITU-T E.164 clause 6.2.1: a country code of 1 to 3 digits, 15 digits at most in all; 7 is the shortest in use.
_PLAIN_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_CACHED_NUMBERS = 65_536
_NON_GEOGRAPHIC = "001"


@lru_cache(maxsize=_CACHED_NUMBERS)
def normalise_number(text: str, default_region: str | None) -> str | None:
    """The number in E.164 with its leading "+", or None when it is no possible number.

    Parameters
    ----------
    text
        As written: international, or as dialled in `default_region`; spaces, brackets, hyphens and `tel:` may stand.
    default_region
        ISO 3166-1 alpha-2, upper case; None: only international numbers pass.

    References
    ----------
    ITU-T E.164 (11/2010) clause 6: structure and length.

    Examples
    --------
    >>> normalise_number("212-555-0123", "US")
    '+12125550123'
    >>> normalise_number("(01632) 960 123", "GB")
    '+441632960123'
    >>> normalise_number("112", "IE") is None
    True
    """
    if _PLAIN_E164.fullmatch(text) and _is_normal(text):
        return text
    return _parsed(text, default_region)


def number_plan_country(e164: str) -> str | None:
    """ISO 3166-1 alpha-2 of the country whose number plan holds the number; None for global ranges and unknown codes.

    A number of a plan that several countries share (+1, +44, +7) belongs to the one that uses its range, or to the
    plan's main country when the range is in no table.

    >>> number_plan_country("+353209100000"), number_plan_country("+16135550123"), number_plan_country("+80012345678")
    ('IE', 'CA', None)
    """
    code = _country_code(e164)
    if code is None:
        return None
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    region = regions[0] if len(regions) == 1 else _region_of_shared_plan(e164) or regions[0]
    return None if region == _NON_GEOGRAPHIC else region


def known_region(region: str) -> bool:
    """Whether `region` is an ISO 3166-1 alpha-2 code, upper case, that has a number plan.

    >>> known_region("IE"), known_region("Ireland")
    (True, False)
    """
    return region in phonenumbers.SUPPORTED_REGIONS


def _country_code(e164: str) -> int | None:
    """The country code at the head of the number; None when there is no such code."""
    for digits in (1, 2, 3):
        head = e164[1 : 1 + digits]
        if head.isascii() and head.isdigit() and int(head) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(head)
    return None


@lru_cache(maxsize=_CACHED_NUMBERS)
def _region_of_shared_plan(e164: str) -> str | None:
    """The region whose ranges hold the number; None when no table has it (ranges for tests and drama)."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(e164, None))
    except phonenumbers.NumberParseException:
        return None


@lru_cache(maxsize=512)
def _plan(country_code: int) -> tuple[re.Pattern[str] | None, frozenset[int]]:
    """What may stand before a national number of the plan, and the lengths that its numbers have."""
    region = phonenumbers.region_code_for_country_code(country_code)
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    if metadata is None or metadata.general_desc is None:
        return None, frozenset()
    prefix = metadata.national_prefix_for_parsing
    return re.compile(prefix) if prefix else None, frozenset(metadata.general_desc.possible_length)


def _is_normal(e164: str) -> bool:
    """Whether plain E.164 text is surely possible and would come back unchanged: 1 us, where parsing costs 25 us.

    False is no verdict: a national prefix that may have to go ("+44 0...") is left to the parser.
    """
    code = _country_code(e164)
    if code is None:
        return False
    prefix, lengths = _plan(code)
    national = e164[1 + len(str(code)) :]
    return len(national) in lengths and (prefix is None or prefix.match(national) is None)


def _parsed(text: str, default_region: str | None) -> str | None:
    """The number in E.164 by the full parser, or None."""
    try:
        number = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException:
        return None
    # "Possible within its area only" has no area code: it cannot be dialled from outside, so it names no line.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
