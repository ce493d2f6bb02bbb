"""Fixtures for all tests: the real data beside the project, seeded randomness, Hypothesis profiles."""

from __future__ import annotations

import os
import signal
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

from locsvc.evaluate.capture.town import import_town
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from tests.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Generator

# Fixtures that live elsewhere.
__all__ = ["postgres"]

REPOSITORY = Path(__file__).resolve().parent.parent
SEED_VARIABLE = "LOCSVC_TEST_SEED"
_seed_of_item = pytest.StashKey[int]()

# Before gRPC is loaded: else a process that tests start as another user (PostgreSQL) may die between its fork and its
# exec, in a handler of gRPC's that touches Python ("event_engine: segfault" in the kernel's log).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

# No deadlines: a test that fails on a busy machine says nothing about the code.
hypothesis.settings.register_profile(
    "dev",
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("dev"), max_examples=100, derandomize=True, database=None
)
hypothesis.settings.register_profile("long", hypothesis.settings.get_profile("dev"), max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("LOCSVC_HYPOTHESIS", "ci" if os.environ.get("CI") == "true" else "dev"))


# Files that take longest (`--durations=0`, summed by file). They come first: on several cores a long file that began last
# would leave all others idle.
LONGEST = (
    "tests/batch/test_command.py",
    "tests/batch/test_spark.py",
    "tests/rpc/test_kill_workers.py",
    "tests/calls/test_journal_faults.py",
    "tests/learning/test_calibrate.py",
    "tests/rpc/capture/test_playing.py",
    "tests/rpc/test_running.py",
    "tests/cli/test_live.py",
    "tests/evaluate/test_crossing.py",
    "tests/rpc/test_call_service_faults.py",
    "tests/evaluate/test_folds.py",
    "tests/learning/test_learn.py",
    "tests/batch/test_drives.py",
    "tests/test_demo.py",
    "tests/calls/test_journal.py",
    "tests/calls/test_wakes.py",
    "tests/cli/test_streams.py",
    "tests/calls/test_keeping.py",
    "tests/cli/test_calls.py",
    "tests/uncertainty/test_regions.py",
    "tests/resolver/test_coverage_cells.py",
    "tests/rpc/test_bench.py",
    "tests/rpc/test_call_service.py",
    "tests/cli/test_resolve.py",
)


def pytest_configure() -> None:
    """Interrupts are for the commands that tests start: a shell's job in the background hands on that they are ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of long files first, each file's in their order."""
    place = {REPOSITORY / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide and as high as in a file, whatever terminal the tests are started from."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the project."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real data, `../shared` beside the project; the test is skipped where it is absent."""
    path = REPOSITORY.parent / "shared"
    if not (path / "data").is_dir():
        pytest.skip("../shared is absent: checks against real data need ../shared/data beside the project")
    return path


@pytest.fixture(scope="session")
def sample() -> Path:
    """The folder with the sample town, `data/`."""
    return REPOSITORY / "data"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed that is the test's own and the same in every run; LOCSVC_TEST_SEED sets another for all."""
    given = os.environ.get(SEED_VARIABLE)
    value = int(given) if given else zlib.crc32(request.node.nodeid.encode())
    request.node.stash[_seed_of_item] = value
    return value


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A generator started from `seed`."""
    return np.random.default_rng(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of a test; one that failed tells its seed."""
    report = yield
    if report.failed and _seed_of_item in item.stash:
        report.sections.append(("seed", f"repeat with {SEED_VARIABLE}={item.stash[_seed_of_item]}"))
    return report


@pytest.fixture(scope="session")
def imported_town(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample town as a data directory; not to be changed."""
    data = tmp_path_factory.mktemp("town") / "data"
    import_town(data, sample)
    return data


@pytest.fixture(scope="session")
def town(imported_town: Path) -> Resolver:
    """A resolver over the town."""
    return Resolver(Reference.open(imported_town))


@pytest.fixture(scope="session")
def nothing() -> Resolver:
    """A resolver without any dataset."""
    return Resolver(Reference.empty())
