"""What one process serves from: the snapshot in force, its resolver, and the switch to the next one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from locsvc.compiled import are_kept, kernel_directory
from locsvc.errors import DatasetMissing, LocsvcError
from locsvc.reference.store import Reference, follow
from locsvc.resolver import Resolver, warming

if TYPE_CHECKING:
    from pathlib import Path

    from locsvc.rpc.batcher import Batcher

log = structlog.get_logger("locsvc.rpc")

# How long a damaged snapshot is left alone before it is tried again (its file may be restored in place).
RETRY_DAMAGED_S = 30.0


def open_resolver(data: Path | None, *, require_data: bool = False) -> Resolver:
    """A resolver on the published snapshot, or on no data at all when nothing is published.

    Raises
    ------
    DatasetMissing
        When nothing is published and `require_data` is set.
    DatasetError
        When the snapshot is damaged; the message names the file.
    ConfigError
        When the calibration of the data directory is wrong.
    """
    if data is None:
        if require_data:
            raise DatasetMissing("no data directory was given; give one with --data or LOCSVC_DATA")
        log.warning("no_data", remedy="give a data directory; answers come from device reports alone")
        return Resolver(Reference.empty())
    try:
        return Resolver(Reference.open(data))
    except DatasetMissing as error:
        if require_data:
            raise
        log.warning("no_data", problem=str(error), remedy="import a dataset; the server follows without a restart")
        return Resolver(Reference.empty())


class Follower:
    """Follows the data directory: opens a new snapshot aside and swaps the resolver between two rounds.

    Requests that are being resolved keep the old snapshot's maps until they are answered; none is dropped. A damaged
    snapshot is refused with its file's name in the log, and the old one stays in force.
    """

    def __init__(
        self, data: Path, batcher: Batcher, *, every_s: float, switched: Callable[[Resolver], Awaitable[None]]
    ) -> None:
        self._data = data
        self._batcher = batcher
        self._every_s = every_s
        self._switched = switched
        self._refused: tuple[str, float] = ("", 0.0)

    async def run(self, current: str) -> None:
        """Follow for ever, from the snapshot `current` on."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._every_s)
            newer = None
            with contextlib.suppress(OSError):  # the directory may be away for a moment
                newer = await asyncio.to_thread(follow, self._data, current)
            if newer is None or (newer == self._refused[0] and loop.time() < self._refused[1]):
                continue
            opened = await self._open(newer)
            if opened is not None:
                current = opened.reference.snapshot_id
                self._batcher.resolver = opened
                await self._switched(opened)
                log.info("snapshot_switched", snapshot=current)

    async def _open(self, snapshot: str) -> Resolver | None:
        try:
            return await asyncio.to_thread(_open_and_touch, self._data)
        except (LocsvcError, OSError) as error:
            self._refused = (snapshot, asyncio.get_running_loop().time() + RETRY_DAMAGED_S)
            log.error(  # noqa: TRY400 - a snapshot that is refused is no fault of the code: no traceback
                "snapshot_refused", snapshot=snapshot, problem=str(error), remedy="the former snapshot stays in force"
            )
            return None


def _open_and_touch(data: Path) -> Resolver:
    resolver = Resolver(Reference.open(data))
    warm(resolver)
    return resolver


def warm(resolver: Resolver) -> None:
    """Pay for lazy imports, tables and, the first time on a machine, for machine code before a live call comes."""
    if not are_kept():
        log.info("compiling", what="the core, once; a minute or two", where=str(kernel_directory()))
    warming.warm(resolver)


def settle() -> None:
    """Take everything that lives now out of the collector's sight: it lives as long as the process.

    A full collection over the modules, tables and protobuf classes takes tens of milliseconds, in the middle of
    some call; after this it only looks at what requests leave behind.
    """
    gc.collect()
    gc.freeze()
    # A round of calls makes thousands of objects that die by themselves: looking after every 700 of them costs a tenth
    # of the CPU (597 us a request against 529 in two runs of the benchmark).
    gc.set_threshold(50_000, 20, 20)
