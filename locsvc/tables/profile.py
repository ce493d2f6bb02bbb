"""Saved profiles: which of their columns is which of ours, and what else a run of such tables takes.

[columns]
"Cell ID" = "cell"

[run]
confidence = 0.9
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from locsvc.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says; None where it says nothing."""

    columns: dict[str, str] = field(default_factory=dict)
    confidence: float | None = None
    input_format: str | None = None
    output_format: str | None = None


_RUN = {"confidence": (int, float), "input_format": (str,), "format": (str,)}


def read_profile(path: Path) -> Profile:
    """The profile in a file.

    Raises
    ------
    ConfigError
        It cannot be read, or says something that profiles do not have.
    """
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a profile: {error}") from None
    unknown = set(value) - {"columns", "run"}
    if unknown:
        raise ConfigError(f"{path}: [{min(unknown)}] is no table of a profile; there are [columns] and [run]")
    columns, run = value.get("columns", {}), value.get("run", {})
    if not isinstance(columns, dict) or not all(isinstance(v, str) for v in columns.values()):
        raise ConfigError(f'{path}: [columns] has lines such as "Cell ID" = "cell"')
    for name, given in run.items():
        if name not in _RUN or not isinstance(given, _RUN[name]):
            raise ConfigError(f"{path}: [run] {name} = {given!r} is not known; there are {', '.join(_RUN)}")
    return Profile(columns, run.get("confidence"), run.get("input_format"), run.get("format"))
