"""Estimates come out again to the last bit from what a journal on disk holds; what does not is named."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from locsvc.calls.considered import call_at, with_warnings
from locsvc.calls.journal import Journal
from locsvc.calls.replay import Replayed, Verdict, difference, other_data, replay
from locsvc.calls.words import Arrival, CallRecord, Given
from locsvc.formats.call_json import call_from_text
from locsvc.model import (
    Alternative,
    CellMeasurement,
    CellScan,
    Circle,
    DatasetVersion,
    DeviceReport,
    Evidence,
    LatLng,
    LocationEstimate,
    Outcome,
    Radio,
    RawMessage,
)

if TYPE_CHECKING:
    from pathlib import Path

    from locsvc.model import Call
    from locsvc.resolver import Resolver

NOON = 1_773_489_600.0
ONE, OTHER = (Alternative(LatLng(55.1, 2.5), mass, 10.0) for mass in (0.25, 0.125))
CONFIDENCES = (0.5, 0.9, 0.999)
MESSAGES = {
    "aml": "aml.txt",
    "ali": "ali.txt",
    "mlp": "mlp.xml",
    "pidf-lo": "pidf-lo.xml",
    "access-network": "access-network.txt",
    "gad": "gad.hex",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "calls.sqlite"


def live(journal: Journal, resolver: Resolver, call: Call) -> None:
    """A call as it is lived: piece by piece, an estimate for each change at several confidences, then its end."""
    started_at = call.started_at if call.started_at is not None else NOON
    for place, piece in enumerate(call.evidence):
        # Times that are no round numbers in any notation.
        at = started_at + 0.1 + place * 1.234567891
        number = call.calling_number if place == 1 else ""
        arrival = Arrival((piece,), at, call.call_id, number, started_at)
        journal.add(arrival).result(10)
    journal.tell_deadline(call.call_id, started_at + 20.03).result(10)
    journal.end(call.call_id, started_at + 100.7).result(10)
    record = recorded(journal, call.call_id)
    for change in record.changes:
        asked, warnings = call_at(record, change.revision)
        for confidence in CONFIDENCES:
            estimate = resolver.resolve([asked], confidences=confidence, as_of=[change.at])[0]
            journal.give(Given(call.call_id, change.revision, change.at, with_warnings(estimate, warnings)))


def recorded(journal: Journal, call_id: str) -> CallRecord:
    record = journal.record(call_id)
    assert record is not None
    return record


def sample_calls(sample: Path) -> list[Call]:
    lines = (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    return [call_from_text(line) for line in lines]


def lived(file: Path, town: Resolver, calls: list[Call]) -> None:
    """Calls that were lived by a process that is gone."""
    with closing(Journal.open(file)) as journal:
        for call in calls:
            live(journal, town, call)


def kept(file: Path, call_id: str) -> tuple[CallRecord, list[Given]]:
    """A call and what was given for it, as a process finds them that has only the file."""
    with closing(Journal.open(file)) as journal:
        return recorded(journal, call_id), journal.given(call_id)


def test_the_towns_calls_come_out_again(file: Path, town: Resolver, sample: Path) -> None:
    calls = sample_calls(sample)
    lived(file, town, calls)
    for call in calls:
        found = replay(*kept(file, call.call_id), town)
        # Each piece, the deadline and the end.
        assert len(found) >= len(CONFIDENCES) * (len(call.evidence) + 2)
        assert [each for each in found if not each.equal] == []
        assert {each.confidence for each in found} == set(CONFIDENCES)


def test_messages_come_out_again(file: Path, town: Resolver, sample: Path) -> None:
    pieces = tuple(
        Evidence(DeviceReport(raw=RawMessage(form, (sample / "messages" / name).read_bytes())), "", "gateway")
        for form, name in MESSAGES.items()
    )
    lived(file, town, [replace(sample_calls(sample)[0], call_id="messages", evidence=pieces)])
    found = replay(*kept(file, "messages"), town)
    assert len(found) == len(CONFIDENCES) * (len(pieces) + 2)
    assert [each for each in found if not each.equal] == []


def test_more_pieces_than_an_estimate_counts(file: Path, town: Resolver) -> None:
    cells = [CellMeasurement(Radio.LTE, "001", "01", 1101, 1049859, signal_dbm=-60.0 - i / 32) for i in range(1_100)]
    with closing(Journal.open(file)) as journal:
        for start in range(0, len(cells), 550):
            pieces = tuple(Evidence(CellScan(cell)) for cell in cells[start : start + 550])
            journal.add(Arrival(pieces, NOON + start, "many", "", NOON)).result(10)
        record = recorded(journal, "many")
        asked, warnings = call_at(record, 2)
        assert len(warnings) == 1
        estimate = with_warnings(town.resolve([asked], as_of=[record.changes[-1].at])[0], warnings)
        journal.give(Given("many", 2, NOON + 551.0, estimate))
        # The same for the revision before, of which it is not.
        journal.give(Given("many", 1, NOON, estimate))
    first, second = replay(*kept(file, "many"), town)
    assert first.verdict is Verdict.DIFFERS
    assert second.equal


class TestWhatDiffers:
    @pytest.fixture
    def agreement(self, file: Path, town: Resolver, sample: Path) -> tuple[CallRecord, list[Given]]:
        """The first call of the town, and what was given for it."""
        call = sample_calls(sample)[0]
        lived(file, town, [call])
        return kept(file, call.call_id)

    def test_a_piece_that_is_a_bit_off(self, agreement: tuple[CallRecord, list[Given]], town: Resolver) -> None:
        record, given = agreement
        place, change, piece, fix = next(
            (place, change, piece, piece.content)
            for place, change in enumerate(record.changes)
            for piece in change.evidence
            if isinstance(piece.content, DeviceReport) and isinstance(piece.content.shape, Circle)
        )
        circle = fix.shape
        assert isinstance(circle, Circle)
        off = replace(circle, radius_m=math.nextafter(circle.radius_m, math.inf))
        moved = replace(change, evidence=(replace(piece, content=replace(fix, shape=off)),))
        tampered = replace(record, changes=(*record.changes[:place], moved, *record.changes[place + 1 :]))
        found = replay(tampered, given, town)
        assert {each.revision for each in found if not each.equal} == set(range(change.revision, record.revision + 1))
        assert all(" was given, " in each.words for each in found if not each.equal)

    def test_another_calibration_is_other_data(
        self, agreement: tuple[CallRecord, list[Given]], nothing: Resolver
    ) -> None:
        record, given = agreement
        found = replay(record, given, nothing)
        assert {each.verdict for each in found} == {Verdict.OTHER_DATA}
        assert all(each.words.startswith("made with ") and each.words.endswith("there is none") for each in found)

    def test_a_revision_that_the_journal_does_not_have(
        self, agreement: tuple[CallRecord, list[Given]], town: Resolver
    ) -> None:
        record, given = agreement
        words = "the journal has no revision 99 of the call: it ends with " + str(record.revision)
        found = replay(record, [replace(given[0], revision=99), given[1]], town)
        assert found == [
            Replayed(99, given[0].estimate.confidence, Verdict.DIFFERS, words),
            Replayed(given[1].revision, given[1].estimate.confidence, Verdict.EQUAL),
        ]

    def test_nothing_given(self, agreement: tuple[CallRecord, list[Given]], town: Resolver) -> None:
        assert replay(agreement[0], [], town) == []


class TestWords:
    estimate = LocationEstimate(Outcome.LOCATED, "call", 0.9, LatLng(55.0, 2.5), 30.0, alternatives=(ONE, OTHER))

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"radius_m": 30.000000000000004}, "radius_m: 30.0 was given, 30.000000000000004 comes out"),
            ({"radius_m": None}, "radius_m: 30.0 was given, None comes out"),
            ({"outcome": Outcome.CONFLICT}, "outcome: LOCATED was given, CONFLICT comes out"),
            ({"alternatives": (ONE,)}, "alternatives, its length: 2 was given, 1 comes out"),
            (
                {"alternatives": (ONE, replace(OTHER, mass=0.25))},
                "alternatives[1].mass: 0.125 was given, 0.25 comes out",
            ),
            (
                {"position": LatLng(55.0, 2.75), "radius_m": 31.0},
                "position.longitude_deg: 2.5 was given, 2.75 comes out",
            ),
            ({"estimated_at": NOON, "datasets": (DatasetVersion("cells", "cells", "a1"),)}, ""),
            ({}, ""),
        ],
    )
    def test_the_first_difference_is_told(self, changed: dict[str, object], words: str) -> None:
        assert difference(self.estimate, replace(self.estimate, **changed)) == words  # type: ignore[arg-type]

    def test_not_a_number_is_itself(self) -> None:
        odd = replace(self.estimate, radius_m=math.nan)
        assert difference(odd, replace(odd)) == ""
        assert difference(odd, self.estimate) == "radius_m: nan was given, 30.0 comes out"

    @pytest.mark.parametrize(
        ("then", "now", "words"),
        [
            ("a1", "a1", ""),
            ("a1", "b2", "made with cells 'cells' a1, now it is b2"),
            ("a1", None, "made with cells 'cells' a1, now there is none"),
            (None, "b2", "made without cells 'cells', now there is b2"),
        ],
    )
    def test_which_data_are_others(self, then: str | None, now: str | None, words: str) -> None:
        assert other_data(versions(then), versions(now)) == words


def versions(version: str | None) -> list[DatasetVersion]:
    return [] if version is None else [DatasetVersion("cells", "cells", version, rows=3)]
