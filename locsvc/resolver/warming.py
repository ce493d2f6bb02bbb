"""The first call of a process, before a live one: imports, tables and kernels are there after it.

As a program, `python -m locsvc.resolver.warming` compiles the kernels, so that what is installed starts at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from locsvc import model
from locsvc.compiled import are_kept, compiling, kernel_directory

if TYPE_CHECKING:
    from locsvc.resolver import Resolver

COMPILING = "compiling the core (once for this installation, half a minute) ..."


def warm(resolver: Resolver) -> None:
    """Resolve calls of nothing but unknown markers that together use every kernel, with what they need.

    Where kernels are not compiled yet, one process compiles them and others wait for it.
    """
    with compiling():
        resolver.resolve(_calls(), confidences=0.9)


def _calls() -> list[model.Call]:
    """Calls with all kinds of evidence, one of them with two places that exclude each other."""
    here, there = model.LatLng(53.0, -7.0), model.LatLng(53.5, -7.0)
    corners = (here, model.LatLng(53.0, -6.99), model.LatLng(53.01, -6.99))
    gnss, wifi = model.PositioningMethod.GNSS, model.PositioningMethod.WIFI
    scan = model.CellScan(model.CellMeasurement(model.Radio.LTE, "272", "01", 1, 257))
    mast = model.LineRecord(class_of_service=model.ClassOfService.WIRELESS_PHASE1, position=here)
    contents: tuple[tuple[model.EvidenceContent, ...], ...] = (
        (scan, model.DeviceReport(model.Circle(here, 50.0), 0.9, gnss), model.LineLookup("+353209100000")),
        tuple(model.DeviceReport(model.Circle(p, 50.0), 0.9, m) for p, m in ((here, gnss), (there, wifi))),
        (model.LineLookup(record=mast),),
        (
            model.DeviceReport(model.ArcBand(here, 500.0, 800.0, 20.0, 90.0), 0.9),
            model.DeviceReport(model.Ellipse(here, 80.0, 40.0, 30.0), 0.9),
            model.DeviceReport(model.Polygon(corners), 0.9),
        ),
    )
    return [model.Call(evidence=tuple(model.Evidence(content) for content in call)) for call in contents]


def main() -> None:
    """Compile the kernels if they are not, and say where they are."""
    from locsvc.reference.store import Reference
    from locsvc.resolver import Resolver

    if not are_kept():
        sys.stderr.write(f"{COMPILING}\n")
        warm(Resolver(Reference.empty()))
    sys.stderr.write(f"kernels are in {kernel_directory()}\n")


if __name__ == "__main__":
    main()
