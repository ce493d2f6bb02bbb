"""Snapshots of the reference data: written aside, verified, and put in force by one rename.

::

    DATA/CURRENT                              the id of the snapshot in force
    DATA/snapshots/<id>/manifest.json         what is in it: rows, size and sha256 of each file, source, licence
    DATA/snapshots/<id>/<dataset>/<name>/...  files of one import
    DATA/.draft-*  DATA/.trash-*  DATA/.lock  work of an import; no reader looks at them

The id ends with the first digits of the manifest's own sha256, so a changed manifest is noticed like a changed file.
Files that an import does not touch are carried over as hard links; nothing in a snapshot is ever changed in place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from locsvc.errors import ConfigError, DatasetError, DatasetMissing, FieldViolation, InvalidInput, Overloaded
from locsvc.reference.manifest import DATASETS, MANIFEST, FileRecord, Manifest, ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from locsvc.model import DatasetVersion

CURRENT = "CURRENT"
SNAPSHOTS = "snapshots"
LOCK = ".lock"
DRAFT_PREFIX = ".draft-"
TRASH_PREFIX = ".trash-"
ID_DIGITS = 12
# Large enough that the interpreter's share of hashing is nothing, small enough to stay in the processor's cache.
HASH_BLOCK_BYTES = 1 << 20
# Without a manifest nobody knows what the other files are, so nothing can be carried over either.
START_AFRESH = "give another data directory and import all datasets into it"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def current_id(data: Path) -> str | None:
    """The id of the snapshot in force in `data`, or None when nothing was published yet.

    Raises
    ------
    DatasetError
        CURRENT exists and does not hold an id.
    """
    try:
        text = (data / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{data / CURRENT} cannot be read ({error}); {START_AFRESH}") from error
    if not NAME.fullmatch(text):
        raise DatasetError(f"{data / CURRENT} is damaged: it holds {text[:40]!r}, not a snapshot's id; {START_AFRESH}")
    return text


@dataclass(frozen=True, slots=True)
class Entry:
    """One import of one dataset inside a snapshot."""

    name: str
    path: Path
    rows: int
    version: DatasetVersion
    extra: Mapping[str, object]


class Snapshot:
    """One consistent state of all datasets, whole and verified."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.id = path.name
        self.path = path
        self._entries = manifest.entries
        self.datasets: tuple[DatasetVersion, ...] = tuple(e.dataset_version() for e in manifest.entries)

    @staticmethod
    def open(data: Path, *, verify: bool = True) -> Snapshot:
        """The snapshot in force in `data`; with `verify` every byte of it was compared with its checksum.

        Raises
        ------
        DatasetMissing
            Nothing was imported into `data` yet.
        DatasetError
            A file is missing, has another size or checksum, or the schema is not this version's; the file is named.
        """
        while True:
            snapshot_id = current_id(data)
            if snapshot_id is None:
                raise DatasetMissing(f"{data} holds no datasets; run `locsvc import` first or give another --data")
            path = data / SNAPSHOTS / snapshot_id
            try:
                manifest = read_manifest(path)
                check_files(path, (f for e in manifest.entries for f in e.files), verify=verify)
            except DatasetError:
                # Two imports may have been published, and this snapshot removed, while it was being read.
                if current_id(data) != snapshot_id:
                    continue
                raise
            return Snapshot(path, manifest)

    def entries(self, dataset: str) -> tuple[Entry, ...]:
        """The imports of one dataset, by name."""
        return tuple(
            Entry(e.name, self.path / e.dataset / e.name, e.rows, e.dataset_version(), dict(e.extra))
            for e in sorted(self._entries, key=lambda e: e.name)
            if e.dataset == dataset
        )


