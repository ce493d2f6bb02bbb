"""One row of a cell table: from text to numbers, or the reason why not.

This is the rule; `blocks` does the same for many plain rows at once and hands every other row to this module.

References
----------
Sheet 05 of the standards, "OpenCelliD / MLS CSV": columns, units, what 0 and empty mean.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from locsvc.model import Radio
from locsvc.reference.cells import keys
from locsvc.reference.cells.columns import PER_DEGREE

if TYPE_CHECKING:
    from collections.abc import Mapping

CellValues = tuple[int, int, int, int, int, int, int, int, int, float]

RADIOS = {"GSM": Radio.GSM, "UMTS": Radio.UMTS, "LTE": Radio.LTE, "NR": Radio.NR}
SKIPPED_RADIOS = {"": "no radio", "CDMA": "radio CDMA"}
UNKNOWN_RADIO = "unknown radio"
MAX_INT32 = 0x7FFFFFFF
MAX_UINT32 = 0xFFFFFFFF
# Times above this are milliseconds: as seconds they would be after the year 5000.
FIRST_MILLISECONDS = 1e11

# Our column -> its names in tables we know.
KNOWN_HEADERS: dict[str, tuple[str, ...]] = {
    "radio": ("rat", "technology", "tech"),
    "mcc": (),
    "mnc": ("net",),
    "plmn": ("plmnid",),
    "area": ("lac", "tac"),
    "cell": ("cellid", "ecellid", "eci", "nci", "cid", "ci"),
    "pci": ("unit", "psc", "physicalcellid"),
    "arfcn": ("earfcn", "nrarfcn", "uarfcn"),
    "latitude": ("lat",),
    "longitude": ("lon", "lng", "long"),
    "range_m": ("range",),
    "samples": (),
    "azimuth_deg": ("azimuth", "bearing"),
    "created": (),
    "updated": (),
    "signal_dbm": ("averagesignal",),
}
# Order of the columns in OpenCelliD and MLS files; "" is `changeable`.
OPENCELLID = (
    "radio",
    "mcc",
    "mnc",
    "area",
    "cell",
    "pci",
    "longitude",
    "latitude",
    "range_m",
    "samples",
    "",
    "created",
    "updated",
    "signal_dbm",
)


class Unusable(Exception):  # noqa: N818 - it is the reason, not a fault of the program
    """The row cannot be used; `str(...)` is the reason, the same for all rows with that fault."""


def parse_row(values: Mapping[str, str], *, zero_pci_is_unknown: bool) -> CellValues:
    """Cell key, position in 1e-7 degree, range, samples, updated, area, pci, arfcn, azimuth of one row.

    Parameters
    ----------
    values
        Our column -> stripped text.
    zero_pci_is_unknown
        OpenCelliD writes 0 for a physical identity that it does not know.

    Raises
    ------
    Unusable
        The row is not a cell with an identity and a place.
    """
    radio = _radio(values.get("radio", ""))
    mcc, mnc = _network(values)
    cell = _integer(values, "cell")
    if cell is None or cell <= 0 or cell == keys.ANDROID_UNKNOWN or cell == keys.MAX_CELL[radio]:
        raise Unusable("cell unknown")
    if cell > keys.MAX_CELL[radio]:
        raise Unusable("cell out of range")
    latitude, longitude = _position(values)
    area = _area(radio, _integer(values, "area"))
    pci = _integer(values, "pci")
    if pci is None or not 0 <= pci <= keys.MAX_PCI[radio] or (pci == 0 and zero_pci_is_unknown):
        pci = keys.UNKNOWN
    arfcn = _integer(values, "arfcn")
    updated = _time(values, "updated") or _time(values, "created")
    network = ((radio - 1) << (keys.MCC_BITS + keys.MNC_BITS)) | (mcc << keys.MNC_BITS) | mnc
    return (
        (network << keys.CELL_BITS) | cell,
        round(latitude * PER_DEGREE),
        round(longitude * PER_DEGREE),
        _count(values, "range_m"),
        _count(values, "samples"),
        updated,
        area,
        pci,
        arfcn if arfcn is not None and 0 <= arfcn <= MAX_INT32 else keys.UNKNOWN,
        _azimuth(values.get("azimuth_deg", "")),
    )


def _radio(text: str) -> Radio:
    word = text.upper()
    if word in SKIPPED_RADIOS:
        raise Unusable(SKIPPED_RADIOS[word])
    radio = RADIOS.get(word)
    if radio is None:
        raise Unusable(UNKNOWN_RADIO)
    return radio


def _network(values: Mapping[str, str]) -> tuple[int, int]:
    plmn = values.get("plmn", "")
    if plmn and not (values.get("mcc") and values.get("mnc")):
        digits = plmn.replace("-", "").replace(" ", "")
        # The text's length says where the network code begins and ends, so no number will do here.
        if not (digits.isascii() and digits.isdigit() and len(digits) in {5, 6}):
            raise Unusable("plmn is not 5 or 6 digits")
        values = {"mcc": digits[:3], "mnc": digits[3:]}
    mcc, mnc = _integer(values, "mcc"), _integer(values, "mnc")
    if mcc is None or not 0 < mcc <= keys.MAX_MCC:
        raise Unusable("mcc out of range")
    if mnc is None or not 0 <= mnc <= keys.MAX_MNC:
        raise Unusable("mnc out of range")
    return mcc, mnc


def _area(radio: Radio, area: int | None) -> int:
    if area is None or not 0 < area <= keys.MAX_AREA[radio] or area in keys.UNKNOWN_AREAS:
        return keys.UNKNOWN
    return area


def _position(values: Mapping[str, str]) -> tuple[float, float]:
    latitude, longitude = _decimal(values, "latitude"), _decimal(values, "longitude")
    if not -90 <= latitude <= 90:
        raise Unusable("latitude out of range")
    if not -180 <= longitude <= 180:
        raise Unusable("longitude out of range")
    if latitude == 0 and longitude == 0:
        raise Unusable("position 0,0")
    return latitude, longitude


def _integer(values: Mapping[str, str], column: str) -> int | None:
    text = values.get(column, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        # Tables that went through a float column write 272.0.
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number.is_integer():
            raise Unusable(f"{column} is not a number") from None
        return int(number)


def _decimal(values: Mapping[str, str], column: str) -> float:
    text = values.get(column, "")
    if not text:
        raise Unusable(f"no {column}")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Unusable(f"{column} is not a number")
    return number


def _count(values: Mapping[str, str], column: str) -> int:
    text = values.get(column, "")
    if not text:
        return 0
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise Unusable(f"{column} is not a number")
    return int(min(max(number, 0), MAX_INT32))


def _time(values: Mapping[str, str], column: str) -> int:
    text = values.get(column, "")
    if not text:
        return 0
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Unusable(f"{column} is not a time") from None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise Unusable(f"{column} is not a time")
    if seconds > FIRST_MILLISECONDS:
        seconds /= 1000
    return int(seconds) if 0 < seconds <= MAX_UINT32 else 0


def _azimuth(text: str) -> float:
    try:
        degrees = float(text) if text else math.nan
    except ValueError:
        return math.nan
    return degrees % 360 if 0 <= degrees <= 360 else math.nan
