"""The command `locsvc` and all that is under it.

Only click and the model's words are imported here and in the commands' modules; what is heavy (gRPC, numpy, H3,
shapely, rich) is imported by the command that needs it, when it runs.
"""

from __future__ import annotations

import click

import locsvc
from locsvc.cli.batch import batch
from locsvc.cli.bench import bench
from locsvc.cli.calibrate import calibrate
from locsvc.cli.calls import calls
from locsvc.cli.datasets import info
from locsvc.cli.decode import decode
from locsvc.cli.evaluate import evaluate
from locsvc.cli.imports import import_group
from locsvc.cli.learn import learn
from locsvc.cli.lookup import lookup
from locsvc.cli.manners import Entry
from locsvc.cli.options import common_options
from locsvc.cli.replay import replay
from locsvc.cli.resolve import resolve
from locsvc.cli.send import send
from locsvc.cli.serve import serve
from locsvc.cli.watch import watch

_EXAMPLES = """\
locsvc resolve --cell LTE,272,05,42300,237575 --device 52.4677,-8.3347,30 --data mydata
locsvc resolve calls.jsonl --map map.html
locsvc decode pidf-lo message.xml
locsvc batch calls.parquet answers.parquet --data mydata
locsvc serve --data mydata
locsvc watch 4711
locsvc send 4711 aml.txt
locsvc import cells opencellid.csv.gz --data mydata
locsvc learn drives.parquet --data mydata
locsvc calibrate drives.parquet --data mydata
locsvc lookup cell LTE,272,05,42300,237575 --data mydata
locsvc info --data mydata"""


@click.group(
    "locsvc",
    cls=Entry,
    examples=_EXAMPLES,
    epilog="Set LOCSVC_DATA once and leave --data out. stdout is data, stderr is talk; NO_COLOR is honoured.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(locsvc.__version__, prog_name="locsvc", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Say where an emergency caller is, with an honest region, and why."""


for _command in (
    resolve,
    batch,
    decode,
    serve,
    watch,
    send,
    calls,
    replay,
    lookup,
    import_group,
    learn,
    calibrate,
    evaluate,
    info,
    bench,
):
    main.add_command(_command)
