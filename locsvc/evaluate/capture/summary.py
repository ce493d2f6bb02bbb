"""Numbers of a capture, as a program reads them: plain mappings, None where there is nothing to tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from locsvc.evaluate.capture import scores
from locsvc.evaluate.capture.records import AHEAD_S, Capture
from locsvc.evaluate.scores import number, wilson

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Seconds after the start of a call at which it is judged, and the one that counts.
MARKS_S = (1.0, 5.0, 10.0, 20.0, 30.0)
DEADLINE_S = 20.0
SECONDS = tuple(float(s) for s in range(1, 31))
WITHIN_M = (300.0, 50.0)
# The service, what the evidence itself allows, and what others would have said.
OURS, EVIDENCE, NEWEST, SMALLEST = "ours", "evidence", "newest", "smallest"
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999, "worst": 1.0}
_CHANCE_BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
_MOST_LISTED = 50


def summary_of(capture: Capture) -> dict[str, Any]:
    """Everything that is told of a capture."""
    n = len(capture)
    kinds, counts = np.unique(np.array(capture.kinds, str), return_counts=True)
    return {
        "calls": n,
        "asked": capture.asked,
        "kinds": {str(k): int(c) for k, c in zip(kinds, counts, strict=True)},
        "at_once": capture.at_once,
        "speed": capture.speed,
        "seconds": number(capture.seconds),
        "marks": [mark_of(capture, s) for s in MARKS_S] if n else [],
        "by_second": [mark_of(capture, s) for s in SECONDS] if n else [],
        "deadline": deadline_of(capture),
        "worse": worse_of(capture),
        "outlook": outlook_of(capture),
        "service": service_of(capture),
        "client": client_of(capture),
        "failures": capture.failures,
    }


def share(so: Bools) -> dict[str, Any]:
    """How often something was so, with Wilson's 95 % interval; the share of no cases is None."""
    n = len(so)
    value = float(np.mean(so)) if n else math.nan
    low, high = wilson(value, n) if n else (math.nan, math.nan)
    return {"share": number(value), "wilson": [number(low), number(high)], "n": n}


def errors_at(capture: Capture, second: float) -> dict[str, Floats]:
    """Errors of all calls at a second, (n,) metres, infinite where nothing was said: ours, and what others say."""
    n, shown, said = len(capture), capture.shown, capture.said
    rows = scores.last_until(shown.call, shown.at_s, n, second)
    pieces = said.call, said.at_s, said.error_m
    return {
        OURS: scores.picked(shown.error_m, rows),
        EVIDENCE: scores.nearest_m(*pieces, n, second),
        NEWEST: scores.newest_m(*pieces, n, second),
        SMALLEST: scores.smallest_claim_m(*pieces, said.claimed_m, n, second),
    }


def mark_of(capture: Capture, second: float) -> dict[str, Any]:
    """What was known of all calls at one second after their start."""
    n, shown = len(capture), capture.shown
    rows = scores.last_until(shown.call, shown.at_s, n, second)
    errors = errors_at(capture, second)
    placed = rows[np.isfinite(errors[OURS])]
    fit = placed[shown.fit[placed]]
    return {
        "second": second,
        "answered": {name: share(np.isfinite(errors[name])) for name in errors},
        **{f"within_{m:g}_m": {name: share(errors[name] <= m) for name in errors} for m in WITHIN_M},
        "error_m": {name: _middle(errors[name]) for name in errors},
        "fit": share(np.isin(rows, fit) & (rows >= 0)),
        "fit_and_right": share(shown.error_m[fit] <= shown.fit_radius_m[fit]),
        "in_region": share(shown.held[placed]),
        "in_radius": share(shown.error_m[placed] <= shown.radius_m[placed]),
    }


def _middle(error_m: Floats) -> dict[str, float | None]:
    """Median and 90 % of the errors, those without an answer being the largest."""
    ordered = np.sort(error_m)
    at = [ordered[min(len(ordered) - 1, int(q * len(ordered)))] if len(ordered) else math.nan for q in (0.5, 0.9)]
    return {"0.5": number(float(at[0])), "0.9": number(float(at[1]))}


def deadline_of(capture: Capture) -> dict[str, Any]:
    """Whether calls were answered by the deadline, and told of it."""
    n, shown = len(capture), capture.shown
    placed = np.isfinite(shown.error_m)
    first = scores.first_s(shown.call, shown.at_s, placed, n)
    told = scores.first_s(shown.call, shown.at_s, np.ones(len(placed), bool), n)
    late = [capture.names[i] for i in np.flatnonzero(first > DEADLINE_S)]
    return {
        "second": DEADLINE_S,
        "told": share(told <= DEADLINE_S),
        "answered": share(first <= DEADLINE_S),
        "without_an_answer": late[:_MOST_LISTED],
        "revision_of_the_deadline": share(np.isin(np.arange(n), shown.call[shown.deadline])),
        "first_answer_s": {"0.5": _quantile(first, 0.5), "0.9": _quantile(first, 0.9), "0.99": _quantile(first, 0.99)},
    }


def _quantile(values: Floats, share_: float) -> float | None:
    """The smallest value that at least the share do not exceed; None of none."""
    ordered = np.sort(values)
    return number(float(ordered[max(0, math.ceil(share_ * len(ordered)) - 1)])) if len(ordered) else None


