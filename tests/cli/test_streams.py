"""`watch` and `send` against a server that breaks, is silent, is busy, or goes away: real gRPC, a scripted service."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locsvc.cli import main
from locsvc.errors import EXIT_INTERRUPTED, EXIT_USAGE, FieldViolation, InvalidInput, Overloaded, Unavailable
from locsvc.v1 import call_service_pb2 as pb2
from tests.cli.scripted import Scripted, Step, answer, ended, heartbeat, serving
from tests.cli.terminal import Terminal

PROGRAM = [sys.executable, "-m", "locsvc"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("LOCSVC_")}


def run(*args: object, text: str | bytes | None = None) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None}).invoke(main, [str(a) for a in args], input=text)


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def revisions(text: str) -> list[int]:
    return [int(str(line["revision"])) for line in lines(text)]


def broken(why: str, times: int) -> list[list[Step]]:
    return [[Unavailable(why)] for _ in range(times)]


@pytest.fixture
def script() -> Scripted:
    """What the server says."""
    return Scripted()


@pytest.fixture
def server(script: Scripted) -> Iterator[str]:
    """The server, as `host:port`."""
    with serving(script) as port:
        yield f"127.0.0.1:{port}"


def test_messages_are_lines_to_the_end_of_the_call(script: Scripted, server: str) -> None:
    script.streams = [[answer(3), heartbeat(3), answer(4, radius_m=19.0), heartbeat(4), ended(5)]]
    done = run("watch", "4711", "--server", server)
    assert done.exit_code == 0, done.output
    assert revisions(done.stdout) == [3, 4, 5]
    assert lines(done.stdout)[1]["outlook"]["fit_to_dispatch"] is True  # type: ignore[index]
    assert done.stderr == ""


def test_heartbeats_are_written_when_they_are_asked_for(script: Scripted, server: str) -> None:
    script.streams = [[heartbeat(3), ended(4)]]
    done = run("watch", "4711", "--server", server, "--heartbeats")
    assert lines(done.stdout)[0] == {"revision": "3"}
    assert revisions(done.stdout) == [3, 4]


def test_what_is_asked_reaches_the_server(script: Scripted, server: str) -> None:
    script.streams = [[ended(9)]]
    options = "--after-revision 5 --confidence 0.68 --number +441632960168 --heartbeat-s 0.25 --fit-radius-m 300"
    run("watch", "4711", "--server", server, *options.split())
    asked = pb2.WatchLocationRequest(
        call_id="4711", after_revision=5, confidence=0.68, calling_number="+441632960168", fit_radius_m=300.0
    )
    asked.heartbeat.nanos = 250_000_000
    assert script.watched == [asked]


def test_a_broken_stream_goes_on_after_the_last_revision(script: Scripted, server: str) -> None:
    gone = Unavailable("the worker was killed")
    script.streams = [[answer(1), answer(2), gone], [heartbeat(2), answer(4), Overloaded("busy", 0.05)], [ended(5)]]
    done = run("watch", "4711", "--server", server)
    assert done.exit_code == 0, done.output
    assert revisions(done.stdout) == [1, 2, 4, 5]
    assert [request.after_revision for request in script.watched] == [0, 2, 4]
    assert "the stream broke (the worker was killed); going on after revision 2" in done.stderr
    assert done.stderr.count("the server is back") == 2


def test_a_call_that_was_opened_anew_goes_on_after_the_revision_that_it_has(script: Scripted, server: str) -> None:
    script.streams = [[answer(2), Unavailable("broken")], [heartbeat(2), ended(3)]]
    done = run("watch", "4711", "--server", server, "--after-revision", "9")
    assert revisions(done.stdout) == [2, 3]
    assert [asked.after_revision for asked in script.watched] == [9, 2]


@pytest.mark.parametrize("command", [["watch", "4711"], ["send", "4711", "--end"], ["resolve", "-"], ["info"]])
def test_a_server_without_a_port_is_told_so(command: list[str]) -> None:
    done = run(*command, "--server", "127.0.0.1", text='{"call_id": "1"}')
    assert (done.exit_code, done.stdout) == (78, "")
    assert "give HOST:PORT, as 127.0.0.1:50051" in done.stderr


@pytest.mark.parametrize("command", ["watch", "send", "resolve"])
def test_help_and_page_list_the_same_exit_codes(command: str) -> None:
    shown = " ".join(run(command, "--help").stdout.split())
    codes = re.search(r"Exit codes: (.*?)\.(?: |$)", shown)
    assert codes is not None
    assert re.search(r"\b78 --server names no port or needs TLS", codes[1])
    page = Path(__file__).parents[2].joinpath("docs", "cli.md").read_text(encoding="utf-8")
    assert f"Exit codes: {codes[1]}.\n" in page


def test_a_provisional_answer_is_not_taken_for_kept(script: Scripted, server: str) -> None:
    script.streams = [[answer(2), answer(2, provisional=True), Unavailable("gone")], [ended(3)]]
    done = run("watch", "4711", "--server", server)
    assert [line.get("provisional", False) for line in lines(done.stdout)] == [False, True, False]
    assert script.watched[1].after_revision == 2


def test_a_silent_stream_is_taken_for_broken(script: Scripted, server: str) -> None:
    script.streams = [[answer(1), None], [ended(2)]]
    done = run("watch", "4711", "--server", server, "--heartbeat-s", "0.1")
    assert revisions(done.stdout) == [1, 2]
    assert "nothing was heard for 1 s" in done.stderr


def test_a_server_that_is_stopped_and_started_is_found_again() -> None:
    first, second = Scripted(), Scripted()
    first.streams, second.streams = [[answer(1), None]], [[ended(2)]]
    with serving(first) as port:
        process = subprocess.Popen(
            [*PROGRAM, "watch", "4711", "--server", f"127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        assert process.stdout is not None
        assert '"revision": "1"' in process.stdout.readline()
    with serving(second, port):
        rest, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert revisions(rest) == [2]
    assert second.watched[0].after_revision == 1
    assert "the stream broke" in said


def test_a_server_that_was_never_there_ends_with_69() -> None:
    done = run("watch", "4711", "--server", f"127.0.0.1:{free_port()}")
    assert done.exit_code == 69
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_does_not_come_back_is_given_up(script: Scripted, server: str) -> None:
    script.streams = [[answer(1), Unavailable("gone")], *broken("still gone", 50)]
    done = run("watch", "4711", "--server", server, "--give-up-s", "0.2")
    assert done.exit_code == 69
    assert done.stderr.splitlines()[-1] == "locsvc: still gone"


def test_a_refusal_is_told_and_ends(script: Scripted, server: str) -> None:
    script.streams = [[InvalidInput([FieldViolation("call_id", "is too long")])]]
    done = run("watch", "4711", "--server", server)
    assert done.exit_code == EXIT_USAGE
    assert done.stderr == "locsvc: call_id: is too long\n"


def test_a_reader_that_goes_away_ends_it_quietly(script: Scripted, server: str) -> None:
    script.streams = [[answer(1), None]]
    done = subprocess.run(
        f"{sys.executable} -m locsvc watch 4711 --server {server} | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert revisions(done.stdout.splitlines()[0]) == [1]
    assert done.stderr == ""


def test_ctrl_c_ends_a_pipe_with_130(script: Scripted, server: str) -> None:
    script.streams = [[answer(1), None]]
    process = subprocess.Popen(
        [*PROGRAM, "watch", "4711", "--server", server],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (EXIT_INTERRUPTED, "")


def test_a_terminal_shows_the_newest_answer_and_what_came_before(script: Scripted, server: str) -> None:
    began_s = int(time.time()) - 3
    script.streams = [
        [
            answer(1, "cell-1: serving cell", radius_m=2_880.0, elapsed_s=0.5, began_s=began_s),
            answer(2, "device-2: a fix", radius_m=19.0, elapsed_s=2.5, began_s=began_s),
            ended(3, radius_m=19.0, elapsed_s=2.9, began_s=began_s),
        ]
    ]
    with Terminal([*PROGRAM, "watch", "4711", "--server", server], columns=90, lines=30) as terminal:
        assert terminal.wait() == 0
    shown = terminal.text()
    assert "call 4711 · revision 3" in shown
    assert "54.99776, 2.49523   within 19 m at 90 %" in shown
    assert "FIT TO DISPATCH" in shown
    assert "ended at 2.9 s" in shown
    history = [line.split() for line in shown.splitlines() if re.match(r" *[0-9.]+ s +\d", line)]
    assert [(row[0], row[2], row[-2]) for row in history] == [
        ("2.9", "3", "19"),
        ("2.5", "2", "19"),
        ("0.5", "1", "2.88"),
    ]
    assert terminal.cursor_shown()


def test_a_terminal_counts_down_and_tells_what_waiting_may_bring(script: Scripted, server: str) -> None:
    script.streams = [[answer(1, radius_m=2_880.0, elapsed_s=0.5, began_s=int(time.time())), None]]
    with Terminal([*PROGRAM, "watch", "4711", "--server", server], columns=90, lines=30) as terminal:
        terminal.until("18 s to the deadline")
        terminal.until("17 s to the deadline")
        shown = terminal.text()
        terminal.type("\x03")
        assert terminal.wait() == EXIT_INTERRUPTED
    assert "not fit to dispatch: wider than 50 m" in shown
    assert re.search(r"handset +70 % +12.5 s +25 m +10.5 s +40 % +25 m", shown)
    assert terminal.cursor_shown()
    assert "Traceback" not in terminal.text()


def test_a_terminal_says_that_the_stream_broke(script: Scripted, server: str) -> None:
    script.streams = [[answer(1), Unavailable("gone")], *broken("gone", 12), [ended(2)]]
    with Terminal([*PROGRAM, "watch", "4711", "--server", server], columns=90, lines=30) as terminal:
        terminal.until("no connection: trying again")
        assert terminal.wait() == 0
    shown = terminal.text()
    assert "locsvc: the stream broke (gone); going on after revision 1" in shown
    assert "locsvc: the server is back" in shown
    assert "no connection" not in shown


def test_a_low_terminal_shows_the_newest_of_the_history(script: Scripted, server: str) -> None:
    script.streams = [[*(answer(n, f"piece {n}", radius_m=19.0) for n in range(1, 100)), ended(100)]]
    with Terminal([*PROGRAM, "watch", "4711", "--server", server], columns=70, lines=16) as terminal:
        assert terminal.wait() == 0
    shown = terminal.text()
    assert "the call was ended" in shown
    assert "piece 99" in shown
    assert "piece 50" not in shown
    assert len(shown.rstrip().splitlines()) <= 16


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(script: Scripted, server: str) -> None:
    script.streams = [[answer(1), heartbeat(1), ended(2)]]
    with Terminal([*PROGRAM, "watch", "4711", "--server", server], columns=200, lines=30, term="dumb") as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.raw
    assert [line.split("  ")[1] for line in terminal.raw.splitlines()] == ["revision 1", "revision 2"]
    assert "not fit to dispatch: wider than 50 m" in terminal.raw


AML = b'A"ML=1;lt=+54.99776;lg=+002.49523;rd=20;top=20260314115900;lc=68;pm=G'


def kept(**more: object) -> pb2.AddEvidenceResponse:
    return pb2.AddEvidenceResponse(**more)  # type: ignore[arg-type]


def test_sending_goes_on_until_the_server_takes_it(script: Scripted, server: str) -> None:
    # The library itself tries what is UNAVAILABLE five times.
    gone: list[pb2.AddEvidenceResponse | Unavailable | Overloaded] = [Unavailable("gone") for _ in range(7)]
    script.kept = [*gone, Overloaded("busy", 0.3), kept(call_id="4711", added=1, revision=2, evidence_ids=["aml-1"])]
    begun = time.monotonic()
    done = run("send", "4711", "-", "--server", server, text=AML)
    assert done.exit_code == 0, done.output
    assert time.monotonic() - begun > 0.3
    assert done.stdout == "call 4711: 1 piece added (aml-1); revision 2\n"
    assert len(script.added) == 9
    assert len({request.evidence[0].evidence_id for request in script.added}) == 1
    assert script.added[0].evidence[0].evidence_id.startswith("aml-")
    assert script.added[0].evidence[0].device_report.raw.bytes == AML
    assert re.search(r"^locsvc: gone; trying again for \d+ s\n$", done.stderr)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_message_that_cannot_be_read_is_sent_and_warned_of(script: Scripted, server: str, as_json: bool) -> None:
    script.kept = [kept(call_id="4711", added=1, revision=2, evidence_ids=["aml-1"])]
    more = ["--json"] if as_json else []
    done = run("send", "4711", "-", "--format", "aml", "--server", server, *more, text=b"to whom it may concern")
    assert done.exit_code == 0, done.output
    assert "to whom" not in done.stdout
    assert script.added[0].evidence[0].device_report.raw.bytes == b"to whom it may concern"
    assert re.fullmatch(
        r"locsvc: warning: stdin: kept as it came, but it cannot be read as aml and tells no place \(.+\);"
        r" `locsvc decode aml FILE` tells more, and --format auto finds the format of most\n",
        done.stderr,
    )


def test_all_messages_that_cannot_be_read_are_one_warning(script: Scripted, server: str) -> None:
    script.kept = [kept(call_id="4711", added=3, revision=2)]
    raw = '{"device_report": {"raw": {"format": "%s", "bytes": "%s"}}}\n'
    good, bad = base64.b64encode(AML).decode(), base64.b64encode(b"nothing").decode()
    done = run(
        "send", "4711", "-", "--server", server, text=raw % ("aml", good) + raw % ("sip", bad) + raw % ("gad", bad)
    )
    assert done.exit_code == 0, done.output
    assert "read as sip" in done.stderr
    assert "and 1 message more" in done.stderr
    assert done.stderr.count("warning") == 1


@pytest.mark.parametrize(("error", "code"), [(Unavailable("gone"), 69), (Overloaded("busy", 5.0), 75)])
def test_sending_gives_up(script: Scripted, server: str, error: Unavailable | Overloaded, code: int) -> None:
    script.kept = [error] * 100
    done = run("send", "4711", "-", "--server", server, "--give-up-s", "0.3", text=AML)
    assert done.exit_code == code
    assert done.stdout == ""


def test_evidence_without_a_call_waits(script: Scripted, server: str) -> None:
    script.kept = [kept(added=1, evidence_ids=["e-1"]), kept(added=0, duplicates=1, evidence_ids=["e-1"])]
    args = ("send", "-", "--number", "+441632960168", "--evidence-id", "e-1", "--server", server)
    done = run(*args, text=AML)
    assert done.stdout == "1 piece added (e-1); kept until a call from +441632960168 comes\n"
    assert script.added[0].calling_number == "+441632960168"
    assert script.added[0].call_id == ""
    told = json.loads(run(*args, "--json", text=AML).stdout)
    assert told == {"call_id": "", "added": 0, "duplicates": 1, "revision": "0", "evidence_ids": ["e-1"]}


def test_what_the_file_does_not_say_is_taken_from_the_options(script: Scripted, server: str, tmp_path: Path) -> None:
    file = tmp_path / "pieces.jsonl"
    file.write_text(
        '{"evidence_id": "a", "line_lookup": {"number": "+441632960168"}}\n'
        '{"evidence_id": "b", "provider": "own", "observed_at": "2026-03-14T12:00:02Z", "line_lookup": {}}\n',
        encoding="utf-8",
    )
    script.kept = [kept(call_id="4711", added=2, revision=1)]
    options = ["--provider", "p", "--observed-at", "2026-03-14T12:00:00Z", "--started-at", "2026-03-14T11:59:58Z"]
    assert run("send", "4711", file, *options, "--server", server).exit_code == 0
    (request,) = script.added
    assert [(e.evidence_id, e.provider, e.observed_at.seconds % 60) for e in request.evidence] == [
        ("a", "p", 0),
        ("b", "own", 2),
    ]
    assert request.started_at.seconds % 60 == 58


def test_calls_go_under_their_own_names(script: Scripted, server: str, sample: Path) -> None:
    names = [json.loads(line)["call_id"] for line in (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    script.kept = [kept(call_id=name, added=1, revision=1) for name in names]
    done = run("send", sample / "calls.jsonl", "--server", server)
    assert done.exit_code == 0, done.output
    assert [request.call_id for request in script.added] == names
    refused = run("send", "4711", sample / "calls.jsonl", "--server", server)
    assert refused.exit_code == EXIT_USAGE
    assert "leave CALL out" in refused.stderr


def test_a_wrong_line_of_many_costs_only_itself(script: Scripted, server: str) -> None:
    script.kept = [kept(call_id="a", added=1, revision=1), InvalidInput([FieldViolation("evidence", "odd")])]
    line = '{"call_id": "%s", "evidence": [{"line_lookup": {"number": "+441632960168"}}]}\n'
    done = run("send", "-", "--server", server, text=line % "a" + '{"call_id": 5}\n' + line % "b")
    assert done.exit_code == 65
    assert done.stdout.startswith("call a: 1 piece added")
    assert "stdin line 2: call_id: 5 is not text" in done.stderr
    assert "stdin line 3: evidence: odd" in done.stderr


def test_a_call_is_ended(script: Scripted, server: str) -> None:
    done = run("send", "4711", "--end", "--server", server)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("call ended; the last answer: 4711")
    assert json.loads(run("send", "4711", "--end", "--server", server, "--json").stdout)["radius_m"] == 120.0
    assert run("send", "4712", "--end", "--server", server).exit_code == 3
    assert script.added == []
    script.kept = [kept(call_id="4711", added=1, revision=2)]
    both = run("send", "4711", "-", "--end", "--server", server, text=AML)
    assert [line.split()[0:2] for line in both.stdout.splitlines()] == [["call", "4711:"], ["call", "ended;"]]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["send"], "nothing to send"),
        (["send", "a", "b", "c"], "give CALL and FILE only"),
        (["send", "-"], "name CALL or --number"),
        (["send", "4711", "-", "--number", "0163"], "calling_number"),
        (["send", "4711", "-", "--format", "fax"], "aml"),
    ],
)
def test_wrong_use_is_told_before_anything_is_sent(script: Scripted, server: str, args: list[str], said: str) -> None:
    done = run(*args, "--server", server, text=AML)
    assert done.exit_code == EXIT_USAGE
    assert said in done.stderr
    assert script.added == []
