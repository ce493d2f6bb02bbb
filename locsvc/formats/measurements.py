"""Location measurements of RFC 7105: the cells that a device sees, as a cell scan; other kinds are named only.

References
----------
RFC 7105 section 5.5 (cellular), sections 4.1 (container) and 5.3 (wifi).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from locsvc.formats.call_checks import MAX_NEIGHBOURS
from locsvc.formats.cell_identity import GREATEST_AREA, GREATEST_CELL, SHOWN, identity, network_code, whole_number
from locsvc.formats.elements import child, child_words, children, words
from locsvc.formats.pidf_lo.measures import time_of
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.formats.reading import Reading, Unreadable
from locsvc.formats.xml import local_name, parse
from locsvc.model import CellMeasurement, CellScan, Evidence, Radio

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

# RFC 7105 ends with LTE; these are the names by which peers carry an NR cell identity in its place for extensions.
_NR_NAMES = ("nci", "nrci", "ncgi", "nrcid")
_CDMA_NAMES = ("sid", "nid", "baseid")
# An RNC identity has 12 bits and its cells 16, or 16 bits and its cells 12: 28 in all (3GPP TS 25.401 clause 6.1.5).
_RNC, _EXTENDED_RNC, _CID = 2**12 - 1, 2**16 - 1, 2**16 - 1
MAX_ACCESS_POINTS = 20
# Cells that are looked at, those that cannot be used included.
MAX_CELLS = 2 * MAX_NEIGHBOURS


def read(message: bytes | str, *, arrived_at: float | None = None) -> Reading:
    """The cells of a `measurements` document, or of the first one within a document such as a location request.

    Parameters
    ----------
    message
        The document.
    arrived_at
        Not needed: measurements carry their time.

    Raises
    ------
    Unreadable
        It is no XML within the bounds, or has no measurements.
    """
    del arrived_at
    document = parse(message)
    found = next((e for e in document.root.iter() if local_name(e) == "measurements"), None)
    if found is None and any(local_name(e) == "cellular" for e in (document.root, *document.root)):
        found = document.root
    if found is None:
        name = local_name(document.root)[:SHOWN]
        raise Unreadable(f"element {name!r} has no measurements of RFC 7105: expected measurements or cellular")
    return measurements_of(found, Notes(list(document.warnings)))


def measurements_of(element: Element, notes: Notes | None = None) -> Reading:
    """The cells of a `measurements` element (or of a bare `cellular`)."""
    notes = notes or Notes()
    time = str(element.get("time") or "")
    observed_at = time_of(time, notes) if time else None
    notes.detail("expires", str(element.get("expires") or ""))
    kinds = [element] if local_name(element) == "cellular" else list(element)
    cells = _Cells(notes)
    for kind in kinds:
        if local_name(kind) == "cellular":
            cells.take(kind)
        elif local_name(kind) == "wifi":
            _access_points(kind, notes)
        else:
            notes.detail("measurements", local_name(kind))
    scan = cells.scan()
    why = "the measurements have no cell that can be used"
    return Reading(
        (Evidence(scan, observed_at=observed_at),) if scan else (),
        tuple(notes.warnings),
        no_location="" if scan else why,
        details=notes.details,
    )


class _Cells:
    """Collects the cells of one set of measurements."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.serving: CellMeasurement | None = None
        self.neighbours: list[CellMeasurement] = []

    def take(self, cellular: Element) -> None:
        """Adds the cells of a `cellular` element."""
        for place, element in enumerate(children(cellular, "servingCell", "observedCell")):
            if len(self.neighbours) >= MAX_NEIGHBOURS or place >= MAX_CELLS:
                self.notes.warn(local_name(element), "", f"more than {MAX_NEIGHBOURS} cells: the others are left out")
                return
            cell = self._cell(element)
            if cell is None:
                continue
            if local_name(element) == "servingCell" and self.serving is None:
                self.serving = cell
                continue
            if local_name(element) == "servingCell":
                self.notes.warn("servingCell", str(cell.cell), "is a second serving cell; it counts as a neighbour")
            self.neighbours.append(cell)

    def scan(self) -> CellScan | None:
        """What was collected, or None for no cell."""
        return CellScan(self.serving, tuple(self.neighbours)) if self.serving or self.neighbours else None

    def _cell(self, element: Element) -> CellMeasurement | None:
        if any(child(element, name) is not None for name in _CDMA_NAMES):
            self._note_cdma(element)
            return None
        network = self._network(element)
        numbers = self._numbers(element)
        if network is None or numbers is None:
            return None
        radio, area, cell = numbers
        return identity(radio, network, (area, cell), self.notes.warnings)

    def _note_cdma(self, element: Element) -> None:
        name = local_name(element)
        count = sum(key.startswith(name) for key in self.notes.details)
        text = " ".join(f"{n} {child_words(element, n)[:20]}" for n in _CDMA_NAMES)
        self.notes.detail(f"{name}[{count + 1}]" if count else name, text)
        self.notes.warn(name, text, "is a cell of CDMA, which has no place here; it stands in the details")

    def _network(self, element: Element) -> tuple[str, str] | None:
        mcc, mnc = child_words(element, "mcc"), child_words(element, "mnc")
        if not mcc and not mnc and local_name(element) == "observedCell":
            # By the contract: the serving cell's.
            return "", ""
        codes = network_code(mcc, (3,)), network_code(mnc, (2, 3))
        if all(codes):
            return codes
        self.notes.warn(local_name(element), f"mcc {mcc} mnc {mnc}", "is no network of 3 and 2 or 3 digits; not used")
        return None

    def _numbers(self, element: Element) -> tuple[Radio, int | None, int | None] | None:
        """Radio, area and cell number by what the cell is made of."""
        if text := child_words(element, "eucid"):
            return self._checked(element, Radio.LTE, "tac", "eucid", text)
        if text := child_words(element, *_NR_NAMES):
            return self._checked(element, Radio.NR, "tac", "nci", text)
        text = child_words(element, "cid")
        if rnc := child_words(element, "rnc"):
            return self._utran(rnc, text)
        number = whole_number(text, GREATEST_CELL[Radio.UMTS])
        # Peers without the RNC at hand put the whole UTRAN cell identity into cid.
        radio = Radio.UMTS if number is not None and number > GREATEST_CELL[Radio.GSM] else Radio.GSM
        return self._checked(element, radio, "lac", "cid", text)

    def _checked(
        self, element: Element, radio: Radio, area_name: str, name: str, text: str
    ) -> tuple[Radio, int | None, int | None] | None:
        area_text = child_words(element, area_name)
        area, cell = whole_number(area_text, GREATEST_AREA[radio]), whole_number(text, GREATEST_CELL[radio])
        if area is None and area_text:
            self.notes.warn(area_name, area_text, f"is no area of {radio.name}; it is left out")
        if cell is None:
            self.notes.warn(name, text, f"is no cell identity of {radio.name}, 0 to {GREATEST_CELL[radio]}")
        return None if cell is None and area is None else (radio, area, cell)

    def _utran(self, rnc_text: str, cid_text: str) -> tuple[Radio, None, int] | None:
        rnc, cid = whole_number(rnc_text, _EXTENDED_RNC), whole_number(cid_text, _CID)
        if rnc is not None and cid is not None and rnc <= _RNC:
            return Radio.UMTS, None, rnc << 16 | cid
        if rnc is not None and cid is not None and cid <= _RNC:
            return Radio.UMTS, None, rnc << 12 | cid
        self.notes.warn("rnc", f"{rnc_text} {cid_text}", "rnc and cid do not make a UTRAN cell identity of 28 bits")
        return None


def _access_points(wifi: Element, notes: Notes) -> None:
    for place, point in enumerate(_points(wifi)):
        suffix = f"[{place + 1}]" if place else ""
        bssid = words(child(point, "bssid"))[:SHOWN].lower().replace("-", ":")
        notes.detail(f"wifi.bssid{suffix}", bssid)
        if point.get("serving") in ("true", "1"):
            notes.detail("wifi.serving", bssid)


def _points(wifi: Element) -> Iterator[Element]:
    for place, point in enumerate(children(wifi, "ap", "neighborAp")):
        if place < MAX_ACCESS_POINTS:
            yield point
