"""Who speaks in a call: which of the four sources a piece of evidence is from, and what kind of call it shows."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from locsvc.formats import messages
from locsvc.formats.reading import Unreadable
from locsvc.model import (
    CellScan,
    ClassOfService,
    DeviceReport,
    Disposition,
    EvidenceKind,
    LineLookup,
    PositioningMethod,
    Reason,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from locsvc.model import Contribution, Evidence, RawMessage

SERVING_CELL: Final = "serving_cell"
LINE: Final = "line"
HANDSET: Final = "handset"
NETWORK_FIX: Final = "network_fix"
SOURCES: Final = (SERVING_CELL, LINE, HANDSET, NETWORK_FIX)

# Whose word a message is, by its format: AML and ELS are sent by handsets, and so is nearly all PIDF-LO that comes with
# a call (RFC 6442); gad, mlp and held are how location servers of networks answer.
_OF_FORMAT: Final = {
    "aml": HANDSET,
    "pidf-lo": HANDSET,
    "sip": HANDSET,
    "ali": LINE,
    "gad": NETWORK_FIX,
    "mlp": NETWORK_FIX,
    "held": NETWORK_FIX,
    "access-network": SERVING_CELL,
    "rfc7105": SERVING_CELL,
}
# Whose word a fix in such a message is; an ALI display of a wireless call shows the network's.
_FIX_OF_FORMAT: Final = {**_OF_FORMAT, "ali": NETWORK_FIX}
# Formats that hold now this, now that: what they were found to hold counts, not what they are.
_MIXED: Final = frozenset({"ali", "pidf-lo", "sip"})
_OF_METHOD: Final = {
    PositioningMethod.NETWORK: NETWORK_FIX,
    PositioningMethod.CELL: NETWORK_FIX,
    # A place that a person entered is no source to wait for.
    PositioningMethod.MANUAL: None,
}
_CELL_SCAN: Final = EvidenceKind.CELL_SCAN
_DUPLICATE: Final = Reason.DUPLICATE
_USED: Final = Disposition.USED
_LINE_LOOKUP: Final = EvidenceKind.LINE_LOOKUP
# Look-ups of the calling number that found no record: a line database elsewhere may still have one.
_NO_RECORD: Final = frozenset({Reason.UNKNOWN_LINE, Reason.DATASET_MISSING})
# Name under which the resolver tells of the look-up of the calling number that nobody asked for; not imported from its
# table, as that loads the kernels.
_IMPLIED: Final = "calling_number"


class LineSays(enum.Enum):
    """What a line record says of the kind of call."""

    OPEN = "open"
    FIXED = "fixed"
    MOBILE = "mobile"


_C = ClassOfService
_SAYS: Final = dict.fromkeys(
    (
        *(_C.RESIDENCE, _C.BUSINESS, _C.RESIDENCE_PBX, _C.BUSINESS_PBX, _C.CENTREX, _C.COIN_ONE_WAY, _C.COIN_TWO_WAY),
        *(_C.RESIDENCE_OFF_PREMISES, _C.BUSINESS_OFF_PREMISES, _C.CUSTOMER_OWNED_COIN),
    ),
    LineSays.FIXED,
) | dict.fromkeys(
    (
        *(_C.WIRELESS, _C.WIRELESS_PHASE1, _C.WIRELESS_PHASE2, _C.WIRELESS_DISPATCHABLE, _C.WIRELESS_CIVIC),
        *(_C.TELEMATICS, _C.TEXT, _C.VOIP_MOBILE),
    ),
    LineSays.MOBILE,
)


def source_of(evidence: Evidence) -> str | None:
    """One of SOURCES; None for a place that a person entered and for an empty piece.

    A message counts as what its format commonly is: it is not read.

    >>> from locsvc.model import Evidence
    >>> source_of(Evidence(CellScan())), source_of(Evidence(DeviceReport(method=PositioningMethod.NETWORK)))
    ('serving_cell', 'network_fix')
    """
    content = evidence.content
    if isinstance(content, DeviceReport):
        if content.raw is not None:
            return _OF_FORMAT.get(content.raw.format, HANDSET)
        return _OF_METHOD.get(content.method, HANDSET)
    if isinstance(content, CellScan):
        return SERVING_CELL
    return LINE if isinstance(content, LineLookup) else None


class Said(NamedTuple):
    """What a source has said.

    Parameters
    ----------
    last
        The place of its last piece in the evidence; -1 where it spoke in none of it (a look-up that nobody asked for).
    counts
        Whether a place of it counts in full in the estimate.
    """

    last: int
    counts: bool


def said(evidence: Sequence[Evidence], contributions: Sequence[Contribution]) -> dict[str, Said]:
    """What each source that has spoken has said; a piece that repeats another is no new word.

    Parameters
    ----------
    evidence
        Of the call, in the order of its arrival.
    contributions
        Of an estimate from it: they tell what was found in messages, what became of it, and whether the calling number
        has a record.
    """
    names = {piece.evidence_id: place for place, piece in enumerate(evidence)}
    words: set[tuple[str | None, int]] = {(_plain_source(piece), place) for place, piece in enumerate(evidence)}
    news: set[tuple[str | None, int]] = set()
    repeats: set[tuple[str | None, int]] = set()
    counts: set[str | None] = set()
    for each in contributions:
        name = message_of(each.evidence_id, names)
        place = -1 if name is None else names[name]
        source = _contributed_by(each, None if name is None else evidence[place])
        (repeats if each.reason is _DUPLICATE else news).add((source, place))
        if each.disposition is _USED and each.distance_m is not None:
            counts.add(source)
    # A scan of several cells repeats another when all of its cells do.
    repeats -= news
    last: dict[str, int] = {}
    for word in words | news | repeats:
        source, place = word
        if source is not None:
            last[source] = max(last.get(source, -1), -1 if word in repeats else place)
    return {source: Said(place, source in counts) for source, place in last.items()}


def _plain_source(piece: Evidence) -> str | None:
    """Whose word a piece is as far as it shows by itself."""
    content = piece.content
    if type(content) is DeviceReport and content.raw is not None and content.raw.format in _MIXED:
        return None
    return source_of(piece)


def _contributed_by(each: Contribution, piece: Evidence | None) -> str | None:
    """Whose word a part of the evidence is, by what became of it."""
    if each.kind is _CELL_SCAN:
        return SERVING_CELL
    if each.kind is _LINE_LOOKUP:
        return None if each.reason in _NO_RECORD else LINE
    return None if piece is None else _fix_of(piece)


def spoken(evidence: Sequence[Evidence], contributions: Sequence[Contribution]) -> set[str]:
    """The sources that have spoken.

    Parameters
    ----------
    evidence
        Of the call.
    contributions
        Of an estimate from it: they tell what was found in messages, and whether the calling number has a record.
    """
    return set(said(evidence, contributions))


def placed(evidence: Sequence[Evidence], contributions: Sequence[Contribution]) -> set[str]:
    """The sources of which some of these pieces became a place in the estimate with these contributions."""
    pieces = {piece.evidence_id: piece for piece in evidence}
    found: set[str] = set()
    for each in contributions:
        if each.distance_m is None or each.reason in _NO_RECORD:
            continue
        if each.kind is _CELL_SCAN:
            found.add(SERVING_CELL)
        elif each.kind is _LINE_LOOKUP:
            found.add(LINE)
        else:
            name = message_of(each.evidence_id, pieces)
            source = None if name is None else _fix_of(pieces[name])
            found.update(() if source is None else (source,))
    return found


def _fix_of(piece: Evidence) -> str | None:
    """Whose word a place in this piece is."""
    content = piece.content
    if isinstance(content, DeviceReport) and content.raw is not None:
        return _FIX_OF_FORMAT.get(content.raw.format, HANDSET)
    return source_of(piece)


def message_of(name: str, messages_of: Collection[str]) -> str | None:
    """The message that a piece of this name was found in: messages of several pieces give them its name and a part.

    >>> message_of("aml-1/fix", {"aml-1"}), message_of("cell", {"aml-1"})
    ('aml-1', None)
    """
    if name in messages_of:
        return name
    whole, _, part = name.rpartition("/")
    return whole if part and whole in messages_of else None


def line_says(evidence: Sequence[Evidence], contributions: Sequence[Contribution]) -> LineSays:
    """What the line records of a call say of its kind.

    Records of the line dataset do not show their class in an estimate: one that has a place and is not said to be used
    elsewhere counts as a fixed line.
    """
    asked = {_IMPLIED}
    for piece in evidence:
        content = piece.content
        says = None
        if isinstance(content, LineLookup):
            if content.record is None:
                asked.add(piece.evidence_id)
            else:
                says = _SAYS.get(content.record.class_of_service)
        elif isinstance(content, DeviceReport) and content.raw is not None and content.raw.format == "ali":
            says = _displayed(content.raw)
        if says is not None:
            return says
    fixed = any(each.evidence_id in asked and _is_placed_line(each) for each in contributions)
    return LineSays.FIXED if fixed else LineSays.OPEN


def _is_placed_line(each: Contribution) -> bool:
    if each.kind is not _LINE_LOOKUP or each.distance_m is None:
        return False
    return each.reason is not Reason.NOMADIC_LINE and each.reason not in _NO_RECORD


def _displayed(raw: RawMessage) -> LineSays | None:
    """What the class of service of an ALI display says."""
    try:
        found = messages.read("ali", raw.bytes).evidence
    except Unreadable:
        return None
    for piece in found:
        content = piece.content
        # A display with a fix has the line's class only where it names an address too.
        if isinstance(content, DeviceReport):
            return LineSays.MOBILE
        if isinstance(content, LineLookup) and content.record is not None:
            return _SAYS.get(content.record.class_of_service)
    return None
