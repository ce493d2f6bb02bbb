"""A live call end to end: a real server, and the commands as processes, in pipes and on a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import pytest
from google.protobuf import json_format

from locsvc.v1 import call_service_pb2 as pb2
from tests.cli.terminal import Terminal

PROGRAM = [sys.executable, "-m", "locsvc"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("LOCSVC_")}
NUMBER = "+441632960008"
CELL = {
    "cell_scan": {"serving": {"radio": "RADIO_LTE", "mcc": "001", "mnc": "01", "area": 1101, "cell": "1050371"}},
    "provider": "network",
}


class Server:
    """`locsvc serve` on a directory of its own, which can be killed and started again on its port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    def start(self) -> None:
        # No revision of the deadline between those that are waited for, however slow the machine.
        options = ["--port", str(self.port), "--json", "--drain-s", "0", "--deadline-s", "600"]
        options += ["--data", str(self.data)]
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["status"] == "SERVING"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)

    def run(self, *args: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command that asks this server, or reads its directory."""
        where = ["--data", str(self.data)] if args[0] in {"calls", "replay"} else ["--server", f"127.0.0.1:{self.port}"]
        command = [*PROGRAM, *(str(a) for a in args), *where]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=120
        )

    def send(self, *args: object, text: str) -> dict[str, object]:
        """What became of evidence."""
        done = self.run("send", *args, "-", "--json", text=text)
        assert done.returncode == 0, done.stderr
        told: dict[str, object] = json.loads(done.stdout)
        return told


class Watching:
    """`locsvc watch` in a pipe: its messages as they come."""

    def __init__(self, server: Server, *args: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "watch", *args, "--server", f"127.0.0.1:{server.port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self._thread.join()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def next(self) -> pb2.WatchLocationResponse:
        """The next message of what is on disk; it is the contract's."""
        while True:
            message = pb2.WatchLocationResponse()
            json_format.Parse(self._lines.get(timeout=60), message)
            # A busy disk is slower than the service waits for it.
            if not message.provisional:
                return message

    def wait(self) -> tuple[int, str]:
        """Exit code and what was said."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        return self.process.wait(timeout=60), said


@pytest.fixture(scope="module")
def server(imported_town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a copy of the town."""
    data = tmp_path_factory.mktemp("live") / "data"
    shutil.copytree(imported_town, data)
    with Server(data) as running:
        yield running


def aml(ago_s: float = 0.0) -> str:
    top = time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() - ago_s))
    return f'A"ML=1;lt=+54.99776;lg=+002.49523;rd=20;top={top};lc=68;pm=G'


def test_a_call_from_its_first_second_to_its_end(server: Server) -> None:
    with Watching(server, "first", "--number", NUMBER) as watching:
        opened = watching.next()
        assert (opened.revision, opened.kind) == (1, pb2.CHANGE_KIND_OPENED)
        assert not opened.outlook.fit_to_dispatch
        # By the number alone, as a network sends it, then by the call's name.
        assert server.send("--number", NUMBER, text=json.dumps(CELL))["call_id"] == "first"
        cell = watching.next()
        assert cell.estimate.radius_m > 1_000
        assert "handset" in [one.source for one in cell.outlook.awaited]
        message = aml()
        sent = server.send("first", "--provider", "handset", text=message)
        assert (sent["added"], sent["duplicates"], sent["revision"]) == (1, 0, "3")
        fix = watching.next()
        assert list(fix.evidence_ids) == sent["evidence_ids"]
        assert fix.outlook.fit_to_dispatch
        assert fix.estimate.radius_m < 50
        assert fix.estimate.address.street
        # The same again, as a sender does that heard no answer.
        again = server.send("first", "--provider", "handset", text=message)
        assert (again["added"], again["duplicates"], again["revision"]) == (0, 1, "3")
        ended = server.run("send", "first", "--end")
        assert "located" in ended.stdout
        last = watching.next()
        assert (last.revision, last.kind) == (4, pb2.CHANGE_KIND_ENDED)
        assert watching.wait() == (0, "")


def test_a_call_that_has_ended_is_shown_and_left(server: Server) -> None:
    server.send("over", text=aml())
    assert server.run("send", "over", "--end").returncode == 0
    for after in ("0", "1", "2"):
        done = server.run("watch", "over", "--after-revision", after)
        assert done.returncode == 0, done.stderr
    # Who has the last revision already is told nothing new.
    assert done.stdout == ""


