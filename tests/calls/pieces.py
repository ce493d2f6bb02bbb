"""Evidence and arrivals for tests of the journal: reserved numbers, the sample town."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from locsvc import model
from locsvc.calls.journal import Journal
from locsvc.calls.words import Arrival, Kept

# Noon of 14 March 2026.
NOON = 1_773_489_600.0
NUMBER = "+15550100123"
OTHER = "+15550100456"
# A machine that tests on all cores, with a disk that is busy, takes its time.
PATIENCE_S = 30.0


class Opener(Protocol):
    """Opens a journal that is closed when the test ends."""

    def __call__(
        self, url: str | Path, on_change: Callable[[str, int], None] | None = None, **more: float
    ) -> Journal: ...


def fix(number: int = 0, name: str = "", observed_at: float | None = None) -> model.Evidence:
    """A handset's fix; another number is another place."""
    shape = model.Circle(model.LatLng(55.0 + number * 1e-4, 2.5), 12.0)
    return model.Evidence(model.DeviceReport(shape, 0.95, model.PositioningMethod.GNSS), name, "handset", observed_at)


def scan(cell: int = 1049859) -> model.Evidence:
    """A cell that serves."""
    return model.Evidence(model.CellScan(model.CellMeasurement(model.Radio.LTE, "001", "01", 1101, cell)))


def keep(
    journal: Journal, *evidence: model.Evidence, call: str = "", number: str = "", at: float = NOON, **more: float
) -> Kept:
    """What became of evidence, when it is on disk."""
    return journal.add(Arrival(evidence, at, call, number, **more)).result(PATIENCE_S)
