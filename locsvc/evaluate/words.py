"""An evaluation's numbers as rows of tables, for a terminal and a page."""

from __future__ import annotations

from typing import Any

from locsvc.learning.calibrate.calibrate import FITTED

# Title, names of columns, rows; the first column is words, the others numbers.
Table = tuple[str, list[str], list[list[str]]]

_AT = ("0.5", "0.68", "0.9", "0.95")
_PERCENTS = "50/68/90/95 %"
# Days and sessions of a stratum that are told one by one; JSON has all.
MOST_VALUES = 8
NOTHING = "-"


def metres(value: float | None) -> str:
    """A length as a person reads it.

    >>> metres(4.26), metres(412.3), metres(12_345.0), metres(None)
    ('4.3', '412', '12.3 km', '-')
    """
    if value is None:
        return NOTHING
    if value < 9.95:
        return f"{value:.1f}"
    return (
        f"{value:,.0f}"
        if value < 9_999.5
        else f"{value / 1_000:,.1f} km"
        if value < 1e6
        else f"{value / 1_000:,.0f} km"
    )


def area(value: float | None) -> str:
    """An area as a person reads it.

    >>> area(31_416.0), area(4_200_000.0)
    ('3.1 ha', '4.2 km²')
    """
    if value is None:
        return NOTHING
    if value < 1e4:
        return f"{value:,.0f} m²"
    return f"{value / 1e4:.1f} ha" if value < 1e6 else f"{value / 1e6:,.1f} km²"


def percent(value: float | None) -> str:
    """A share as percent, a digit where it matters.

    >>> percent(0.9), percent(0.9049), percent(0.0), percent(1.0)
    ('90.0', '90.5', '0', '100')
    """
    if value is None:
        return NOTHING
    return f"{100 * value:.0f}" if value in {0.0, 1.0} else f"{100 * value:.1f}"


def interval(pair: list[float] | None) -> str:
    """An interval of shares as percent.

    >>> interval([0.884, 0.916])
    '88-92'
    """
    return NOTHING if pair is None else f"{100 * pair[0]:.0f}-{100 * pair[1]:.0f}"


