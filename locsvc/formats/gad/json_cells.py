"""The serving cell beside a shape in the 5G core's JSON.

References
----------
3GPP TS 29.571 clause 5.4.4 (Ncgi, Ecgi, Tai): identities are hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from locsvc.formats.cell_identity import identity, network_code
from locsvc.formats.reading import FormatWarning
from locsvc.model import CellMeasurement, Radio

# Member with the cell -> its radio, the member with the number, and the number's hexadecimal digits.
_CELLS = {"ncgi": (Radio.NR, "nrCellId", 9), "ecgi": (Radio.LTE, "eutraCellId", 7)}
_HEX = re.compile(r"[0-9A-Fa-f]{1,9}")


def cell_in(found: Mapping[str, object], warnings: list[FormatWarning]) -> CellMeasurement | None:
    """The cell that these members name, None where they name none.

    >>> plmn = {"mcc": "001", "mnc": "01"}
    >>> cell_in({"ncgi": {"plmnId": plmn, "nrCellId": "000012345"}}, []).cell
    74565
    """
    for name, (radio, member, digits) in _CELLS.items():
        holder = found.get(name)
        if not isinstance(holder, Mapping):
            continue
        plmn = holder.get("plmnId")
        network = _network(plmn) if isinstance(plmn, Mapping) else None
        cell = _hexadecimal(holder.get(member), digits)
        if network is None or cell is None:
            warnings.append(FormatWarning(name, repr(holder)[:40], f"has no network or no {member}: not used"))
            continue
        tai = found.get("tai")
        area = _hexadecimal(tai.get("tac"), 6) if isinstance(tai, Mapping) else None
        return identity(radio, network, (area, cell), warnings)
    return None


def _network(plmn: Mapping[str, object]) -> tuple[str, str] | None:
    mcc, mnc = plmn.get("mcc"), plmn.get("mnc")
    if not isinstance(mcc, str) or not isinstance(mnc, str) or mcc == "000":
        return None
    codes = network_code(mcc, (3,)), network_code(mnc, (2, 3))
    return codes if all(codes) else None


def _hexadecimal(text: object, digits: int) -> int | None:
    if not isinstance(text, str) or len(text) > digits or not _HEX.fullmatch(text):
        return None
    return int(text, 16)
