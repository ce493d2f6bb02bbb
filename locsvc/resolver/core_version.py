"""The version of the code that answers: another code may answer otherwise, and a replay must be able to tell."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from locsvc import __version__
from locsvc.model import DatasetVersion

# All that stands between a call and its estimate; the faces only carry both.
_ROOMS = ("fusion", "formats", "reference", "resolver", "uncertainty")
_MODULES = ("compiled.py", "geo.py", "model.py", "units.py")


@functools.cache
def core_version() -> DatasetVersion:
    """The release, and the text of the modules that have a part in an answer, as one of an estimate's versions.

    >>> core_version().dataset, core_version().version.startswith(__version__)
    ('core', True)
    """
    package = Path(__file__).resolve().parent.parent
    files = [package / name for name in _MODULES]
    for room in _ROOMS:
        files += sorted(found for found in (package / room).rglob("*") if found.suffix in {".py", ".toml"})
    digest = hashlib.sha256()
    for file in files:
        # Installed without its text (as byte code alone) only the release tells.
        if file.is_file():
            digest.update(file.relative_to(package).as_posix().encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return DatasetVersion("core", "locsvc", f"{__version__}-{digest.hexdigest()[:12]}")
