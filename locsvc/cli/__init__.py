"""The command `locsvc`: stdout is data, stderr is talk."""

import os

from locsvc.errors import EXIT_INTERRUPTED

try:
    from locsvc.cli.app import main
except KeyboardInterrupt:
    # Ctrl-C while the command was still being loaded: there is nobody above to end without a traceback.
    os._exit(EXIT_INTERRUPTED)

__all__ = ["main"]
