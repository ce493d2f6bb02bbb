"""`--report`: a page that stands alone, from counts of any size, with all numbers of the summary."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from locsvc.cli.report import Report, report_page
from locsvc.cli.report.density import Grid, boxes, places
from locsvc.cli.report.plots import pace_plot, time_plot
from tests.batch.conftest import Batch, fixes


class Page(HTMLParser):
    """The texts of a page; raises on an element that is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_of_a_run(batch: Batch, imported_town: Path, tmp_path: Path, seed: int) -> None:
    rows = fixes(300, seed)
    pq.write_table(rows, tmp_path / "calls.parquet")
    report, summary = tmp_path / "r.html", tmp_path / "s.json"
    done = batch(
        tmp_path / "calls.parquet", tmp_path / "o.parquet", "--data", imported_town, "--report", report,
        "--summary", summary,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page, told = report.read_text(), json.loads(summary.read_text())
    read = Page(page)
    # Nothing is loaded: no address in it but names of namespaces and the policy that forbids it.
    assert not [v for k, v in read.attributes if k in {"src", "href"} and not (v or "").startswith("#")]
    assert "default-src 'none'" in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    text = " ".join(read.texts)
    assert "300" in text
    assert told["snapshot"] in text
    frame = json.loads(re.findall(r'id="squares">(.*?)</script>', page)[0])
    assert sum(frame["squares"][2::3]) == told["outcomes"]["located"]
    # The town's areas lie behind the squares.
    assert page.count('class="land"') >= 1
    assert [v for k, v in read.attributes if k == "aria-label" and v and v.startswith("Histogram of the radii")]


def told(calls: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - numbers, texts and tables
    return {
        "rows": calls, "calls": calls, "outcomes": {"located": calls} if calls else {}, "conflicts": 0,
        "source_share": {"cell_scan": 0.0, "device_report": 1.0, "line_lookup": 0.0}, "sources": {}, "fallbacks": {},
        "radius_m": {"0.5": None, "0.9": None}, "warnings": {}, "rejects": {}, "seconds": 1.0, "calls_per_s": 1.0,
        "resumed_parts": 0, "snapshot": "", "version": "1", **more,
    }  # fmt: skip


def test_a_page_of_nothing_and_of_hostile_names() -> None:
    counted: dict[str, Any] = {"radii": ([], []), "squares": (20, [], [], []), "times": (60, [], []), "areas": {}}
    page = report_page(Report("<b>in", "<script>out", 0.9, told(0, rejects={"<i>x": 3}), counted))
    Page(page)
    assert "No call has a place" in page
    assert "<script>out" not in page
    assert "<i>x" not in page


@pytest.mark.parametrize(
    ("column", "row"), [([5], [9]), ([0, 1023], [500, 500]), (list(range(1024)), [3] * 1024), ([0, 512], [0, 1023])]
)
def test_views_hold_the_squares(column: list[int], row: list[int]) -> None:
    grid = Grid.of(10, column, row, [1] * len(column))
    opening, whole = boxes(grid)
    assert opening[2] - opening[0] <= 160
    assert whole[0] <= grid.column.min() <= grid.column.max() < whole[2]
    assert int(grid.count.sum()) == len(column)
    assert sum(found[3] for found in places(grid)) == len(column)


def test_places_across_the_antimeridian_are_side_by_side() -> None:
    grid = Grid.of(10, [1023, 0], [500, 500], [3, 4])
    assert sorted(grid.column.tolist()) == [0, 1]
    ((_, _, longitude, count),) = places(grid)
    assert count == 7
    assert abs(longitude) > 179


def test_few_far_answers_do_not_shrink_the_map() -> None:
    column = [*range(500, 520), 3]
    grid = Grid.of(10, column, [500] * 21, [100] * 20 + [1])
    opening, whole = boxes(grid)
    assert opening[2] - opening[0] < 30
    assert whole[2] - whole[0] > 400


def test_times_far_from_all_others_are_told_and_not_drawn() -> None:
    starts = [0, *(1_700_000_000 // 60 * 60 + 60 * i for i in range(300))]
    drawn = time_plot(60, starts, [1] + [10] * 300)
    assert "1 calls of other times" in drawn
    assert sum(int(n) for n in re.findall(r": ([\d,]+) calls</title>", drawn.replace(",", ""))) == 3_000


def test_the_pace_leaves_out_what_was_there_before() -> None:
    pace = [(2.0 + i, 1_000_000 + 100 * i) for i in range(30)]
    drawn = pace_plot(pace)
    rates = [int(n) for n in re.findall(r": (\d+) calls a second", drawn)]
    assert np.allclose(rates, 100)
