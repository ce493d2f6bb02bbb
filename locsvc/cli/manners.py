"""How every command behaves: help with examples, nearest names for typos, errors as sentences, exit codes by the table.

References
----------
Command Line Interface Guidelines, clig.dev; sysexits.h for the exit codes in `locsvc.errors`.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from locsvc.cli.options import Common
from locsvc.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, InvalidInput, LocsvcError, meaning_of

# Functions that C code calls which has nobody to give an exception to: finalisers, the import of an extension, and what
# loads a kernel's machine code. And what a kernel asks for the type of a tuple that it gives back: an exception there
# ends the process by a fault.
_DEAF = frozenset(
    {"__del__", "_numba_unpickle", "_raw_object_cache_getbuffer", "_raw_object_cache_notify", "create_module"}
)
_AGAIN_S = 0.02
# Commands that remove a draft or what they keep meanwhile, or end processes of their own, when they are interrupted.
_PUT_AWAY = frozenset({"batch", "bench", "calibrate", "evaluate", "import", "serve"})


class Command(click.Command):
    """A command whose help shows examples before the options.

    Parameters
    ----------
    examples
        Lines to type, each with a comment or not.
    """

    def __init__(self, *args: object, examples: str = "", **attributes: object) -> None:
        super().__init__(*args, **attributes)  # type: ignore[arg-type]
        self.examples = examples

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it does, examples, usage, options."""
        self.format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)


class Group(click.Group):
    """A group that knows the nearest name for a typo and says little when it is run bare."""

    command_class = Command

    def __init__(self, *args: object, examples: str = "", **attributes: object) -> None:
        merged: dict[str, object] = {"subcommand_metavar": "COMMAND ...", **attributes, "invoke_without_command": True}
        super().__init__(*args, **merged)  # type: ignore[arg-type]
        self.examples = examples

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order in which they were added, the most used first."""
        del ctx
        return list(self.commands)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it does, examples, usage, options, commands."""
        self.format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named; bare, say what there is."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(self._short_help(ctx))
        return result

    def _short_help(self, ctx: click.Context) -> str:
        formatter = ctx.make_formatter()
        formatter.write_text(self.get_short_help_str(200))
        write_examples(formatter, "\n".join(self.examples.splitlines()[:3]))
        self.format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(f"`{ctx.command_path} --help` says more.")
        return formatter.getvalue().rstrip("\n")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was named.

        Raises
        ------
        click.UsageError
            There is none of that name; the nearest is told.
        """
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.commands, 1, 0.5)
            hint = f"did you mean `{ctx.command_path} {near[0]}`?" if near else f"try `{ctx.command_path} --help`"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


def write_examples(formatter: click.HelpFormatter, examples: str) -> None:
    """Add the examples as they are, not wrapped."""
    if examples:
        with formatter.section("Examples"):
            for line in examples.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Entry(Group):
    """The group at the top: turns every error into a sentence on stderr and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT002 - click's signature
        **extra: object,
    ) -> NoReturn:
        """Run a command and exit.

        Raises
        ------
        SystemExit
            Always.
        """
        del standalone_mode
        common = Common()
        extra.setdefault("obj", common)
        try:
            result = super().main(args, prog_name or "locsvc", complete_var, standalone_mode=False, **extra)
            _flush()
        except BaseException as error:  # noqa: BLE001 - the outermost frame: everything becomes an exit code here
            sys.exit(exit_code(error, debug=common.debug))
        # click hands back what ctx.exit() was given, and otherwise what the command returned.
        sys.exit(result if isinstance(result, int) else 0)

    def __call__(self, *args: object, **attributes: object) -> NoReturn:
        """Run as the process's own entry: an interrupted one ends at once, whatever its threads do."""
        # A shell starts jobs in the background with interrupts ignored; that stays.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupted)
        try:
            self.main(*args, **attributes)  # type: ignore[arg-type]
        except SystemExit as end:
            if isinstance(end.code, int) and end.code >= EXIT_INTERRUPTED - signal.SIGINT:
                os._exit(end.code)
            raise


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End at once, or by an exception where there is something to put away."""
    context = click.get_current_context(silent=True)
    if context is None or context.find_root().invoked_subcommand not in _PUT_AWAY:
        os._exit(EXIT_INTERRUPTED)
    if not _comes_again(number, frame):
        raise KeyboardInterrupt


def _comes_again(number: int, frame: FrameType | None) -> bool:
    """Whether Python would ignore an exception where the process is: then the signal comes again in a moment."""
    while frame is not None and frame.f_code.co_name not in _DEAF:
        frame = frame.f_back
    if frame is None:
        return False
    again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()
    return True


class _Ended(KeyboardInterrupt):
    """A signal that ends the process came: `number`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is inside like an interrupt: what is kept meanwhile is put away."""

    def end(number: int, frame: FrameType | None) -> None:
        if _comes_again(number, frame):
            return
        # It ends already: once more must not end the putting away.
        for again in before:
            signal.signal(again, signal.SIG_IGN)
        raise _Ended(number)

    # What is ignored stays so, as with nohup; a face of tests may handle them already.
    before = {
        number: old for number in (signal.SIGTERM, signal.SIGHUP) if (old := signal.getsignal(number)) is signal.SIG_DFL
    }
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def exit_code(error: BaseException, *, debug: bool) -> int:
    """The exit code for an error, said in a sentence on stderr; with `debug` with its traceback.

    Parameters
    ----------
    error
        What ended the command.
    """
    if isinstance(error, SystemExit):
        # click has met a broken pipe, silenced stdout and left with 1, a code that nothing else here has.
        return EXIT_OK if error.code == 1 else error.code if isinstance(error.code, int) else EXIT_BUG
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return EXIT_OK
    if isinstance(error, KeyboardInterrupt | click.Abort):
        # click has an abort for each interrupt; shells tell an end by a signal as 128 and its number.
        ended = error if isinstance(error, _Ended) else error.__cause__
        return 128 + ended.number if isinstance(ended, _Ended) else EXIT_INTERRUPTED
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    return _said(error, debug=debug)


def _said(error: BaseException, *, debug: bool) -> int:
    if isinstance(error, click.ClickException):
        return _say_usage(error)
    if isinstance(error, LocsvcError):
        violations = error.violations if isinstance(error, InvalidInput) else ()
        for sentence in [f"{v.field}: {v.description}" for v in violations] or [str(error)]:
            say_error(sentence)
        return meaning_of(error).exit_code
    remedy = "" if debug else "; run it again with --debug and report what it prints"
    say_error(f"fault in locsvc: {type(error).__name__}: {error}{remedy}")
    return EXIT_BUG


def say_error(message: str) -> None:
    """One sentence on stderr."""
    click.echo(f"locsvc: {message}", err=True)


def _say_usage(error: click.ClickException) -> int:
    message = error.format_message()
    say_error(message[:1].lower() + message[1:] if message[1:2].islower() else message)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        lines = str(getattr(error.ctx.command, "examples", "")).splitlines()
        example = f"Example: {lines[0].split('  ')[0]}\n" if lines else ""
        click.echo(f"{error.ctx.get_usage()}\n{example}`{error.ctx.command_path} --help` says more.", err=True)
    return EXIT_USAGE


def _flush() -> None:
    sys.stdout.flush()


def _forget_stdout() -> None:
    """Point stdout nowhere: the reader went away, and Python would complain once more at its end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process
