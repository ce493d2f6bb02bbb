"""When sources speak: the file, whose word a piece is, and what a journal teaches."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st

from locsvc.calls.arrivals import Again, Arrivals, ByKind
from locsvc.calls.experience import learned
from locsvc.calls.outlook import BETTER, outlook_of
from locsvc.calls.sources import (
    HANDSET,
    LINE,
    NETWORK_FIX,
    SERVING_CELL,
    SOURCES,
    LineSays,
    line_says,
    placed,
    source_of,
    spoken,
)
from locsvc.calls.spread import Spread, blended
from locsvc.errors import ConfigError
from locsvc.formats.messages import FORMATS
from locsvc.model import (
    Call,
    CellScan,
    ClassOfService,
    DeviceReport,
    Evidence,
    LineLookup,
    LineRecord,
    PositioningMethod,
    RawMessage,
)
from locsvc.resolver import table
from tests.calls.simulated import NOON, SimulatedCall, drawn

if TYPE_CHECKING:
    from locsvc.calls.words import CallRecord, Given
    from locsvc.resolver import Resolver

DAY_S = 86_400.0


class TestSpread:
    @given_that(st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=9), st.data())
    def test_values_and_shares_go_back_and_forth(self, values: list[float], data: st.DataObject) -> None:
        spread = Spread.through((i / (len(values) - 1), v) for i, v in enumerate(sorted(values)))
        value = data.draw(st.floats(-60.0, 60.0))
        share = spread.share_below(value)
        assert 0.0 <= share <= 1.0
        if spread.values[0] <= value <= spread.values[-1]:
            # Among equal values any share between will do.
            assert spread.value_at(share) == pytest.approx(value, abs=1e-9)

    def test_blended_with_bounds_is_the_distribution_behind_them(self) -> None:
        chance = random.Random(3)
        flat = Spread.through([(0, 0.0), (1, 1.0)])
        cases = [(chance.random() ** 2, chance.random()) for _ in range(4_000)]
        seen = [value for value, bound in cases if value < bound]
        bounds = [bound for value, bound in cases if value >= bound]
        # The bounds hide a third of the values; those that are seen alone are far too small.
        assert len(bounds) > 1_200
        found = blended(flat, 1.0, seen, bounds)
        for share in (0.1, 0.25, 0.5, 0.75):
            assert found.share_below(share**2) == pytest.approx(share, abs=0.04)
        assert blended(flat, 1.0, seen).share_below(0.25) > 0.6

    def test_few_cases_hardly_move_what_was_known(self) -> None:
        flat = Spread.through([(0, 0.0), (1, 1.0)])
        assert blended(flat, 20.0, [0.9] * 2).share_below(0.5) == pytest.approx(0.5 * 20 / 22, abs=0.01)
        assert blended(flat, 20.0, [0.9] * 200).share_below(0.5) < 0.06


class TestFile:
    def test_default_has_every_source_and_adds_up(self) -> None:
        default = Arrivals.default()
        assert [each.source for each in default.sources] == list(SOURCES)
        for kind in range(2):
            assert sum(pair[kind] for pair in default.says.values()) == pytest.approx(1.0)
        # AML: 18 s on average in the UK.
        times = default.of(HANDSET).time_s.drawn(1_000)
        assert math.fsum(times) / len(times) == pytest.approx(18.0, abs=0.05)

    def test_every_number_of_the_default_has_a_word_on_its_source(self) -> None:
        text = (Path(__file__).parents[2] / "locsvc/calls/arrivals.toml").read_text(encoding="utf-8")
        numbers = [line for line in text.splitlines() if not line.startswith("#") and any(c.isdigit() for c in line)]
        told = [line for line in numbers if "#" in line]
        # Two points that the line above explains are the only ones without.
        assert len(numbers) > 30
        assert [line.strip() for line in numbers if line not in told] == ["[1.0, 5000.0],", "[0.3, 18.0],"]

    def test_written_and_read_it_is_the_same(self, tmp_path: Path) -> None:
        default = replace(Arrivals.default(), origin='learned "here"\n\\')
        file = tmp_path / "arrivals.toml"
        file.write_text(default.to_toml(), encoding="utf-8")
        again = Arrivals.read(file)
        assert again.origin == 'learned "here" \\'
        assert again.to_toml() == replace(default, origin=again.origin).to_toml()
        for mine, theirs in zip(again.sources, default.sources, strict=True):
            assert (mine.share, mine.placed, mine.time_s) == (theirs.share, theirs.placed, theirs.time_s)
            assert mine.log_radius.values == pytest.approx(theirs.log_radius.values, abs=1e-3)
            assert (mine.again.share, mine.again.time_s) == (theirs.again.share, theirs.again.time_s)
            assert mine.again.log_ratio.values == pytest.approx(theirs.again.log_ratio.values, abs=1e-3)

    @pytest.mark.parametrize(
        ("before", "after", "names"),
        [
            ("mobile = 0.84", "mobile = 1.2", ("calls.mobile", "from 0 to 1", "1.2")),
            ("mobile = 0.84", "", ("calls.mobile", "missing")),
            ("prior_calls = 20", "prior_calls = true", ("prior_calls", "must be a number")),
            ("[handset]", "[headset]", ("'handset.share' is missing",)),
            ("[calls]", "[calls]\nfixed = 0.2", ("calls.fixed", "not known", "mobile")),
            ("[[0.0, 0.0], [1.0, 1.0]]", "[0.0, 1.0]", ("serving_cell.time_s", "pairs")),
            ("[[0.0, 0.0], [1.0, 1.0]]", "[[0.0, 0.0], [1.0, 500.0]]", ("serving_cell.time_s", "120")),
            ("[[0.0, 0.0], [1.0, 1.0]]", "[[0.0, 1.0], [1.0, 0.5]]", ("serving_cell.time_s", "descend", "0.5")),
            ("[[0.0, 0.0], [1.0, 1.0]]", "[[0.1, 0.0], [1.0, 0.5]]", ("serving_cell.time_s", "the share 0")),
            ("[0.0, 6.0],    #", "[0.0, 0.0],    #", ("handset.radius_m", "0.1")),
            ("{ fixed = 0.02, mobile = 0.7 }", "{ fixed = 0.5, mobile = 0.7 }", ("line.says.mobile", "one whole")),
            ("[handset.again]\nshare = 0.35", "[handset.again]\nshare = 35", ("handset.again.share", "0 to 1")),
            ("[0.9, 1.0],   # chosen", "[0.9, 1.2],", ("handset.again.ratio", "0.001 to 1", "1.2")),
            ("[handset.again]", "[handset.then]", ("'handset.then' is not known",)),
            ("[calls]", "[calls", ("line",)),
        ],
    )
    def test_a_wrong_file_is_told_by_the_name_of_what_is_wrong(
        self, tmp_path: Path, before: str, after: str, names: tuple[str, ...]
    ) -> None:
        text = (Path(__file__).parents[2] / "locsvc/calls/arrivals.toml").read_text(encoding="utf-8")
        assert before in text
        file = tmp_path / "ours.toml"
        file.write_text(text.replace(before, after, 1), encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            Arrivals.read(file)
        assert all(name in str(caught.value) for name in ("ours.toml", "arrivals.toml is the pattern", *names))

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gone\.toml: arrival times cannot be read"):
            Arrivals.read(tmp_path / "gone.toml")


def message(form: str, text: bytes = b"...") -> Evidence:
    return Evidence(DeviceReport(raw=RawMessage(form, text)), "message-1")


class TestSources:
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_is_somebodys_word(self, form: str) -> None:
        assert source_of(message(form)) in SOURCES

    @pytest.mark.parametrize(
        ("method", "source"),
        [
            (PositioningMethod.UNSPECIFIED, HANDSET),
            (PositioningMethod.GNSS, HANDSET),
            (PositioningMethod.WIFI, HANDSET),
            (PositioningMethod.FUSED, HANDSET),
            (PositioningMethod.BEACON, HANDSET),
            (PositioningMethod.CELL, NETWORK_FIX),
            (PositioningMethod.NETWORK, NETWORK_FIX),
            (PositioningMethod.MANUAL, None),
        ],
    )
    def test_reports_by_method(self, method: PositioningMethod, source: str | None) -> None:
        assert source_of(Evidence(DeviceReport(method=method))) == source

    def test_other_evidence(self) -> None:
        assert [source_of(Evidence(c)) for c in (CellScan(), LineLookup(), None)] == [SERVING_CELL, LINE, None]

    @pytest.mark.parametrize(
        ("form", "file", "source"),
        [
            ("aml", "aml.txt", HANDSET),
            ("access-network", "access-network.txt", SERVING_CELL),
            # A display of class WPH2: the line database hands on the network's fix.
            ("ali", "ali.txt", NETWORK_FIX),
            ("gad", "gad.hex", NETWORK_FIX),
            ("held", "held.xml", NETWORK_FIX),
            ("mlp", "mlp.xml", NETWORK_FIX),
            ("pidf-lo", "pidf-lo.xml", HANDSET),
            ("rfc7105", "rfc7105.xml", SERVING_CELL),
            ("sip", "sip.txt", HANDSET),
        ],
    )
    def test_what_is_found_in_messages_has_spoken(
        self, town: Resolver, sample: Path, form: str, file: str, source: str
    ) -> None:
        pieces = (message(form, (sample / "messages" / file).read_bytes()),)
        estimate = town.resolve([Call("call", evidence=pieces)])[0]
        # MLP names the caller, whose line is in the town's table.
        besides = {LINE} if form == "mlp" else set()
        assert spoken(pieces, estimate.contributions) == {source} | besides
        assert placed(pieces, estimate.contributions) == {source} | besides

    def test_a_call_set_up_that_tells_the_cell_is_no_handsets_word(self, town: Resolver, sample: Path) -> None:
        cell = (sample / "messages/access-network.txt").read_bytes().strip()
        pieces = (message("sip", b"INVITE urn:service:sos SIP/2.0\r\nP-Access-Network-Info: " + cell + b"\r\n\r\n"),)
        estimate = town.resolve([Call("call", evidence=pieces)])[0]
        assert spoken(pieces, estimate.contributions) == {SERVING_CELL}

    def test_a_message_that_cannot_be_read_has_spoken_without_a_place(self, town: Resolver) -> None:
        pieces = (message("ali", b"no display"),)
        estimate = town.resolve([Call("call", evidence=pieces)])[0]
        assert len(spoken(pieces, estimate.contributions)) == 1
        assert placed(pieces, estimate.contributions) == set()

    def test_the_look_up_that_nobody_asked_for_has_the_resolvers_name(self, town: Resolver) -> None:
        estimate = town.resolve([Call("call", "+441632960100")])[0]
        assert {each.evidence_id for each in estimate.contributions} == {table.IMPLIED}
        assert spoken((), estimate.contributions) == {LINE}
        assert line_says((), estimate.contributions) is LineSays.FIXED

    def test_a_number_without_a_record_has_said_nothing(self, town: Resolver) -> None:
        estimate = town.resolve([Call("call", "+353209100001")])[0]
        assert estimate.contributions
        assert spoken((), estimate.contributions) == set()
        assert line_says((), estimate.contributions) is LineSays.OPEN

    @pytest.mark.parametrize(
        ("line_class", "says"),
        [
            (ClassOfService.RESIDENCE, LineSays.FIXED),
            (ClassOfService.WIRELESS_PHASE1, LineSays.MOBILE),
            (ClassOfService.VOIP_NOMADIC, LineSays.OPEN),
            (ClassOfService.UNSPECIFIED, LineSays.OPEN),
        ],
    )
    def test_a_record_says_by_its_class(self, line_class: ClassOfService, says: LineSays) -> None:
        assert line_says([Evidence(LineLookup(record=LineRecord("+441632960100", line_class)))], ()) is says

    def test_a_display_says_by_its_class(self, sample: Path) -> None:
        display = (sample / "messages/ali.txt").read_bytes()
        assert line_says([message("ali", display)], ()) is LineSays.MOBILE
        assert line_says([message("ali", display.replace(b"WPH2", b"RESD"))], ()) is LineSays.FIXED
        assert line_says([message("ali", b"nothing of the kind")], ()) is LineSays.OPEN


def elsewhere() -> Arrivals:
    """Another control room than the default's: half of its calls are mobile, AML is rare and slow, fixes are quick."""
    default = Arrivals.default()
    changed = {
        SERVING_CELL: {"share": ByKind(0.9, 0.0)},
        LINE: {"share": ByKind(0.2, 0.9)},
        HANDSET: {
            "share": ByKind(0.4, 0.0),
            "time_s": Spread.through([(0, 10.0), (0.5, 25.0), (1, 50.0)]),
            "log_radius": Spread.through([(0, math.log(8.0)), (0.5, math.log(15.0)), (1, math.log(100.0))]),
            "again": Again(
                0.7,
                Spread.through([(0, 1.0), (0.5, 3.0), (1, 6.0)]),
                Spread.through([(0, math.log(0.2)), (0.5, math.log(0.4)), (0.8, 0.0), (1, 0.0)]),
            ),
        },
        NETWORK_FIX: {
            "share": ByKind(0.8, 0.0),
            "placed": ByKind(0.7, 0.0),
            "time_s": Spread.through([(0, 2.0), (0.5, 6.0), (1, 12.0)]),
        },
    }
    sources = tuple(replace(each, **changed[each.source]) for each in default.sources)  # type: ignore[arg-type]
    return replace(default, mobile=0.5, sources=sources)


