"""A capture in words: tables and lines for a person."""

from __future__ import annotations

from typing import Any

from locsvc.evaluate.capture.summary import DEADLINE_S, EVIDENCE, NEWEST, OURS, QUANTILES, SMALLEST, WITHIN_M

Table = tuple[str, list[str], list[list[str]]]

NAMES = {
    OURS: "locsvc",
    EVIDENCE: "nearest piece (bound)",
    NEWEST: "newest report",
    SMALLEST: "smallest claimed radius",
}
_TIMES = {
    "acknowledged_to_stream_ms": "evidence acknowledged to estimate on the stream",
    "sent_to_stream_ms": "evidence sent to estimate on the stream",
    "sent_to_acknowledged_ms": "evidence sent to acknowledged (on disk)",
    "watch_to_first_ms": "watch opened to first message",
}
# A client that is later than this is part of what it measures.
_HELD_UP_MS = 10.0
_OWN_TIMES = {"sends_late_ms": "sent later than planned", "loop_late_ms": "loop later than asked"}


def percent(share: float | None) -> str:
    """A share as percent with a digit behind the point.

    >>> percent(0.98765), percent(None)
    ('98.8', '-')
    """
    return "-" if share is None else f"{100 * share:.1f}"


def metres(length_m: float | None) -> str:
    """A length; none is an answer that did not come.

    >>> metres(12.3), metres(4321.0), metres(None)
    ('12 m', '4.3 km', 'none')
    """
    if length_m is None:
        return "none"
    return f"{length_m:.0f} m" if length_m < 1000 else f"{length_m / 1000:.1f} km"


def interval(told: dict[str, Any]) -> str:
    """A share and where it lies with 95 %, percent.

    >>> interval({"share": 0.9, "wilson": [0.88, 0.92], "n": 1000})
    '90.0 (88.0-92.0)'
    """
    if not told["n"]:
        return "-"
    return f"{percent(told['share'])} ({percent(told['wilson'][0])}-{percent(told['wilson'][1])})"


def marks_table(told: dict[str, Any]) -> Table:
    """What was known at each second."""
    marks = told["marks"]
    columns = ["% of calls (95 % interval)", *(f"{m['second']:g} s" for m in marks)]
    rows = [[f"an answer: {NAMES[OURS]}", *(percent(m["answered"][OURS]["share"]) for m in marks)]]
    rows.append(["an answer: any piece with a place", *(percent(m["answered"][EVIDENCE]["share"]) for m in marks)])
    for within_m in WITHIN_M:
        key, what = f"within_{within_m:g}_m", f"within {within_m:g} m"
        rows.append([f"{what}: {NAMES[OURS]}", *(interval(m[key][OURS]) for m in marks)])
        rows += [
            [f"{what}: {NAMES[name]}", *(percent(m[key][name]["share"]) for m in marks)]
            for name in (EVIDENCE, NEWEST, SMALLEST)
        ]
    rows.append(["fit to dispatch", *(interval(m["fit"]) for m in marks)])
    rows.append(["caller in the fit radius, of these", *(interval(m["fit_and_right"]) for m in marks)])
    rows.append(["caller in the 90 % region", *(interval(m["in_region"]) for m in marks)])
    return "What was known when", columns, rows


def errors_table(told: dict[str, Any]) -> Table:
    """Errors at each second."""
    marks = told["marks"]
    columns = ["error, half / nine tenths of all calls", *(f"{m['second']:g} s" for m in marks)]
    rows = [
        [NAMES[name], *(f"{metres(m['error_m'][name]['0.5'])} / {metres(m['error_m'][name]['0.9'])}" for m in marks)]
        for name in NAMES
    ]
    return "How far off", columns, rows


def times_table(told: dict[str, Any]) -> Table:
    """The service's own part, and the client's."""
    rows = [
        [text, *(_number(told[part][key][q]) for q in QUANTILES), f"{told[part][key]['n']:,}"]
        for part, names in (("service", _TIMES), ("client", _OWN_TIMES))
        for key, text in names.items()
    ]
    columns = ["milliseconds", *(q.replace("_", ".") for q in QUANTILES), "n"]
    rows[-len(_OWN_TIMES) :] = [[f"the client itself: {r[0]}", *r[1:]] for r in rows[-len(_OWN_TIMES) :]]
    return "The service's own part", columns, rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def outlook_table(told: dict[str, Any]) -> Table:
    """Chances of a better answer."""
    rows = []
    for ahead, chances in told["outlook"].items():
        rows += [
            [f"within {ahead} s", f"{chance['n']:,}", percent(chance["chance"]), interval(chance)]
            for chance in chances["bins"]
        ]
    return "Chance of a better answer", ["", "n", "said, %", "came, %"], rows


def worse_table(told: dict[str, Any]) -> Table:
    """Calls that the newest report would have served better, the caller being outside our region."""
    rows = [
        [c["call"], c["kind"], metres(c["ours_m"]), metres(c["radius_m"]), metres(c["newest_m"]),
         "more than the radius" if c["beyond"] else ""]
        for c in told["worse"]["calls"]
    ]  # fmt: skip
    columns = ["call", "kind", "our error", "our 90 % radius", "newest report's error", "worse by"]
    return f"Worse than the newest report at {told['worse']['second']:g} s, caller outside our region", columns, rows


def lead(told: dict[str, Any]) -> str:
    """What was played."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in told["kinds"].items())
    whole = "" if told["calls"] == told["asked"] else f" of {told['asked']:,} asked for (interrupted)"
    pace = "in real time" if told["speed"] == 1 else f"{told['speed']:g} times as fast as they are"
    return (
        f"{told['calls']:,} calls{whole} ({kinds or 'none'}), {told['at_once']:,} at once, {pace},"
        f" in {told['seconds'] or 0:,.0f} s"
    )


def remarks(told: dict[str, Any]) -> list[str]:
    """What else is to be known, one sentence each."""
    deadline, worse, service = told["deadline"], told["worse"], told["service"]
    first, cpu = deadline["first_answer_s"], service["cpu_share"]
    lines = [
        (
            f"Answered by {DEADLINE_S:g} s: {deadline['answered']['share']:.2%} of the calls; told something:"
            f" {deadline['told']['share']:.2%}. First answer: half within {_seconds(first['0.5'])},"
            f" 99 % within {_seconds(first['0.99'])}."
        ),
        (
            f"Worse than the newest report at {DEADLINE_S:g} s with the caller outside the 90 % region:"
            f" {worse['worse_and_outside']:,} calls, of them by more than the radius"
            f" {worse['by_more_than_the_radius']:,}; better by more than the radius:"
            f" {worse['better_by_more_than_the_radius']:,}."
        ),
        (
            f"Requests {service['requests']:,} ({service['requests_per_s'] or 0:.1f}/s), estimates on streams"
            f" {service['estimates']:,}, provisional {service['provisional']:,}, acknowledged and never shown"
            f" {service['acknowledged_never_shown']:,}." + ("" if cpu is None else f" Server: {cpu:.0%} of a core.")
        ),
    ]
    if told["speed"] != 1:
        lines.append("Played faster than true: outlooks are not judged, and latencies are true milliseconds.")
    held_up_ms = told["client"]["loop_late_ms"]["p99_9"] or 0.0
    if held_up_ms > _HELD_UP_MS:
        lines.append(
            f"The client itself was held up ({held_up_ms:,.0f} ms at p99.9): the machine is busy, and the times are not"
            " the service's alone."
        )
    lines += [f"Failed: {what}: {count:,}." for what, count in told["failures"].items()]
    return lines


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