def worse_of(capture: Capture) -> dict[str, Any]:
    """Calls that the newest report would have served better, where our region did not hold the caller either."""
    n, shown = len(capture), capture.shown
    rows = scores.last_until(shown.call, shown.at_s, n, DEADLINE_S)
    errors = errors_at(capture, DEADLINE_S)
    ours, newest = errors[OURS], errors[NEWEST]
    placed = np.isfinite(ours)
    at = np.maximum(rows, 0)
    held = np.zeros(n, bool) if not len(shown.held) else shown.held[at]
    radius_m = np.full(n, np.nan) if not len(shown.radius_m) else shown.radius_m[at]
    known = placed & np.isfinite(newest)
    # How much nearer the newest report is; where only one of the two says a place, that is counted by itself.
    nearer_m = np.where(known, np.where(known, ours, 0.0) - np.where(known, newest, 0.0), 0.0)
    outside = known & ~held & (nearer_m > 0)
    beyond = outside & (nearer_m > radius_m)
    excess = np.where(outside, nearer_m, -np.inf)
    listed = [int(i) for i in np.argsort(-excess, kind="stable")[: int(outside.sum())]][:_MOST_LISTED]
    return {
        "second": DEADLINE_S,
        "worse_and_outside": int(outside.sum()),
        "by_more_than_the_radius": int(beyond.sum()),
        "newest_without_ours": int(np.count_nonzero(~placed & np.isfinite(newest))),
        # The same the other way: calls that our answer serves better by more than its radius.
        "better_by_more_than_the_radius": int(np.count_nonzero(known & (-nearer_m > radius_m))),
        "calls": [
            {
                "call": capture.names[i], "kind": capture.kinds[i], "ours_m": number(float(ours[i])),
                "newest_m": number(float(newest[i])), "radius_m": number(float(radius_m[i])),
                "beyond": bool(beyond[i]),
            }
            for i in listed
        ],
    }  # fmt: skip


def outlook_of(capture: Capture) -> dict[str, Any]:
    """Chances of a better answer, of every estimate that was shown, against what came.

    Empty when the calls were played faster than they are: the service counts true seconds.
    """
    return {f"{ahead_s:g}": _chances(capture, k) for k, ahead_s in enumerate(AHEAD_S)} if capture.speed == 1.0 else {}


def _chances(capture: Capture, ahead: int) -> dict[str, Any]:
    shown, ahead_s = capture.shown, AHEAD_S[ahead]
    # All that were said, not those that stand at a mark: what stands long is what nothing better came for. Calls are
    # watched to a second after the last mark; what would come later is not known.
    said = np.isfinite(shown.chance[:, ahead]) & (shown.at_s + ahead_s <= MARKS_S[-1] + 1.0)
    rows = np.flatnonzero(said)
    radius_m = np.where(np.isnan(shown.radius_m), np.inf, shown.radius_m)
    chance = shown.chance[rows, ahead]
    came = scores.betters(shown.call, shown.at_s, radius_m, shown.call[rows], shown.at_s[rows], radius_m[rows], ahead_s)
    base = float(np.mean(came)) if len(came) else math.nan
    return {
        "n": len(chance),
        "said": number(float(np.mean(chance)) if len(chance) else math.nan),
        "came": number(base),
        "brier": number(scores.brier(chance, came)),
        "brier_of_the_mean": number(base * (1 - base)),
        "bins": [
            {"chance": number(c), **share_of_count(s, count)}
            for c, s, count in scores.reliability(chance, came, _CHANCE_BINS)
        ],
    }


def share_of_count(value: float, n: int) -> dict[str, Any]:
    """A share that is known already, with its interval."""
    low, high = wilson(value, n)
    return {"share": number(value), "wilson": [number(low), number(high)], "n": n}


def milliseconds(seconds: Floats) -> dict[str, Any]:
    """Quantiles of times, milliseconds: each the smallest time that so many do not exceed."""
    known = np.sort(seconds[np.isfinite(seconds)])
    at = {
        name: number(1e3 * float(known[max(0, math.ceil(q * len(known)) - 1)])) if len(known) else None
        for name, q in QUANTILES.items()
    }
    return {**at, "n": len(known)}


def service_of(capture: Capture) -> dict[str, Any]:
    """The service's own part: from a request and from its acknowledgement to the estimate on the stream."""
    sends, shown = capture.sends, capture.shown
    new = sends.revision > 0
    kept = shown.revision >= 0
    seen_s = scores.waits_s(
        shown.call[kept], shown.revision[kept], shown.received_s[kept], sends.call[new], sends.revision[new]
    )
    # A piece that opens its call before anyone watches is shown when someone does.
    watched = sends.sent_s[new] >= capture.first_s[sends.call[new]]
    done = sends.replied_s > 0
    seconds = capture.seconds or math.nan
    return {
        "requests": len(sends.call),
        "requests_per_s": number(len(sends.call) / seconds),
        "acknowledged_to_stream_ms": milliseconds((seen_s - sends.replied_s[new])[watched]),
        "sent_to_stream_ms": milliseconds((seen_s - sends.sent_s[new])[watched]),
        "sent_to_acknowledged_ms": milliseconds((sends.replied_s - sends.sent_s)[done]),
        "watch_to_first_ms": milliseconds(capture.first_s - capture.opened_s),
        "acknowledged_never_shown": int(np.count_nonzero(np.isnan(seen_s))),
        "estimates": len(shown.call),
        "provisional": int(np.count_nonzero(~kept)),
        "cpu_share": None if capture.server_cpu_s is None else number(capture.server_cpu_s / seconds),
    }


def client_of(capture: Capture) -> dict[str, Any]:
    """How late the client itself was: what of the times above may be its own."""
    return {"sends_late_ms": milliseconds(capture.sends.late_s), "loop_late_ms": milliseconds(capture.lags_s)}
