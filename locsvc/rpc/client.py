"""A client that speaks the model's words and raises the project's errors."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from locsvc.errors import ConfigError, FieldViolation, InvalidInput, LocsvcError
from locsvc.rpc import limits
from locsvc.rpc.convert.estimates import write_address, write_latlng, write_time
from locsvc.rpc.convert.replies import (
    read_dataset,
    read_estimate,
    read_trace,
    read_warning,
    write_call,
    write_cell,
    write_evidence,
)
from locsvc.rpc.convert.updates import read_kept
from locsvc.rpc.settings import is_loopback, read_pem
from locsvc.rpc.status import error_of
from locsvc.rpc.watching import Watch
from locsvc.v1 import (
    call_service_pb2,
    call_service_pb2_grpc,
    location_service_pb2,
    location_service_pb2_grpc,
    reference_service_pb2,
    reference_service_pb2_grpc,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from locsvc import model
    from locsvc.calls.words import Kept

_Reply = TypeVar("_Reply")

MAX_REPLY_BYTES = 256 * 1024 * 1024

# AIP-194: only UNAVAILABLE is tried again by itself. Every method here is a read or may be repeated: evidence that came
# twice counts once, an ended call stays ended, and a stream is tried again before its first message alone.
_SERVICE_CONFIG = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s",
"maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"""


