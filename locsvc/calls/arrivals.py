"""When which source speaks in a call, how often, and how narrow the answer commonly is then."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from locsvc.calls.sources import LINE, SOURCES, LineSays
from locsvc.calls.spread import Spread
from locsvc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# Sources are told within this time after the start of a call, seconds; what comes later is not looked for.
LONGEST_S: Final = 120.0
_FARTHEST_M: Final = 20_100_000.0
_LEAST_RATIO: Final = 1e-3
_RADIUS_STEP: Final = math.log(7 / 6)
_REMEDY: Final = "the shipped locsvc/calls/arrivals.toml is the pattern"


class ByKind(NamedTuple):
    """One number for each kind of call: from a mobile phone, and from a line that does not move."""

    mobile: float
    fixed: float


@dataclass(frozen=True, slots=True)
class Again:
    """What is known of a source that has spoken.

    Parameters
    ----------
    share
        Of its words after which it speaks once more within LONGEST_S.
    time_s
        Seconds after its last word by which it has, where it does.
    log_ratio
        Natural logarithm of the radius of the answer then over that before, where the answer rested on its place
        already; 0 where the answer is no narrower.
    """

    share: float
    time_s: Spread
    log_ratio: Spread


@dataclass(frozen=True, slots=True)
class SourceArrivals:
    """What is known of one source.

    Parameters
    ----------
    share
        Of calls in which it speaks within LONGEST_S.
    placed
        Of the times that it speaks, those in which it names a place.
    time_s
        Seconds after the start of the call by which it has spoken, where it speaks.
    log_radius
        Natural logarithm of the radius in metres that holds 90 % once its place is known.
    again
        What is known of it once it has spoken.
    """

    source: str
    share: ByKind
    placed: ByKind
    time_s: Spread
    log_radius: Spread
    again: Again


class RadiusTable(NamedTuple):
    """For each source the share of its places that are at most as wide as some radii (as logarithms, ascending)."""

    logs: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Arrivals:
    """What is known of all sources; made by `default`, `read`, or learned from a journal (`locsvc.calls.experience`).

    Parameters
    ----------
    mobile
        Share of calls from mobile phones.
    sources
        One each, in the order of SOURCES.
    says
        What the class of service of a line record says, by kind of call; sums to 1 for each kind.
    prior_calls
        As so many calls these numbers weigh when others are learned.
    origin
        Where they come from, in words.
    """

    mobile: float
    sources: tuple[SourceArrivals, ...]
    says: Mapping[LineSays, ByKind]
    prior_calls: float
    origin: str

    @staticmethod
    def default() -> Arrivals:
        """The shipped one, from public figures."""
        return _default()

    @staticmethod
    def read(path: Path) -> Arrivals:
        """What a file says.

        Raises
        ------
        ConfigError
            The file cannot be read, is not TOML, or a name in it is missing, unknown or out of range; the name is told.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{path}: arrival times cannot be read ({error}); name a file that may be, {_REMEDY}"
            raise ConfigError(message) from error
        return arrivals_of(text, str(path))

    def of(self, source: str) -> SourceArrivals:
        """What is known of one of SOURCES."""
        return self.sources[SOURCES.index(source)]

    @cached_property
    def radii(self) -> RadiusTable:
        """Radii from 1 m, or the narrowest, to the widest of all sources, each a sixth wider than the one before."""
        low = min(0.0, *(each.log_radius.values[0] for each in self.sources))
        high = max(each.log_radius.values[-1] for each in self.sources)
        steps = max(1, math.ceil((high - low) / _RADIUS_STEP))
        logs = tuple(low + (high - low) * i / steps for i in range(steps + 1))
        return RadiusTable(logs, tuple(tuple(s.log_radius.share_below(log) for log in logs) for s in self.sources))

    def to_toml(self) -> str:
        """The same as a file that `read` takes; `origin` says what it was learned from."""
        lines = [*(f"# {line}" for line in _HEAD), "", f"origin = {_quoted(self.origin)}"]
        lines += [f"prior_calls = {self.prior_calls:g}", "", "[calls]", f"mobile = {self.mobile:.4g}"]
        for each in self.sources:
            lines += ["", f"[{each.source}]", f"share = {_pair(each.share)}", f"placed = {_pair(each.placed)}"]
            lines.append(f"time_s = {_points(each.time_s, each.time_s.values, 3)}")
            lines.append(f"radius_m = {_points(each.log_radius, [math.exp(v) for v in each.log_radius.values], 2)}")
            if each.source == LINE:
                lines += ["", "[line.says]", *(self._says_line(kind) for kind in ByKind._fields)]
            again = each.again
            lines += ["", f"[{each.source}.again]", f"share = {again.share:.4g}"]
            lines.append(f"time_s = {_points(again.time_s, again.time_s.values, 3)}")
            lines.append(f"ratio = {_points(again.log_ratio, [math.exp(v) for v in again.log_ratio.values], 4)}")
        return "\n".join(lines) + "\n"

    def _says_line(self, kind: str) -> str:
        fixed, mobile = (getattr(self.says[says], kind) for says in (LineSays.FIXED, LineSays.MOBILE))
        return f"{kind} = {{ fixed = {fixed:.4g}, mobile = {mobile:.4g} }}"


