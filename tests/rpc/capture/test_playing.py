"""Calls played against a real server, and how what came of them is read."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import pytest
from click.testing import CliRunner

from locsvc.cli import main
from locsvc.errors import DatasetMissing, LocsvcError, Unavailable
from locsvc.evaluate.capture.drawing import Fix, Piece, PlannedCall
from locsvc.evaluate.capture.scenario import read_scenario
from locsvc.model import CellMeasurement, CellScan, LatLng, PositioningMethod, Radio
from locsvc.rpc.capture.measuring import Measuring, holds
from locsvc.rpc.capture.playing import Played, Sent, numbered, request_of
from locsvc.rpc.capture.run import CaptureSettings, bench_capture
from locsvc.rpc.capture.serving import ServerProcess, cpu_s_of, family_of, memory_of
from locsvc.v1.call_service_pb2 import (
    CHANGE_KIND_DEADLINE,
    CHANGE_KIND_EVIDENCE,
    AddEvidenceRequest,
    WatchLocationResponse,
)
from locsvc.v1.estimate_pb2 import LocationEstimate

HERE = LatLng(54.9977, 2.4952)


def planned(*pieces: Piece) -> PlannedCall:
    return PlannedCall("c-1", "+447700900001", "mobile", HERE, 31.0, pieces)


def fix(radius_m: float = 20.0, place: LatLng = HERE) -> Fix:
    return Fix(place, radius_m, 0.68, PositioningMethod.GNSS)


def located(place: LatLng, *, resolution: int = 9, radius_m: float = 30.0) -> LocationEstimate:
    estimate = LocationEstimate(radius_m=radius_m)
    estimate.position.latitude_deg, estimate.position.longitude_deg = place.latitude_deg, place.longitude_deg
    estimate.region.resolution = resolution
    return estimate


def test_who_knows_the_number_alone_says_no_more() -> None:
    piece = Piece(3.0, 2.5, "handset", fix(), by_number=True)
    request = AddEvidenceRequest.FromString(request_of(planned(piece), piece, 1_800_000_000.0, 1.0))
    assert (request.call_id, request.calling_number) == ("", "+447700900001")
    assert not request.HasField("started_at")
    assert request.evidence[0].observed_at.seconds == 1_800_000_002
    scan = CellScan(CellMeasurement(Radio.LTE, "001", "01", 1101, 1_049_859))
    cell = Piece(0.5, 0.5, "serving_cell", scan)
    request = AddEvidenceRequest.FromString(request_of(planned(cell), cell, 1_800_000_000.0, 1.0))
    assert (request.call_id, request.started_at.seconds) == ("c-1", 1_800_000_000)
    assert request.evidence[0].cell_scan.serving.cell == 1_049_859


def test_calls_are_shared_out_with_their_numbers() -> None:
    calls = [planned() for _ in range(5)]
    shares = list(numbered(calls, 2))
    assert [[i for i, _ in own] for own in shares] == [[0, 2, 4], [1, 3]]


@pytest.mark.parametrize("listed", [9, 7, 4])
def test_regions_hold_what_is_in_a_cell_or_in_one_above_it(listed: int) -> None:
    estimate = located(HERE)
    estimate.region.cells.append(int(h3.latlng_to_cell(HERE.latitude_deg, HERE.longitude_deg, listed)))
    assert holds(estimate, HERE)
    assert not holds(estimate, LatLng(HERE.latitude_deg + 1.5, HERE.longitude_deg))
    # A finer cell than the region's finest says nothing of the cells around it.
    assert not holds(located(HERE), HERE)


def test_messages_become_columns() -> None:
    wrong = LatLng(HERE.latitude_deg + 0.01, HERE.longitude_deg)
    call = planned(
        Piece(0.5, 0.5, "serving_cell", CellScan(), shown=wrong, claimed_m=900.0),
        Piece(12.0, 12.0, "handset", fix(), shown=HERE, claimed_m=20.0),
    )
    good = WatchLocationResponse(revision=2, kind=CHANGE_KIND_EVIDENCE, estimate=located(HERE))
    good.estimate.region.cells.append(int(h3.latlng_to_cell(HERE.latitude_deg, HERE.longitude_deg, 9)))
    good.outlook.fit_to_dispatch, good.outlook.fit_radius_m = True, 50.0
    good.outlook.prospects.add(within_s=10.0, chance=0.25)
    messages = [
        (100.6, WatchLocationResponse(revision=1, estimate=located(wrong, radius_m=900.0), provisional=True)),
        (103.0, WatchLocationResponse(revision=1)),  # a heartbeat
        (112.1, good),
        (120.0, WatchLocationResponse(revision=3, kind=CHANGE_KIND_DEADLINE, estimate=LocationEstimate())),
    ]
    measuring = Measuring([planned(), call], speed=2.0)
    measuring.add(
        Played(
            1, 100.0, 100.01,
            [Sent(1, 106.0, 106.1, 106.3, 1, 2), Sent(0, 100.25, 100.3, 100.4, 0, 1), Sent(1, 107.0, 107.0, 107.2, failure="add: X")],
            [(s, m.SerializeToString()) for s, m in messages],
            ["watch: UNAVAILABLE"],
        )
    )  # fmt: skip
    capture = measuring.capture(at_once=3, seconds=9.0, asked=4, server_cpu_s=None)
    assert (len(capture), capture.names, capture.opened_s.tolist(), capture.first_s.tolist()) == (
        1, ["c-1"], [100.01], [100.6],
    )  # fmt: skip
    shown = capture.shown
    assert shown.at_s == pytest.approx([1.2, 24.2, 40.0])
    assert shown.revision.tolist() == [-1, 2, 3]
    assert shown.error_m[:2] == pytest.approx([1113.0, 0.0], abs=1.0)
    assert np.isnan(shown.error_m[2])
    assert (shown.held.tolist(), shown.fit.tolist()) == ([False, True, False], [False, True, False])
    assert shown.deadline.tolist() == [False, False, True]
    np.testing.assert_array_equal(shown.chance[1], [np.nan, 0.25, np.nan])
    assert capture.said.error_m == pytest.approx([1113.0, 0.0, 0.0], abs=1.0)
    assert capture.said.claimed_m.tolist() == [900.0, 20.0, 20.0]
    # Nothing new, and a request that failed, are no revision that a watcher waits for.
    assert capture.sends.revision.tolist() == [0, 2, 0]
    assert capture.sends.late_s == pytest.approx([0.05, 0.1, 0.0])
    assert capture.failures == {"watch: UNAVAILABLE": 1, "add: X": 1}


def test_a_server_that_does_not_start_tells_why(tmp_path: Path, imported_town: Path) -> None:
    with (
        pytest.raises(Unavailable, match="no-such-option"),
        ServerProcess(imported_town, tmp_path, ["--no-such-option"]),
    ):
        pass


def test_a_server_of_its_own_is_measured_and_ended(tmp_path: Path, imported_town: Path) -> None:
    with ServerProcess(imported_town, tmp_path, ["--journal", str(tmp_path / "calls.sqlite")]) as server:
        pid = server.pid
        assert family_of(pid)[0] == pid
        assert (cpu_s_of(pid) or 0) > 0.1
        assert (memory_of(pid) or 0) > 10_000_000
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert cpu_s_of(pid) is None


@pytest.fixture(scope="module")
def run(imported_town: Path) -> dict[str, Any]:
    """A short run as the command makes it."""
    result = CliRunner().invoke(
        main,
        ["bench", "capture", "--calls", "12", "--at-once", "6", "--speed", "20", "--clients", "2", "--json"],
        env={"LOCSVC_DATA": str(imported_town)},
    )
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_tables_page_and_scenario_are_those_of_the_run(tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["bench", "capture", "--print-scenario"])
    own = tmp_path / "own.toml"
    own.write_text(printed.stdout.replace('name = "default-', 'name = "ours-').replace("is = 0.84", "is = 0.0", 1))
    page = tmp_path / "page.html"
    options = ["--calls", "4", "--speed", "40", "--scenario", str(own), "--report", str(page)]
    # Without a data directory: on the sample town.
    result = CliRunner().invoke(main, ["bench", "capture", *options], env={"LOCSVC_DATA": ""})
    assert result.exit_code == 0, result.stderr
    assert re.match(r"4 calls \([^)]*\), 200 at once, 40 times as fast", result.stdout)
    assert "mobile" not in result.stdout.splitlines()[0]
    for title in ("What was known when", "How far off", "The service's own part"):
        assert title in result.stdout
        assert html.escape(title) in page.read_text()
    assert "ours-" in page.read_text()
    own.write_text("[cell]\nshare = 2")
    refused = CliRunner().invoke(main, ["bench", "capture", "--scenario", str(own)])
    assert refused.exit_code == 78
    assert "own.toml" in refused.stderr


def test_every_call_is_played_and_told_of(run: dict[str, Any]) -> None:
    assert (run["calls"], run["asked"], run["speed"], run["failures"]) == (12, 12, 20.0, {})
    assert run["deadline"]["told"]["share"] == 1.0
    assert run["service"]["acknowledged_never_shown"] == 0
    assert run["service"]["acknowledged_to_stream_ms"]["n"] > 10
    assert run["service"]["estimates"] > 12
    assert [m["second"] for m in run["marks"]] == [1.0, 5.0, 10.0, 20.0, 30.0]


def test_interrupted_it_tells_what_is_known(imported_town: Path) -> None:
    command = [sys.executable, "-m", "locsvc", "bench", "capture", "--data", str(imported_town), "--calls", "400"]
    options = ["--at-once", "10", "--speed", "40", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        while "playing" not in running.stderr.readline():
            assert running.poll() is None
        time.sleep(6.0)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    told = json.loads(out)
    assert 0 < told["calls"] < told["asked"] == 400


def test_ground_without_cells_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing):
        bench_capture(CaptureSettings(tmp_path, read_scenario()))


def test_a_server_that_cannot_play_is_said_at_once(imported_town: Path, tmp_path: Path) -> None:
    settings = CaptureSettings(imported_town, read_scenario(), server="127.0.0.1:1", calls=2)
    with pytest.raises(Unavailable):
        bench_capture(settings)
    with (
        ServerProcess(imported_town, tmp_path, ["--no-journal"]) as server,
        pytest.raises(LocsvcError, match="journal"),
    ):
        bench_capture(dataclasses.replace(settings, server=server.target))


def test_a_server_that_runs_is_played_against(imported_town: Path, tmp_path: Path) -> None:
    with ServerProcess(imported_town, tmp_path, ["--journal", str(tmp_path / "calls.sqlite")]) as server:
        scenario = read_scenario()
        settings = CaptureSettings(imported_town, scenario, server=server.target, calls=4, at_once=4, speed=30.0)
        found = bench_capture(settings)
        # Its callers of the run before are others.
        again = bench_capture(settings)
    assert (found.whole, again.whole) == (True, True)
    assert set(found.capture.names).isdisjoint(again.capture.names)
    assert found.capture.server_cpu_s is None
