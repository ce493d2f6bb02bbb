"""The coverage dataset: where each cell is heard and which cells are heard at each place, learned from history."""

from __future__ import annotations

from locsvc.reference.coverage.learned import Learned, learn_tallies
from locsvc.reference.coverage.shelves import Gathering
from locsvc.reference.coverage.store import CoverageStore
from locsvc.reference.coverage.tallies import Tallies
from locsvc.reference.coverage.terms import Terms

__all__ = ["CoverageStore", "Gathering", "Learned", "Tallies", "Terms", "learn_tallies"]
