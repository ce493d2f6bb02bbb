"""What `manifest.json` of a snapshot says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from locsvc.errors import DatasetError
from locsvc.model import DatasetVersion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Raised whenever a reader of this version could not read what an older one wrote.
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
DATASETS = ("cells", "lines", "addresses", "areas", "coverage")
VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a snapshot: path relative to it, size, checksum."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One import of one dataset."""

    dataset: str
    name: str
    rows: int
    source: str
    licence: str
    built_at: float
    extra: Mapping[str, object]
    files: tuple[FileRecord, ...] = ()

    def with_files(self, files: tuple[FileRecord, ...]) -> ManifestEntry:
        """The same entry with its files."""
        return replace(self, files=files)

    def dataset_version(self) -> DatasetVersion:
        """The version that answers name: it depends on the files' content only, not on the snapshot they are in."""
        joined = "\n".join(f"{f.path} {f.sha256}" for f in sorted(self.files, key=lambda f: f.path))
        return DatasetVersion(
            dataset=self.dataset,
            name=self.name,
            version=hashlib.sha256(joined.encode()).hexdigest()[:VERSION_DIGITS],
            rows=self.rows,
            built_at=self.built_at,
            size_bytes=sum(f.size_bytes for f in self.files),
            source=self.source,
            licence=self.licence,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of a snapshot: when it was made and what is in it."""

    created_at: float
    entries: tuple[ManifestEntry, ...]

    def to_bytes(self) -> bytes:
        """The manifest as JSON."""
        content = {
            "schema": SCHEMA_VERSION,
            "created_at": self.created_at,
            "entries": [asdict(e) for e in self.entries],
        }
        return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"

    @staticmethod
    def from_bytes(content: bytes, file: Path) -> Manifest:
        """The manifest read from JSON; `file` names it in errors.

        Raises
        ------
        DatasetError
            It is not a manifest, or one of another schema.
        """
        try:
            read = json.loads(content)
            schema = read["schema"]
            if schema != SCHEMA_VERSION:
                raise DatasetError(
                    f"{file} has schema {schema}; this version of locsvc reads {SCHEMA_VERSION}: import the data again"
                )
            return Manifest(read["created_at"], tuple(_entry(e) for e in read["entries"]))
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(f"{file} is not a manifest of locsvc; import the data again") from error


def _entry(read: dict[str, object]) -> ManifestEntry:
    files = read.pop("files")
    if not isinstance(files, list):
        raise TypeError("files is not a list")
    return ManifestEntry(**read, files=tuple(FileRecord(**f) for f in files))  # type: ignore[arg-type]
