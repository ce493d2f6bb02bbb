"""How the processes that share a journal tell each other of changes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from locsvc.calls.bells import Changed
from locsvc.calls.database import Database
from locsvc.calls.faults import report
from locsvc.calls.schema import changes

# Wakes can be lost: so often each process looks for itself.
LOOK_EVERY_S: Final = 1.0
# Calls whose revision is remembered, so that one change is told once: two minutes of the heaviest load.
_REMEMBERED: Final = 100_000


class Wakes:
    """Tells of each change by other processes once, from a thread of its own.

    Parameters
    ----------
    tell
        Called with a call and its revision; 0 when the call is gone.
    """

    def __init__(self, database: Database, tell: Callable[[str, int], None]) -> None:
        self._database = database
        self._bell = database.bell()
        self._tell = tell
        self._known: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        with database.engine.connect() as connection:
            self._horizon = database.horizon(connection)
        self._thread = threading.Thread(target=self._run, name="journal-wakes", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def committed(self, changed: Sequence[Changed]) -> None:
        """Tell the other processes what this one has changed."""
        for call_id, revision in changed:
            self._is_new(call_id, revision)
        with contextlib.suppress(OSError):
            self._bell.ring(changed)

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)
        self._bell.close()

    def _run(self) -> None:
        look_at = time.monotonic() + LOOK_EVERY_S
        while not self._ended.is_set():
            try:
                self._hear(self._bell.wait(min(0.2, max(0.0, look_at - time.monotonic()))))
            except (OSError, ValueError):
                pass
            except Exception as error:  # noqa: BLE001 - the thread must live: without wakes it looks for itself
                report("the bell of the journal", error)
                self._ended.wait(max(0.0, look_at - time.monotonic()))
            if time.monotonic() >= look_at:
                try:
                    self._hear(self._look())
                except sa.exc.SQLAlchemyError:
                    pass
                except Exception as error:  # noqa: BLE001 - as above: it looks again
                    report("a look for changes in the journal", error)
                look_at = time.monotonic() + LOOK_EVERY_S

    def _look(self) -> list[Changed]:
        newer = sa.select(changes.c.call_id, sa.func.max(changes.c.revision)).where(changes.c.position >= self._horizon)
        with self._database.engine.connect() as connection:
            # Before the question: what is written between the two is asked for again, and known then.
            horizon = self._database.horizon(connection)
            found = [(row[0], row[1]) for row in connection.execute(newer.group_by(changes.c.call_id))]
        self._horizon = horizon
        return found

    def _hear(self, changed: Iterable[Changed]) -> None:
        for call_id, revision in changed:
            if self._is_new(call_id, revision):
                try:
                    self._tell(call_id, revision)
                except Exception as error:  # noqa: BLE001 - it costs this word only
                    report("the word of a change in the journal", error)

    def _is_new(self, call_id: str, revision: int) -> bool:
        with self._lock:
            if revision == 0:
                self._known.pop(call_id, None)
                return True
            if self._known.get(call_id, 0) >= revision:
                return False
            self._known[call_id] = revision
            self._known.move_to_end(call_id)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return True
