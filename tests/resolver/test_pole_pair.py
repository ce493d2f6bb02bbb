"""Copy to tests/resolver/ when _hiding leaves padding out (6_hiding_counts_padding.md)."""

from __future__ import annotations

from locsvc.model import Call, CellScan, DeviceReport, Evidence, LatLng, Point
from locsvc.resolver import Resolver
from tests.resolver.calls import NOON, cell


def test_a_wide_neighbour_in_the_batch_changes_no_cell(town: Resolver) -> None:
    pole = DeviceReport(Point(LatLng(90.0, 0.0)))
    one = Call("a", "+441632960100", NOON - 52_892, (Evidence(pole, "fix", observed_at=NOON - 86_400),))
    two = Call(
        "b",
        "",
        NOON - 26_842,
        (Evidence(CellScan(cell(pci=5, arfcn=1300)), "scan", observed_at=NOON - 86_400), Evidence(pole, "fix")),
    )
    assert town.resolve([one, two]) == [town.resolve([one])[0], town.resolve([two])[0]]
