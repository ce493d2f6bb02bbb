"""Folds in processes: the very numbers of one process, and an error when one of them is gone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from locsvc.errors import Unavailable
from locsvc.evaluate.crossing import FEW_ROWS, Crossed, Held, Rules, crossed
from locsvc.evaluate.folds import Folding, fold_numbers
from locsvc.evaluate.judge import Terms
from locsvc.evaluate.judged import Judged
from locsvc.evaluate.run import Evaluation, Options, evaluate
from tests.evaluate.conftest import drive, write
from tests.evaluate.test_folds import whole


def same(a: Judged, b: Judged) -> None:
    for name in Judged.__dataclass_fields__:
        own, other = getattr(a, name), getattr(b, name)
        if isinstance(own, np.ndarray):
            np.testing.assert_array_equal(own, other, err_msg=name)
    assert a.labels.keys() == b.labels.keys()
    for name, labels in a.labels.items():
        np.testing.assert_array_equal(labels, b.labels[name], err_msg=name)
    for name, circles in a.baselines.items():
        for column in ("error_m", "radius_m", "sigma_m"):
            np.testing.assert_array_equal(getattr(circles, column), getattr(b.baselines[name], column))


def test_processes_say_what_one_says(tmp_path: Path) -> None:
    files = [write(drive(3, FEW_ROWS // 6 + 1, k), tmp_path / f"{k}.parquet") for k in (1, 2)]

    def by(workers: int) -> Evaluation:
        return evaluate(files, None, Options(terms=Terms(by=("session",)), folding=Folding("day", 3), workers=workers))

    alone, together = by(1), by(2)
    assert alone.judged is not None
    assert together.judged is not None
    assert len(alone.judged) >= FEW_ROWS
    same(alone.judged, together.judged)
    assert alone.worst == together.worst
    assert alone.numbers | {"seconds": 0} == together.numbers | {"seconds": 0}


def begun(days: int, rows: int) -> Iterator[Crossed]:
    batches = whole(drive(days, rows, 3))
    held = Held([batches], fold_numbers(batches, Folding("day", 0), None))
    return crossed(held, Rules(None, Folding("day", 0), Terms()), 2)


def test_a_process_that_is_killed_is_told() -> None:
    folds = begun(20, FEW_ROWS // 5)
    next(folds)
    children = multiprocessing.active_children()
    assert len(children) == 2
    for child in children:
        child.kill()
    with pytest.raises(Unavailable, match="--workers 1"):
        list(folds)
    assert not multiprocessing.active_children()


def test_few_rows_begin_no_process() -> None:
    folds = begun(4, 10)
    next(folds)
    assert not multiprocessing.active_children()
    assert len(list(folds)) == 3
