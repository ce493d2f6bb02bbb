"""Manners: help, typos, exit codes, pipes, interrupts, a fast start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import locsvc
from locsvc import errors
from locsvc.cli import main
from locsvc.cli.manners import Command, Group, ended_in_order, exit_code

HEAVY = ("google", "grpc", "h3", "numpy", "rich", "shapely", "sqlalchemy", "structlog")
PROGRAM = [sys.executable, "-m", "locsvc"]


def every_command(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from every_command(child, (*path, name))


COMMANDS = list(every_command())
NAMES = [" ".join(("locsvc", *path)) for path, _ in COMMANDS]


def run(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCSVC_")} | more
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, check=False, env=environment)


def test_help_starts_without_anything_heavy() -> None:
    code = (
        "import sys\n"
        "from locsvc.cli import main\n"
        "try:\n    main.main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print(sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples:" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_help_has_examples_before_the_options(path: tuple[str, ...], command: click.Command) -> None:
    assert isinstance(command, Command | Group)
    done = CliRunner().invoke(main, [*path, "--help"])
    assert done.exit_code == 0
    assert 0 < done.output.index("Examples:") < done.output.index("Options:")
    example = command.examples.splitlines()[0]
    assert example.startswith("locsvc")
    assert example in done.output


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_every_option_says_what_it_does(path: tuple[str, ...], command: click.Command) -> None:
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert silent == [], f"options of {' '.join(path)} without help"


@pytest.mark.parametrize("path", [path for path, command in COMMANDS if isinstance(command, click.Group)])
def test_a_group_run_bare_says_little_and_what_there_is(path: tuple[str, ...]) -> None:
    bare = CliRunner().invoke(main, list(path))
    full = CliRunner().invoke(main, [*path, "--help"])
    assert bare.exit_code == 0
    assert "Commands:" in bare.output
    assert "Options:" not in bare.output
    assert len(bare.output) < len(full.output)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        (["resovle"], "locsvc resolve"),
        (["imports"], "locsvc import"),
        (["lookup", "cels"], "locsvc lookup cell"),
        (["import", "address"], "locsvc import addresses"),
    ],
)
def test_a_typo_suggests_the_nearest_command(typo: list[str], meant: str) -> None:
    done = CliRunner().invoke(main, typo)
    assert done.exit_code == errors.EXIT_USAGE
    assert f"did you mean `{meant}`?" in done.stderr
    assert done.stdout == ""


def test_a_mistyped_option_suggests_the_nearest() -> None:
    done = CliRunner().invoke(main, ["resolve", "--devise", "52,-8,30"])
    assert done.exit_code == errors.EXIT_USAGE
    assert "--device" in done.stderr


def test_version() -> None:
    done = CliRunner().invoke(main, ["--version"])
    assert (done.exit_code, done.output) == (0, f"locsvc {locsvc.__version__}\n")


@pytest.mark.parametrize("kind", errors.MEANINGS)
def test_every_error_ends_with_the_code_of_the_table(
    kind: type[errors.LocsvcError], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = errors.FieldViolation("call_id", "is too long")
    error = errors.InvalidInput([wrong]) if kind is errors.InvalidInput else kind("no such thing")
    assert exit_code(error, debug=False) == errors.MEANINGS[kind].exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("locsvc: ")
    assert "Traceback" not in said.err


def test_a_fault_is_told_without_a_traceback_unless_debug(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        fault = error
    assert exit_code(fault, debug=False) == errors.EXIT_BUG
    assert "Traceback" not in (quiet := capsys.readouterr().err)
    assert "--debug" in quiet
    assert exit_code(fault, debug=True) == errors.EXIT_BUG
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_a_real_run(tmp_path: Path) -> None:
    quiet, loud = run("info", "--data", str(tmp_path)), run("info", "--data", str(tmp_path), "--debug")
    before = run("--debug", "info", "--data", str(tmp_path))
    assert quiet.returncode == loud.returncode == before.returncode == 66
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert "Traceback" in before.stderr
    assert str(tmp_path) in quiet.stderr


def test_data_is_taken_from_the_option_before_the_environment(tmp_path: Path) -> None:
    by_flag = run("info", "--data", str(tmp_path / "flag"), LOCSVC_DATA=str(tmp_path / "environment"))
    by_group = run("--data", str(tmp_path / "group"), "info", LOCSVC_DATA=str(tmp_path / "environment"))
    by_environment = run("info", LOCSVC_DATA=str(tmp_path / "environment"))
    assert "flag" in by_flag.stderr
    assert "group" in by_group.stderr
    assert "environment" in by_environment.stderr
    assert run("info").returncode == errors.EXIT_USAGE


@pytest.mark.parametrize("args", [["resolve", "-"], ["serve", "--port", "0"]], ids=["resolve", "serve"])
def test_ctrl_c_ends_with_130_or_after_draining_with_0(args: list[str]) -> None:
    with subprocess.Popen(
        [*PROGRAM, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if args[0] == "serve":
            assert process.stdout is not None
            assert "serving on 127.0.0.1:" in process.stdout.readline()
        else:
            _wait_until_it_reads(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == (0 if args[0] == "serve" else errors.EXIT_INTERRUPTED)
    assert "Traceback" not in said


class Deaf:
    """Python ignores what its finaliser raises."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        # The handler runs here.
        time.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_in_a_finaliser_is_not_lost(number: int) -> None:
    def work() -> None:
        deaf = [Deaf(number)]
        with ended_in_order():
            deaf.clear()
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt) as ended:
        work()
    assert exit_code(ended.value, debug=False) == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def _numba_unpickle(number: int) -> str:
    """What a kernel calls that gives back a tuple: an exception in it is a fault of memory."""
    os.kill(os.getpid(), number)
    time.sleep(0)
    return "whole"


def test_a_signal_waits_for_what_a_kernel_calls() -> None:
    told = list[str]()

    def work() -> None:
        with ended_in_order():
            told.append(_numba_unpickle(signal.SIGTERM))
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert told == ["whole"]


def _wait_until_it_reads(pid: int) -> None:
    """Wait until the process sleeps in a read of its stdin, which it does when its imports are done."""
    for _ in range(600):
        call = Path(f"/proc/{pid}/syscall")
        try:
            words = call.read_text(encoding="ascii").split()
        except OSError:
            words = []
        # Number 0 is read() on x86-64, 63 on arm64; the first argument is the descriptor.
        if words[:2] in (["0", "0x0"], ["63", "0x0"]):
            return
        time.sleep(0.05)
    pytest.skip("the system does not tell what a process waits for")


def test_a_broken_pipe_is_silent(tmp_path: Path) -> None:
    calls = tmp_path / "calls.jsonl"
    calls.write_text('{"call_id": "nothing"}\n' * 5_000, encoding="utf-8")
    done = subprocess.run(
        f"{sys.executable} -m locsvc resolve {calls} --json | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("LOCSVC_")},
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
