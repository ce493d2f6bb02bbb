"""Tallies of new reports, added to what was learned before, as a dataset of a draft."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from locsvc.errors import ConfigError
from locsvc.reference.coverage import files, shelves
from locsvc.reference.coverage.build import Built, write_coverage
from locsvc.reference.coverage.tallies import Tallies
from locsvc.reference.coverage.terms import Terms

if TYPE_CHECKING:
    from locsvc.reference.coverage.shelves import Gathering
    from locsvc.reference.snapshot import Draft, Entry

DATASET = "coverage"
NAME = "learned"


@dataclass(frozen=True, slots=True)
class Learned:
    """What a dataset holds and how it came about."""

    built: Built
    terms: Terms
    since_s: float | None
    until_s: float | None


def terms_of(former: Entry | None, resolution: int | None, half_life_days: float | None) -> Terms:
    """Terms for learning more: as given, else as before, else the defaults.

    Raises
    ------
    ConfigError
        The former dataset's places are of another resolution.
    """
    default = Terms()
    if former is None:
        return Terms(resolution or default.resolution, half_life_days or default.half_life_days)
    before = Terms(**former.extra["terms"])  # type: ignore[arg-type]
    if resolution is not None and resolution != before.resolution:
        raise ConfigError(
            f"the coverage in force has places of resolution {before.resolution}, not {resolution}: learn with"
            " --fresh to begin anew"
        )
    return Terms(before.resolution, half_life_days or before.half_life_days)


def learn_tallies(
    draft: Draft,
    gathering: Gathering,
    former: Entry | None,
    terms: Terms,
    *,
    times_s: tuple[float, float] | None,
    source: str,
    licence: str,
    notes: Mapping[str, object] | None = None,
) -> Learned:
    """Puts a coverage dataset into the draft, in place of a former one.

    Parameters
    ----------
    gathering
        Tallies of the new reports.
    former
        What was learned before, which the new reports are added to; None: nothing.
    times_s
        Unix seconds of the oldest and newest new report; None where none has a time.
    notes
        More to keep with the dataset, JSON values.

    Raises
    ------
    DatasetError
        What was learned before cannot be read.
    """
    extra: Mapping[str, object] = {} if former is None else former.extra
    newest = max(gathering.newest_epoch, int(str(extra.get("newest_epoch", 0))))
    scratch = draft.scratch_dir()
    # Opened before its directory is emptied: the names may be the same, the files are not.
    before = None if former is None else former.path

    def shelf(number: int) -> Tallies:
        fresh = gathering.taken(number)
        if before is None:
            return fresh
        return Tallies.join([shelves.load(before / files.shelf_file(number)), fresh]).added()

    built = write_coverage(draft.dataset_dir(DATASET, NAME), scratch, shelf, terms, newest)
    known = [t for t in (extra.get("since_s"), extra.get("until_s"), *(times_s or ())) if isinstance(t, int | float)]
    since_s, until_s = (min(known), max(known)) if known else (None, None)
    draft.describe(
        DATASET,
        NAME,
        rows=built.rows,
        source=source,
        licence=licence,
        built_at=time.time(),
        extra={
            "terms": asdict(terms),
            "resolution": terms.resolution,
            "half_life_days": terms.half_life_days,
            "newest_epoch": newest,
            "since_s": since_s,
            "until_s": until_s,
            **{k: v for k, v in asdict(built).items() if k != "dropped"},
            **(notes or {}),
        },
    )
    return Learned(built, terms, since_s, until_s)


def former_of(data: Path) -> Entry | None:
    """The coverage in force in a data directory, verified by its sizes; None where there is none."""
    from locsvc.reference.snapshot import Snapshot, current_id

    if current_id(data) is None:
        return None
    entries = Snapshot.open(data, verify=False).entries(DATASET)
    return entries[-1] if entries else None
