"""Texts of line records: class of service, placement, time.

References
----------
NENA 02-010: class of service codes. NENA-STA-006: placement methods.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from locsvc.model import ClassOfService, Placement

_C = ClassOfService
# One-character and four-character codes. "I" (phase 2 asked, phase 1 returned) is a phase 1 place.
_CODES: dict[str, ClassOfService] = {
    **dict.fromkeys(("1", "RESD"), _C.RESIDENCE),
    **dict.fromkeys(("2", "BUSN"), _C.BUSINESS),
    **dict.fromkeys(("3", "RPBX"), _C.RESIDENCE_PBX),
    **dict.fromkeys(("4", "BPBX"), _C.BUSINESS_PBX),
    **dict.fromkeys(("5", "CNTX"), _C.CENTREX),
    **dict.fromkeys(("6", "PAY1", "COIN"), _C.COIN_ONE_WAY),
    **dict.fromkeys(("7", "PAY2"), _C.COIN_TWO_WAY),
    **dict.fromkeys(("8", "MOBL", "W911", "WRLS"), _C.WIRELESS),
    **dict.fromkeys(("9", "ROPX"), _C.RESIDENCE_OFF_PREMISES),
    **dict.fromkeys(("0", "BOPX"), _C.BUSINESS_OFF_PREMISES),
    "A": _C.CUSTOMER_OWNED_COIN,
    "B": _C.UNSPECIFIED,
    **dict.fromkeys(("G", "WPH1", "I"), _C.WIRELESS_PHASE1),
    **dict.fromkeys(("H", "WPH2"), _C.WIRELESS_PHASE2),
    **dict.fromkeys(("V", "VOIP"), _C.VOIP),
    **dict.fromkeys(("C", "VRES"), _C.VOIP_RESIDENCE),
    **dict.fromkeys(("D", "VBUS"), _C.VOIP_BUSINESS),
    **dict.fromkeys(("E", "VPAY"), _C.VOIP_COIN),
    **dict.fromkeys(("F", "VMBL"), _C.VOIP_MOBILE),
    **dict.fromkeys(("J", "VNOM"), _C.VOIP_NOMADIC),
    **dict.fromkeys(("K", "VENT"), _C.VOIP_ENTERPRISE),
    **dict.fromkeys(("T", "TLMA"), _C.TELEMATICS),
    **dict.fromkeys(("WDL1", "WDL2"), _C.WIRELESS_DISPATCHABLE),
    "WCVC": _C.WIRELESS_CIVIC,
}
# NENA's methods are told to be as good as the worst that they can mean.
_NENA_PLACEMENTS = {
    "EXTERIORACCESS": Placement.ACCESS,
    "INTERIORACCESS": Placement.ACCESS,
    "INTERIORCENTROID": Placement.STRUCTURE,
    "PROPERTYACCESS": Placement.SITE,
    "GEOCODING": Placement.GEOCODED_STREET,
    "UNKNOWN": Placement.RECORD,
}
_UNIX_SECONDS = re.compile(r"\d{9,10}(\.\d+)?")
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_SEPARATORS = re.compile(r"[\s_-]+")


@lru_cache(maxsize=1024)
def class_of_service(text: str) -> ClassOfService | None:
    """The class of service that a code or name stands for; None when it is not known.

    >>> class_of_service("VNOM").name, class_of_service("1").name, class_of_service("voip_nomadic").name
    ('VOIP_NOMADIC', 'RESIDENCE', 'VOIP_NOMADIC')
    >>> class_of_service("?") is None
    True
    """
    word = _SEPARATORS.sub("_", text.strip().upper()).removeprefix("CLASS_OF_SERVICE_")
    if not word:
        return _C.UNSPECIFIED
    return _CODES[word] if word in _CODES else _C.__members__.get(word)


@lru_cache(maxsize=1024)
def placement(text: str) -> Placement | None:
    """The placement that a name stands for; None when it is not known.

    >>> placement("Structure").name, placement("ExteriorAccess").name, placement("geocoded exact").name
    ('STRUCTURE', 'ACCESS', 'GEOCODED_EXACT')
    """
    word = _SEPARATORS.sub("_", text.strip().upper()).removeprefix("PLACEMENT_")
    if not word:
        return Placement.UNSPECIFIED
    named = Placement.__members__.get(word)
    return named if named is not None else _NENA_PLACEMENTS.get(word.replace("_", ""))


@lru_cache(maxsize=65_536)
def unix_time(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 date or time (UTC unless it says otherwise), Unix seconds, or month/day/year.

    >>> unix_time("1970-01-02"), unix_time("1970-01-01T01:00:00+01:00"), unix_time("01/02/1970"), unix_time("soon")
    (86400.0, 0.0, 86400.0, None)
    """
    if _UNIX_SECONDS.fullmatch(text):
        return float(text)
    if american := _US_DATE.fullmatch(text):
        text = f"{american[3]}-{int(american[1]):02d}-{int(american[2]):02d}"
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
