"""A calibration as a file: the numbers of a data directory's own, with what they were fitted on and how well."""

from __future__ import annotations

import datetime as dt
import errno
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from locsvc.errors import ConfigError
from locsvc.learning.calibrate.calibrate import Calibrated, Result
from locsvc.learning.calibrate.declared import with_values
from locsvc.reference.calibration import FIT

_HEAD = """\
# The calibration of this data directory: its numbers go before those that locsvc ships.
# Written by `locsvc calibrate`; [fit] tells on what, when and how well, and is read by nobody else.
"""


def written(
    calibrated: Calibrated, former: str | None, at: dt.datetime, learned_anew: Mapping[str, Any] | None = None
) -> str:
    """The text of calibration.toml.

    Parameters
    ----------
    calibrated
        What calibrating came to.
    former
        The file that was in force; its own numbers stay where nothing new was fitted.
    at
        When it was fitted.
    learned_anew
        How tables were scored that the coverage had been learned from.
    """
    own = {} if former is None else tomllib.loads(former)
    own.pop(FIT, None)
    history = calibrated.history
    # Where nothing is new, the numbers are still those of the former fit.
    head = (
        {}
        if not calibrated.changed
        else {
            "version": f"fitted-{at:%Y%m%dT%H%M%SZ}",
            "fitted_on": f"{', '.join(history.tables)}: {history.calls:,} calls of {len(history.sessions):,} sessions",
        }
    )
    own = with_values({**own, **head}, calibrated.changed)
    fit = {
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tables": history.tables,
        "rows": history.rows,
        "located_calls": history.located,
        "used_calls": history.calls,
        "sessions": len(history.sessions),
        **({} if learned_anew is None else {"learned_anew": learned_anew}),
        "groups": [_group(result) for result in calibrated.results],
    }
    return _HEAD + "\n" + "\n".join(_lines({**own, FIT: fit}, "")) + "\n"


def _group(result: Result) -> dict[str, object]:
    """A group's part of [fit]: log scores are nats a session, of sessions left out."""
    told: dict[str, object] = {
        "group": result.group,
        "verdict": result.verdict,
        "rows": result.rows,
        "sessions": result.sessions,
        "sessions_needed": result.needed,
    }
    scores = {
        "log_score_before": result.before,
        "log_score_after": result.after,
        "gain_standard_error": result.gain_error,
    }
    return told | {name: round(value, 5) for name, value in scores.items() if value is not None}


def _lines(table: Mapping[str, Any], path: str) -> list[str]:
    """TOML of a table: its own values, then its tables."""
    lines = [f"{key} = {_value(v)}" for key, v in table.items() if not _is_table(v)]
    for key, inner in table.items():
        if isinstance(inner, Mapping):
            if any(not _is_table(v) for v in inner.values()):
                lines += ["", f"[{path}{key}]"]
            lines += _lines(inner, f"{path}{key}.")
        elif _is_table(inner):
            for item in inner:
                lines += ["", f"[[{path}{key}]]", *_lines(item, f"{path}{key}.")]
    return lines


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _value(value: object) -> str:
    r"""A value as TOML.

    >>> _value(["a", 1.5]), _value('say "no"')
    ('["a", 1.5]', '"say \\"no\\""')
    """
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c >= " " and c != "\x7f" else _escape(c) for c in escaped) + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _escape(character: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\u{ord(character):04x}")


def check_place(path: Path) -> None:
    """See that a calibration can be written there: fitting takes its time.

    Raises
    ------
    ConfigError
        It cannot.
    """
    draft = path.with_name(path.name + ".new")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {error.strerror}; give another place with --out")


def put(text: str, path: Path) -> Path | None:
    """The file put in its place in one step; what was there stays beside it, as the path that is returned.

    Raises
    ------
    ConfigError
        The place cannot be written to.
    """
    draft, kept = path.with_name(path.name + ".new"), path.with_name(path.name + ".old")
    try:
        with draft.open("w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        had = path.exists()
        if had:
            kept.unlink(missing_ok=True)
            os.link(path, kept)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _not_written(path, error) from None
    return kept if had else None
