"""The evidence of many calls as columns: what the resolver works on, whatever the calls came as.

A face fills the table piece by piece (`filling.py`) or whole columns at once. Numbers only; texts and line records,
which few pieces have, stand beside. A slot is one piece of evidence, or one cell of a scan: it becomes one contribution
of the answer. Slots come in the order of calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from locsvc.model import LineRecord, Warning

    Floats = npt.NDArray[np.float64]

# How a report's shape is described by numbers (REPORT_COLUMNS first to third).
FORM_NONE, FORM_POINT, FORM_ELLIPSE, FORM_BAND, FORM_POLYGON = range(5)

# first, second, third: half axes and orientation of an ellipse; inner and outer radius and start angle of a band (its
# opening angle is `fourth`); reach, first corner and number of corners of a polygon. confidence: NaN for not stated.
REPORT_COLUMNS = (
    "slot",
    "form",
    "latitude_deg",
    "longitude_deg",
    "first",
    "second",
    "third",
    "fourth",
    "confidence",
    "method",
    "platform",
)
# serving: row of the scan's serving cell, -1 for none; numbers that are not known are -1, what was not measured is NaN.
CELL_COLUMNS = (
    "slot",
    "neighbour",
    "serving",
    "radio",
    "mcc",
    "mnc",
    "area",
    "cell",
    "pci",
    "arfcn",
    "timing_advance",
    "signal_dbm",
    "quality_db",
)
# first_of_piece: 1 for the slot that speaks of the age of its piece, else 0.
SLOT_COLUMNS = ("call", "kind", "observed_at", "reason", "first_of_piece")

# What a look-up by the calling number alone is called, and the part of a scan that is its serving cell.
IMPLIED = "calling_number"
SERVING = "serving"


@dataclass(slots=True)
class LineAsked:
    """A look-up of one call: the number, or a record that came with it. `implied`: by the calling number alone."""

    slot: int
    call: int
    number: str
    record: LineRecord | None
    implied: bool


@dataclass(slots=True)
class Height:
    """What a report says of the height: altitude and one sigma in metres (None unknown), floor."""

    slot: int
    altitude_m: float
    sigma_m: float | None
    floor: str


@dataclass(slots=True)
class EvidenceTable:
    """Columns of all evidence of some calls.

    `started_at` (calls,) NaN unknown; `names`, `parts` of the slots; `slots`, `reports`, `cells` (rows, columns)
    float64 by the columns above; `corners` (v, 2) metres east and north of their polygon's centre; `warnings` of the
    calls from reading them, by call.
    """

    started_at: Floats
    names: list[str]
    parts: list[str]
    slots: Floats
    reports: Floats
    cells: Floats
    corners: Floats
    lookups: list[LineAsked]
    heights: list[Height]
    warnings: list[tuple[int, Warning]] = field(default_factory=list)

    def of_calls(self, first: int, last: int) -> EvidenceTable:
        """The evidence of calls `first` to `last`, that one left out, as a table of their own."""
        begin, end = self.slots[:, 0].searchsorted((first, last)).tolist()
        slots = self.slots[begin:end].copy()
        slots[:, 0] -= first
        reports, cells = self.reports, self.cells
        reports = reports[(reports[:, 0] >= begin) & (reports[:, 0] < end)]
        here = (cells[:, 0] >= begin) & (cells[:, 0] < end)
        cells = cells[here]
        reports[:, 0] -= begin
        cells[:, 0] -= begin
        # A scan's cells stand together, so its serving cell is as many rows back as it was.
        cells[cells[:, 2] >= 0, 2] -= float(here.argmax()) if len(cells) else 0.0
        return EvidenceTable(
            self.started_at[first:last],
            self.names[begin:end],
            self.parts[begin:end],
            slots,
            reports,
            cells,
            self.corners,
            [replace(a, slot=a.slot - begin, call=a.call - first) for a in self.lookups if first <= a.call < last],
            [replace(h, slot=h.slot - begin) for h in self.heights if begin <= h.slot < end],
            [(call - first, warning) for call, warning in self.warnings if first <= call < last],
        )
