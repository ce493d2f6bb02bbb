"""Cell identities as messages spell them, checked and put into the words of the model."""

from __future__ import annotations

from locsvc.formats.reading import FormatWarning
from locsvc.model import CellMeasurement, Radio

# Bits of an identity: 3GPP TS 23.003 clauses 4.3.1 (CI), 19.6 (ECI), 19.6A (NCI); TS 25.331 clause 10.3.2.2 (UTRAN).
GREATEST_CELL = {Radio.GSM: 2**16 - 1, Radio.UMTS: 2**28 - 1, Radio.LTE: 2**28 - 1, Radio.NR: 2**36 - 1}
GREATEST_AREA = {Radio.GSM: 2**16 - 1, Radio.UMTS: 2**16 - 1, Radio.LTE: 2**16 - 1, Radio.NR: 2**24 - 1}
# What handsets write for "not known": all ones (above), and the greatest int of Java.
_JAVA_UNKNOWN = 2**31 - 1
# LAC and TAC: 0 and FFFE mean "deleted" (3GPP TS 23.003 clauses 4.1 and 19.4.2.3); FFFF is all ones.
_NO_AREA = 2**16 - 2
# Characters of a field's value that a warning shows.
SHOWN = 80


def whole_number(text: str, greatest: int) -> int | None:
    """The number that decimal text spells, or None when it is none or lies outside 0 to `greatest`.

    >>> whole_number(" 80936424 ", 2**28 - 1), whole_number("-1", 9), whole_number("9" * 5000, 9)
    (80936424, None, None)
    """
    digits = text.strip().lstrip("0") or text.strip()[-1:]
    # More digits are more than any number of a cell has, and slow to read.
    if len(digits) > 20 or not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits)
    return number if number <= greatest else None


def known_cell(radio: Radio, cell: int | None, field: str, warnings: list[FormatWarning]) -> int | None:
    """The cell number, or None where the number says "unknown", with a warning.

    >>> known_cell(Radio.LTE, 268435455, "eucid", []), known_cell(Radio.LTE, 411, "eucid", [])
    (None, 411)
    """
    unknown = (0, GREATEST_CELL.get(radio), GREATEST_CELL[Radio.UMTS] if radio is Radio.UNSPECIFIED else 0)
    if cell is None or not (cell in unknown or (cell == _JAVA_UNKNOWN and radio is not Radio.NR)):
        return cell
    warnings.append(FormatWarning(field, str(cell), "means that the cell is not known; only its area is used"))
    return None


def known_area(radio: Radio, area: int | None, field: str, warnings: list[FormatWarning]) -> int | None:
    """The location or tracking area, or None where the number says "unknown", with a warning.

    >>> known_area(Radio.GSM, 65534, "lac", []), known_area(Radio.GSM, 9793, "lac", [])
    (None, 9793)
    """
    unknown = (
        (0, GREATEST_AREA[Radio.NR] - 1, GREATEST_AREA[Radio.NR])
        if radio is Radio.NR
        else (0, _NO_AREA, _NO_AREA + 1, _JAVA_UNKNOWN)
    )
    if area is None or area not in unknown:
        return area
    warnings.append(FormatWarning(field, str(area), "means that the area is not known; it is left out"))
    return None


def network_code(text: str, lengths: tuple[int, ...]) -> str:
    """A country or network code as it stands, or nothing when it is not so many digits.

    >>> network_code(" 06 ", (2, 3)), network_code("6", (2, 3))
    ('06', '')
    """
    code = text.strip()
    return code if len(code) in lengths and code.isascii() and code.isdigit() else ""


def identity(
    radio: Radio, network: tuple[str, str], numbers: tuple[int | None, int | None], warnings: list[FormatWarning]
) -> CellMeasurement:
    """The cell of a network (mcc, mnc) with its (area, cell) numbers; those that say "unknown" are left out."""
    area = known_area(radio, numbers[0], "tac" if radio in (Radio.LTE, Radio.NR) else "lac", warnings)
    cell = known_cell(radio, numbers[1], "cell id", warnings)
    return CellMeasurement(radio=radio, mcc=network[0], mnc=network[1], area=area, cell=cell)
