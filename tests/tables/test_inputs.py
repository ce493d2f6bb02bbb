"""Tables as they come: columns of JSON Lines wherever they begin, fields that are cut nowhere, quotes left open."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from locsvc.tables import text
from locsvc.tables.inputs import open_source
from locsvc.tables.text import BLOCK

PADDING = "x" * 200
# Rows that fill more than a block.
MANY = BLOCK // 200


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def read(path: Path) -> pa.Table:
    source = open_source(path, "jsonl", {})
    return pa.Table.from_batches(source.batches(), source.schema)


def test_a_column_that_begins_late_is_not_lost(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"note": PADDING, "n": i} for i in range(MANY)]
    rows += [{"note": "late", "latitude": 51.5, "longitude": -8, "extra": {"a": 1}}, {"n": 2.5, "extra": {"b": "2"}}]
    table = read(written(tmp_path / "late.jsonl", rows))
    assert table.num_rows == len(rows)
    last = table.slice(len(rows) - 2).to_pylist()
    assert (last[0]["latitude"], last[0]["longitude"], last[0]["extra"]) == (51.5, -8, {"a": 1, "b": None})
    # Whole numbers and others are numbers.
    assert (last[1]["n"], table.column("n")[7].as_py()) == (2.5, 7.0)


def test_types_that_do_not_agree_are_text_and_nothing_is_lost(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"note": PADDING, "id": i} for i in range(MANY)]
    rows += [{"note": "late", "id": "A7"}, {"note": "list", "id": [1]}]
    column = read(written(tmp_path / "odd.jsonl", rows)).column("id").to_pylist()
    assert column[:2] == ["0", "1"]
    assert column[-2:] == ["A7", "[1]"]


def test_the_columns_of_a_file_that_changed_are_looked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert read(written(path, [{"n": 1}])).column_names == ["n", "__unread"]
    assert read(written(path, [{"n": 1}, {"m": 1}])).column_names == ["n", "m", "__unread"]


def test_late_evidence_of_stdin_is_read_and_other_columns_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, object]] = [{"note": PADDING} for _ in range(MANY)]
    rows += [{"note": "late", "latitude": 51.5, "neighbours": [{"pci": 3}], "extra": 1}, {"extra": None}]
    text = "".join(json.dumps(r) + "\n" for r in rows).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    source = open_source(Path("-"), "jsonl", {})
    table = pa.Table.from_batches(source.batches(), source.schema)
    late = table.slice(len(rows) - 2).to_pylist()[0]
    assert (late["latitude"], late["neighbours"]) == ("51.5", '[{"pci": 3}]')
    assert "extra" not in late
    assert source.left_out() == {"extra": 1}


# --- CSV ---


@pytest.mark.parametrize("block", [BLOCK, 3_000, 700])
def test_a_quote_left_open_costs_its_own_line_wherever_it_stands(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(text, "BLOCK", block)
    monkeypatch.setattr(text, "MOST_HELD", 4 * block)
    rng = np.random.default_rng(seed)
    kinds = rng.choice(5, 3_000, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    # Long stretches without any quote, so that blocks end while one is open.
    kinds[1_000:2_000] = np.where(np.arange(1_000) % 250 == 7, 4, 0)
    out, wanted = io.StringIO("n,value,note\n"), []
    out.seek(0, io.SEEK_END)
    for n, kind in enumerate(kinds.tolist()):
        value = ("plain", 'lines, "of" \n text, \n\n and more', "a, b", '5" pipe', "")[kind]
        if kind == 4:
            out.write(f'{n},"open,{n}\n')
        elif kind == 3:
            out.write(f"{n},{value},{n}\n")
        else:
            csv.writer(out, lineterminator="\n").writerow([n, value, n])
        wanted.append({"n": str(n), "value": value, "note": str(n)} if kind < 4 else None)
    (tmp_path / "a.csv").write_text(out.getvalue())
    source = open_source(tmp_path / "a.csv", None, {})
    found = pa.Table.from_batches(source.batches(), source.schema).to_pylist()
    why = [row.pop("__unread") for row in found]
    assert [None if told else row for row, told in zip(found, why, strict=True)] == wanted
    assert set(why) == {None, "a quote is not closed"}


def test_rows_round_any_bytes_are_read(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = np.array([b'"', b",", b"\n", b"a", b"\r", b"\r\n", b"\xff", b" ", b'""', b'","', b"\\"], object)
    good = b"".join(b"good%d,%d,z\n" % (i, i) for i in range(3))
    for _ in range(200):
        odd = b"".join(rng.choice(pieces, rng.integers(1, 120)))
        (tmp_path / "a.csv").write_bytes(b"a,b,c\n" + good + odd + b"\n" + good)
        source = open_source(tmp_path / "a.csv", None, {})
        names = pa.Table.from_batches(source.batches(), source.schema).column("a").to_pylist()
        assert sum(str(name).startswith("good") for name in names) == 6, odd
