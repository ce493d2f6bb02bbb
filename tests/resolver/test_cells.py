"""Cell scans: every step of the chain named and wider than the one before, neighbours, timing advance, ageing."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from locsvc.geo import distance_m
from locsvc.model import (
    CellFallback,
    CellMeasurement,
    CellScan,
    Disposition,
    Evidence,
    Outcome,
    Radio,
    Reason,
    WarningCode,
)
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from tests.resolver.calls import CHURCH, NOON, about, answer, call, cell, codes, fix, numbers, position, radius, scan

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "radio,mcc,mnc,area,cell,pci,arfcn,latitude,longitude,range_m,samples,updated"
# A network with a site of three cells, others of its area some kilometres off, and other areas far away.
ROWS = [
    *(f"LTE,001,02,7,{(900 << 8) + i},{i},1300,55.00{i},2.50{i},1000,200,1700000000" for i in range(1, 4)),
    *(
        f"LTE,001,02,7,{(910 + i << 8) + 1},{20 + i},1300,{55 + 0.02 * i},{2.5 - 0.03 * i},1000,200,1700000000"
        for i in range(6)
    ),
    *(
        f"LTE,001,02,{10 + i},{(950 + i << 8) + 1},{40 + i},1300,{55 + 0.4 * i},{2.5 + 0.3 * i},1000,200,1700000000"
        for i in range(6)
    ),
    "LTE,272,03,40122,124546051,9,1300,51.9,-8.47,1000,200,1700000000",
]
SECTORS = [
    "radio,mcc,mnc,area,cell,latitude,longitude,azimuth,range_m",
    f"LTE,001,02,7,{(900 << 8) + 2},55.002,2.502,90,1000",
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    """A resolver over the rows above, imported."""
    folder: Path = tmp_path_factory.mktemp("cells")
    (folder / "cells.csv").write_text("\n".join([HEADER, *ROWS]))
    (folder / "sectors.csv").write_text("\n".join(SECTORS))
    with Draft.begin(folder / "data") as draft:
        import_cells(draft, folder / "cells.csv", name="cells")
        import_cells(draft, folder / "sectors.csv", name="sectors")
        draft.publish()
    return Resolver(Reference.open(folder / "data"))


def of(number: int | None, area: int | None = 7, mcc: str = "001", mnc: str = "02", **others: int) -> CellMeasurement:
    return CellMeasurement(Radio.LTE, mcc, mnc, area, number, **others)


# What is measured, and the step that answers.
STEPS = [
    (of((900 << 8) + 2), CellFallback.SECTOR),
    (of((900 << 8) + 3), CellFallback.CENTROID),
    (of((900 << 8) + 9), CellFallback.SITE),
    (of((999 << 8) + 9), CellFallback.AREA),
    (of((999 << 8) + 9, 99), CellFallback.NETWORK),
    (of((999 << 8) + 9, 99, "234", "15"), CellFallback.COUNTRY),
]


@pytest.mark.parametrize(("measured", "step"), STEPS, ids=[s.name for _, s in STEPS])
def test_each_step_is_named(small: Resolver, measured: CellMeasurement, step: CellFallback) -> None:
    got = answer(small, call(scan(measured)))
    told = about(got, "piece-0", "serving")
    assert told.cell_fallback is step
    assert told.disposition is Disposition.USED
    assert (WarningCode.UNKNOWN_CELL in codes(got)) == (step > CellFallback.CENTROID)
    assert (told.reason is Reason.UNKNOWN_CELL) == (step > CellFallback.CENTROID)
    assert got.outcome is Outcome.LOCATED


def test_each_step_is_wider_than_the_one_before(small: Resolver) -> None:
    radii = [radius(answer(small, call(scan(measured)))) for measured, _ in STEPS]
    assert radii == sorted(radii)
    assert all(b > 1.02 * a for a, b in pairwise(radii)), radii


def test_physical_identity_beside_the_serving_cell(small: Resolver) -> None:
    serving = of((900 << 8) + 3)
    nameless = CellMeasurement(pci=22, arfcn=1300)
    got = answer(small, call(CellScan(serving, (nameless,))))
    told = about(got, "piece-0", "neighbours[0]")
    assert told.cell_fallback is CellFallback.PHYSICAL_IDENTITY
    lone = answer(small, call(CellScan(serving)))
    # It stands to the north-west and draws the answer there.
    assert position(got).longitude_deg < position(lone).longitude_deg


def test_nameless_neighbour_without_a_place_to_look_from_says_nothing(small: Resolver) -> None:
    nameless = CellMeasurement(Radio.LTE, "001", "02", pci=22, arfcn=1300)
    got = answer(small, call(CellScan(None, (nameless,))))
    assert about(got, "piece-0").disposition is Disposition.SET_ASIDE
    # With a fix near by it does.
    place = replace(CHURCH, latitude_deg=55.04, longitude_deg=2.44)
    near = answer(small, call(CellScan(None, (nameless,)), fix(place, 500.0)))
    assert about(near, "piece-0").cell_fallback is CellFallback.PHYSICAL_IDENTITY


def test_neighbours_known_no_better_than_by_area_are_left_out(small: Resolver) -> None:
    serving, stranger = of((900 << 8) + 3), of((999 << 8) + 9)
    lone = answer(small, call(CellScan(serving)))
    both = answer(small, call(CellScan(serving, (stranger,))))
    assert numbers(both) == numbers(lone)
    assert about(both, "piece-0", "neighbours[0]").disposition is Disposition.SET_ASIDE


def test_lone_neighbour_counts_in_full(small: Resolver) -> None:
    heard = answer(small, call(CellScan(None, (of((900 << 8) + 3),))))
    served = answer(small, call(CellScan(of((900 << 8) + 3))))
    assert heard.outcome is Outcome.LOCATED
    told = about(heard, "piece-0", "neighbours[0]")
    assert told.reason is not Reason.CONFLICTS
    # Heard farther than served, but not much.
    assert radius(served) < radius(heard) < 2.5 * radius(served)


def test_neighbours_narrow_the_answer_but_less_than_if_they_were_independent(small: Resolver) -> None:
    serving = of((900 << 8) + 1)
    neighbours = (of((900 << 8) + 3), of((910 << 8) + 1))
    lone = radius(answer(small, call(CellScan(serving))))
    with_neighbours = radius(answer(small, call(CellScan(serving, neighbours))))
    as_scans = radius(answer(small, call(*(CellScan(c) for c in (serving, *neighbours)))))
    assert as_scans < with_neighbours < lone


def test_the_same_scan_again_changes_nothing(small: Resolver) -> None:
    serving = of((900 << 8) + 1)
    once = answer(small, call(scan(serving)))
    twice = answer(small, call(scan(serving), scan(serving), scan(replace(serving, signal_dbm=-80.0))))
    assert numbers(twice) == numbers(once)
    assert [c.reason for c in twice.contributions].count(Reason.DUPLICATE) == 2


def test_gsm_timing_advance_is_a_ring(town: Resolver) -> None:
    measured = cell(41042, 101, Radio.GSM, timing_advance=5)
    got, trace = town.resolve_traced([call(scan(measured))])[0]
    mast = (55.0116766, 2.5031252)
    # Step 5: 5 * 553.5 m, half a step either way, and what reflections add.
    assert float(distance_m(*mast, position(got).latitude_deg, position(got).longitude_deg)) < 2_767 + 277
    (outline,) = trace.outlines
    near, far = (
        [float(distance_m(*mast, v.latitude_deg, v.longitude_deg)) for v in outline.rings[0].vertices][i]
        for i in (-1, 0)
    )
    assert near == pytest.approx(5 * 553.463 - 277 - 150, rel=0.01)
    assert far == pytest.approx(5 * 553.463 + 277, rel=0.01)
    without = answer(town, call(scan(replace(measured, timing_advance=None))))
    assert got.region is not None
    assert without.region is not None
    assert got.region.area_m2 < 0.8 * without.region.area_m2


def test_timing_advance_beyond_what_the_radio_can_is_a_wrong_reading(town: Resolver) -> None:
    measured = cell(41042, 101, Radio.GSM)
    plain = answer(town, call(scan(measured)))
    odd = answer(town, call(scan(replace(measured, timing_advance=219))))
    assert numbers(odd) == numbers(plain)


UNKNOWN_CELLS = [
    pytest.param(of(None, None), id="no cell, no area"),
    pytest.param(of(0, 0), id="zeros"),
    pytest.param(of(2**28 - 1, 65535), id="all ones"),
    pytest.param(CellMeasurement(Radio.LTE, "001", "02"), id="network alone"),
]


@pytest.mark.parametrize("measured", UNKNOWN_CELLS)
def test_unknown_identities_are_no_cell(small: Resolver, measured: CellMeasurement) -> None:
    got = answer(small, call(scan(measured)))
    assert about(got, "piece-0").cell_fallback >= CellFallback.AREA
    assert radius(got) > 10_000


@pytest.mark.parametrize(
    "measured",
    [
        CellMeasurement(),
        CellMeasurement(Radio.LTE),
        CellMeasurement(Radio.LTE, "", "", 7, (900 << 8) + 1),
        CellMeasurement(Radio.LTE, "999", "99", 7, 5),
    ],
)
def test_no_network_is_no_location(small: Resolver, measured: CellMeasurement) -> None:
    got = answer(small, call(CellScan(measured)))
    assert got.outcome is Outcome.NO_LOCATION
    assert [got.position, got.radius_m, got.region, got.ellipse] == [None] * 4
    assert {WarningCode.UNKNOWN_CELL, WarningCode.NO_EVIDENCE} <= codes(got)
    assert about(got, "piece-0", "serving").reason is Reason.CELL_NOT_FOUND


def test_an_empty_scan_is_told(small: Resolver) -> None:
    got = answer(small, call(CellScan()))
    assert got.outcome is Outcome.NO_LOCATION
    assert WarningCode.UNUSABLE_EVIDENCE in codes(got)


def test_without_a_cell_dataset_the_country_answers(nothing: Resolver) -> None:
    got = answer(nothing, call(scan(of(5, 7, "272", "03"))))
    assert got.outcome is Outcome.LOCATED
    assert about(got, "piece-0").cell_fallback is CellFallback.COUNTRY
    assert WarningCode.DEGRADED_DATASET in codes(got)
    assert float(distance_m(53.4, -8.0, position(got).latitude_deg, position(got).longitude_deg)) < 100_000


def test_a_scan_widens_as_it_ages(small: Resolver) -> None:
    asked = call(Evidence(scan(of((900 << 8) + 3)), observed_at=NOON))
    radii = [radius(answer(small, asked, as_of=NOON + age)) for age in (0.0, 60.0, 300.0, 900.0, 3600.0)]
    assert all(b > a for a, b in pairwise(radii)), radii
    # From before the evidence: nothing to widen.
    assert radius(answer(small, asked, as_of=NOON - 500.0)) == radii[0]


def test_cell_of_a_huge_range_stays_finite(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text(f"{HEADER}\nGSM,001,02,7,5,,,55,2.5,100000000,1,1700000000\n")
    with Draft.begin(tmp_path / "data") as draft:
        import_cells(draft, tmp_path / "cells.csv", name="cells")
        draft.publish()
    measured = CellMeasurement(Radio.GSM, "001", "02", 7, 5)
    got = answer(Resolver(Reference.open(tmp_path / "data")), call(scan(measured)))
    # GSM reaches 35 km.
    assert math.isfinite(radius(got))
    assert radius(got) < 100_000
