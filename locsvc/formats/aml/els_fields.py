"""The fields of Android's Emergency Location Service, as its forms and the JSON made of them name them.

References
----------
developers.google.com/android/els/reference/http-spec; sheet 01 of the standards, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from locsvc.formats.aml.findings import Findings, printable
from locsvc.formats.aml.fixes import altitude_of, fix_evidence, place_of, vertical_of
from locsvc.formats.aml.values import (
    confidence_of,
    method_of,
    radius_of,
    telephone_of,
    time_of,
    warn_of_age,
)
from locsvc.formats.reading import Reading
from locsvc.model import CellMeasurement, CellScan, Evidence, LatLng, Platform, Radio

# A floor is a label as on the button of a lift; the contract takes so many characters.
MAX_FLOOR = 128
# What the model has no word for.
_KEPT = (
    "v",
    "emergency_number",
    "source",
    "thunderbird_version",
    "device_model",
    "device_os",
    "device_languages",
    "cell_carrier",
    "cell_home_mcc",
    "cell_home_mnc",
    "cell_network_mcc",
    "cell_network_mnc",
    "location_altitude_msl",
    "location_vertical_accuracy_msl",
    "location_bearing",
    "location_speed",
    "gt_location_latitude",
    "gt_location_longitude",
    "adr_carcrash_time",
    "config_name",
)
_MASKED = {"device_imsi": range(6, 16), "device_imei": range(14, 17), "device_iccid": range(18, 23)}
_READ = frozenset(
    {
        "time",
        "device_number",
        "location_latitude",
        "location_longitude",
        "location_time",
        "location_altitude",
        "location_floor",
        "location_source",
        "location_accuracy",
        "location_vertical_accuracy",
        "location_confidence",
        "location_certainty",
        "cell_id",
    }
)
NAMES = frozenset(_KEPT) | _MASKED.keys() | _READ
# Medical and other information of persons that a handset may add; it is no location and is not shown.
_PERSONAL_PREFIXES = ("adr_", "aei_", "location_wifi_scan")
_MCC, _MNC, _CELL = re.compile(r"[0-9]{3}"), re.compile(r"[0-9]{2,3}"), re.compile(r"[0-9]{1,11}")
# LTE and UMTS identities have 28 bits, those of NR 36 (3GPP TS 23.003 clauses 4.3.1, 19.4, 19.6); all ones: unknown.
_WIDEST_SHARED, _WIDEST_NR = 2**28 - 1, 2**36 - 1


def read_fields(fields: Mapping[str, str], found: Findings) -> Reading:
    """What the fields say.

    Parameters
    ----------
    fields
        Texts by the names of ELS; empty is absent.
    found
        Takes warnings and details.
    """
    _keep(fields, found)
    found.started_at = time_of(found, "time", fields.get("time", ""))
    found.calling_number = telephone_of(found, "device_number", fields.get("device_number", ""))
    scan = _scan(fields, found)
    place = place_of(
        found,
        ("location_latitude", fields.get("location_latitude", "")),
        ("location_longitude", fields.get("location_longitude", "")),
    )
    if place is None and scan is not None:
        found.warn("location_latitude", "", f"only the cell is used: {found.no_location}")
    fix = None if place is None else _fix(fields, found, place)
    return found.reading(*[piece for piece in (fix, scan) if piece is not None])


def _fix(fields: Mapping[str, str], found: Findings, place: LatLng) -> Evidence:
    radius_m = radius_of(found, "location_accuracy", fields.get("location_accuracy", ""))
    field, confidence = _confidence(fields, found)
    time_text = fields.get("location_time", "")
    observed_at = time_of(found, "location_time", time_text)
    warn_of_age(found, "location_time", time_text, observed_at)
    method = method_of(found, "location_source", fields.get("location_source", ""))
    vertical = _vertical(fields, found)
    # The service is Android's own: no other handset sends such forms.
    return fix_evidence(found, place, radius_m, confidence, field, method, observed_at, vertical, Platform.ANDROID)


def _confidence(fields: Mapping[str, str], found: Findings) -> tuple[str, float | None]:
    """Name of the field and confidence: the fraction of today's handsets, else the percent of older ones."""
    for name, percent in (("location_confidence", False), ("location_certainty", True)):
        confidence = confidence_of(found, name, fields.get(name, ""), percent=percent)
        if confidence is not None:
            return name, confidence
    return "location_confidence", None


def _vertical(fields: Mapping[str, str], found: Findings) -> tuple[float | None, float | None, str]:
    """Altitude above the ellipsoid, its uncertainty, floor; heights above the sea are another datum's."""
    altitude_m = altitude_of(found, "location_altitude", fields.get("location_altitude", ""))
    vertical_m = vertical_of(found, "location_vertical_accuracy", fields.get("location_vertical_accuracy", ""))
    above_sea = fields.get("location_altitude_msl", "")
    if above_sea and altitude_m is None:
        found.warn("location_altitude_msl", above_sea, "is above the sea, not the ellipsoid; not used as altitude")
    floor = printable(fields.get("location_floor", "").strip()[:MAX_FLOOR])
    return altitude_m, vertical_m if altitude_m is not None else None, floor


def _scan(fields: Mapping[str, str], found: Findings) -> Evidence | None:
    """The serving cell, where its identity tells its radio: only that of NR is wider than the others'."""
    text = fields.get("cell_id", "")
    if not text:
        return None
    found.keep("cell_id", text)
    cell = int(text) if _CELL.fullmatch(text) else 0
    if not 0 < cell < _WIDEST_NR:
        found.warn("cell_id", text, "is no identity of a cell; not used")
        return None
    mcc, mnc = fields.get("cell_network_mcc", ""), fields.get("cell_network_mnc", "")
    if cell <= _WIDEST_SHARED or not _MCC.fullmatch(mcc) or not _MNC.fullmatch(mnc):
        missing = "radio" if cell <= _WIDEST_SHARED else "network"
        found.warn_openly("cell_id", text, f"a cell without its {missing} cannot be looked up; kept as a detail")
        return None
    serving = CellMeasurement(Radio.NR, mcc, mnc, cell=cell)
    return Evidence(CellScan(serving), evidence_id="cell", observed_at=found.started_at)


def _keep(fields: Mapping[str, str], found: Findings) -> None:
    for name in _KEPT:
        text = fields.get(name)
        if text:
            found.keep(name, text)
    for name, lengths in _MASKED.items():
        found.keep_masked(name, fields.get(name), lengths)
    if fields.get("gt_location_latitude") or fields.get("gt_location_longitude"):
        found.warn("gt_location_latitude", "", "the message carries a test's ground truth; not used as a location")
    strange = {name: text for name, text in fields.items() if name not in NAMES}
    for name in [n for n in strange if n.startswith(_PERSONAL_PREFIXES)]:
        strange[name] = ""
    if strange:
        found.unknown(strange)
