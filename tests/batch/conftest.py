"""The command in a process of its own, and tables made by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

Batch = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: object) -> list[str]:
    """The command line of `locsvc batch`."""
    return [sys.executable, "-m", "locsvc", "batch", *(str(a) for a in arguments)]


@pytest.fixture(scope="session")
def batch(repository: Path) -> Batch:
    """`locsvc batch` run to its end."""

    def run(*arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), input=stdin, capture_output=True, text=True, cwd=repository, check=False, timeout=600,
            env={k: v for k, v in os.environ.items() if k != "LOCSVC_DATA"},
        )  # fmt: skip

    return run


def fixes(n: int, seed: int) -> pa.Table:
    """Rows of a fix and a note each, in and round the town."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "latitude": rng.uniform(54.97, 55.03, n),
            "longitude": rng.uniform(2.45, 2.55, n),
            "radius_m": rng.uniform(5, 800, n),
            "reported_confidence": np.full(n, 0.68),
            "method": ["gps"] * n,
            "note": [f"n{i}" for i in range(n)],
        }
    )
