"""The first call of a process, before a live one: imports, tables and kernels are there after it.

As a program, `python -m locsvc.resolver.warming` compiles the kernels, so that what is installed starts at once.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from locsvc import model
from locsvc.compiled import are_kept, compiling, kernel_directory

if TYPE_CHECKING:
    from locsvc.reference.snapshot import Draft
    from locsvc.reference.store import Reference
    from locsvc.resolver import Resolver

COMPILING = "compiling the core (once for this installation, a minute or two) ..."


_SECTORS = """radio,mcc,mnc,area,cell,pci,arfcn,latitude,longitude,azimuth
LTE,001,01,1,257,7,1300,55.0,2.5,0
LTE,001,01,1,258,8,1300,55.0,2.5,120
LTE,001,01,1,513,9,1300,55.01,2.51,0
"""
_CENTROIDS = """radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal
LTE,1,1,1,769,11,2.52,55.02,1626,10,1,1629547200,1698430455,0
GSM,1,1,2,41011,,2.5,55.0,1626,10,1,1629547200,1698430455,0
"""
_ADDRESSES = """lat,lon,number,street,city,postcode,country
55.0001,2.5001,1,Mill Lane,Testham,TE1 1EW,XT
"""
_HERE, _THERE = model.LatLng(55.0, 2.5), model.LatLng(55.5, 2.5)


def warm(resolver: Resolver) -> None:
    """Resolve calls about nothing that together use every kernel, with what they need.

    Where kernels are not compiled yet, one process compiles them and others wait for it.
    """
    kept = are_kept()
    with compiling():
        if not kept:
            # Look-ups have kernels too: each dataset must be there, and answer.
            with tempfile.TemporaryDirectory(prefix="locsvc-") as folder:
                invented = type(resolver)(_invented(Path(folder)))
                invented.resolve(_calls(), confidences=0.9)
                _probe(invented)
        resolver.resolve(_calls(), confidences=0.9)


def _probe(resolver: Resolver) -> None:
    """Uses what only evaluation and calibration ask of a posterior."""
    from locsvc.fusion.probe import energy_scores_m, probe
    from locsvc.resolver import calls_table

    table = calls_table(_calls())
    calls = len(table.started_at)
    located = resolver.answer(table, np.full(calls, 0.9), np.full(calls, np.nan)).located
    if located is not None:
        places = np.full(len(located.places), _HERE.latitude_deg), np.full(len(located.places), _HERE.longitude_deg)
        probe(located.posterior, *places)
        energy_scores_m(located.posterior, *places)


def _invented(folder: Path) -> Reference:
    """A few cells, an address and two areas with a border through all of them."""
    from locsvc.reference.addresses import import_addresses
    from locsvc.reference.areas import import_areas
    from locsvc.reference.cells import import_cells
    from locsvc.reference.snapshot import Draft
    from locsvc.reference.store import Reference

    west, middle, east = 1.5, 2.5003, 3.5
    features = [
        {
            "type": "Feature",
            "properties": {"name": name},
            "geometry": {"type": "Polygon", "coordinates": [[[a, 54], [b, 54], [b, 56], [a, 56], [a, 54]]]},
        }
        for name, a, b in (("West", west, middle), ("East", middle, east))
    ]
    texts = {
        "sectors.csv": _SECTORS,
        "cells.csv": _CENTROIDS,
        "addresses.csv": _ADDRESSES,
        "areas.geojson": json.dumps({"type": "FeatureCollection", "features": features}),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    data = folder / "data"
    with Draft.begin(data) as draft:
        import_cells(draft, folder / "sectors.csv", name="sectors")
        import_cells(draft, folder / "cells.csv", name="cells")
        import_addresses(draft, folder / "addresses.csv", name="addresses")
        import_areas(draft, folder / "areas.geojson", name="areas", name_field="name")
        _learn(draft)
        draft.publish()
    return Reference.open(data)


def _learn(draft: Draft) -> None:
    """A report of two cells in each of five places, as located history."""
    import h3.api.numpy_int as h3

    from locsvc.reference.coverage import Gathering, Tallies, Terms, identities, learn_tallies
    from locsvc.reference.coverage import tallies as t

    terms, radio, network = Terms(), int(model.Radio.LTE), 1
    columns = np.array([[radio, 1, network, 1, 257], [radio, 1, network, 1, 258]]).T.copy()
    full = identities.full(*columns)
    centre = h3.latlng_to_cell(_HERE.latitude_deg, _HERE.longitude_deg, terms.resolution)
    place = t.places_of(np.array(sorted(h3.grid_disk(centre, 1))[:5], np.int64))
    whats = (full[0], full[1], identities.networks_of(full[:1])[0])
    gathering = Gathering(draft.scratch_dir())
    for what, kind in zip(whats, (t.SERVING, t.NEIGHBOUR, t.SCAN), strict=True):
        n = len(place)
        sums = np.zeros((n, t.SUMS), np.int64)
        sums[:, [t.REPORTS, t.LISTED]], sums[:, t.WEIGHT], sums[:, t.CELLS] = 1, t.PER_WEIGHT, 2
        if kind == t.SCAN:
            sums[:, t.CHILD] = 1
        else:
            for column, value in ((t.LEVEL, -90 * t.PER_DB), (t.QUALITY, -11 * t.PER_DB), (t.ADVANCE, 3)):
                sums[:, column : column + 3] = t.PER_WEIGHT * np.array([1, value, value**2])
        where = t.wheres(np.full(n, kind), place, np.ones(n, np.int64))
        gathering.add(Tallies(np.full(n, what), where, np.arange(1, n + 1), sums))
    learn_tallies(draft, gathering, None, terms, times_s=None, source="invented", licence="")


def _cell(cell: int | None, area: int = 1, pci: int | None = None) -> model.CellMeasurement:
    return model.CellMeasurement(model.Radio.LTE, "001", "01", area, cell, pci, None if pci is None else 1300)


def _calls() -> list[model.Call]:
    """Calls with all kinds of evidence, one of them with two places that exclude each other."""
    corners = (_HERE, model.LatLng(55.0, 2.51), model.LatLng(55.01, 2.51))
    gnss, wifi = model.PositioningMethod.GNSS, model.PositioningMethod.WIFI
    heard = model.CellMeasurement(model.Radio.LTE, pci=8, arfcn=1300)
    # Known by history with others and alone, by its row, its site, its area, its network, and not at all.
    scans = [model.CellScan(_cell(257), (_cell(769), heard)), model.CellScan(_cell(257), (_cell(258),))]
    scans += [model.CellScan(_cell(c)) for c in (257, 769)]
    scans += [model.CellScan(c) for c in (_cell(259), _cell(99_999), _cell(99_999, 77), _cell(None, pci=9))]
    contents: list[tuple[model.EvidenceContent, ...]] = [(scan,) for scan in scans]
    contents += [
        (model.LineLookup("+441632960100"),),
        (model.LineLookup("+441632960100", model.LineRecord("+441632960100", position=_HERE)),),
        (scans[0], model.DeviceReport(model.Circle(_HERE, 50.0), 0.9, gnss), model.LineLookup("+441632960100")),
        tuple(model.DeviceReport(model.Circle(p, 50.0), 0.9, m) for p, m in ((_HERE, gnss), (_THERE, wifi))),
        (
            model.DeviceReport(model.ArcBand(_HERE, 500.0, 800.0, 20.0, 90.0), 0.9),
            model.DeviceReport(model.Ellipse(_HERE, 80.0, 40.0, 30.0), 0.9),
            model.DeviceReport(model.Polygon(corners), 0.9),
        ),
    ]
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
