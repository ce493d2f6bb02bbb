"""P-Access-Network-Info and Cellular-Network-Info: the cell that a call came through, as a cell scan.

References
----------
RFC 7315 section 5.4 and 3GPP TS 24.229 clause 7.2A.4 (grammar and coding), clause 7.2.15 (Cellular-Network-Info).
"""

from __future__ import annotations

import re

from locsvc.formats.cell_identity import SHOWN, identity, whole_number
from locsvc.formats.reading import FormatWarning, Reading, Unreadable, masked
from locsvc.formats.sip_headers import fields_of, parameters, split_list
from locsvc.model import CellMeasurement, CellScan, Evidence, Radio

MAX_CHARACTERS = 2**14
MAX_VALUES = 16
_HEADERS = ("p-access-network-info", "cellular-network-info")
# What an access type is known by, however it is misspelt.
_RADIOS = {
    "E-UTRAN": Radio.LTE,
    "EUTRAN": Radio.LTE,
    "LTE": Radio.LTE,
    "UTRAN": Radio.UMTS,
    "GERAN": Radio.GSM,
    "NR": Radio.NR,
}
_RADIO_WORD = re.compile(r"(?<![A-Z])(?:E-UTRAN|EUTRAN|LTE|UTRAN|GERAN|NR)(?![A-Z])")
_ACCESS_TYPE = re.compile(r"3GPP-(?:GERAN|UTRAN|E-UTRAN|NR)(?:-[A-Z0-9]{1,12}){0,3}")
# Accesses without a cell of 3GPP: RFC 7315 section 5.4, RFC 7913 and TS 24.229 clause 7.2A.4.
_OTHER_ACCESS = re.compile(
    r"(?:3GPP|IEEE-|[A-Z.]*DSL|DOCSIS|ETHERNET|DVB|X?GE?PON|GSTN|VIRTUAL|WLAN|UNTRUSTED|TRUSTED).*", re.DOTALL
)
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,80}")

# Hexadecimal digits of (area, cell) by radio: TS 24.229 clause 7.2A.4.3.
_DIGITS = {Radio.GSM: (4, 4), Radio.UMTS: (4, 7), Radio.LTE: (4, 7), Radio.NR: (6, 9)}
_CELL_PARAMETERS = ("utran-cell-id-3gpp", "cgi-3gpp")
_SERVICE_AREA = "utran-sai-3gpp"
_IDENTITIES = frozenset({*_CELL_PARAMETERS, _SERVICE_AREA})
# Points that could not be settled from the text of TS 24.229, and what is done about each.
UNSURE = {
    "an identity as long as another radio's": "the access type decides, and the identity is not used",
    "no radio in the access type": "8 hexadecimal digits behind the network are GSM, 15 are NR, 11 LTE (or UMTS)",
    "cgi-3gpp on UTRAN or E-UTRAN, utran-cell-id-3gpp on GERAN": "both names are read alike for every radio",
    "13 or 14 characters on UTRAN": "a cell identity of 16 bits, without the RNC, as older peers write it",
    "another name with cell-id in it": "it is read as utran-cell-id-3gpp",
    "MNC filled to three digits with F": "the F is taken off",
    "separators within an identity": "they are taken out",
}
# Hexadecimal digits behind the MCC when no access type tells the radio: an MNC of 2 or 3 digits, then area and cell.
_RADIO_OF_LENGTH = {
    10: Radio.GSM,
    11: Radio.GSM,
    13: Radio.LTE,
    14: Radio.LTE,
    17: Radio.NR,
    18: Radio.NR,
}
_IDENTITY = re.compile(r"([0-9]{3})([0-9A-Fa-f]{1,40})")
_SEPARATORS = re.compile(r"[-_:. ]+")
_MAC = re.compile(r"[0-9A-Fa-f]{12}")


def read(message: bytes | str, *, arrived_at: float | None = None) -> Reading:
    """The cells that the header's values name, one cell scan a value.

    Parameters
    ----------
    message
        The value of the header, or header lines with their names.
    arrived_at
        When the message came; with `cell-info-age` it gives the time at which the cell was seen.

    Raises
    ------
    Unreadable
        No value names an access network, or the message is too long.

    >>> reading = read("3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=001010001000019B")
    >>> reading.evidence[0].content.serving.cell
    411
    """
    if len(message) > MAX_CHARACTERS:
        raise Unreadable(f"P-Access-Network-Info of {len(message)} characters: at most {MAX_CHARACTERS} are read")
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
    values = [v for v in split_list(_value_of(text)) if v]
    reader = _Reader(arrived_at)
    for value in values[:MAX_VALUES]:
        reader.take(value)
    if not reader.values:
        raise Unreadable(f"{text[:SHOWN]!r} names no access network: expected an access type such as 3GPP-E-UTRAN-FDD")
    if len(values) > MAX_VALUES:
        reader.warn("P-Access-Network-Info", str(len(values)), f"only the first {MAX_VALUES} values are read")
    none = "" if reader.evidence else "the access network is named without a cell identity that can be used"
    return Reading(tuple(reader.evidence), tuple(reader.warnings), no_location=none, details=reader.details)


def _value_of(text: str) -> str:
    """The header's values without its name, unfolded."""
    found = fields_of(text)
    named = [value for name in _HEADERS for value in found.get(name, ())]
    return ", ".join(named) if named else " ".join(text.split())


