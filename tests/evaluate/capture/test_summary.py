"""What is told of a capture, against calls made by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from locsvc.cli.report.capture import capture_page
from locsvc.evaluate.capture import words
from locsvc.evaluate.capture.records import Capture, Said, Sends, Shown
from locsvc.evaluate.capture.scenario import read_scenario
from locsvc.evaluate.capture.summary import mark_of, milliseconds, summary_of

NAN = np.nan


def capture_of(speed: float = 1.0) -> Capture:
    """Four calls: one that gets better, one that is wrong and narrow, one without a place, one late."""
    shown = [
        # call, at, received, revision, error, radius, held, fit, deadline, chance of 5, 10, 20 s
        (0, 0.5, 100.5, 1, 900.0, 1_500.0, 1, 0, 0, 0.1, 0.2, 0.9),
        (0, 18.0, 118.02, 2, 12.0, 30.0, 1, 1, 0, 0.0, 0.1, 0.1),
        (0, 20.0, 120.0, 3, 12.0, 30.0, 1, 1, 1, 0.0, 0.1, 0.1),
        (1, 0.4, 100.4, 1, 700.0, 2_000.0, 1, 0, 0, 0.1, 0.6, 0.9),
        (1, 7.0, 107.0, 3, 5_000.0, 25.0, 0, 1, 0, 0.0, 0.1, 0.2),
        (2, 0.1, 100.1, 1, NAN, NAN, 0, 0, 0, 0.1, 0.6, 0.9),
        (3, 0.2, 100.2, -1, NAN, NAN, 0, 0, 0, 0.1, 0.6, 0.9),
        (3, 25.0, 125.0, 2, 80.0, 100.0, 1, 0, 0, 0.1, 0.2, 0.4),
    ]
    columns = np.array(shown).T
    said = np.array([
        (0, 0.4, 800.0, 1_500.0), (0, 17.9, 15.0, 20.0), (1, 0.3, 600.0, 1_800.0), (1, 6.9, 5_000.0, 12.0),
        (1, 15.0, 90.0, 200.0), (2, 0.1, NAN, NAN), (3, 24.0, 60.0, NAN),
    ]).T  # fmt: skip
    # Sent, replied, late, revision: the last one of call 1 is never shown; that of call 2 waited for its call.
    sends = np.array([
        (0, 100.4, 100.45, 0.0, 1), (0, 117.9, 118.0, 0.001, 2), (1, 100.3, 100.35, 0.0, 1), (1, 106.9, 106.99, 0.0, 2),
        (1, 115.0, 115.1, 0.0, 4), (2, 100.1, 100.2, 0.0, 0), (3, 124.9, 124.98, 0.002, 2),
    ]).T  # fmt: skip
    ints, flags = np.int64, columns[6:9] > 0
    return Capture(
        names=["a", "b", "c", "d"], kinds=["mobile", "mobile", "fixed", "voip"],
        opened_s=np.full(4, 100.0), first_s=np.array([100.5, 100.4, 100.1, 100.2]),
        shown=Shown(
            columns[0].astype(ints), columns[1], columns[2], columns[3].astype(ints), columns[4], columns[5],
            flags[0], flags[1], np.full(8, 50.0), flags[2], columns[9:12].T,
        ),
        said=Said(said[0].astype(ints), said[1], said[2], said[3]),
        sends=Sends(sends[0].astype(ints), sends[1], sends[2], sends[3], sends[4].astype(ints)),
        lags_s=np.array([0.001, 0.002]), speed=speed, at_once=4, seconds=30.0, asked=4, server_cpu_s=3.0,
        failures={"add: UNAVAILABLE": 1},
    )  # fmt: skip


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return summary_of(capture_of())


def test_shares_at_a_second() -> None:
    mark = mark_of(capture_of(), 20.0)
    assert mark["answered"]["ours"]["share"] == 0.5
    assert mark["answered"]["evidence"]["share"] == 0.5
    assert mark["within_50_m"]["ours"]["share"] == 0.25
    assert {k: v["share"] for k, v in mark["within_300_m"].items()} == {
        "ours": 0.25, "evidence": 0.5, "newest": 0.5, "smallest": 0.25,
    }  # fmt: skip
    assert (mark["fit"]["share"], mark["fit_and_right"]["share"], mark["fit_and_right"]["n"]) == (0.5, 0.5, 2)
    assert (mark["in_region"]["share"], mark["in_region"]["n"]) == (0.5, 2)
    assert mark["error_m"]["ours"] == {"0.5": None, "0.9": None}
    assert mark["error_m"]["newest"]["0.5"] is None
    late = mark_of(capture_of(), 30.0)
    assert late["answered"]["ours"]["share"] == 0.75
    assert late["error_m"]["ours"]["0.5"] == 5000.0


def test_deadline(told: dict[str, Any]) -> None:
    deadline = told["deadline"]
    assert deadline["answered"]["share"] == 0.5
    assert deadline["told"]["share"] == 1.0
    assert deadline["without_an_answer"] == ["c", "d"]
    assert deadline["revision_of_the_deadline"]["share"] == 0.25
    assert deadline["first_answer_s"] == {"0.5": 0.5, "0.9": None, "0.99": None}


def test_calls_that_the_newest_report_would_have_served_better(told: dict[str, Any]) -> None:
    worse = told["worse"]
    assert (worse["worse_and_outside"], worse["by_more_than_the_radius"], worse["newest_without_ours"]) == (1, 1, 0)
    assert [(c["call"], c["ours_m"], c["newest_m"], c["radius_m"]) for c in worse["calls"]] == [("b", 5000, 90, 25)]
    assert worse["better_by_more_than_the_radius"] == 0


def test_the_service_s_own_part(told: dict[str, Any]) -> None:
    service = told["service"]
    # Call 0: 20 ms after the acknowledgement; call 1: revision 2 is shown with 3, 10 ms after; call 3 likewise.
    own = service["acknowledged_to_stream_ms"]
    assert (own["n"], own["p50"], own["worst"]) == (3, pytest.approx(20.0), pytest.approx(20.0))
    assert service["sent_to_stream_ms"]["worst"] == pytest.approx(120.0)
    assert service["acknowledged_never_shown"] == 1
    assert (service["provisional"], service["estimates"], service["requests"]) == (1, 8, 7)
    assert service["watch_to_first_ms"]["worst"] == pytest.approx(500.0)
    assert service["cpu_share"] == pytest.approx(0.1)
    assert told["client"]["sends_late_ms"]["worst"] == pytest.approx(2.0)


def test_quantiles_are_times_that_were_seen() -> None:
    found = milliseconds(np.array([0.001, 0.002, NAN, 0.003, 0.004]))
    assert found == {"p50": 2.0, "p99": 4.0, "p99_9": 4.0, "worst": 4.0, "n": 4}
    assert milliseconds(np.array([NAN]))["worst"] is None


def test_chances_are_judged_by_what_came(told: dict[str, Any]) -> None:
    ten = told["outlook"]["10"]
    # Calls 0 (0.5 s: 0.2; 18 s and 20 s: 0.1), 1 (0.4 s: 0.6, which came; 7 s: 0.1), 2 and 3 (0.6). What call 3 said at
    # 25 s is of seconds that no one watched.
    assert ten["n"] == 7
    assert ten["came"] == pytest.approx(1 / 7, abs=1e-5)
    assert [(b["chance"], b["share"], b["n"]) for b in ten["bins"]] == [
        (0.1, 0.0, 3), (0.2, 0.0, 1), (0.6, pytest.approx(1 / 3, abs=1e-5), 3),
    ]  # fmt: skip
    assert summary_of(capture_of(speed=10.0))["outlook"] == {}


def test_nothing_played_is_told_without_numbers() -> None:
    empty, none = np.zeros(0), np.zeros(0, np.int64)
    capture = Capture(
        [], [], empty, empty,
        Shown(none, empty, empty, none, empty, empty, empty > 0, empty > 0, empty, empty > 0, np.zeros((0, 3))),
        Said(none, empty, empty, empty), Sends(none, empty, empty, empty, none), empty, asked=5,
    )  # fmt: skip
    found = summary_of(capture)
    assert (found["calls"], found["marks"]) == (0, [])
    assert "Capture" in capture_page(found, read_scenario())


def test_words_and_page(told: dict[str, Any]) -> None:
    json.dumps(told, allow_nan=False)
    _, columns, rows = words.marks_table(told)
    assert columns[1:] == ["1 s", "5 s", "10 s", "20 s", "30 s"]
    assert rows[0] == ["an answer: locsvc", "50.0", "50.0", "50.0", "50.0", "75.0"]
    assert any("add: UNAVAILABLE: 1" in line for line in words.remarks(told))
    assert not any("held up" in line for line in words.remarks(told))
    busy = {"client": {**told["client"], "loop_late_ms": {"p99_9": 140.0}}}
    assert any("held up (140 ms at p99.9)" in line for line in words.remarks({**told, **busy}))
    assert "interrupted" in words.lead({**told, "asked": 9})
    page = capture_page(told, read_scenario())
    assert page.count("<svg") >= 6
    assert "tcf.org.nz" in page, "sources of the scenario are told"
    assert "http-equiv" in page
    assert "src=" not in page