# gRPC reads these by itself (its naming document).
_SCHEMES = ("dns:", "unix:", "unix-abstract:", "vsock:", "ipv4:", "ipv6:", "xds:")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the server is and how to speak to it.

    Parameters
    ----------
    target
        `host:port`, an IPv6 address as `[::1]:50051`; or a name with a scheme that gRPC knows, as `dns:///host:port`.
    timeout_s
        Deadline of each RPC.
    authority
        PEM file of the authority that signed the server's certificate; None speaks without TLS.
    certificate, private_key
        PEM files of this client for mutual TLS, both or none.
    server_name
        Name in the server's certificate, when it is not the target's host.
    insecure
        Speak without TLS to an address other than loopback.
    """

    target: str
    timeout_s: float = 10.0
    authority: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    server_name: str | None = None
    insecure: bool = False


class Client:
    """A connection to a server, closed at the end of its `with` block."""

    def __init__(self, settings: ClientSettings) -> None:
        self._timeout_s = settings.timeout_s
        self._channel = _channel(settings)
        self.location = location_service_pb2_grpc.LocationServiceStub(self._channel)
        self.reference = reference_service_pb2_grpc.ReferenceServiceStub(self._channel)
        self.live = call_service_pb2_grpc.CallServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _ask(self, method: Callable[..., _Reply], request: object) -> _Reply:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise error_of(error) from error

    def resolve(
        self,
        call: model.Call,
        *,
        confidence: float = limits.DEFAULT_CONFIDENCE,
        as_of: float | None = None,
        with_trace: bool = False,
    ) -> tuple[model.LocationEstimate, model.Trace | None]:
        """The estimate of a call, and how it came about when that is asked for and there is a location.

        Raises
        ------
        LocsvcError
            The class that stands for the server's status; `Unavailable` when there is no server.
        """
        request = location_service_pb2.ResolveLocationRequest(confidence=confidence, with_trace=with_trace)
        write_call(call, request.call)
        if as_of is not None:
            write_time(as_of, request.as_of)
        response = self._ask(self.location.ResolveLocation, request)
        trace = read_trace(response.trace) if response.HasField("trace") else None
        return read_estimate(response.estimate), trace

    def resolve_many(
        self, calls: Sequence[model.Call], *, confidence: float = limits.DEFAULT_CONFIDENCE, as_of: float | None = None
    ) -> list[model.LocationEstimate | LocsvcError]:
        """One estimate or error a call, in their order; more than 1,000 calls go in several batches.

        Raises
        ------
        LocsvcError
            What ended a whole batch.
        """
        results: list[model.LocationEstimate | LocsvcError] = []
        for first in range(0, len(calls), limits.MAX_BATCH_CALLS):
            request = location_service_pb2.BatchResolveLocationsRequest(confidence=confidence)
            if as_of is not None:
                write_time(as_of, request.as_of)
            for call in calls[first : first + limits.MAX_BATCH_CALLS]:
                write_call(call, request.calls.add())
            response = self._ask(self.location.BatchResolveLocations, request)
            results.extend(_result(r) for r in response.results)
        return results

    def lookup_cell(
        self, cell: model.CellMeasurement | None, *, near: model.LatLng | None = None, limit: int = 0
    ) -> reference_service_pb2.LookupCellResponse:
        """What is known of a cell, or the cells nearest to a place.

        Raises
        ------
        LocsvcError
            `NotFound` when there is nothing, or the class that stands for the server's status.
        """
        request = reference_service_pb2.LookupCellRequest(limit=limit)
        if cell is not None:
            write_cell(cell, request.cell)
        if near is not None:
            request.near.SetInParent()
            write_latlng(near, request.near)
        return self._ask(self.reference.LookupCell, request)

    def lookup_line(self, number: str) -> reference_service_pb2.LookupLineResponse:
        """What is known of a number.

        Raises
        ------
        LocsvcError
            `NotFound` when there is nothing, or the class that stands for the server's status.
        """
        request = reference_service_pb2.LookupLineRequest(number=number)
        return self._ask(self.reference.LookupLine, request)

    def find_addresses(
        self, *, near: model.LatLng | None = None, address: model.CivicAddress | None = None, limit: int = 0
    ) -> reference_service_pb2.FindAddressesResponse:
        """Addresses near a place, or the places of an address.

        Raises
        ------
        LocsvcError
            The class that stands for the server's status.
        """
        request = reference_service_pb2.FindAddressesRequest(limit=limit)
        if near is not None:
            request.near.SetInParent()
            write_latlng(near, request.near)
        if address is not None:
            request.address.SetInParent()
            write_address(address, request.address)
        return self._ask(self.reference.FindAddresses, request)

    def find_areas(self, position: model.LatLng) -> reference_service_pb2.FindAreasResponse:
        """Areas at a place.

        Raises
        ------
        LocsvcError
            The class that stands for the server's status.
        """
        request = reference_service_pb2.FindAreasRequest()
        request.position.SetInParent()
        write_latlng(position, request.position)
        return self._ask(self.reference.FindAreas, request)

    def list_datasets(self) -> tuple[list[model.DatasetVersion], list[model.Warning]]:
        """Datasets in force, and what is missing or out of order.

        Raises
        ------
        LocsvcError
            The class that stands for the server's status.
        """
        response = self._ask(self.reference.ListDatasets, reference_service_pb2.ListDatasetsRequest())
        return [read_dataset(d) for d in response.datasets], [read_warning(w) for w in response.warnings]

    def add_evidence(
        self,
        evidence: Sequence[model.Evidence],
        *,
        call_id: str = "",
        calling_number: str = "",
        started_at: float | None = None,
    ) -> Kept:
        """What became of evidence for a live call; when this returns it is safe on the server's disk.

        Parameters
        ----------
        evidence
            1 to 1,000 pieces. Those with names may be sent again after an error, whatever became of the first try.
        call_id, calling_number
            The call, or the caller's number alone; one of them.
        started_at
            When the call began, where that is known.

        Raises
        ------
        LocsvcError
            The class that stands for the server's status; `Unavailable` and `Overloaded` are worth another try.
        """
        request = call_service_pb2.AddEvidenceRequest(call_id=call_id, calling_number=calling_number)
        if started_at is not None:
            write_time(started_at, request.started_at)
        for piece in evidence:
            write_evidence(piece, request.evidence.add())
        return read_kept(self._ask(self.live.AddEvidence, request))

    def watch(
        self,
        call_id: str,
        *,
        after_revision: int = 0,
        confidence: float = limits.DEFAULT_CONFIDENCE,
        heartbeat_s: float | None = None,
        calling_number: str = "",
        fit_radius_m: float = 0.0,
    ) -> Watch:
        """The stream of a live call; errors come out of it when it is read.

        Parameters
        ----------
        after_revision
            Revisions up to this one are not sent; 0: all from the current one.
        heartbeat_s
            Longest silence on the stream, None: the server's.
        calling_number
            Opens a call that is not known yet under its number.
        fit_radius_m
            Widest radius that is fit to dispatch, 0: the server's.
        """
        request = call_service_pb2.WatchLocationRequest(
            call_id=call_id,
            after_revision=after_revision,
            confidence=confidence,
            calling_number=calling_number,
            fit_radius_m=fit_radius_m,
        )
        if heartbeat_s is not None:
            request.heartbeat.FromNanoseconds(round(heartbeat_s * 1e9))
        return Watch(self.live.WatchLocation(request))

    def get_call(self, call_id: str) -> call_service_pb2.GetCallResponse:
        """Everything that arrived for a call, and every estimate given.

        Raises
        ------
        LocsvcError
            `NotFound` when there is no such call, or the class that stands for the server's status.
        """
        return self._ask(self.live.GetCall, call_service_pb2.GetCallRequest(call_id=call_id))

    def end_call(self, call_id: str) -> model.LocationEstimate:
        """The last estimate of a call, which is ended by this; one that has ended stays so.

        Raises
        ------
        LocsvcError
            `NotFound` when there is no such call, or the class that stands for the server's status.
        """
        response = self._ask(self.live.EndCall, call_service_pb2.EndCallRequest(call_id=call_id))
        return read_estimate(response.estimate)


def _result(message: location_service_pb2.BatchResult) -> model.LocationEstimate | LocsvcError:
    if message.HasField("estimate"):
        return read_estimate(message.estimate)
    error = message.error
    if error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]:
        found = [FieldViolation(v.field, v.description) for v in error.violations]
        return InvalidInput(found or [FieldViolation("call", error.message)])
    return LocsvcError(error.message)


def _checked_target(target: str) -> str:
    """The host of a target that names a port; of one with a scheme what stands before its last colon."""
    host, _, port = target.rpartition(":")
    if target.startswith(_SCHEMES):
        return host
    if _is_ipv6(target.strip("[]")):
        host, port = f"[{target.strip('[]')}]", ""
    elif ":" not in target:
        host, port = target, ""
    if not (host and port):
        what = "a port" if host else "a host"
        raise ConfigError(f"{target!r} does not name {what}: give HOST:PORT, as {host or '127.0.0.1'}:{port or 50051}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ConfigError(f"{target!r} has no port from 1 to 65535: give HOST:PORT, as {host}:50051")
    return host


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _channel(settings: ClientSettings) -> grpc.Channel:
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
        ("grpc.service_config", _SERVICE_CONFIG),
        # A worker that dies takes its connections along; the next one may be tried at once, not after a second.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # A server that was away for minutes is found within a second of its return.
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    host = _checked_target(settings.target)
    if settings.authority is None:
        if not (settings.insecure or is_loopback(host)):
            raise ConfigError(
                f"{settings.target} is not on this machine and there is no TLS: give the server's certificate "
                "authority, or allow it with --insecure"
            )
        return grpc.insecure_channel(settings.target, options)
    if (settings.certificate is None) != (settings.private_key is None):
        raise ConfigError("mutual TLS needs both the certificate and the private key; give both files or none")
    if settings.server_name is not None:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    credentials = grpc.ssl_channel_credentials(
        read_pem(settings.authority),
        None if settings.private_key is None else read_pem(settings.private_key),
        None if settings.certificate is None else read_pem(settings.certificate),
    )
    return grpc.secure_channel(settings.target, credentials, options)
