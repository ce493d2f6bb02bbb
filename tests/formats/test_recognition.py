"""Which format a message is in."""

from __future__ import annotations

import pytest

from locsvc.formats.recognition import recognised

FIX = "ML=1;lt=+51.53321;lg=-0.12601;rd=30;top=20240311101122;lc=68;pm=G"


@pytest.mark.parametrize("header", ['A"', "A\u201c", "A\u201d", "A&quot;", 'A\\"', '"A""', "A", 'a"', "A%22"])
def test_text_messages_however_their_quote_was_changed(header: str) -> None:
    assert recognised(header + FIX) == "aml"
    assert recognised((header + FIX).encode()) == "aml"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"shape": "POINT", "point": {"lon": 2.5, "lat": 55.0}}', "gad"),
        ('{"shape": "POINT_UNCERTAINTY_CIRCLE", "point": {"lon": 2.5, "lat": 55.0}, "uncertainty": 25.5}', "gad"),
        ('{"locationEstimate": {"shape": "POINT", "point": {"lon": 2.5, "lat": 55.0}}}', "gad"),
        ('{"nrLocation": {"geographicalInformation": "1020b60c1dddde28"}}', "gad"),
        ('{"location_latitude": 55.0, "location_longitude": 2.5, "location_accuracy": 20}', "aml"),
        ('{"lat": 55.0, "lon": 2.5, "radius": 20}', "aml"),
        ("1020b60c1dddde28", "gad"),
        ("Session Initiation Protocol, written down by hand", None),
        ("SAML=1;", None),
    ],
)
def test_what_begins_alike_is_told_apart(text: str, name: str | None) -> None:
    assert recognised(text) == name
