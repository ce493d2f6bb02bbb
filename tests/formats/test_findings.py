"""What fuzzing found once stays read: every kept input, through its reader, as bytes and as text."""

from __future__ import annotations

import importlib.util
import time
import tracemalloc
from pathlib import Path

import pytest

from locsvc.formats.call_checks import evidence_violations
from locsvc.formats.messages import FORMATS, reader_of
from locsvc.formats.reading import Reading, Unreadable

FOLDER = Path(__file__).resolve().parent / "findings"
# Files are named for their format and the first digits of their SHA-256.
FINDINGS = sorted(FOLDER.glob("*-*"))


def format_of(path: Path) -> str:
    return path.name.rsplit("-", 1)[0]


@pytest.mark.parametrize("path", FINDINGS or [pytest.param(None, id="none")], ids=lambda p: p.name if p else "none")
@pytest.mark.parametrize("as_text", [False, True], ids=["bytes", "text"])
def test_finding_is_read_or_refused(path: Path | None, as_text: bool) -> None:
    if path is None:
        pytest.skip("nothing was found yet")
    data = path.read_bytes()
    read = reader_of(format_of(path))
    message = data.decode("utf-8", "replace") if as_text else data
    tracemalloc.start()
    try:
        reading = read(message, arrived_at=1_773_489_600.0)
        assert isinstance(reading, Reading)
        # What the contract refuses would be lost to the call.
        assert not [v for piece in reading.evidence for v in evidence_violations(piece)]
    except Unreadable:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 64 * 2**20


def test_findings_are_of_known_formats() -> None:
    assert {format_of(path) for path in FINDINGS} <= set(FORMATS)


def test_every_format_is_fuzzed(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("fuzz_formats", repository / "scripts" / "fuzz_formats.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert list(program.SOURCES) == list(FORMATS)
    assert all(any(program.seeds_of(name)) for name in FORMATS)
    # What watches a reader sees a fault, slowness and nothing else.
    kept: list[str] = []

    def faulty(message: bytes | str, *, arrived_at: float) -> None:
        assert arrived_at
        if len(message) == 1:
            raise Unreadable("one is refused")
        if len(message) == 2:
            raise RecursionError
        if len(message) == 3:
            started = time.process_time()
            while time.process_time() - started < 2 * program.MOST_CPU_S:
                pass

    watch = program.Watch("gad", faulty, Path())
    watch._found = lambda _, kind, __: kept.append(kind)
    for size in range(5):
        watch(bytes(size))
    assert [kind.split()[0] for kind in kept] == ["RecursionError", "slow"]