def _score(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _shares(of: dict[str, Any]) -> str:
    return " ".join(percent(of[c]["share"]).rjust(4) for c in _AT)


def name_of(row: dict[str, Any]) -> str:
    """What a stratum is called."""
    return "all" if row["by"] == "all" else f"{row['by']}: {row['value']}"


def chosen(strata: list[dict[str, Any]], most: int = MOST_VALUES) -> list[dict[str, Any]]:
    """The strata that are told: of each the largest values, sessions left to programs."""
    kept, seen = [], dict[str, int]()
    for row in strata:
        if row["by"] == "session":
            continue
        seen[row["by"]] = seen.get(row["by"], 0) + 1
        # Where all calls have one value, that row is the first one again.
        if row["n"] and seen[row["by"]] <= most and (row["by"] == "all" or row["n"] < strata[0]["n"]):
            kept.append(row)
    return kept


def errors_table(strata: list[dict[str, Any]]) -> Table:
    """How far answers are off, and what they state."""
    columns = [
        "calls of",
        "n",
        "sessions",
        "50 %",
        "68 %",
        "90 %",
        "95 %",
        "≤50 m",
        "≤100",
        "≤300",
        "radius 90 %",
        "area 90 %",
    ]
    rows = [
        [
            name_of(r), f"{r['n']:,}", f"{r['sessions']:,}", *(metres(r["error_m"][c]) for c in _AT),
            *(percent(r["within"][m]) for m in ("50", "100", "300")),
            metres(r["radius_m"]["0.9"]), area(r["region_area_m2"]),
        ]
        for r in chosen(strata)
    ]  # fmt: skip
    return "Error in metres, share of calls within, as stated (median)", columns, rows


def coverage_table(strata: list[dict[str, Any]]) -> Table:
    """How often truths are inside."""
    columns = [
        "truths inside, %",
        "n",
        f"circle {_PERCENTS}",
        f"region {_PERCENTS}",
        "90 %: calls",
        "sessions",
        "log score",
        "energy",
    ]
    rows = []
    for r in chosen(strata):
        at_90 = r["coverage"]["region"]["0.9"]
        rows.append(
            [
                name_of(r), f"{r['n']:,}", _shares(r["coverage"]["circle"]), _shares(r["coverage"]["region"]),
                interval(at_90["wilson"]), interval(at_90["clustered"]),
                _score(r["log_score"]), metres(r["energy_score_m"]),
            ]
        )  # fmt: skip
    return (
        "Truths inside of circles and regions as they were asked for; 95 % interval of the 90 % region",
        columns,
        rows,
    )


def baselines_table(strata: list[dict[str, Any]]) -> Table:
    """Other ways to locate, on the calls of which they say something, each above this service on those calls."""
    columns = [
        "",
        "n",
        "50 %",
        "68 %",
        "90 %",
        "95 %",
        "radius",
        "inside it",
        f"circle {_PERCENTS}",
        "log score",
        "energy",
    ]
    rows = []
    for r in strata:
        for name, told in r.get("baselines", {}).items():
            where = "" if r["by"] == "all" else f", {r['value']} cell"
            rows.append(_circle_row(f"{name}{where}", told, "stated"))
            rows.append(_circle_row("  locsvc", told["ours"], "0.9"))
    return "Other ways to locate, each above locsvc on the same calls (radius: as stated, and of 90 %)", columns, rows


def _circle_row(name: str, told: dict[str, Any], stated: str) -> list[str]:
    circle = told["coverage"]["circle"]
    inside = told["coverage"]["stated"] if stated == "stated" else circle[stated]
    return [
        name, f"{told['n']:,}", *(metres(told["error_m"][c]) for c in _AT), metres(told["radius_m"][stated]),
        percent(inside["share"]), _shares(circle), _score(told["log_score"]), metres(told["energy_score_m"]),
    ]  # fmt: skip


def areas_table(strata: list[dict[str, Any]]) -> Table:
    """How much ground answers name: the region of 90 %, the circle of 90 %, the smallest circles that others need."""
    columns = ["median area of 90 %", "n", "region", "circle", "region / circle", "that other's circle"]
    rows = []
    for r in strata:
        where = "" if r["by"] == "all" else f", {r['value']} cell"
        if r["by"] == "all" and r["n"]:
            rows.append(["locsvc", *_areas(r), NOTHING])
        for name, told in r.get("baselines", {}).items():
            rows.append([f"{name}{where}", *_areas(told["ours"]), area(told["calibrated"]["area_m2"])])
    return "Ground named at 90 %, beside the smallest circle that held 90 % round another way's places", columns, rows


def _areas(ours: dict[str, Any]) -> list[str]:
    ratio = ours["region_of_circle"]
    return [
        f"{ours['n']:,}", area(ours["region_area_m2"]), area(ours["circle_area_m2"]),
        NOTHING if ratio is None else f"{ratio:.2f}",
    ]  # fmt: skip


def lead(told: dict[str, Any]) -> str:
    """What was judged, in a line."""
    first = told["strata"][0]
    folds = told["folds"]
    how = "" if folds is None else f", {folds['count']} folds by {folds['by']}"
    return f"{told['judged']:,} of {told['calls']:,} calls judged, {first['sessions']:,} sessions{how}"


def _calibrated(folds: dict[str, Any] | None) -> list[str]:
    """What --calibrate came to, and why the rest was kept; no line without it."""
    if folds is None or "calibrated" not in folds:
        return []
    fitted, kept = list[str](), dict[str, list[str]]()
    for group, verdicts in folds["calibrated"].items():
        for verdict, count in verdicts.items():
            of = f"{group} in {count} of {folds['count']} folds"
            (fitted if verdict == FITTED else kept.setdefault(verdict, [])).append(of)
    lines = ["calibrated: " + ("; ".join(fitted) or "nothing in any fold")]
    return lines + [f"  {verdict}: {'; '.join(groups)}" for verdict, groups in kept.items()]


def remarks(told: dict[str, Any]) -> list[str]:
    """What else a reader must know: calls left out, coverages that are off."""
    lines = []
    if told["left_out"]:
        lines.append("left out: " + "; ".join(f"{count:,} {reason}" for reason, count in told["left_out"].items()))
    if told["unreadable_values"]:
        shown = list(told["unreadable_values"].items())[:5]
        lines.append("not read: " + "; ".join(f"{count:,} x {what}" for what, count in shown))
    if told["learned_of"]:
        seen = ", ".join(told["learned_of"])
        lines.append(
            f"too good: the coverage was learned from {seen}, so it cannot be judged by that; take --folds day"
        )
    lines += _calibrated(told["folds"])
    misses = told["misses"]
    for miss in misses[:6]:
        where = "all calls" if miss["by"] == "all" else f"{miss['by']} {miss['value']} ({miss['n']:,} calls)"
        lines.append(
            f"off: {where}: {miss['shape']} of {100 * miss['confidence']:g} % holds {percent(miss['share'])} %"
        )
    if len(misses) > 6:
        lines.append(f"off: {len(misses) - 6} more, see --json")
    if not misses:
        lines.append("every coverage is within 2 points over all calls, and 5 in each stratum of 300 calls or more")
    return lines
