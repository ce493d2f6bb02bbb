"""Numbers of strata and baselines, as a program reads them: plain mappings, None where there is nothing to tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from locsvc.evaluate.judged import CONFIDENCES, DEFAULT, Circles, Judged
from locsvc.evaluate.labels import CELL, NONE, STRATA
from locsvc.evaluate.scores import (
    Share,
    gaussian_energy_scores_m,
    gaussian_log_scores,
    number,
    quantiles,
    share_of,
)
from locsvc.units import sigmas_of_circle

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WITHIN_M = (50.0, 100.0, 300.0)
PIT_BINS = 20
# Calls that a stratum needs to be judged by the mark that coverage is within five points.
ENOUGH_CALLS = 300
OVER_ALL, WITHIN_STRATA = 0.02, 0.05
DEFAULT_CONFIDENCE = CONFIDENCES[DEFAULT]


def _key(confidence: float) -> str:
    return f"{confidence:g}"


def _share(share: Share) -> dict[str, Any]:
    low, high = share.clustered or (math.nan, math.nan)
    return {
        "share": number(share.calls[0]),
        "wilson": [number(v) for v in share.calls[1:]],
        "clustered": None if share.clustered is None else [number(low), number(high)],
        "sessions": {"share": number(share.sessions[0]), "wilson": [number(v) for v in share.sessions[1:]]},
    }


def _errors(error_m: Floats) -> dict[str, Any]:
    return {
        "error_m": dict(zip(map(_key, CONFIDENCES), map(number, quantiles(error_m, CONFIDENCES)), strict=True)),
        "within": {f"{m:g}": number(float(np.mean(error_m <= m)) if len(error_m) else math.nan) for m in WITHIN_M},
    }


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return number(float(np.mean(known))) if len(known) else None


def summary_of(judged: Judged) -> dict[str, Any]:
    """Errors, coverage and scores of some calls."""
    n = len(judged)
    if not n:
        return {"n": 0, "sessions": 0}
    _, session = np.unique(judged.session.astype(str), return_inverse=True)
    return {
        "n": n,
        "sessions": int(session.max()) + 1,
        **_errors(judged.error_m),
        "radius_m": {_key(c): number(float(np.median(judged.radius_m[k]))) for k, c in enumerate(CONFIDENCES)},
        "coverage": {
            shape: {_key(c): _share(share_of(held[k], session)) for k, c in enumerate(CONFIDENCES)}
            for shape, held in (("circle", judged.in_circle), ("region", judged.in_region))
        },
        "region_area_m2": number(float(np.median(judged.area_m2))),
        "circle_area_m2": number(float(np.median(_circle_areas(judged)))),
        "region_of_circle": number(float(np.median(judged.area_m2 / np.maximum(_circle_areas(judged), 1.0)))),
        "log_score": _mean(judged.log_score),
        "energy_score_m": _mean(judged.energy_m),
    }


def _circle_areas(judged: Judged) -> Floats:
    """Areas of the circles of 90 %, (n,) square metres."""
    areas: Floats = np.pi * judged.radius_m[DEFAULT] ** 2
    return areas


def _calibrated(circles: Circles) -> dict[str, Any]:
    """The smallest circles round another locator's places that hold 90 % of these very truths.

    All alike, or its own radii times a factor, whichever is smaller (median area).
    """
    alike = float(np.quantile(circles.error_m, DEFAULT_CONFIDENCE))
    scaled = float(np.quantile(circles.error_m / circles.sigma_m, DEFAULT_CONFIDENCE)) * float(
        np.median(circles.sigma_m)
    )
    radius_m = min(alike, scaled)
    return {"radius_m": number(radius_m), "area_m2": number(math.pi * radius_m**2)}


def circles_summary(circles: Circles, session: Ints) -> dict[str, Any]:
    """The same of another way to locate, of the calls of which it says something."""
    said = np.isfinite(circles.error_m) & np.isfinite(circles.sigma_m)
    n = int(np.count_nonzero(said))
    if not n:
        return {"n": 0, "sessions": 0}
    own, of = circles.of(said), session[said]
    held = {_key(c): share_of(own.error_m <= own.sigma_m * sigmas_of_circle(c), of) for c in CONFIDENCES}
    return {
        "n": n,
        "sessions": len(np.unique(of)),
        **_errors(own.error_m),
        "radius_m": {"stated": number(float(np.median(own.radius_m)))},
        "calibrated": _calibrated(own),
        "coverage": {
            "stated": _share(share_of(own.error_m <= own.radius_m, of)),
            "circle": {k: _share(share) for k, share in held.items()},
        },
        "log_score": _mean(gaussian_log_scores(own.error_m, own.sigma_m)),
        "energy_score_m": _mean(gaussian_energy_scores_m(own.error_m, own.sigma_m)),
    }


def baselines_summary(judged: Judged) -> dict[str, Any]:
    """All baselines, each with what this service says of the same calls."""
    _, session = np.unique(judged.session.astype(str), return_inverse=True)
    found = {}
    for name, circles in judged.baselines.items():
        told = circles_summary(circles, session)
        if told["n"]:
            said = np.isfinite(circles.error_m) & np.isfinite(circles.sigma_m)
            found[name] = {**told, "ours": summary_of(judged.of(said))}
    return found


def strata_of(judged: Judged, by: tuple[str, ...]) -> list[dict[str, Any]]:
    """All calls, then each value of each stratum, in its order or the largest first; baselines of all and by cell."""
    told = [{"by": "all", "value": "all", **summary_of(judged), "baselines": baselines_summary(judged)}]
    for name in (*STRATA, *by):
        labels = judged.session if name == "session" else judged.labels.get(name)
        if labels is None:
            continue
        values, count = np.unique(labels.astype(str), return_counts=True)
        if len(values) == 1 and values[0] == NONE:
            continue
        for k in np.argsort(-count, kind="stable").tolist():
            own = judged.of(labels == values[k])
            row = {"by": name, "value": str(values[k]), **summary_of(own)}
            if name == CELL:
                row["baselines"] = baselines_summary(own)
            told.append(row)
    return told


def calibration_of(judged: Judged, rng: np.random.Generator) -> dict[str, Any]:
    """Reliability (share of truths in regions and circles against what was said) and the histogram of levels."""
    levels = judged.level_from + rng.random(len(judged)) * (judged.level_to - judged.level_from)
    levels = levels[np.isfinite(levels)]
    counts = np.histogram(levels, PIT_BINS, (0.0, 1.0))[0]
    at = np.linspace(0.05, 0.95, 19)
    return {
        "levels": {"bins": PIT_BINS, "counts": counts.tolist(), "distance": number(_distance(levels))},
        "reliability": {
            "confidence": [number(p) for p in at.tolist()],
            "share": [number(float(np.mean(levels <= p))) if len(levels) else None for p in at.tolist()],
        },
    }


def _distance(levels: Floats) -> float:
    """Kolmogorov's distance of levels from uniform ones: the most that any coverage is off."""
    n = len(levels)
    if not n:
        return math.nan
    ordered, steps = np.sort(levels), np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def misses_of(strata: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Coverages off by more than 2 points over all calls or 5 in a stratum of 300 calls or more, the worst first."""
    found = []
    for row in strata:
        allowed = OVER_ALL if row["by"] == "all" else WITHIN_STRATA
        if row["by"] == "session" or (row["by"] != "all" and row["n"] < ENOUGH_CALLS) or not row["n"]:
            continue
        for shape, shares in row["coverage"].items():
            for confidence, share in shares.items():
                off = share["share"] - float(confidence)
                if abs(off) > allowed:
                    found.append(
                        {"by": row["by"], "value": row["value"], "n": row["n"], "shape": shape,
                         "confidence": float(confidence), "share": share["share"], "off": number(off)}
                    )  # fmt: skip
    return sorted(found, key=lambda miss: -abs(miss["off"]))


def errors_curve(error_m: Floats, points: int = 200) -> list[list[float]]:
    """The distribution of errors as a curve: [metres, share of calls that near]."""
    known = np.sort(error_m[np.isfinite(error_m)])
    if not len(known):
        return []
    shares = np.linspace(0.0, 1.0, points + 1)[1:]
    return [[float(f"{v:.4g}"), float(f"{s:.4g}")] for v, s in zip(np.quantile(known, shares), shares, strict=True)]


def curves_of(judged: Judged) -> dict[str, list[list[float]]]:
    """Error curves of this service and of all baselines."""
    found = {"locsvc": errors_curve(judged.error_m)}
    for name, circles in judged.baselines.items():
        curve = errors_curve(circles.error_m)
        if curve:
            found[name] = curve
    return found
