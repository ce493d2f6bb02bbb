"""MLP (Mobile Location Protocol) answers and reports: positions, shapes, cells, errors.

References
----------
OMA-TS-MLP-V3_5 clauses 5.2.2 (elements) and 5.2.3 (shapes): standard, emergency and triggered location services.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from locsvc.formats.cell_identity import GREATEST_AREA, GREATEST_CELL, SHOWN, identity, network_code, whole_number
from locsvc.formats.elements import child, child_words, children, number, stated_confidence, words
from locsvc.formats.mlp_numbers import angle_deg, time_s
from locsvc.formats.mlp_shapes import Shapes, StopAngle
from locsvc.formats.pidf_lo.measures import UNKNOWN_CONFIDENCE
from locsvc.formats.reading import FormatWarning, Reading, Unreadable, masked
from locsvc.formats.xml import local_name, parse
from locsvc.model import CellScan, DeviceReport, Evidence, Point, PositioningMethod, Radio

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

__all__ = ["angle_deg", "read"]

_POSITIONS = frozenset({"pos", "eme_pos", "trl_pos"})
_REQUESTS = frozenset({"slir", "eme_lir", "tlrr", "tlrsr", "slrir"})
# Names that only MLP uses for the root, or for what stands in the root.
_MLP = frozenset(
    {"svc_result", "svc_init", "slia", "slirep", "slrep", "eme_lia", "emerep", "tlra", "tlrep", "tlrsa", "gem", "pd"}
)
# A DOCTYPE that only names the DTD of MLP, as messages up to 3.2 begin with; anything more stays and is refused.
_DOCTYPE = re.compile(
    rb"<!DOCTYPE\s{1,9}[a-z_]{1,40}(?:\s{1,9}(?:SYSTEM|PUBLIC))?(?:\s{1,9}(?:\"[^\"<>&%\[]{0,200}\"|'[^'<>&%\[]{0,200}'))"
    rb"{0,2}\s{0,9}>"
)
_DOCTYPE_WITHIN = 1024
_METHODS = {
    "GPS": PositioningMethod.GNSS,
    "A-GPS": PositioningMethod.GNSS,
    "AGPS": PositioningMethod.GNSS,
    "GNSS": PositioningMethod.GNSS,
    "A-GNSS": PositioningMethod.GNSS,
    "CELL": PositioningMethod.CELL,
    "E-CID": PositioningMethod.CELL,
    "ECID": PositioningMethod.CELL,
    "OTDOA": PositioningMethod.NETWORK,
    "U-TDOA": PositioningMethod.NETWORK,
    "UTDOA": PositioningMethod.NETWORK,
    "E-OTD": PositioningMethod.NETWORK,
    "AFLT": PositioningMethod.NETWORK,
    "EFLT": PositioningMethod.NETWORK,
    "WIFI": PositioningMethod.WIFI,
    "WLAN": PositioningMethod.WIFI,
    "HYBRID": PositioningMethod.FUSED,
    "MANUAL": PositioningMethod.MANUAL,
}
# Ways to name a subscriber that are not shown: they name a person or handset for good.
_MASKED_TYPES = frozenset({"IMSI", "IMEI", "IMEISV", "MIN"})
_MSISDN = re.compile(r"\+?(?:00)?([1-9][0-9]{4,14})")
# Text of a pd or a position that the model has no word for.
_DETAILS = ("esrd", "esrk", "speed", "direction", "qos_not_met", "result_type")
MAX_POSITIONS = 100


def read(
    message: bytes | str, *, arrived_at: float | None = None, stop_angle: StopAngle = "wider", msid: str = ""
) -> Reading:
    """The positions of an answer or report, one piece of evidence each; an error of the peer is `no_location`.

    Parameters
    ----------
    message
        XML of MLP 3.0 to 3.5, with or without `svc_result` around it.
    arrived_at
        Not needed: the times of MLP are complete.
    stop_angle
        What this peer means with the stopAngle of an arc.
    msid
        Only the positions of this subscriber; empty for all.

    Raises
    ------
    Unreadable
        It is no XML within the bounds, or nothing in it is MLP.
    """
    del arrived_at
    plain, doctype = _without_doctype(message)
    document = parse(plain)
    reader = _Reader(Shapes(stop_angle), msid)
    reader.shapes.warnings.extend(document.warnings)
    if document.cut:
        reader.shapes.unfinished = _last_of(document.root)
    if doctype:
        reader.shapes.warn("DOCTYPE", doctype, "is left out: the DTD is not fetched")
    reader.take(document.root)
    return reader.reading()


def _without_doctype(message: bytes | str) -> tuple[bytes | str, str]:
    head = message[:_DOCTYPE_WITHIN]
    found = _DOCTYPE.search(head if isinstance(head, bytes) else head.encode("ascii", "replace"))
    if found is None:
        return message, ""
    # One byte stands for one character in the search, so the places are the same for text.
    return message[: found.start()] + message[found.end() :], found[0].decode("ascii", "replace")  # type: ignore[operator]


def _last_of(root: Element) -> frozenset[Element]:
    """The root, its last child, the last child of that, and so on: what may have been open at the end."""
    found = [root]
    while len(found[-1]):
        found.append(found[-1][-1])
    return frozenset(found)


class _Reader:
    """Collects what the positions of one message say."""

    def __init__(self, shapes: Shapes, msid: str) -> None:
        self.shapes = shapes
        self.msid = msid
        self.evidence: list[Evidence] = []
        self.details: dict[str, str] = {}
        self.failures: list[str] = []
        self.calling_number = ""
        self.subscribers: set[str] = set()
        self.positions = self.fixes = 0

    def take(self, root: Element) -> None:
        """Reads all positions below the root, or says why there are none."""
        names = {local_name(root), *(local_name(e) for e in root)}
        found = [e for e in root.iter() if local_name(e) in _POSITIONS]
        if not found:
            found = [root] if local_name(root) == "pd" or child(root, "pd", "poserr") is not None else []
        for position in found[:MAX_POSITIONS]:
            self._position(position)
        if len(found) > MAX_POSITIONS:
            self.shapes.warn("pos", str(len(found)), f"only the first {MAX_POSITIONS} positions are read")
        if not found:
            self._without_position(root, names)
        if len(self.subscribers) > 1:
            count = len(self.subscribers)
            self.shapes.warn("msid", str(count), "positions of several subscribers: ask for one of them with msid")

    def _without_position(self, root: Element, names: set[str]) -> None:
        result = next((e for e in root.iter() if local_name(e) == "result"), None)
        if result is not None:
            self._failure(result)
        elif names & _REQUESTS:
            self.failures.append(f"the message asks for a position ({', '.join(sorted(names & _REQUESTS))})")
            for name in ("msid", "esrd", "esrk"):
                asked = next((e for e in root.iter() if local_name(e) == name), None)
                if asked is not None and name == "msid":
                    self._subscriber(root if asked.getparent() is None else asked.getparent())
                elif asked is not None:
                    self._note(name, words(asked))
        elif not names & _MLP:
            raise Unreadable(
                f"element {local_name(root)[:SHOWN]!r} is not MLP: expected svc_result, slia, eme_lia or pos"
            )
        else:
            self.failures.append("the message has no position")

    def _note(self, name: str, text: str) -> None:
        if text:
            suffix = f"[{self.positions}]" if self.positions > 1 else ""
            self.details[name + suffix] = text[:SHOWN]

    def _subscriber(self, position: Element | None) -> str:
        """Notes who is meant, and gives the text of it."""
        named = child(position, "msid") if position is not None else None
        if named is None:
            return ""
        text, kind = words(named), str(named.get("type") or "MSISDN")[:SHOWN].upper()
        self._note("msid", masked(text) if kind in _MASKED_TYPES else text)
        self._note("msid.type", kind)
        number_ = _MSISDN.fullmatch(text)
        if number_ and kind == "MSISDN" and named.get("enc", "ASC") == "ASC" and not self.calling_number:
            self.calling_number = "+" + number_[1]
        return text

    def _position(self, position: Element) -> None:
        named = child(position, "msid")
        if self.msid and named is not None and words(named) != self.msid:
            return
        self.positions += 1
        if text := self._subscriber(position):
            self.subscribers.add(text)
        self._notes_of(position)
        for error in children(position, "poserr"):
            self._failure(child(error, "result"))
        method = str(position.get("pos_method") or "")
        self._note("pos_method", method)
        for pd in [position] if local_name(position) == "pd" else children(position, "pd"):
            self.fixes += 1
            if self.fixes <= MAX_POSITIONS:
                self._fix(pd, method)
        for network in position:
            if local_name(network).endswith("net_param") and len(self.evidence) < MAX_POSITIONS:
                self._cell(network)

    def _notes_of(self, element: Element) -> None:
        for name in _DETAILS:
            self._note(name, child_words(element, name))

    def _failure(self, result: Element | None) -> None:
        text = words(result) or "no reason given"
        code = str(result.get("resid") or "") if result is not None else ""
        self._note("result", text)
        self._note("result.resid", code)
        self.failures.append(f"{text[:SHOWN]} (result {code[:SHOWN]})" if code else text[:SHOWN])

    def _fix(self, pd: Element, method: str) -> None:
        """The evidence of one pd."""
        at = self._time(pd)
        self._notes_of(pd)
        confidence = stated_confidence(child_words(pd, "lev_conf"), "lev_conf", self.shapes.warnings)
        if confidence is None and pd in self.shapes.unfinished:
            self.shapes.warn("lev_conf", "", f"may have been cut off: assumed {UNKNOWN_CONFIDENCE:.0%}")
            confidence = UNKNOWN_CONFIDENCE
        shape_element = child(pd, "shape")
        shape = self.shapes.read(pd if shape_element is None else shape_element)
        if shape is None:
            return
        altitude_m, vertical_m = self._altitude(pd, shape_element)
        stated = None if isinstance(shape, Point) else confidence
        report = DeviceReport(shape, stated, self._method(method), altitude_m, vertical_m)
        fixes = sum(isinstance(e.content, DeviceReport) for e in self.evidence)
        self.evidence.append(Evidence(report, f"fix-{fixes + 1}" if fixes else "fix", observed_at=at))

    def _time(self, pd: Element) -> float | None:
        element = child(pd, "time")
        if element is None:
            return None
        offset = str(element.get("utc_off") or "")
        at = time_s(words(element), offset)
        if at is None:
            self.shapes.warn("time", f"{words(element)} {offset}".strip(), "is no time such as 20020623134453 +0200")
        return at

    def _altitude(self, pd: Element, shape: Element | None) -> tuple[float | None, float | None]:
        """Metres above the ellipsoid and their uncertainty."""
        text = child_words(pd, "alt")
        if not text and shape is not None:
            height = next((e for e in shape.iter() if local_name(e) == "Z"), None)
            text = words(height)
        altitude_m, vertical_m = number(text), number(child_words(pd, "alt_acc", "alt_unc"))
        if text and (altitude_m is None or not -500 <= altitude_m <= 10_000):
            self.shapes.warn("alt", text, "is no altitude between -500 and 10000 m: it is left out")
            altitude_m = None
        if altitude_m is None or vertical_m is None or not 0 < vertical_m <= 10_000:
            return altitude_m, None
        return altitude_m, vertical_m

    def _method(self, text: str) -> PositioningMethod:
        method = _METHODS.get(text.strip().upper(), PositioningMethod.UNSPECIFIED)
        if text and method is PositioningMethod.UNSPECIFIED and text.upper() not in ("UNKNOWN", "OTHER"):
            self.shapes.warn("pos_method", text, "is no method that is known; it counts as not stated")
        return method

    def _cell(self, network: Element) -> None:
        """The cell of network parameters: a global cell identity, or the area of a service area."""
        named = child(network, "cgi", "sai")
        if named is None:
            return
        codes = network_code(child_words(named, "mcc"), (3,)), network_code(child_words(named, "mnc"), (2, 3))
        if not all(codes):
            self.shapes.warn(local_name(named), words(child(named, "mcc")), "has no mcc and mnc; the cell is not used")
            return
        area = whole_number(child_words(named, "lac"), GREATEST_AREA[Radio.GSM])
        cell = whole_number(child_words(named, "cellid"), GREATEST_CELL[Radio.GSM])
        radio = Radio.GSM if local_name(named) == "cgi" else Radio.UMTS
        scan = CellScan(identity(radio, codes, (area, cell), self.shapes.warnings))
        self.evidence.append(Evidence(scan, f"cell-{self.positions}" if self.positions > 1 else "cell"))

    def reading(self) -> Reading:
        """What was collected."""
        warnings = self.shapes.warnings
        if self.evidence:
            warnings.extend(FormatWarning("poserr", "", f"one position failed: {why}") for why in self.failures)
        none = "; ".join(self.failures) or "the message has no position that can be used"
        return Reading(
            tuple(self.evidence),
            tuple(warnings),
            calling_number=self.calling_number,
            no_location="" if self.evidence else none,
            details=self.details,
        )
