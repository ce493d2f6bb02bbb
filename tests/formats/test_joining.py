"""Several readings as one."""

from __future__ import annotations

from locsvc.formats.joining import MAX_EVIDENCE, MAX_WARNINGS, joined
from locsvc.formats.reading import FormatWarning, Reading
from locsvc.model import DeviceReport, Evidence

PIECE = Evidence(DeviceReport())


def named(name: str) -> Evidence:
    return Evidence(DeviceReport(), evidence_id=name)


def test_a_single_piece_keeps_its_name_even_when_it_has_none() -> None:
    assert joined([("body", Reading((PIECE,))), ("aml", Reading())]).evidence == (PIECE,)


def test_pieces_of_several_parts_have_names_of_their_own() -> None:
    parts = [("body", Reading((PIECE, named("tuple")))), ("aml", Reading((PIECE, named("tuple"), named("tuple"))))]
    assert [e.evidence_id for e in joined(parts).evidence] == ["body", "tuple", "aml", "aml-2", "aml-3"]


def test_the_first_number_and_time_count_and_all_reasons_are_told() -> None:
    whole = joined(
        [
            ("a", Reading(no_location="gone", warnings=(FormatWarning("x", "1", "odd"),))),
            ("b", Reading(no_location="lost", calling_number="+441632960001", started_at=0.0, details={"k": "1"})),
            ("c", Reading(no_location="gone", calling_number="+441632960002", started_at=9.0, details={"k": "2"})),
        ]
    )
    assert whole.no_location == "gone; lost"
    assert (whole.calling_number, whole.started_at) == ("+441632960001", 0.0)
    assert whole.details == {"k": "1", "c.k": "2"}
    assert [str(w) for w in whole.warnings] == ["x '1': odd"]


def test_only_so_much_is_kept() -> None:
    part = Reading((PIECE,) * 500, (FormatWarning("x", "", ""),) * 500)
    whole = joined([("a", part), ("b", part)])
    assert len(whole.evidence) == MAX_EVIDENCE
    assert len(whole.warnings) == MAX_WARNINGS
    assert len({e.evidence_id for e in whole.evidence}) == MAX_EVIDENCE
