"""Text messages of version 1: `A"ML=1;lt=+51.50000;lg=-0.12000;rd=14;top=20220131171748;lc=68;pm=W;...;ml=126`.

References
----------
ETSI TS 103 625; sheet 01 of the standards, section 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from locsvc.formats.aml.findings import Findings
from locsvc.formats.aml.fixes import fix_evidence, place_of
from locsvc.formats.aml.grammar import Grammar
from locsvc.formats.aml.values import confidence_of, method_of, radius_of, time_of, warn_of_age
from locsvc.formats.reading import Reading

NO_FIX = "N"
IMSI_LENGTHS, IMEI_LENGTHS = range(6, 16), range(14, 17)
_NETWORK = {"mcc": re.compile(r"[0-9]{3}"), "mnc": re.compile(r"[0-9]{2,3}")}


def read_fields(fields: Mapping[str, str], found: Findings) -> Reading:
    """What the keys and values of a message of version 1 say."""
    keep_identities(fields, found)
    observed_at = time_of(found, "top", fields.get("top", ""))
    method_text = fields.get("pm", "")
    radius_text = fields.get("rd", "")
    if method_text.upper() == NO_FIX or radius_text.upper() == NO_FIX:
        return _without_fix(fields, found)
    place = place_of(found, ("lt", fields.get("lt", "")), ("lg", fields.get("lg", "")))
    method = method_of(found, "pm", method_text)
    confidence = confidence_of(found, "lc", fields.get("lc", ""), percent=True)
    if place is None:
        return found.reading()
    radius_m = radius_of(found, "rd", radius_text)
    warn_of_age(found, "top", fields.get("top", ""), observed_at)
    return found.reading(fix_evidence(found, place, radius_m, confidence, "lc", method, observed_at))


def keep_identities(fields: Mapping[str, str], found: Findings) -> None:
    """Subscriber, handset and network go into the details, the first two masked."""
    found.keep_masked("si", fields.get("si"), IMSI_LENGTHS)
    found.keep_masked("ei", fields.get("ei"), IMEI_LENGTHS)
    for key, form in _NETWORK.items():
        code = fields.get(key, "")
        if code and form.fullmatch(code) is None:
            found.warn(key, code, "is no network code of 2 or 3 digits; not used")
        else:
            found.keep(key, code)
    found.keep("ci", fields.get("ci"))


def _without_fix(fields: Mapping[str, str], found: Findings) -> Reading:
    field = "pm" if fields.get("pm", "").upper() == NO_FIX else "rd"
    found.no_place(f"{field}={NO_FIX}: the handset found no location")
    for key in ("lt", "lg"):
        # A place beside the statement that there is none: shown, not used.
        if fields.get(key, "").strip("+-0."):
            found.warn(key, fields[key], f"stands beside {field}={NO_FIX}, which says there is no location; not used")
            found.keep(key, fields[key])
    return found.reading()


GRAMMAR = Grammar(
    # `ci`, the serving cell as KaiOS phones add it, is not in the standard.
    keys=frozenset({"lt", "lg", "rd", "top", "lc", "pm", "si", "ei", "mcc", "mnc", "ml", "ci"}),
    whole_at_end={
        "lt": re.compile(r"[+-]?[0-9]{1,2}\.[0-9]{5,}"),
        "lg": re.compile(r"[+-]?[0-9]{1,3}\.[0-9]{5,}"),
        "rd": re.compile(r"N|[0-9]+\.[0-9]+"),
        "top": re.compile(r"[0-9]{14}"),
        "lc": re.compile(r"[0-9]{2,3}"),
        "pm": re.compile(r"[A-Za-z]"),
        "si": re.compile(r"[0-9]{15}"),
        "ei": re.compile(r"[0-9]{15,16}"),
        "mcc": re.compile(r"[0-9]{3}"),
        "mnc": re.compile(r"[0-9]{2,3}"),
    },
    read_fields=read_fields,
)
