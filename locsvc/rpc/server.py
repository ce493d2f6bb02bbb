"""One server process: ports, services, health, reflection, the drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from locsvc.errors import ConfigError
from locsvc.rpc.batcher import Batcher
from locsvc.rpc.beside import Beside
from locsvc.rpc.call_service import CallService
from locsvc.rpc.handlers import add_service
from locsvc.rpc.live_serving import CALL_SERVICE, LiveServing
from locsvc.rpc.reference_service import ReferenceService
from locsvc.rpc.services import LocationService
from locsvc.rpc.serving import Follower, open_resolver, settle, warm
from locsvc.rpc.settings import ServerSettings, read_pem
from locsvc.v1 import call_service_pb2, location_service_pb2, reference_service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import ServiceDescriptor

    from locsvc.resolver import Resolver

log = structlog.get_logger("locsvc.rpc")

_LOCATION: ServiceDescriptor = location_service_pb2.DESCRIPTOR.services_by_name["LocationService"]
_REFERENCE: ServiceDescriptor = reference_service_pb2.DESCRIPTOR.services_by_name["ReferenceService"]
_CALL: ServiceDescriptor = call_service_pb2.DESCRIPTOR.services_by_name["CallService"]

# Health names that follow the data; CallService follows the journal, and is NOT_SERVING without one.
SERVED = ("", _LOCATION.full_name, _REFERENCE.full_name)
DATASETS = ("cells", "lines", "addresses", "areas")

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

# Connections of call-taking software live for days behind address translation: pings every 20 s are allowed.
_KEEPALIVE = (
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class LocationServer:
    """A server on one port in this process; `listen`, `load`, then `stop`."""

    def __init__(self, settings: ServerSettings, *, share_port: bool = False, keeps_house: bool = True) -> None:
        self._settings = settings.checked()
        self.port = 0
        self.batcher = Batcher(
            None,
            fuse_at_most=settings.fuse_at_most,
            max_waiting=settings.max_waiting,
            max_bulk=settings.max_waiting_batch_calls,
        )
        self.beside = Beside(settings) if settings.resolves_beside else None
        self._health = health.aio.HealthServicer()
        self.calls = CallService()
        self._live = LiveServing(settings, self.batcher, self.calls, self._set_health, keeps_house=keeps_house)
        self._reference = ReferenceService(look=self.calls.look)
        self._follower: asyncio.Task[None] | None = None
        self._stopped = False
        self.server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", int(share_port)),
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                *_KEEPALIVE,
            )
        )

    async def listen(self) -> int:
        """The port that is bound; requests are answered from here on, with UNAVAILABLE until data is mapped.

        Raises
        ------
        ConfigError
            When the address cannot be bound or a certificate cannot be read.
        """
        for name in SERVED:
            await self._health.set(name, _NOT_SERVING)
        await self._health.set(CALL_SERVICE, _NOT_SERVING)
        # gRPC asks them in this order whose a request is: first what is asked most.
        add_service(self.server, _LOCATION, LocationService(self.batcher, self.beside))
        add_service(self.server, _REFERENCE, self._reference)
        add_service(self.server, _CALL, self.calls)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        if self._settings.reflects:
            names = (_LOCATION.full_name, _REFERENCE.full_name, _CALL.full_name)
            reflection.enable_server_reflection((*names, "grpc.health.v1.Health", reflection.SERVICE_NAME), self.server)
        self.port = self._bind()
        await self.server.start()
        return self.port

    def _bind(self) -> int:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host.strip("[]") and settings.host[0] != "[" else settings.host
        address = f"{host}:{settings.port}"
        try:
            if settings.tls:
                return self.server.add_secure_port(address, _credentials(settings))
            return self.server.add_insecure_port(address)
        except RuntimeError as error:
            msg = f"{address} cannot be bound: it is in use or no address of this machine; choose another port or host"
            raise ConfigError(msg) from error

    async def load(self, make: Callable[[], Resolver] | None = None) -> None:
        """Map the data, then say SERVING; `make` takes the place of opening the data directory.

        Raises
        ------
        DatasetError
            When the published snapshot is damaged, or there is none and one is required.
        ConfigError
            When the calibration of the data directory is wrong.
        """
        settings = self._settings
        resolver = await asyncio.to_thread(
            make or (lambda: open_resolver(settings.data, require_data=settings.require_data))
        )
        await asyncio.to_thread(warm, resolver)
        self.batcher.resolver = resolver
        await self._live.start()
        settle()
        await self._switched(resolver)
        for name in SERVED:
            await self._health.set(name, _SERVING)
        # Not before, as it would take a core from what must be ready first.
        if self.beside is not None:
            self.beside.process.start()
        if settings.data is not None:
            follower = Follower(settings.data, self.batcher, every_s=settings.follow_s, switched=self._switched)
            self._follower = asyncio.create_task(follower.run(resolver.reference.snapshot_id))
            self._follower.add_done_callback(_report)

    async def _switched(self, resolver: Resolver) -> None:
        """Tell the look-ups and the health names of the datasets which snapshot is in force."""
        reference = resolver.reference
        self._reference.reference = reference
        if self.beside is not None:
            self.beside.follow(reference.snapshot_id)
        for dataset in DATASETS:
            there = getattr(reference, dataset) is not None
            await self._health.set(f"locsvc.reference.{dataset}", _SERVING if there else _NOT_SERVING)

    async def _set_health(self, name: str, serves: bool) -> None:  # noqa: FBT001 - the word of the health service
        if not self._stopped:
            await self._health.set(name, _SERVING if serves else _NOT_SERVING)

    async def stop(self, *, drain_s: float | None = None) -> None:
        """Drain: NOT_SERVING, time for balancers to turn away, then time for what is under way."""
        if self._stopped:
            return
        self._stopped = True
        await self._health.enter_graceful_shutdown()
        log.info("draining", waiting=self.batcher.waiting + (self.beside.waiting if self.beside else 0))
        await asyncio.sleep(self._settings.drain_s if drain_s is None else drain_s)
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        # The port is closed to new requests first, so that who watches comes to another server and not back to this.
        stopping = asyncio.create_task(self.server.stop(self._settings.grace_s))
        await asyncio.sleep(0)
        self._live.end_streams()
        await stopping
        await self._live.close()
        if self.beside is not None:
            await self.beside.process.close()
        self.batcher.close()
        # What lived when the data was mapped is out of the collector's sight (`settle`), and servers are in circles.
        self._reference.reference = None
        log.info("stopped", resolved=self.batcher.resolved + (self.beside.resolved if self.beside else 0))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("follower_ended", error=type(error).__name__, remedy="restart to take a new snapshot")


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials:
    if settings.private_key is None or settings.certificate is None:
        raise ConfigError("TLS needs both the certificate and the private key; give both files or none")
    authority = None if settings.client_authority is None else read_pem(settings.client_authority)
    return grpc.ssl_server_credentials(
        [(read_pem(settings.private_key), read_pem(settings.certificate))],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


async def serve_here(
    settings: ServerSettings,
    *,
    share_port: bool = False,
    keeps_house: bool = True,
    ready: Callable[[int], None] | None = None,
    end: asyncio.Event | None = None,
) -> None:
    """Serve in this process until SIGTERM, SIGINT or `end`; `ready` hears the port when it says SERVING.

    Raises
    ------
    ConfigError
        When a setting is wrong or the address cannot be bound.
    DatasetError
        When the published snapshot is damaged, or there is none and one is required.
    """
    loop = asyncio.get_running_loop()
    asked = end or asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    server = LocationServer(settings, share_port=share_port, keeps_house=keeps_house)
    try:
        port = await server.listen()
        loading = asyncio.create_task(server.load())
        waiting = asyncio.create_task(asked.wait())
        await asyncio.wait((loading, waiting), return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            log.info("serving", port=port, tls=settings.tls)
            if ready is not None:
                ready(port)
            await waiting
        loading.cancel()
        waiting.cancel()
        await server.stop()
    except BaseException:
        await server.stop(drain_s=0.0)
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