class _Reader:
    """Collects what the values of one header say."""

    def __init__(self, arrived_at: float | None) -> None:
        self.arrived_at = arrived_at
        self.evidence: list[Evidence] = []
        self.warnings: list[FormatWarning] = []
        self.details: dict[str, str] = {}
        self.values = 0

    def warn(self, field: str, value: str, reason: str) -> None:
        self.warnings.append(FormatWarning(field, value[:SHOWN], reason))

    def take(self, value: str) -> None:
        """Reads one value: access type and parameters."""
        access, found = parameters(value)
        upper = access.upper()
        word = _RADIO_WORD.search(upper)
        told = word or _OTHER_ACCESS.match(upper) or any("cell-id" in n or n in _IDENTITIES for n in found)
        if not (told and _TOKEN.fullmatch(access)):
            self.warn("access-type", access, "is no access type such as 3GPP-E-UTRAN-FDD; this value is not used")
            return
        self.values += 1
        self._note(access, found)
        if word and not _ACCESS_TYPE.fullmatch(upper):
            self.warn("access-type", access, f"is no access type of TS 24.229; it is read as {word[0]}")
        cell = self._cell(_RADIOS[word[0]] if word else Radio.UNSPECIFIED, found)
        if cell is not None and not self._repeats(cell):
            part = f"cell-{len(self.evidence) + 1}" if self.evidence else "cell"
            self.evidence.append(Evidence(CellScan(serving=cell), evidence_id=part, observed_at=self._seen_at(found)))

    def _note(self, access: str, found: dict[str, str]) -> None:
        suffix = f"[{self.values}]" if self.values > 1 else ""
        self.details[f"access-type{suffix}"] = access
        for name, text in found.items():
            self.details[name[:SHOWN] + suffix] = _shown(name, text)[:SHOWN] or "yes"

    def _repeats(self, cell: CellMeasurement) -> bool:
        # A proxy adds what the network knows behind what the handset says: the same cell is one observation.
        if not any(isinstance(e.content, CellScan) and e.content.serving == cell for e in self.evidence):
            return False
        self.warn("access-info", str(cell.cell), "the same cell stands in two values; it is given once")
        return True

    def _seen_at(self, found: dict[str, str]) -> float | None:
        age_s = whole_number(found.get("cell-info-age", ""), 10**9)
        return None if age_s is None or self.arrived_at is None else self.arrived_at - age_s

    def _cell(self, radio: Radio, found: dict[str, str]) -> CellMeasurement | None:
        for name in (*_CELL_PARAMETERS, *(n for n in found if "cell-id" in n and n not in _CELL_PARAMETERS)):
            if text := found.get(name, ""):
                return self._global_cell(radio, name, text)
        if text := found.get(_SERVICE_AREA, ""):
            return self._global_cell(Radio.UMTS, _SERVICE_AREA, text)
        return None

    def _global_cell(self, radio: Radio, name: str, text: str) -> CellMeasurement | None:
        """The cell of a global identity: MCC, MNC, then area and cell in hexadecimal digits."""
        bare = _SEPARATORS.sub("", text)
        if bare != text.strip():
            self.warn(name, text, "has separators, which do not belong there; they are taken out")
        match = _IDENTITY.fullmatch(bare)
        if match is None:
            self.warn(name, text, "is not MCC, MNC, area and cell in hexadecimal digits; it is not used")
            return None
        mcc, rest = match.groups()
        if mcc == "000":
            self.warn(name, text, "is of country 000, which there is not: the cell is not known")
            return None
        if radio is Radio.UNSPECIFIED:
            radio = self._radio_of(name, text, len(rest))
        area_digits, cell_digits = self._digits(radio, name, text, len(rest))
        mnc_digits = len(rest) - area_digits - cell_digits
        if not area_digits or mnc_digits not in (2, 3):
            length = 5 + area_digits + cell_digits
            wanted = f"{length} or {length + 1} for {radio.name}" if area_digits else "13, 14, 16, 17, 20 or 21"
            self.warn(name, text, f"has {len(bare)} characters, not {wanted}; it is not used")
            return None
        mnc = self._network(name, rest[:mnc_digits])
        if not mnc:
            return None
        area = int(rest[mnc_digits : mnc_digits + area_digits], 16)
        cell = None if name == _SERVICE_AREA else int(rest[mnc_digits + area_digits :], 16)
        return identity(radio, (mcc, mnc), (area, cell), self.warnings)

    def _digits(self, radio: Radio, name: str, text: str, length: int) -> tuple[int, int]:
        """How many digits area and cell have; 0, 0 where that is not known."""
        # A service area is coded as a cell of GSM: LAC and SAC of 16 bits each.
        if name == _SERVICE_AREA:
            return _DIGITS[Radio.GSM]
        if radio is Radio.UMTS and _RADIO_OF_LENGTH.get(length) is Radio.GSM:
            self.warn(name, text, "has a cell identity of 16 bits for UTRAN: the RNC is missing")
            return _DIGITS[Radio.GSM]
        return _DIGITS.get(radio, (0, 0))

    def _radio_of(self, name: str, text: str, length: int) -> Radio:
        radio = _RADIO_OF_LENGTH.get(length, Radio.UNSPECIFIED)
        if radio is not Radio.UNSPECIFIED:
            self.warn(name, text, f"no access type tells the radio; by its length it is read as {radio.name}")
        return radio

    def _network(self, name: str, code: str) -> str:
        if code.isdigit():
            return code
        if len(code) == 3 and code[:2].isdigit() and code[2] in "Ff":
            self.warn(name, code, "MNC is filled with F; it is read as two digits")
            return code[:2]
        self.warn(name, code, "is no MNC of decimal digits; the identity is not used")
        return ""


def _shown(name: str, text: str) -> str:
    """A parameter's value for a person: a MAC with colons, identities of people and handsets masked."""
    if "wlan-node" in name or "mac" in name:
        bare = _SEPARATORS.sub("", text)
        return ":".join(re.findall("..", bare.lower())) if _MAC.fullmatch(bare) else text
    return masked(text) if "imsi" in name or "imei" in name else text
