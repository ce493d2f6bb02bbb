"""The scenario of a capture: shares, times and sizes, each with where it comes from."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from locsvc.errors import ConfigError

_Rng = np.random.Generator
_PACKAGE, _DEFAULT = "locsvc.evaluate.capture", "default_scenario.toml"


def _uniform(rng: _Rng, least: float, most: float) -> float:
    return float(rng.uniform(least, most))


def _log_uniform(rng: _Rng, least: float, most: float) -> float:
    return float(math.exp(rng.uniform(math.log(least), math.log(most))))


def _lognormal(rng: _Rng, median: float, sigma: float) -> float:
    return float(median * math.exp(sigma * rng.standard_normal()))


def _beta(rng: _Rng, least: float, most: float, mean: float, concentration: float) -> float:
    share = (mean - least) / (most - least)
    return float(least + (most - least) * rng.beta(share * concentration, (1 - share) * concentration))


def _timer(rng: _Rng, least: float, mean_wait: float, most: float) -> float:
    return float(min(least + rng.gamma(2.0, mean_wait / 2.0), most))


# Form -> how it is drawn, how many numbers it has, what they must be.
_FORMS: Mapping[str, tuple[Callable[..., float], int, Callable[[Sequence[float]], bool]]] = {
    "uniform": (_uniform, 2, lambda n: n[0] <= n[1]),
    "log_uniform": (_log_uniform, 2, lambda n: 0 < n[0] <= n[1]),
    "lognormal": (_lognormal, 2, lambda n: n[0] > 0 <= n[1]),
    "beta": (_beta, 4, lambda n: n[0] < n[2] < n[1] and n[3] > 0),
    "timer": (_timer, 3, lambda n: n[0] <= n[2] and n[1] > 0),
}


@dataclass(frozen=True, slots=True)
class Value:
    """A number, or a distribution by the name of its form and its numbers; and where it comes from."""

    form: str
    numbers: tuple[float, ...]
    source: str

    def text(self) -> str:
        """The value as the file has it.

        >>> Value("uniform", (0.0, 1.5), "chosen").text()
        'uniform 0, 1.5'
        """
        return f"{self.form} {', '.join(f'{n:g}' for n in self.numbers)}".strip()


@dataclass(frozen=True, slots=True)
class Scenario:
    """All values by their dotted names."""

    name: str
    values: Mapping[str, Value]

    def number(self, name: str) -> float:
        """A value that is one number."""
        return self.values[name].numbers[0]

    def happens(self, name: str, rng: _Rng) -> bool:
        """Whether something of that share is so this time."""
        return bool(rng.random() < self.number(name))

    def draw(self, name: str, rng: _Rng) -> float:
        """One draw of a distribution; a number is itself."""
        value = self.values[name]
        return _FORMS[value.form][0](rng, *value.numbers) if value.form else value.numbers[0]


def read_scenario(text: str | None = None, *, named: str = "the scenario") -> Scenario:
    """The shipped scenario, with what another one changes.

    Parameters
    ----------
    text
        TOML of the form of the shipped file; it needs only what it changes. None: the shipped one.
    named
        What it is called in errors.

    Raises
    ------
    ConfigError
        The text is not TOML, or a value is not known, has no source, or is out of its range.
    """
    shipped = _values(tomllib.loads(default_text()), "the shipped scenario")
    if text is None:
        return Scenario(*shipped)
    try:
        own = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{named}: {error}; mend it, the shipped scenario shows the form") from error
    name, values = _values({"name": named, **own}, named)
    for path in values:
        if path not in shipped[1]:
            raise ConfigError(f"{named}: {path!r} is not known; the shipped scenario lists all values")
        if bool(values[path].form) != bool(shipped[1][path].form) and not shipped[1][path].form:
            raise ConfigError(f"{named}: {path} must be a number, not a distribution")
    merged = {**shipped[1], **values}
    for first, second in (("calls.mobile_share", "calls.fixed_share"), ("handset.gnss_share", "handset.wifi_share"),
                          ("truth.outdoors_share", "truth.deep_share")):  # fmt: skip
        if merged[first].numbers[0] + merged[second].numbers[0] > 1 + 1e-9:
            raise ConfigError(f"{named}: {first} and {second} are more than 1 together")
    return Scenario(name, merged)


def default_text() -> str:
    """The shipped scenario as TOML."""
    return resources.files(_PACKAGE).joinpath(_DEFAULT).read_text(encoding="utf-8")


def _values(tables: Mapping[str, Any], named: str) -> tuple[str, dict[str, Value]]:
    found: dict[str, Value] = {}
    for table, entries in tables.items():
        if table == "name":
            continue
        if not isinstance(entries, dict):
            raise ConfigError(f"{named}: {table!r} must be a table of values; the shipped scenario shows the form")
        for key, entry in entries.items():
            found[f"{table}.{key}"] = _value(f"{table}.{key}", entry, named)
    return str(tables.get("name", "")), found


def _value(path: str, entry: object, named: str) -> Value:
    if not (isinstance(entry, dict) and set(entry) == {"is", "source"} and entry["source"]):
        raise ConfigError(f'{named}: write {path} = {{ is = ..., source = "..." }}: every value says where it is from')
    given = entry["is"]
    form, numbers = ("", [given]) if not isinstance(given, list) else (str(given[0] if given else ""), given[1:])
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise ConfigError(f"{named}: {path} must be a number or a distribution, not {given!r}")
    floats = tuple(float(n) for n in numbers)
    if isinstance(given, list) and not _is_distribution(form, floats):
        forms = ", ".join(f"{f} of {count} numbers" for f, (_, count, _) in _FORMS.items())
        raise ConfigError(f"{named}: {path} = {given!r} is no distribution; there are {forms}")
    if path.endswith("share") and not (not form and 0 <= floats[0] <= 1):
        raise ConfigError(f"{named}: {path} must be a share from 0 to 1, not {given!r}")
    return Value(form, floats, str(entry["source"]))


def _is_distribution(form: str, numbers: Sequence[float]) -> bool:
    return form in _FORMS and len(numbers) == _FORMS[form][1] and _FORMS[form][2](numbers)
