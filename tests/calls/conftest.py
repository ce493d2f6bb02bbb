"""Journals to be tested: each test runs over SQLite and over PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from locsvc.calls.journal import Journal
from tests.calls.pieces import Opener


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty journal may be made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'calls.sqlite'}"
    cluster = request.getfixturevalue("postgres")
    found: str = cluster.database()
    return found


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens journals as a process would, and closes them at the end."""
    journals: list[Journal] = []

    def open_one(url: str | Path, on_change: Callable[[str, int], None] | None = None, **more: float) -> Journal:
        journal = Journal.open(url, **more)
        journal.on_change = on_change
        journals.append(journal)
        return journal

    yield open_one
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(url: str, opened: Opener) -> Journal:
    """A journal that is open, and empty."""
    return opened(url)
