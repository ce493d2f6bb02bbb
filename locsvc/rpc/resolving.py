"""The process beside a worker: it resolves the rounds that the worker sends it, and opens the snapshots it names.

    python -m locsvc.rpc.resolving DESCRIPTOR

It is started by `locsvc.rpc.companion` with the descriptor of a socket, and ends when the other end of that is closed.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import structlog

from locsvc.errors import LocsvcError
from locsvc.rpc import logs
from locsvc.rpc.frames import frame, receive
from locsvc.rpc.replying import replies_to
from locsvc.rpc.serving import open_resolver, settle, warm
from locsvc.rpc.settings import ServerSettings

if TYPE_CHECKING:
    from locsvc.resolver import Resolver

log = structlog.get_logger("locsvc.rpc")


class Resolving:
    """One end of the socket, with the resolver that answers there."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._heard = link.makefile("rb")
        self._says = threading.Lock()
        self._settings = ServerSettings()
        self._resolver: Resolver | None = None

    def run(self) -> None:
        """Answer until the other end is closed."""
        settings = receive(self._heard)
        if not isinstance(settings, ServerSettings):
            return
        self._settings = settings
        logs.configure(settings.log_format)
        self._open()
        settle()
        while (said := receive(self._heard)) is not None:
            if isinstance(said, list):
                if self._resolver is None:  # no snapshot could be opened: the worker resolves by itself
                    return
                replies = replies_to(self._resolver, said)
                self._say((time.process_time(), replies))
            else:
                threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        """Open the newest snapshot, beside the rounds of the former one; end when that cannot be done."""
        try:
            resolver = open_resolver(self._settings.data, require_data=self._settings.require_data)
            warm(resolver)
        except Exception as error:  # noqa: BLE001 - whatever it is, a new process may do better
            problem = str(error) if isinstance(error, LocsvcError | OSError) else type(error).__name__
            log.error(  # noqa: TRY400 - a snapshot that is refused is no fault of the code: no traceback
                "resolver_process_ends", problem=problem, remedy="the worker resolves by itself; it is started again"
            )
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)
            return
        self._resolver = resolver
        self._say(resolver.reference.snapshot_id)

    def _say(self, said: object) -> None:
        with self._says, contextlib.suppress(OSError):  # the worker is gone: so is this process, at the next message
            self._link.sendall(frame(said))


def main() -> None:
    """Resolve for the worker at the other end of the socket that is named on the command line."""
    # Ctrl-C and SIGTERM of a whole group of processes are for the worker: it drains, and then closes the socket.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as link:
        Resolving(link).run()


if __name__ == "__main__":
    main()