_HEAD: Final = (
    "When which source speaks in a call, how often, and how narrow the answer commonly is then.",
    "share, placed: by kind of call. time_s: share of the times that it speaks, seconds after the start of the call.",
    "radius_m: share of its places, radius that holds 90 %, metres.",
    "again: of a source that has spoken. share: of its words that another one follows. time_s: seconds between them.",
    "ratio: radius of the answer then over that before, where the answer rested on its place already.",
)


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _pair(pair: ByKind) -> str:
    return f"{{ mobile = {pair.mobile:.4g}, fixed = {pair.fixed:.4g} }}"


def _points(spread: Spread, values: Iterable[float], digits: int) -> str:
    points = zip(spread.shares, values, strict=True)
    return "[" + ", ".join(f"[{share:.4g}, {value:.{digits}f}]" for share, value in points) + "]"


@cache
def _default() -> Arrivals:
    text = resources.files("locsvc.calls").joinpath("arrivals.toml").read_text(encoding="utf-8")
    return arrivals_of(text, "arrivals.toml")


def arrivals_of(text: str, name: str) -> Arrivals:
    """What the text of a file says; `name` is for messages.

    Raises
    ------
    ConfigError
        It is not TOML, or a name in it is missing, unknown or out of range; the name is told.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}; mend the file, {_REMEDY}") from error
    table = _Table(name, "", values)
    sources = tuple(_source(table.table(source), source) for source in SOURCES)
    says = _says(table.table(LINE).table("says"))
    calls = table.table("calls")
    result = Arrivals(
        calls.number("mobile", 0.0, 1.0),
        sources,
        says,
        table.number("prior_calls", 1e-3, 1e9),
        table.text("origin"),
    )
    calls.only("mobile")
    table.only("calls", "origin", "prior_calls", *SOURCES)
    return result


def _source(table: _Table, source: str) -> SourceArrivals:
    table.only("share", "placed", "time_s", "radius_m", "again", *(["says"] if source == LINE else []))
    return SourceArrivals(
        source,
        table.by_kind("share"),
        table.by_kind("placed"),
        table.spread("time_s", 0.0, LONGEST_S),
        table.spread("radius_m", 0.1, _FARTHEST_M, logarithmic=True),
        _again(table.table("again")),
    )


def _again(table: _Table) -> Again:
    table.only("share", "time_s", "ratio")
    return Again(
        table.number("share", 0.0, 1.0),
        table.spread("time_s", 0.0, LONGEST_S),
        table.spread("ratio", _LEAST_RATIO, 1.0, logarithmic=True),
    )


def _says(table: _Table) -> dict[LineSays, ByKind]:
    told = {}
    for kind in ByKind._fields:
        own = table.table(kind)
        told[kind] = fixed, mobile = own.number("fixed", 0.0, 1.0), own.number("mobile", 0.0, 1.0)
        if fixed + mobile > 1.0:
            raise own.error("", f"fixed and mobile are shares of one whole, not {fixed:g} and {mobile:g}")
        own.only("fixed", "mobile")
    table.only(*ByKind._fields)
    (a, b), (c, d) = told["mobile"], told["fixed"]
    return {
        LineSays.FIXED: ByKind(a, c),
        LineSays.MOBILE: ByKind(b, d),
        LineSays.OPEN: ByKind(max(0.0, 1.0 - a - b), max(0.0, 1.0 - c - d)),
    }


class _Table:
    """A table of the file; what is wrong in it is told with the file's name and the whole name of the key."""

    def __init__(self, name: str, path: str, values: dict[str, Any]) -> None:
        self._name, self._path, self._values = name, path, values

    def error(self, key: str, what: str) -> ConfigError:
        where = f"{self._path}{key}".rstrip(".")
        return ConfigError(f"{self._name}: {where!r} {what}; {_REMEDY}")

    def table(self, key: str) -> _Table:
        value = self._value(key)
        if not isinstance(value, dict):
            raise self.error(key, "must be a table")
        return _Table(self._name, f"{self._path}{key}.", value)

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self.error(key, "must be a text")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        return self._checked(key, self._value(key), low, high)

    def by_kind(self, key: str) -> ByKind:
        own = self.table(key)
        own.only(*ByKind._fields)
        return ByKind(*(own.number(kind, 0.0, 1.0) for kind in ByKind._fields))

    def spread(self, key: str, low: float, high: float, *, logarithmic: bool = False) -> Spread:
        pairs = self._value(key)
        if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
            raise self.error(key, "must be pairs of a share and a value, as [[0.0, 1.0], [1.0, 9.0]]")
        points = [(self._checked(key, s, 0.0, 1.0), self._checked(key, v, low, high)) for s, v in pairs]
        try:
            return Spread.through((s, math.log(v)) for s, v in points) if logarithmic else Spread.through(points)
        except ValueError as error:
            raise self.error(key, f"is no distribution: {error}") from error

    def only(self, *keys: str) -> None:
        for key in self._values:
            if key not in keys:
                raise self.error(key, f"is not known; known here: {', '.join(sorted(keys))}")

    def _value(self, key: str) -> object:
        if key not in self._values:
            raise self.error(key, "is missing")
        return self._values[key]

    def _checked(self, key: str, value: object, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.error(key, f"must be a number from {low:g} to {high:g}, not {value!r}")
        return float(value)
