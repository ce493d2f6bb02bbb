"""One consistent state of all reference data, as a resolver reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from locsvc.errors import DatasetError, DatasetMissing
from locsvc.model import DatasetVersion, Warning, WarningCode
from locsvc.reference.addresses import AddressStore
from locsvc.reference.areas import AreaStore
from locsvc.reference.cells import CellStore
from locsvc.reference.coverage import CoverageStore
from locsvc.reference.lines import LineStore
from locsvc.reference.manifest import Manifest, ManifestEntry
from locsvc.reference.snapshot import CURRENT, SNAPSHOTS, Entry, Snapshot, check_files, current_id, read_manifest

CALIBRATION_FILE = "calibration.toml"

_Store = TypeVar("_Store")


@dataclass(frozen=True, slots=True)
class Reference:
    """All reference data of one snapshot; a dataset that was never imported is None.

    Thread-safe for reading.
    """

    snapshot_id: str
    """Empty when there is no snapshot."""
    cells: CellStore | None
    lines: LineStore | None
    addresses: AddressStore | None
    areas: AreaStore | None
    coverage: CoverageStore | None
    versions: tuple[DatasetVersion, ...]
    """Of the datasets that are open."""
    degraded: tuple[Warning, ...]
    """DEGRADED_DATASET for each import that was left out because it is damaged."""
    calibration_text: str | None
    """Content of DATA/calibration.toml; None when there is no such file."""

    @staticmethod
    def open(data: Path, *, verify: bool = True, tolerate: bool = False) -> Reference:
        """The snapshot in force in a data directory.

        Parameters
        ----------
        data
            Data directory.
        verify
            Compare every byte with its checksum; otherwise only the files' sizes.
        tolerate
            Leave a damaged import out, with a warning in `degraded`, so that it costs its own contribution only;
            otherwise refuse all.

        Raises
        ------
        DatasetMissing
            Nothing was imported into `data` yet.
        DatasetError
            Something is damaged (the file is named) and `tolerate` is False, or the calibration cannot be read.
        """
        calibration_text = _calibration_text(data)
        if tolerate:
            return _tolerant(data, calibration_text, verify=verify)
        return _opened(Snapshot.open(data, verify=verify), (), calibration_text, tolerate=False)

    @staticmethod
    def empty() -> Reference:
        """No data at all."""
        return Reference("", None, None, None, None, None, (), (), None)


def follow(data: Path, current: str) -> str | None:
    """The id of the snapshot in force when it is another one than `current`; None when it is not, or is unreadable.

    An import that is at work never shows here before it is complete.
    """
    found = _current_or_none(data)
    return found if found != current else None


def _current_or_none(data: Path) -> str | None:
    try:
        return current_id(data)
    except DatasetError:
        return None


def _calibration_text(data: Path) -> str | None:
    file = data / CALIBRATION_FILE
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file} cannot be read ({error}); mend it or take it away") from error


def _tolerant(data: Path, calibration_text: str | None, *, verify: bool) -> Reference:
    while True:
        snapshot_id = _current_or_none(data)
        if snapshot_id is None and not (data / CURRENT).exists():
            raise DatasetMissing(f"{data} holds no datasets; run `locsvc import` first or give another --data")
        try:
            # Asked again: here a damaged CURRENT tells what is wrong with it.
            snapshot, damaged = _sound(data / SNAPSHOTS / (current_id(data) or ""), verify=verify)
            reference = _opened(snapshot, damaged, calibration_text, tolerate=True)
        except DatasetError as error:
            warning = _warning("everything", error, data)
            reference = Reference("", None, None, None, None, None, (), (warning,), calibration_text)
        # Two imports may have been published, and this snapshot removed, while it was being read.
        if not reference.degraded or snapshot_id == _current_or_none(data):
            return reference


def _sound(path: Path, *, verify: bool) -> tuple[Snapshot, tuple[Warning, ...]]:
    """The snapshot without its damaged imports, and a warning for each of those."""
    manifest = read_manifest(path)
    sound: list[ManifestEntry] = []
    damaged: list[Warning] = []
    for entry in manifest.entries:
        try:
            check_files(path, entry.files, verify=verify)
            sound.append(entry)
        except DatasetError as error:
            damaged.append(_warning(f"{entry.dataset} {entry.name}", error, path, entry.dataset))
    return Snapshot(path, Manifest(manifest.created_at, tuple(sound))), tuple(damaged)


def _opened(
    snapshot: Snapshot, damaged: tuple[Warning, ...], calibration_text: str | None, *, tolerate: bool
) -> Reference:
    opener = _Opener(snapshot, tolerate=tolerate)
    cells = opener.open("cells", CellStore.open)
    lines = opener.open("lines", lambda entries: LineStore.open(entries[-1]))
    addresses = opener.open("addresses", AddressStore.open)
    areas = opener.open("areas", AreaStore.open)
    coverage = opener.open("coverage", CoverageStore.open)
    versions = tuple(v for v in snapshot.datasets if (v.dataset, v.name) in opener.names)
    warnings = (*damaged, *opener.damaged)
    return Reference(snapshot.id, cells, lines, addresses, areas, coverage, versions, warnings, calibration_text)


class _Opener:
    """Opens datasets of a snapshot, with or without tolerance for what cannot be opened."""

    def __init__(self, snapshot: Snapshot, *, tolerate: bool) -> None:
        self._snapshot = snapshot
        self._tolerate = tolerate
        self.damaged: list[Warning] = []
        self.names: set[tuple[str, str]] = set()

    def open(self, dataset: str, opener: Callable[[Sequence[Entry]], _Store]) -> _Store | None:
        """The store of a dataset; None when there is no import of it that can be opened."""
        entries = self._snapshot.entries(dataset)
        if not entries:
            return None
        try:
            store = opener(entries)
        except DatasetError:
            if not self._tolerate:
                raise
            entries = tuple(entry for entry in entries if self._opens(dataset, opener, entry))
            if not entries:
                return None
            store = opener(entries)
        self.names |= {(dataset, entry.name) for entry in entries}
        return store

    def _opens(self, dataset: str, opener: Callable[[Sequence[Entry]], _Store], entry: Entry) -> bool:
        try:
            opener((entry,))
        except DatasetError as error:
            self.damaged.append(_warning(f"{dataset} {entry.name}", error, self._snapshot.path, dataset))
            return False
        return True


def _warning(what: str, error: DatasetError, path: Path, field: str = "") -> Warning:
    # Paths of this machine mean nothing to a client: the file is named as it is called inside the data directory.
    text = str(error).replace(f"{path}/", "")
    return Warning(WarningCode.DEGRADED_DATASET, f"{what} is left out: {text}", field=field)
