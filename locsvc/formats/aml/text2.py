"""Text messages of version 2 (Android ELS): `A"ML=2;en=112;et=1593187189;lo=51.5,-0.12,20.1;lt=5;lc=68;...;lg=en`.

`lt` and `lg` mean other things than in version 1: the age of the fix and the languages.

References
----------
developers.google.com/android/els/reference/sms-spec; sheet 01 of the standards, section 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from locsvc.formats.aml.findings import Findings
from locsvc.formats.aml.fixes import altitude_of, fix_evidence, place_of, vertical_of
from locsvc.formats.aml.grammar import Grammar
from locsvc.formats.aml.text1 import IMEI_LENGTHS
from locsvc.formats.aml.values import (
    checked_time,
    confidence_of,
    method_of,
    number_of,
    radius_of,
    time_of,
    warn_of_age,
)
from locsvc.formats.reading import Reading
from locsvc.model import Platform

_PLMN = re.compile(r"([0-9]{3})([0-9]{2,3})")


def read_fields(fields: Mapping[str, str], found: Findings) -> Reading:
    """What the keys and values of a message of version 2 say."""
    found.keep("en", fields.get("en"))
    found.started_at = time_of(found, "et", fields.get("et", ""))
    found.keep_masked("ei", fields.get("ei"), IMEI_LENGTHS)
    for key in ("nc", "hc"):
        _keep_network(found, key, fields.get(key, ""))
    found.keep("lg", fields.get("lg"))
    parts = [part.strip() for part in fields.get("lo", "").split(",")]
    if len(parts) > 3:
        found.warn("lo", fields["lo"], "has more than latitude, longitude and accuracy; the rest is left out")
    latitude, longitude, radius = [*parts, "", ""][:3]
    place = place_of(found, ("lo", latitude), ("lo", longitude))
    if place is None:
        return found.reading()
    radius_m = radius_of(found, "lo", radius)
    observed_at = _observed_at(fields, found)
    method = method_of(found, "ls", fields.get("ls", ""))
    confidence = confidence_of(found, "lc", fields.get("lc", ""), percent=True)
    vertical = (*_altitude(fields.get("lz", ""), found), "")
    fix = fix_evidence(found, place, radius_m, confidence, "lc", method, observed_at, vertical, Platform.ANDROID)
    return found.reading(fix)


def _observed_at(fields: Mapping[str, str], found: Findings) -> float | None:
    """The time of the fix: that of the call plus the stated seconds, which may be negative."""
    text = fields.get("lt", "")
    after_s = number_of(found, "lt", text)
    if after_s is None:
        return None
    if found.started_at is None:
        found.warn("lt", text, "counts from the time of the call (et), which is not known; not used")
        return None
    observed_at = checked_time(found, "lt", text, found.started_at + after_s)
    warn_of_age(found, "lt", text, observed_at)
    return observed_at


def _altitude(text: str, found: Findings) -> tuple[float | None, float | None]:
    altitude, _, vertical = text.partition(",")
    altitude_m = altitude_of(found, "lz", altitude.strip())
    vertical_m = vertical_of(found, "lz", vertical.strip())
    return altitude_m, vertical_m if altitude_m is not None else None


def _keep_network(found: Findings, key: str, text: str) -> None:
    if text and _PLMN.fullmatch(text) is None:
        found.warn(key, text, "is no network code of 5 or 6 digits; not used")
        return
    found.keep(key, text)


GRAMMAR = Grammar(
    keys=frozenset({"en", "et", "lo", "lt", "lc", "lz", "ls", "ei", "nc", "hc", "lg"}),
    # The age of the fix (lt) has no length of its own, so it is never known to be whole.
    whole_at_end={
        "en": re.compile(r".*"),
        "et": re.compile(r"[0-9]{10}"),
        "lo": re.compile(r"[^,]*,[^,]*,[0-9]+\.[0-9]|[^,]*,[+-]?[0-9]{1,3}\.[0-9]{5,}"),
        "lc": re.compile(r"[0-9]{2,3}"),
        "lz": re.compile(r"[^,]*,[0-9]+\.[0-9]"),
        "ls": re.compile(r"[A-Za-z]"),
        "ei": re.compile(r"[0-9]{15,16}"),
        "nc": re.compile(r"[0-9]{5,6}"),
        "hc": re.compile(r"[0-9]{5,6}"),
        "lg": re.compile(r".*"),
    },
    read_fields=read_fields,
)
