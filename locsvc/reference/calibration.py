"""The calibration: the shipped default, overridden by `calibration.toml` of a data directory."""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from typing import Any

from locsvc.errors import ConfigError
from locsvc.model import DatasetVersion

# The table in which `locsvc calibrate` tells what it fitted, on what and how well: for people, nothing reads it.
FIT = "fit"


def read_calibration(text: str | None) -> tuple[dict[str, Any], DatasetVersion]:
    """The calibration as nested tables, and its version.

    Parameters
    ----------
    text
        Content of a `calibration.toml`; None takes the shipped default alone. Tables are merged, so a file needs
        only what it changes.

    Raises
    ------
    ConfigError
        The text is not TOML, or has a table or number that the default does not know.
    """
    default_text = resources.files("locsvc.reference").joinpath("default_calibration.toml").read_text(encoding="utf-8")
    values = tomllib.loads(default_text)
    if text is not None:
        try:
            own = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message = f"calibration.toml: {error}; mend the file or remove it to take the shipped default"
            raise ConfigError(message) from error
        own.pop(FIT, None)
        _merge(values, own, "")
    digest = hashlib.sha256((default_text + (text or "")).encode()).hexdigest()[:12]
    name = "default" if text is None else "calibration.toml"
    version = DatasetVersion("calibration", name, f"{values['version']}-{digest}", source=str(values["fitted_on"]))
    return values, version


def _merge(base: dict[str, Any], own: dict[str, Any], path: str) -> None:
    for key, value in own.items():
        where = f"{path}{key}"
        if key not in base:
            message = f"calibration.toml: {where!r} is not known; the shipped file lists all names"
            raise ConfigError(message)
        if isinstance(base[key], dict) != isinstance(value, dict):
            message = f"calibration.toml: {where!r} must be {'a table' if isinstance(base[key], dict) else 'a value'}"
            raise ConfigError(message)
        if isinstance(value, dict):
            _merge(base[key], value, f"{where}.")
        else:
            base[key] = value
