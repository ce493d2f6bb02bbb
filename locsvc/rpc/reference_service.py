"""ReferenceService: look-ups in the snapshot in force.

Each look-up takes well under a millisecond on mapped files, so it runs on the loop, between two rounds of the batcher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import structlog

from locsvc.errors import Unavailable
from locsvc.rpc import lookups
from locsvc.rpc.convert.violations import not_a_message
from locsvc.rpc.services import fail
from locsvc.v1 import reference_service_pb2 as messages
from locsvc.v1 import reference_service_pb2_grpc

if TYPE_CHECKING:
    from locsvc.reference.store import Reference

    Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger("locsvc.rpc")

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")


class ReferenceService(reference_service_pb2_grpc.ReferenceServiceServicer):
    """Answers from `reference`, which the server exchanges when a new snapshot is in force.

    `look` hears of each look-up of a number: context, method and number.
    """

    def __init__(
        self, reference: Reference | None = None, look: Callable[[Context, str, str], None] | None = None
    ) -> None:
        self.reference = reference
        self._look = look

    async def _answer(
        self,
        look_up: Callable[[Reference, _Request], _Reply],
        request: _Request | None,
        context: Context,
        method: str,
    ) -> _Reply:
        try:
            if request is None:
                raise not_a_message(method)
            if self.reference is None:
                raise Unavailable("the reference data is not mapped yet; try again in a second")
            return look_up(self.reference, request)
        except Exception as error:  # noqa: BLE001 - every error becomes a status
            await fail(context, error, method)

    async def LookupCell(  # noqa: N802 - the contract's name
        self, request: messages.LookupCellRequest | None, context: Context
    ) -> messages.LookupCellResponse:
        """Rows for a cell, or the cells nearest to a place."""
        return await self._answer(lookups.lookup_cell, request, context, "LookupCell")

    async def LookupLine(  # noqa: N802 - the contract's name
        self, request: messages.LookupLineRequest | None, context: Context
    ) -> messages.LookupLineResponse:
        """The record of a number; who asked goes to the log and, where there is a journal, to its audit."""
        if self._look is not None and request is not None:
            self._look(context, "LookupLine", request.number)
        return await self._answer(_audited(context), request, context, "LookupLine")

    async def FindAddresses(  # noqa: N802 - the contract's name
        self, request: messages.FindAddressesRequest | None, context: Context
    ) -> messages.FindAddressesResponse:
        """Addresses near a place, or the places of an address."""
        return await self._answer(lookups.find_addresses, request, context, "FindAddresses")

    async def FindAreas(  # noqa: N802 - the contract's name
        self, request: messages.FindAreasRequest | None, context: Context
    ) -> messages.FindAreasResponse:
        """Areas at a place."""
        return await self._answer(lookups.find_areas, request, context, "FindAreas")

    async def ListDatasets(  # noqa: N802 - the contract's name
        self, request: messages.ListDatasetsRequest | None, context: Context
    ) -> messages.ListDatasetsResponse:
        """Datasets in force."""
        return await self._answer(lookups.list_datasets, request, context, "ListDatasets")


def _audited(
    context: Context,
) -> Callable[[Reference, messages.LookupLineRequest], messages.LookupLineResponse]:
    def look_up(reference: Reference, request: messages.LookupLineRequest) -> messages.LookupLineResponse:
        found = False
        try:
            response = lookups.lookup_line(reference, request)
            found = True
            return response
        finally:
            log.info("line_looked_up", peer=context.peer(), found=found)

    return look_up
