"""`locsvc serve`: the gRPC service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from locsvc.cli import output
from locsvc.cli.manners import Command
from locsvc.cli.options import FILE, Common, data_option, debug_option, json_option

# In the data directory.
JOURNAL = "calls.sqlite"


@click.command(
    cls=Command,
    examples="""\
locsvc serve --data mydata                              # this machine only, port 50051
locsvc serve --port 0 --workers 2                       # a free port, two processes on it
locsvc serve --host 0.0.0.0 --certificate cert.pem --private-key key.pem
locsvc serve --data mydata --journal postgresql://db/calls --keep-days 90    # live calls of several hosts""",
    epilog="SIGTERM drains: health says NOT_SERVING, requests under way are answered, streams end, it ends with 0.",
)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=50051, show_default=True, help="Port; 0 takes a free one.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes on the port.")
@click.option(
    "--resolver-process/--no-resolver-process",
    default=None,
    help="Resolve in a process beside each worker.  [default: where it has two cores]",
)
@click.option("--certificate", type=FILE, help="Server's certificate (PEM); with --private-key it means TLS.")
@click.option("--private-key", type=FILE, help="Key of the certificate (PEM).")
@click.option("--client-authority", type=FILE, help="Authority of client certificates (PEM): mutual TLS.")
@click.option("--insecure", is_flag=True, help="Allow an address other than loopback without TLS.")
@click.option("--require-data", is_flag=True, help="Refuse to start without a published snapshot.")
@click.option("--reflection/--no-reflection", default=None, help="Answer reflection requests.  [default: on loopback]")
@click.option("--max-message-bytes", type=int, default=4_194_304, show_default=True, help="Largest request.")
@click.option("--max-waiting", type=int, default=1_000, show_default=True, help="Requests waiting before load is shed.")
@click.option(
    "--max-waiting-batch-calls", type=int, default=10_000, show_default=True, help="Calls of batches waiting, the same."
)
@click.option("--fuse-at-most", type=int, default=64, show_default=True, help="Calls that are resolved as one array.")
@click.option("--drain-s", type=float, default=1.0, show_default=True, help="Seconds from NOT_SERVING to the end.")
@click.option("--grace-s", type=float, default=10.0, show_default=True, help="Seconds for requests under way.")
@click.option("--follow-s", type=float, default=0.5, show_default=True, help="Seconds between looks for new data.")
@click.option(
    "--log-format", type=click.Choice(["json", "console"]), default="json", show_default=True, help="Form of the log."
)
@click.option(
    "--journal",
    metavar="URL|FILE",
    help="Journal of live calls: a SQLite file, or postgresql://...  [default: calls.sqlite in the data directory]",
)
@click.option("--no-journal", is_flag=True, help="No live calls: CallService is not served.")
@click.option("--keep-days", type=float, help="Days that ended calls stay in the journal.  [default: for ever]")
@click.option("--deadline-s", type=float, default=20.0, show_default=True, help="Seconds to the best that is known.")
@click.option("--fit-radius-m", type=float, default=50.0, show_default=True, help="Widest radius fit to dispatch.")
@click.option(
    "--match-window-s",
    type=float,
    default=300.0,
    show_default=True,
    help="Seconds around a call's start in which evidence by number is its.",
)
@click.option("--arrivals", type=FILE, help="When sources speak (TOML).  [default: the shipped ones]")
@data_option
@json_option
@debug_option
@click.pass_obj
def serve(common: Common, /, *, journal: str | None, no_journal: bool, **settings: object) -> None:
    """Serve gRPC until SIGTERM or Ctrl-C.

    The port is said on stdout when the service is SERVING; the log goes to stderr.
    """
    if journal is not None and no_journal:
        raise click.UsageError("--journal and --no-journal exclude each other; give one of them")
    from locsvc.rpc.settings import ServerSettings
    from locsvc.rpc.workers import serve as run

    data = common.data_directory()
    if journal is None and not no_journal:
        journal = _journal_of(data)
    asked = ServerSettings(data=data, journal=journal, **settings)  # type: ignore[arg-type]
    host = asked.host

    def ready(port: int) -> None:
        if common.as_json:
            output.write_json({"status": "SERVING", "host": host, "port": port}, lines=True)
        else:
            click.echo(f"serving on {host}:{port}")

    run(asked, ready=ready)


def _journal_of(data: Path | None) -> str | None:
    """The journal of a data directory; None where none can be written."""
    if data is None:
        return None
    return str(data / JOURNAL) if os.access(data, os.W_OK | os.X_OK) else None
