"""Requests of the services to what the resolver and the datasets are asked, or `InvalidInput` with every violation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from locsvc.errors import InvalidInput
from locsvc.formats import ranges
from locsvc.resolver.raw import opened
from locsvc.rpc import limits
from locsvc.rpc.convert.calls import read_call, read_time
from locsvc.rpc.convert.rows import put_call
from locsvc.rpc.convert.violations import Violations, add, put_under

if TYPE_CHECKING:
    from locsvc import model
    from locsvc.resolver.filling import TableBuilder
    from locsvc.v1 import call_pb2
    from locsvc.v1 import location_service_pb2 as messages


@dataclass(frozen=True, slots=True)
class Question:
    """One call with what is asked about it."""

    call: model.Call
    confidence: float
    as_of: float | None

    def put(self, table: TableBuilder) -> None:
        """Adds the call to a table."""
        table.call(*opened(self.call))


@dataclass(slots=True)
class Unread:
    """One call as it came, with what is asked about it; `prefix` is the call's path in the request."""

    message: call_pb2.Call
    confidence: float
    as_of: float | None
    prefix: str = ""

    def put(self, table: TableBuilder) -> None:
        """Adds the call to a table.

        Raises
        ------
        InvalidInput
            With the path of every wrong field; the table is then as it was.
        """
        put_call(self.message, table, self.prefix)


def read_confidence(asked: float, out: Violations) -> float:
    """The confidence that is asked for; absent means 0.9."""
    # An absent field reads as 0; NaN compares false and is a violation.
    if asked == 0.0:
        return limits.DEFAULT_CONFIDENCE
    if not ranges.MIN_CONFIDENCE <= asked <= ranges.MAX_CONFIDENCE:
        add(out, "confidence", "must be from 0.5 to 0.999 (a fraction, not percent); leave it out for 0.9")
    return asked


def ask_resolve(request: messages.ResolveLocationRequest) -> Unread:
    """The question of a ResolveLocation request, whose call is read when it is put into a table.

    Raises
    ------
    InvalidInput
        With the path of every wrong field, those of the call among them, when what is asked about it is wrong.
    """
    out: Violations = []
    if not request.HasField("call"):
        add(out, "call", "is required; send a call, which may be without evidence")
    confidence = read_confidence(request.confidence, out)
    as_of = read_time(request.as_of, out, "as_of") if request.HasField("as_of") else None
    if out:
        before = len(out)
        read_call(request.call, out)
        put_under(out, before, "call.")
        raise InvalidInput(out)
    return Unread(request.call, confidence, as_of, "call.")


def read_batch(request: messages.BatchResolveLocationsRequest) -> tuple[float, float | None]:
    """Confidence and time of a batch; its calls are read one by one, when they are put into a table.

    Raises
    ------
    InvalidInput
        When what all calls share is wrong: their number, the confidence or the time.
    """
    out: Violations = []
    if not 1 <= len(request.calls) <= limits.MAX_BATCH_CALLS:
        add(out, "calls", "must have 1 to 1,000 calls; send several batches for more")
    confidence = read_confidence(request.confidence, out)
    as_of = read_time(request.as_of, out, "as_of") if request.HasField("as_of") else None
    if out:
        raise InvalidInput(out)
    return confidence, as_of
