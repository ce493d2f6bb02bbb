"""Coverage on simulated truth: the share of truths inside regions and radii, beside the confidence asked for.

    python benchmarks/coverage.py                 # 20,000 draws a family and confidence; some minutes
    python benchmarks/coverage.py --draws 2000

Prints one row a family and confidence; exits 1 when a share is off by more than 1.5 points.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from locsvc.evaluate.simulate import FAMILIES, Coverage, coverage
from locsvc.fusion.parameters import Parameters
from locsvc.reference.calibration import read_calibration

CONFIDENCES = (0.5, 0.68, 0.9, 0.95)
ALLOWED = 0.015


def _one(family: str, confidence: float, draws: int, seed: int) -> Coverage:
    return coverage(family, confidence, draws, seed, Parameters.from_mapping(read_calibration(None)[0]))


def main() -> int:
    """Exit code 0 when every share is within 1.5 points of its name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--family", choices=list(FAMILIES), action="append")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    worst = 0.0
    print(f"{'family':22} {'asked':>6} {'radius':>8} {'region':>8} {'mass':>7} {'median radius':>14}")
    with ProcessPoolExecutor(options.workers) as pool:
        jobs = [
            pool.submit(_one, f, c, options.draws, options.seed)
            for f in options.family or FAMILIES
            for c in CONFIDENCES
        ]
        for job in jobs:
            r = job.result()
            off = max(abs(r.in_radius - r.confidence), abs(r.in_region - r.confidence))
            worst = max(worst, off)
            print(
                f"{r.family:22} {r.confidence:6.2f} {r.in_radius:8.4f} {r.in_region:8.4f} {r.stated_mass:7.4f} "
                f"{r.median_radius_m:12.0f} m{'' if off <= ALLOWED else '   <-- off'}",
                flush=True,
            )
    print(f"worst {100 * worst:.2f} points, {options.draws} draws each, {time.perf_counter() - started:.0f} s")
    return 0 if worst <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
