"""The sample town as a snapshot, and a resolver over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from locsvc.reference.addresses import import_addresses
from locsvc.reference.areas import import_areas
from locsvc.reference.cells import import_cells
from locsvc.reference.lines import import_lines
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def town_folder(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory with the town's tables; not to be changed."""
    data = tmp_path_factory.mktemp("resolver") / "town"
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
    return data


@pytest.fixture(scope="session")
def town(town_folder: Path) -> Resolver:
    """A resolver over the town."""
    return Resolver(Reference.open(town_folder))


@pytest.fixture(scope="session")
def nothing() -> Resolver:
    """A resolver without any dataset."""
    return Resolver(Reference.empty())