class Draft:
    """A new snapshot aside; leaving the context without `publish` removes it.

    Only one draft of a data directory exists at a time: `begin` takes a lock that the operating system gives back when
    the process ends in whatever way.
    """

    def __init__(self, data: Path, lock: int, path: Path, entries: Mapping[tuple[str, str], ManifestEntry]) -> None:
        self._data = data
        self._lock = lock
        self._path = path
        self._entries = dict(entries)
        self._fresh: set[tuple[str, str]] = set()
        self._scratch: list[Path] = []
        self._published = False

    @staticmethod
    def begin(data: Path, *, wait: bool = True) -> Draft:
        """A draft that starts as the snapshot in force; files are shared with it by hard link.

        Parameters
        ----------
        data
            Data directory; made when it does not exist.
        wait
            Wait for another import to end; False: raise `Overloaded` at once.

        Raises
        ------
        ConfigError
            The directory cannot be written to.
        DatasetError
            The manifest in force is damaged.
        Overloaded
            Another import is at work and `wait` is False.
        """
        try:
            (data / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
            lock = _take_lock(data, wait=wait)
        except OSError as error:
            raise ConfigError(f"the data directory {data} cannot be written to: {error.strerror}") from error
        try:
            _sweep(data)
            path = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=data))
            # mkdtemp makes it private; a snapshot is as readable as the umask says.
            umask = os.umask(0)
            os.umask(umask)
            path.chmod(0o777 & ~umask)
            snapshot_id = current_id(data)
            entries = _carry_over(data / SNAPSHOTS / snapshot_id, path) if snapshot_id else {}
        except BaseException:
            os.close(lock)
            raise
        return Draft(data, lock, path, entries)

    def __enter__(self) -> Self:
        """The draft itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the draft unless it was published.

        Raises
        ------
        DatasetError
            The disk was full.
        """
        for left in [*self._scratch, *([] if self._published else [self._path])]:
            shutil.rmtree(left, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DatasetError(f"no room left under {self._data}; the former data stays in force") from error

    def scratch_dir(self) -> Path:
        """An empty directory on the same disk for what does not stay; it goes when the context is left."""
        path = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=self._data))
        self._scratch.append(path)
        return path

    def dataset_dir(self, dataset: str, name: str) -> Path:
        """An empty directory for the files of one import; an older import of the same name is replaced.

        Raises
        ------
        InvalidInput
            `dataset` is none of cells, lines, addresses, areas, coverage, or `name` cannot be a directory's name.
        """
        _check_names(dataset, name)
        self.drop(dataset, name)
        path = self._path / dataset / name
        path.mkdir(parents=True)
        return path

    def describe(
        self,
        dataset: str,
        name: str,
        *,
        rows: int,
        source: str,
        licence: str,
        built_at: float,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Say what the files in `dataset_dir(dataset, name)` are; without this they do not become part of the snapshot.

        Parameters
        ----------
        rows
            Number of records.
        source
            Where it came from, for a person: a file's name without its directory.
        licence
            Terms of the source; empty: not stated.
        built_at
            Unix seconds.
        extra
            What the dataset's reader must know; JSON values.
        """
        _check_names(dataset, name)
        key = (dataset, name)
        self._entries[key] = ManifestEntry(dataset, name, rows, source, licence, built_at, dict(extra or {}))
        self._fresh.add(key)

    def drop(self, dataset: str, name: str) -> None:
        """Take one import out of the draft; nothing happens when there is none."""
        shutil.rmtree(self._path / dataset / name, ignore_errors=True)
        self._entries.pop((dataset, name), None)
        self._fresh.discard((dataset, name))

    def publish(self) -> str:
        """The id of the new snapshot, which is in force from now on.

        Raises
        ------
        DatasetError
            What was written does not read back as it was written; the former snapshot stays in force.
        """
        for key in sorted(self._fresh):
            self._entries[key] = self._entries[key].with_files(self._seal(key))
        manifest = Manifest(time.time(), tuple(self._entries[key] for key in sorted(self._entries)))
        content = manifest.to_bytes()
        _write_durably(self._path / MANIFEST, content)
        check_files(self._path, (f for key in self._fresh for f in self._entries[key].files), verify=True)
        for directory in [self._path, *(p for p in self._path.rglob("*") if p.is_dir())]:
            _sync_directory(directory)
        snapshot_id = _snapshot_id(manifest, content)
        former = current_id(self._data)
        self._path.rename(self._data / SNAPSHOTS / snapshot_id)
        self._published = True
        _sync_directory(self._data / SNAPSHOTS)
        _switch(self._data, snapshot_id)
        _remove_old(self._data, keep={snapshot_id, former or snapshot_id})
        return snapshot_id

    def _seal(self, key: tuple[str, str]) -> tuple[FileRecord, ...]:
        files = sorted(p for p in self._path.joinpath(*key).rglob("*") if p.is_file())
        for file in files:
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        with ThreadPoolExecutor(_workers()) as pool:
            sums = list(pool.map(_sha256, files))
        return tuple(
            FileRecord(file.relative_to(self._path).as_posix(), file.stat().st_size, digest)
            for file, digest in zip(files, sums, strict=True)
        )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the snapshot at `path`, equal to the one that was published.

    Raises
    ------
    DatasetError
        It is missing, damaged or of another schema.
    """
    file = path / MANIFEST
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DatasetError(f"{file} cannot be read ({error.strerror}); {START_AFRESH}") from error
    if hashlib.sha256(content).hexdigest()[:ID_DIGITS] != path.name[-ID_DIGITS:]:
        raise DatasetError(f"{file} is damaged: its sha256 is not the one in the snapshot's id; {START_AFRESH}")
    return Manifest.from_bytes(content, file)


def check_files(path: Path, files: Iterable[FileRecord], *, verify: bool) -> None:
    """Compare files under `path` with what the manifest says of them; without `verify` only their sizes.

    Raises
    ------
    DatasetError
        A file is missing or differs; the first in the order of paths is named.
    """
    # Largest first, so that no thread is left alone with a big file at the end.
    ordered = sorted(files, key=lambda f: -f.size_bytes)
    with ThreadPoolExecutor(_workers()) as pool:
        problems = sorted(p for p in pool.map(lambda f: _problem(path, f, verify=verify), ordered) if p)
    if problems:
        raise DatasetError(problems[0] + "; import this dataset again")


def _problem(path: Path, record: FileRecord, *, verify: bool) -> str | None:
    file = path / record.path
    try:
        size = file.stat().st_size
        if size != record.size_bytes:
            return f"{file} is damaged: it has {size} bytes, not {record.size_bytes}"
        if verify and _sha256(file) != record.sha256:
            return f"{file} is damaged: its sha256 differs from the manifest's"
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    return None


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    block = bytearray(HASH_BLOCK_BYTES)
    view = memoryview(block)
    with file.open("rb", buffering=0) as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while count := opened.readinto(block):
            digest.update(view[:count])
    return digest.hexdigest()


def _workers() -> int:
    return max(2, min(8, os.cpu_count() or 1))


def _check_names(dataset: str, name: str) -> None:
    if dataset not in DATASETS:
        raise InvalidInput([FieldViolation("dataset", f"{dataset!r} is none of {', '.join(DATASETS)}")])
    if not NAME.fullmatch(name):
        remedy = "use letters, digits, '.', '_' and '-', at most 100, the first a letter or digit"
        raise InvalidInput([FieldViolation("name", f"{name[:120]!r} cannot name an import: {remedy}")])


def _take_lock(data: Path, *, wait: bool) -> int:
    lock = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(lock)
        raise Overloaded(f"another import is at work in {data}; try again when it has ended", 10.0) from error
    except BaseException:
        os.close(lock)
        raise
    return lock


def _sweep(data: Path) -> None:
    """Remove what a killed import left: drafts, half-removed snapshots, snapshots that never came into force."""
    for prefix in (DRAFT_PREFIX, TRASH_PREFIX):
        for left in data.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
    (data / f"{CURRENT}.new").unlink(missing_ok=True)
    in_force = current_id(data)
    if in_force is None:
        # Nothing was published yet, or CURRENT was lost and someone may want to write it again.
        return
    for snapshot in (data / SNAPSHOTS).iterdir():
        if snapshot.name > in_force:
            _discard(data, snapshot)


def _carry_over(former: Path, draft: Path) -> dict[tuple[str, str], ManifestEntry]:
    """The entries of the former snapshot, their files linked into the draft.

    A file that is missing there stays missing here: readers refuse that dataset by the file's name until it is
    imported again, and the import of another dataset is not held up by it.
    """
    entries = read_manifest(former).entries
    for record in (f for e in entries for f in e.files):
        target = draft / record.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            try:
                os.link(former / record.path, target)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(former / record.path, target)
                with target.open("rb") as copied:
                    os.fsync(copied.fileno())
    return {(e.dataset, e.name): e for e in entries}


def _snapshot_id(manifest: Manifest, content: bytes) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(manifest.created_at))
    micros = int(manifest.created_at % 1 * 1e6)
    return f"{stamp}.{micros:06d}Z-{hashlib.sha256(content).hexdigest()[:ID_DIGITS]}"


def _switch(data: Path, snapshot_id: str) -> None:
    fresh = data / f"{CURRENT}.new"
    _write_durably(fresh, f"{snapshot_id}\n".encode())
    fresh.replace(data / CURRENT)
    _sync_directory(data)


def _remove_old(data: Path, *, keep: set[str]) -> None:
    """Remove all snapshots but those in `keep`; readers that have maps of them open keep those until they let go."""
    for snapshot in (data / SNAPSHOTS).iterdir():
        if snapshot.name not in keep:
            _discard(data, snapshot)


def _discard(data: Path, snapshot: Path) -> None:
    # Renamed first, so that no reader ever finds a snapshot with half of its files.
    trash = data / f"{TRASH_PREFIX}{snapshot.name}"
    with contextlib.suppress(OSError):
        snapshot.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _write_durably(file: Path, content: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
