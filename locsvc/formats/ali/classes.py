"""Classes and types of service: what the codes mean, and what they say about where the caller is.

References
----------
NENA 02-010 (later NENA-STA-015): codes 0 to 9, A, B, G, H and the texts of displays. The letters of voice over IP and
telematics, and the texts of dispatchable wireless locations, are as commonly used.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from locsvc.model import ClassOfService


class Kind(enum.StrEnum):
    """What the place in a record of a class is to the caller; the names are those of the line densities."""

    FIXED = "fixed"
    """The address is where the line ends."""
    CAMPUS = "campus"
    """The address is that of the exchange; the station may be in any building of it."""
    OFF_PREMISES = "off_premises"
    """An extension: the line may end at another address."""
    VOIP = "voip"
    """Registered by the provider, seldom moved."""
    NOMADIC = "nomadic"
    """Where the subscriber last said that it is: to be verified."""
    MOBILE = "mobile"
    """Moves; a registered address is the contract's."""
    MAST = "mast"
    """Address and coordinates are those of the cell site."""
    FIX = "fix"
    """Coordinates are the caller's with an uncertainty; the address is that of the cell site."""


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """One class of service: its code in records, its texts on displays, its meaning."""

    code: str
    texts: tuple[str, ...]
    words: str
    line_class: ClassOfService
    kind: Kind

    @property
    def moves(self) -> bool:
        """Whether the caller need not be at the registered address.

        >>> [service_class(text).moves for text in ("RESD", "VNOM", "WPH2")]
        [False, True, True]
        """
        return self.kind in _MOVING

    @property
    def wireless(self) -> bool:
        """Whether the number that asked may be a pseudo number of the network (pANI), never the subscriber's."""
        return self.line_class in _WIRELESS


_C = ClassOfService
_MOVING = frozenset({Kind.NOMADIC, Kind.MOBILE, Kind.MAST, Kind.FIX})
_WIRELESS = frozenset(
    {
        _C.WIRELESS,
        _C.WIRELESS_PHASE1,
        _C.WIRELESS_PHASE2,
        _C.WIRELESS_DISPATCHABLE,
        _C.WIRELESS_CIVIC,
        _C.TEXT,
    }
)

CLASSES: tuple[ServiceClass, ...] = (
    ServiceClass("1", ("RESD",), "Residence", _C.RESIDENCE, Kind.FIXED),
    ServiceClass("2", ("BUSN",), "Business", _C.BUSINESS, Kind.FIXED),
    ServiceClass("3", ("RPBX",), "Residence PBX", _C.RESIDENCE_PBX, Kind.CAMPUS),
    ServiceClass("4", ("BPBX",), "Business PBX", _C.BUSINESS_PBX, Kind.CAMPUS),
    ServiceClass("5", ("CNTX",), "Centrex", _C.CENTREX, Kind.CAMPUS),
    ServiceClass("6", ("PAY1", "COIN"), "Coin 1 way out", _C.COIN_ONE_WAY, Kind.FIXED),
    ServiceClass("7", ("PAY2",), "Coin 2 way", _C.COIN_TWO_WAY, Kind.FIXED),
    ServiceClass("8", ("MOBL", "W911", "WRLS"), "Wireless Phase 0 / mobile", _C.WIRELESS, Kind.MOBILE),
    ServiceClass("9", ("ROPX",), "Residence OPX", _C.RESIDENCE_OFF_PREMISES, Kind.OFF_PREMISES),
    ServiceClass("0", ("BOPX",), "Business OPX", _C.BUSINESS_OFF_PREMISES, Kind.OFF_PREMISES),
    ServiceClass("A", (), "Customer owned coin", _C.CUSTOMER_OWNED_COIN, Kind.FIXED),
    ServiceClass("B", (), "Not available", _C.UNSPECIFIED, Kind.VOIP),
    ServiceClass("G", ("WPH1",), "Wireless Phase I", _C.WIRELESS_PHASE1, Kind.MAST),
    ServiceClass("H", ("WPH2",), "Wireless Phase II", _C.WIRELESS_PHASE2, Kind.FIX),
    ServiceClass("I", (), "Wireless Phase II asked, Phase I returned", _C.WIRELESS_PHASE1, Kind.MAST),
    ServiceClass("V", ("VOIP",), "VoIP", _C.VOIP, Kind.VOIP),
    ServiceClass("C", ("VRES",), "VoIP residence", _C.VOIP_RESIDENCE, Kind.VOIP),
    ServiceClass("D", ("VBUS",), "VoIP business", _C.VOIP_BUSINESS, Kind.VOIP),
    ServiceClass("E", ("VPAY",), "VoIP coin", _C.VOIP_COIN, Kind.VOIP),
    ServiceClass("F", ("VMBL",), "VoIP mobile", _C.VOIP_MOBILE, Kind.MOBILE),
    ServiceClass("J", ("VNOM",), "VoIP nomadic", _C.VOIP_NOMADIC, Kind.NOMADIC),
    ServiceClass("K", ("VENT",), "VoIP enterprise", _C.VOIP_ENTERPRISE, Kind.CAMPUS),
    ServiceClass("T", ("TLMA",), "Telematics", _C.TELEMATICS, Kind.MOBILE),
    ServiceClass("", ("WDL1", "WDL2"), "Wireless dispatchable location", _C.WIRELESS_DISPATCHABLE, Kind.FIXED),
    ServiceClass("", ("WCVC",), "Wireless civic address", _C.WIRELESS_CIVIC, Kind.VOIP),
    ServiceClass("", ("TEXT",), "Text to 911", _C.TEXT, Kind.MOBILE),
)
_BY_TEXT = {name: entry for entry in CLASSES for name in (entry.code, *entry.texts) if name}

# Type of service. FX: a line of another exchange; PS/ALI: stations that their owner enters.
TYPES_OF_SERVICE = {
    "0": "not FX nor non-published",
    "1": "FX in 911 serving area",
    "2": "FX outside 911 serving area",
    "3": "non-published",
    "4": "non-published FX in area",
    "5": "non-published FX outside",
    "8": "PS/ALI published",
    "9": "PS/ALI non-published",
}
# The customer's name of these is confidential.
NON_PUBLISHED = frozenset("3459")


def service_class(text: str) -> ServiceClass | None:
    """The class that a code of a record or a text of a display stands for; None when it is not known.

    >>> service_class("G").kind, service_class("wph2 ").line_class.name, service_class("?")
    (<Kind.MAST: 'mast'>, 'WIRELESS_PHASE2', None)
    """
    return _BY_TEXT.get(text) or _BY_TEXT.get(text.strip().upper())