def test_evidence_that_was_there_before_the_call_is_found(server: Server) -> None:
    number = "+441632960990"
    waits = server.send("--number", number, text=aml())
    assert (waits["call_id"], waits["added"]) == ("", 1)
    assert "kept until a call from" in server.run("send", "--number", number, "-", text=aml(5)).stdout
    with Watching(server, "late", "--number", number) as watching:
        first = watching.next()
        assert first.estimate.radius_m < 100
        assert set(waits["evidence_ids"]) <= set(first.evidence_ids)  # type: ignore[call-overload]
        server.run("send", "late", "--end")
        assert watching.wait()[0] == 0


def test_a_terminal_shows_a_call_as_it_goes(server: Server) -> None:
    command = [*PROGRAM, "watch", "shown", "--number", NUMBER, "--server", f"127.0.0.1:{server.port}"]
    with Terminal(command, columns=100, lines=34) as terminal:
        terminal.until("the call was opened")
        server.send("shown", text=json.dumps(CELL))
        for words in (
            r"revision 2",
            r"not fit to dispatch: .*wider than 50 m",
            r"handset +\d+ % ",
            r"\d+ s to the deadline",
        ):
            terminal.until(words)
        server.send("shown", text=aml())
        terminal.until("FIT TO DISPATCH")
        terminal.until("revision 3")
        server.run("send", "shown", "--end")
        assert terminal.wait() == 0
    shown = terminal.text()
    assert "9 Market Street, Testham" in shown
    rows = [line for line in shown.splitlines() if re.match(r" *[0-9.]+ s +\d", line)]
    assert [row.split()[2] for row in rows] == ["4", "3", "2", "1"]
    assert terminal.cursor_shown()


def test_a_killed_server_costs_a_watcher_nothing(imported_town: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(imported_town, data)
    # A fix grows old while a server starts, and wider: on a slow machine wider than is fit by itself.
    wanted = ("--number", NUMBER, "--fit-radius-m", "500")
    with Server(data) as server, Watching(server, "kept", *wanted) as watching:
        assert watching.next().revision == 1
        server.send("kept", text=json.dumps(CELL))
        second = watching.next()
        assert (second.revision, second.outlook.fit_to_dispatch) == (2, False)
        server.kill()
        # Sent while there is nobody: it is tried until there is.
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(server.send, "kept", text=aml())
            server.start()
            assert sending.result()["added"] == 1
        third = watching.next()
        server.run("send", "kept", "--end")
        assert [third.revision, watching.next().revision] == [3, 4]
        assert third.outlook.fit_to_dispatch
        code, said = watching.wait()
    assert code == 0
    assert "going on after revision 2" in said
    assert "the server is back" in said


def test_every_estimate_given_is_found_again(server: Server, sample: Path) -> None:
    done = server.run("send", sample / "calls.jsonl")
    # The call without evidence of use is a call all the same; so are the other nine.
    assert done.returncode == 0, done.stderr
    names = [json.loads(line)["call_id"] for line in (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    listed = {json.loads(line)["call_id"] for line in server.run("calls", "--json").stdout.splitlines()}
    assert set(names) <= listed
    watched = server.run("send", names[0], "--end")
    assert watched.returncode == 0
    replayed = server.run("replay", "--all", "--json")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    calls = [json.loads(line) for line in replayed.stdout.splitlines()]
    assert {call["call_id"] for call in calls} == listed
    assert all(call["equal"] for call in calls)
    assert sum(len(call["estimates"]) for call in calls) >= 11
    table = server.run("replay", names[0])
    assert table.returncode == 0
    assert "all equal" in table.stdout
    assert re.search(rf"{names[0]} +1 +90 % +equal", table.stdout)


def test_other_reference_data_is_told_apart(server: Server) -> None:
    server.send("elsewhere", text=json.dumps(CELL))
    journal = ["--journal", str(server.data / "calls.sqlite")]
    done = subprocess.run(
        [*PROGRAM, "replay", "elsewhere", *journal], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 66, done.stderr
    assert "other data" in done.stdout


def test_a_call_that_is_not_there_is_told(server: Server) -> None:
    assert server.run("replay", "nobody").returncode == 3
    assert server.run("replay", "--all", "nobody").returncode == 2
    assert server.run("replay").returncode == 2
    assert server.run("send", "nobody", "--end").returncode == 3
