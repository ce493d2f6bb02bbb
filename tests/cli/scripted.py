"""A real gRPC server that says what a test tells it to, for what a good server does not do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from google.rpc import status_pb2

from locsvc.errors import LocsvcError, NotFound
from locsvc.rpc.status import CODES, DETAILS_KEY, status_of
from locsvc.v1 import call_service_pb2 as pb2
from locsvc.v1 import call_service_pb2_grpc, estimate_pb2

# What a stream does: sends a message, breaks with an error, or waits (None) until the client or the server ends it.
Step = pb2.WatchLocationResponse | LocsvcError | None
START_S = 1_795_000_000


def answer(revision: int, change: str = "evidence arrived", **more: object) -> pb2.WatchLocationResponse:
    """A message with an answer; `fit`, `radius_m`, `elapsed_s`, `kind`, `provisional` as given."""
    radius_m = float(str(more.pop("radius_m", 120.0)))
    elapsed_s = float(str(more.pop("elapsed_s", revision * 1.5)))
    message = pb2.WatchLocationResponse(
        revision=revision,
        kind=more.pop("kind", pb2.CHANGE_KIND_EVIDENCE),  # type: ignore[arg-type]
        change=change,
        provisional=bool(more.pop("provisional", False)),
    )
    message.estimate.outcome = estimate_pb2.OUTCOME_LOCATED
    message.estimate.call_id = "4711"
    message.estimate.confidence = 0.9
    message.estimate.position.latitude_deg, message.estimate.position.longitude_deg = 54.99776, 2.49523
    message.estimate.radius_m = radius_m
    message.outlook.fit_to_dispatch = radius_m <= 50
    message.outlook.fit_radius_m = 50.0
    message.outlook.elapsed_s = elapsed_s
    if radius_m > 50:
        message.outlook.unfit_because.append("wider than 50 m")
        message.outlook.awaited.add(source="handset", chance=0.7, median_wait_s=12.0, radius_m=25.0)
        message.outlook.prospects.add(within_s=10.0, chance=0.4, radius_m=25.0)
    began_s = int(str(more.pop("began_s", START_S)))
    message.changed_at.FromNanoseconds(round((began_s + elapsed_s) * 1e9))
    message.outlook.deadline_at.seconds = began_s + 20
    assert not more, more
    return message


def ended(revision: int, **more: object) -> pb2.WatchLocationResponse:
    """The last message of a call."""
    return answer(revision, "the call was ended", kind=pb2.CHANGE_KIND_ENDED, **more)


def heartbeat(revision: int) -> pb2.WatchLocationResponse:
    """A message without an answer."""
    return pb2.WatchLocationResponse(revision=revision)


class Scripted(call_service_pb2_grpc.CallServiceServicer):
    """Answers from lists; what was asked is kept."""

    def __init__(self) -> None:
        self.streams: list[list[Step]] = []
        self.kept: list[pb2.AddEvidenceResponse | LocsvcError] = []
        self.watched: list[pb2.WatchLocationRequest] = []
        self.added: list[pb2.AddEvidenceRequest] = []
        self.over = threading.Event()

    def WatchLocation(  # noqa: N802 - the contract's name
        self, request: pb2.WatchLocationRequest, context: grpc.ServicerContext
    ) -> Iterator[pb2.WatchLocationResponse]:
        self.watched.append(request)
        for step in self.streams.pop(0):
            if isinstance(step, LocsvcError):
                _abort(context, step)
            elif step is None:
                gone = threading.Event()
                if not context.add_callback(gone.set):
                    return
                while not (gone.wait(0.02) or self.over.is_set()):
                    pass
            else:
                yield step

    def AddEvidence(  # noqa: N802 - the contract's name
        self, request: pb2.AddEvidenceRequest, context: grpc.ServicerContext
    ) -> pb2.AddEvidenceResponse:
        self.added.append(request)
        step = self.kept.pop(0)
        if isinstance(step, LocsvcError):
            _abort(context, step)
        assert isinstance(step, pb2.AddEvidenceResponse)
        return step

    def GetCall(  # noqa: N802 - the contract's name
        self, request: pb2.GetCallRequest, context: grpc.ServicerContext
    ) -> pb2.GetCallResponse:
        del context
        response = pb2.GetCallResponse()
        response.call.call_id = request.call_id
        return response

    def EndCall(  # noqa: N802 - the contract's name
        self, request: pb2.EndCallRequest, context: grpc.ServicerContext
    ) -> pb2.EndCallResponse:
        if request.call_id != "4711":
            _abort(context, NotFound(f"there is no call {request.call_id!r}"))
        return pb2.EndCallResponse(estimate=answer(1).estimate)


def _abort(context: grpc.ServicerContext, error: LocsvcError) -> None:
    status: status_pb2.Status = status_of(error)
    context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
    context.abort(CODES[status.code], status.message)


@contextmanager
def serving(script: Scripted, port: int = 0) -> Iterator[int]:
    """A server of the script; its port."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    call_service_pb2_grpc.add_CallServiceServicer_to_server(script, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield bound
    finally:
        script.over.set()
        server.stop(0).wait()
