"""The sample town as a snapshot, and a resolver over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from locsvc.reference.store import Reference
from locsvc.resolver import Resolver

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def town(imported_town: Path) -> Resolver:
    """A resolver over the town."""
    return Resolver(Reference.open(imported_town))


@pytest.fixture(scope="session")
def nothing() -> Resolver:
    """A resolver without any dataset."""
    return Resolver(Reference.empty())