def journal_of(calls: list[SimulatedCall]) -> tuple[list[CallRecord], dict[str, list[Given]]]:
    kept = [call.journalled(f"call-{i}", NOON + 200.0 * i) for i, call in enumerate(calls)]
    return [record for record, _ in kept], {record.call_id: given for record, given in kept}


class TestLearned:
    def test_300_calls_tell_what_a_control_room_is_like(self) -> None:
        truth, chance = elsewhere(), random.Random(11)
        records, given = journal_of([drawn(truth, chance) for _ in range(300)])
        found = learned(records, given.__getitem__)
        assert found.mobile == pytest.approx(truth.mobile, abs=0.1)
        for mine, theirs, shipped in zip(found.sources, truth.sources, Arrivals.default().sources, strict=True):
            # Within chance (300 calls, half of a kind) and the weight of what was known before, 20 calls of 150.
            for kind in range(2):
                pull = abs(shipped.share[kind] - theirs.share[kind]) * 20 / 150
                assert mine.share[kind] == pytest.approx(theirs.share[kind], abs=0.12 + pull)
            for share in (0.25, 0.5, 0.75):
                at = theirs.time_s.value_at(share)
                assert mine.time_s.share_below(at) == pytest.approx(share, abs=0.22)
                at = theirs.log_radius.value_at(share)
                assert mine.log_radius.share_below(at) == pytest.approx(share, abs=0.22)
        assert found.of(NETWORK_FIX).placed.mobile == pytest.approx(0.7, abs=0.12)

    def test_300_calls_tell_how_often_and_when_a_source_speaks_again(self) -> None:
        truth, chance = elsewhere(), random.Random(17)
        records, given = journal_of([drawn(truth, chance) for _ in range(300)])
        found, theirs = learned(records, given.__getitem__).of(HANDSET).again, truth.of(HANDSET).again
        # Some 60 calls with 140 such words, and the 20 that were known before.
        assert found.share == pytest.approx(theirs.share, abs=0.12)
        for share in (0.25, 0.5, 0.75):
            assert found.time_s.share_below(theirs.time_s.value_at(share)) == pytest.approx(share, abs=0.22)
        for share in (0.25, 0.5):
            assert found.log_ratio.share_below(theirs.log_ratio.value_at(share)) == pytest.approx(share, abs=0.22)
        # Who has no second words in its file gets some when they are seen.
        loud = replace(truth, sources=tuple(replace(each, again=theirs) for each in truth.sources))
        records, given = journal_of([drawn(loud, chance) for _ in range(300)])
        assert learned(records, given.__getitem__).of(SERVING_CELL).again.share == pytest.approx(0.7, abs=0.12)

    def test_chances_from_300_calls_are_nearly_true_and_the_defaults_are_not(self) -> None:
        truth, chance = elsewhere(), random.Random(12)
        records, given = journal_of([drawn(truth, chance) for _ in range(300)])
        found = learned(records, given.__getitem__)
        moments = [(drawn(truth, chance), chance.uniform(0.0, 25.0)) for _ in range(3_000)]
        assert mean_miss(found, moments) < 0.03
        assert mean_miss(Arrivals.default(), moments) > 0.09

    def test_what_was_known_before_holds_a_few_calls(self) -> None:
        records, given = journal_of([drawn(elsewhere(), random.Random(13))])
        found = learned(records, given.__getitem__)
        assert found.mobile == pytest.approx(Arrivals.default().mobile, abs=0.05)
        firmly = learned(records, given.__getitem__, replace(Arrivals.default(), prior_calls=1e6))
        assert firmly.mobile == pytest.approx(Arrivals.default().mobile, abs=1e-5)

    def test_origin_says_calls_dates_and_sizes(self) -> None:
        chance = random.Random(14)
        records, given = journal_of([drawn(elsewhere(), chance) for _ in range(500)])
        found = learned(records, given.__getitem__)
        spoke = sum(any(p.evidence_id.startswith(HANDSET) for c in r.changes for p in c.evidence) for r in records)
        assert found.origin.startswith("learned from 500 calls of 2026-03-14 to 2026-03-15: ")
        assert f"handset in {spoke}" in found.origin

    def test_calls_that_tell_nothing_yet_do_not_count(self) -> None:
        chance = random.Random(15)
        records, given = journal_of([drawn(elsewhere(), chance) for _ in range(40)])
        default = Arrivals.default()
        # Told of an hour after they began: nobody knows when who spoke.
        late = [replace(r, started_at=r.started_at - 3_600.0) for r in records]
        assert learned(late, given.__getitem__) is default
        assert learned([replace(r, changes=()) for r in records], given.__getitem__) is default
        # Under way: the newest may still be told of by all sources, those of minutes ago not.
        live = [replace(r, ended_at=None, changes=r.changes[:-1]) for r in records]
        assert learned(live[-1:], given.__getitem__) is default
        assert "from 39 calls" in learned(live, given.__getitem__).origin

    def test_without_estimates_times_are_learned_and_radii_are_not(self) -> None:
        chance = random.Random(16)
        records, _ = journal_of([drawn(elsewhere(), chance) for _ in range(600)])
        found, default = learned(records, lambda _: []), Arrivals.default()
        assert found.of(HANDSET).time_s.value_at(0.5) == pytest.approx(25.0, abs=4.0)
        for each in SOURCES:
            assert found.of(each).placed == default.of(each).placed
            assert found.of(each).again.log_ratio.value_at(0.5) == pytest.approx(
                default.of(each).again.log_ratio.value_at(0.5), abs=0.1
            )
        assert found.of(HANDSET).again.share == pytest.approx(0.7, abs=0.1)
        for each in SOURCES:
            assert found.of(each).log_radius.value_at(0.5) == pytest.approx(
                default.of(each).log_radius.value_at(0.5), abs=0.1
            )


def mean_miss(arrivals: Arrivals, moments: list[tuple[SimulatedCall, float]]) -> float:
    """How far stated chances of a better answer within 10 s are from how often it comes, over tenths of chances."""
    stated: list[tuple[float, bool]] = []
    for call, at_s in moments:
        evidence, arrived_at = call.evidence(at_s), call.arrived_at(at_s, NOON)
        found = outlook_of(call.estimate(at_s), evidence, NOON, NOON + at_s, arrivals, arrived_at=arrived_at)
        now_m, then_m = call.best_m(at_s), call.best_m(at_s + 10.0)
        stated.append((found.prospects[1].chance, then_m <= BETTER * now_m and then_m < now_m))
    tenths: dict[int, list[float]] = {}
    for chance, happened in stated:
        tenths.setdefault(int(10 * chance), []).append(chance - happened)
    return math.fsum(abs(math.fsum(misses)) for misses in tenths.values()) / len(stated)
