"""The sample town as a data directory: the ground of a capture where no other is given."""

from __future__ import annotations

from pathlib import Path

import locsvc
from locsvc.errors import ConfigError
from locsvc.reference.addresses import import_addresses
from locsvc.reference.areas import import_areas
from locsvc.reference.cells import import_cells
from locsvc.reference.lines import import_lines
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference

# Beside the package in a checkout; an installed package does not carry it.
SAMPLE = Path(locsvc.__file__).resolve().parent.parent / "data"


def import_town(data: Path, sample: Path = SAMPLE) -> None:
    """Import the sample town into a data directory.

    Raises
    ------
    ConfigError
        The town's files are not there.
    """
    if not (sample / "sectors.csv").is_file():
        raise ConfigError(f"the sample town is not in {sample}; give a data directory with cells: --data DIR")
    with Draft.begin(data) as draft:
        import_cells(draft, sample / "cells.csv", name="cells")
        import_cells(draft, sample / "sectors.csv", name="sectors")
        import_addresses(draft, sample / "addresses.csv", name="addresses")
        import_areas(draft, sample / "areas.geojson", name="areas", name_field="name")
        draft.publish()
    places = Reference.open(data).addresses
    with Draft.begin(data) as draft:
        import_lines(draft, sample / "lines.csv", mapping={}, default_region="GB", addresses=places)
        draft.publish()
