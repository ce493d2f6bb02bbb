"""The demo does what the readme says: ten calls through the running service, a map, nothing left running."""

from __future__ import annotations

import re
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def demo(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A run of the demo, and its map."""
    if not (repository / ".venv" / "stamp").exists():
        pytest.skip("no environment made by scripts/setup: run the tests with scripts/test")
    page = tmp_path_factory.mktemp("demo") / "map.html"
    command = [repository / "scripts" / "demo", page]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False), page


def test_all_ten_calls_are_answered(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = demo
    assert done.returncode == 0, done.stderr
    answered = dict(re.findall(r"^(\d\d-[\w-]+) +(located|conflict|no location)\b", done.stdout, re.MULTILINE))
    assert len(answered) == 10
    assert answered["01-agreement"] == "located"
    assert answered["02-wrong-device-fix"] == "conflict"
    assert answered["06-everything-missing"] == "no location"


def test_map_needs_no_network(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, page = demo
    text = page.read_text(encoding="utf-8")
    assert "01-agreement" in text
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", text)


def test_service_was_stopped_in_order(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = demo
    served = re.search(r"^127\.0\.0\.1:(\d+): SERVING$", done.stdout, re.MULTILINE)
    assert served
    assert "Stopping the service" in done.stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(served.group(1))), timeout=5)
