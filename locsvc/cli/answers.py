"""Estimates for a person: a full answer, or a line."""

from __future__ import annotations

from locsvc import model
from locsvc.cli import output, words
from locsvc.errors import FieldViolation, InvalidInput, LocsvcError, meaning_of
from locsvc.formats.proto_json import Json

# Areas with less of the region than this are not told one by one.
_MOST_AREAS = 8


def show_answer(estimate: model.LocationEstimate) -> None:
    """Write one answer to stdout: what it is, then the evidence, then the warnings."""
    parts: list[object] = [output.facts(_rows(estimate))]
    if estimate.contributions:
        parts += ["", _evidence(estimate)]
    if estimate.warnings:
        parts += ["", output.table(("warning", "about", "what it says"), [_warning(w) for w in estimate.warnings])]
    output.show(*parts)


def _rows(estimate: model.LocationEstimate) -> list[tuple[str, str]]:
    rows = [("outcome", words.outcome_text(estimate.outcome).lower())]
    if estimate.call_id:
        rows.append(("call", estimate.call_id))
    if estimate.position is None:
        return rows
    confidence = words.confidence_text(estimate.confidence)
    rows.append(("position", words.place_text(estimate.position)))
    rows.append(("radius", f"{words.distance_text(estimate.radius_m)} at {confidence}"))
    if estimate.region is not None:
        region = estimate.region
        cells = f"{len(region.cells):,} H3 cells to resolution {region.resolution}"
        held = words.percent_text(region.mass)
        rows.append(("region", f"{words.surface_text(region.area_m2)} in {cells}, holds {held}"))
    if estimate.ellipse is not None:
        ellipse = estimate.ellipse
        sizes = f"{words.distance_text(ellipse.semi_major_m)} by {words.distance_text(ellipse.semi_minor_m)}"
        rows.append(("ellipse", f"{sizes}, {ellipse.orientation_deg:.0f} degrees from north"))
    if estimate.altitude is not None:
        rows.append(("altitude", words.altitude_text(estimate.altitude)))
    if estimate.address is not None:
        away = words.distance_text(estimate.address_distance_m)
        rows.append(("nearest address", f"{estimate.address.line()} ({away} away)"))
    rows += [
        ("area" if not place else "", f"{area.name} {words.percent_text(area.share)}")
        for place, area in enumerate(estimate.areas[:_MOST_AREAS])
    ]
    rows += [("or else" if not place else "", _alternative(other)) for place, other in enumerate(estimate.alternatives)]
    return rows


def _alternative(other: model.Alternative) -> str:
    share, radius = words.percent_text(other.mass), words.distance_text(other.radius_m)
    return f"{words.place_text(other.position)} with {share}, within {radius}"


def _evidence(estimate: model.LocationEstimate) -> object:
    rows = [
        (
            piece.evidence_id,
            piece.part,
            words.enum_word(piece.disposition),
            words.enum_word(piece.reason),
            words.distance_text(piece.distance_m),
            words.percent_text(piece.agreement),
            words.percent_text(piece.share),
            piece.explanation,
        )
        for piece in estimate.contributions
    ]
    names = ("evidence", "part", "became", "reason", "distance", "agreement", "share", "why")
    return output.table(names, rows, right=(4, 5, 6))


def _warning(warning: model.Warning) -> tuple[str, str, str]:
    about = " ".join(text for text in (warning.evidence_id, warning.field) if text)
    return words.enum_word(warning.code), about, warning.message


def line_of(estimate: model.LocationEstimate, name: str) -> str:
    """An answer on one line: call, outcome, position, radius, address or area, number of warnings.

    Parameters
    ----------
    name
        What stands for the call when it has no id.
    """
    where, radius, what = "-", "-", ""
    if estimate.position is not None:
        where, radius = words.place_text(estimate.position), words.distance_text(estimate.radius_m)
        what = estimate.areas[0].name if estimate.areas else ""
        if estimate.address is not None and (estimate.radius_m or 0.0) <= words.ADDRESS_RADIUS_M:
            what = estimate.address.line()
    warned = f"{len(estimate.warnings)} warning{'s' if len(estimate.warnings) > 1 else ''}" if estimate.warnings else ""
    outcome = words.enum_word(estimate.outcome)
    line = f"{estimate.call_id or name:<24}  {outcome:<11}  {where:>21}  {radius:>9}  {what:<40}  {warned}"
    return output.plain(line.rstrip())


def error_json(call_id: str, place: str, error: LocsvcError) -> Json:
    """Why a call of many has no answer, in the place of its estimate."""
    violations = error.violations if isinstance(error, InvalidInput) else ()
    told: Json = {"reason": meaning_of(error).reason, "message": str(error)}
    if violations:
        told["violations"] = [_violation(v) for v in violations]
    return ({"call_id": call_id} if call_id else {}) | {"place": place, "error": told}


def _violation(violation: FieldViolation) -> dict[str, str]:
    return {"field": violation.field, "description": violation.description}
