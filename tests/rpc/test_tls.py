"""TLS and mutual TLS with real certificates, made by openssl; open addresses are refused without them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from locsvc import model
from locsvc.calls.journal import Journal
from locsvc.errors import ConfigError, Unavailable
from locsvc.rpc.client import Client, ClientSettings
from locsvc.rpc.server import LocationServer
from locsvc.rpc.settings import ServerSettings
from tests.rpc.watching import Caller, fix

# A refusal is UNAVAILABLE after some attempts with pauses between them. On a busy machine, where `localhost` is tried by
# [::1] first and then again by 127.0.0.1, a short deadline would end before them, as DEADLINE_EXCEEDED.
PATIENCE_S = 60.0


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem; server and client certificates by it; stranger.pem and stranger.key that nobody signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent: certificates for the TLS tests are made with it")
    folder = tmp_path_factory.mktemp("keys")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        openssl(
            folder, "req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
            "-subj", f"/CN=Test {name}",
        )  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2", "-extfile", "names",
        )  # fmt: skip
    return folder


@pytest.fixture
async def mutual(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[LocationServer]:
    """A server with TLS, mutual when the parameter says so."""
    authority = keys / "ca.pem" if request.param else None
    settings = ServerSettings(
        host="0.0.0.0",
        port=0,
        certificate=keys / "server.pem",
        private_key=keys / "server.key",
        client_authority=authority,
        drain_s=0.0,
    )
    server = LocationServer(settings)
    await server.listen()
    await server.load()
    yield server
    await server.stop()


async def resolved(settings: ClientSettings) -> model.Outcome:
    """The outcome of an empty call, asked by the blocking client from a thread."""
    import asyncio

    def ask() -> model.Outcome:
        with Client(settings) as client:
            return client.resolve(model.Call())[0].outcome

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize("mutual", [False], indirect=True)
async def test_tls(mutual: LocationServer, keys: Path) -> None:
    good = ClientSettings(f"localhost:{mutual.port}", timeout_s=PATIENCE_S, authority=keys / "ca.pem")
    assert await resolved(good) is model.Outcome.NO_LOCATION
    with pytest.raises(Unavailable):
        await resolved(replace(good, authority=keys / "stranger.pem"))
    with pytest.raises(Unavailable):
        await resolved(replace(good, authority=None))
    with pytest.raises(Unavailable):
        await resolved(replace(good, server_name="elsewhere.example"))


@pytest.mark.parametrize("mutual", [True], indirect=True)
async def test_mutual_tls(mutual: LocationServer, keys: Path) -> None:
    without = ClientSettings(f"localhost:{mutual.port}", timeout_s=PATIENCE_S, authority=keys / "ca.pem")
    good = replace(without, certificate=keys / "client.pem", private_key=keys / "client.key")
    assert await resolved(good) is model.Outcome.NO_LOCATION
    with pytest.raises(Unavailable):
        await resolved(without)
    with pytest.raises(Unavailable):
        await resolved(replace(good, certificate=keys / "stranger.pem", private_key=keys / "stranger.key"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_open_addresses_need_tls_or_the_word(host: str) -> None:
    with pytest.raises(ConfigError, match="--insecure"):
        ServerSettings(host=host).checked()
    assert ServerSettings(host=host, insecure=True).checked().host == host
    with pytest.raises(ConfigError, match="--insecure"):
        Client(ClientSettings(f"{host}:50051"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("127.0.0.1", "'127.0.0.1' does not name a port: give HOST:PORT, as 127.0.0.1:50051"),
        ("example.org", "as example.org:50051"),
        ("127.0.0.1:", "'127.0.0.1:' does not name a port: give HOST:PORT, as 127.0.0.1:50051"),
        ("localhost:grpc", "has no port from 1 to 65535: give HOST:PORT, as localhost:50051"),
        ("localhost:65536", "has no port from 1 to 65535"),
        ("::1", r"give HOST:PORT, as \[::1\]:50051"),
        ("[::1]", r"give HOST:PORT, as \[::1\]:50051"),
        (":50051", "does not name a host: give HOST:PORT, as 127.0.0.1:50051"),
        ("", "give HOST:PORT, as 127.0.0.1:50051"),
    ],
)
@pytest.mark.parametrize("insecure", [False, True])
def test_a_target_without_a_port_is_told_so(target: str, said: str, insecure: bool) -> None:
    with pytest.raises(ConfigError, match=said):
        Client(ClientSettings(target, insecure=insecure))


@pytest.mark.parametrize("target", ["127.0.0.1:50051", "[::1]:50051", "localhost:1"])
def test_a_target_on_this_machine_is_taken(target: str) -> None:
    Client(ClientSettings(target)).close()


@pytest.mark.parametrize("target", ["dns:///example.org", "unix:/run/locsvc.sock", "ipv6:[::1]:50051"])
def test_a_target_with_a_scheme_is_left_to_the_library(target: str) -> None:
    Client(ClientSettings(target, insecure=True)).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_neither(host: str) -> None:
    assert ServerSettings(host=host).checked().reflects


PEM = Path("some.pem")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ServerSettings(certificate=PEM), "both the certificate and the private key"),
        (ServerSettings(private_key=PEM), "both the certificate and the private key"),
        (ServerSettings(client_authority=PEM), "needs a certificate"),
        (ServerSettings(port=65536), "port must be from 0 to 65535"),
        (ServerSettings(workers=0), "workers must be"),
        (ServerSettings(max_message_bytes=0), "max_message_bytes must be"),
        (ServerSettings(max_waiting_batch_calls=999), "max_waiting_batch_calls must be from 1000"),
        (ServerSettings(fuse_at_most=0), "fuse_at_most must be"),
        (ServerSettings(drain_s=-1.0), "drain_s must be"),
        (ServerSettings(grace_s=float("nan")), "grace_s must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: ServerSettings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings.checked()


async def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    server = LocationServer(ServerSettings(port=0, certificate=missing, private_key=missing))
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        await server.listen()


async def test_the_audit_names_who_showed_a_certificate(keys: Path, tmp_path: Path) -> None:
    files = [(keys / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")]
    settings = ServerSettings(
        port=0,
        certificate=keys / "server.pem",
        private_key=keys / "server.key",
        client_authority=keys / "ca.pem",
        drain_s=0.0,
        journal=str(tmp_path / "calls.sqlite"),
    )
    server = LocationServer(settings)
    port = await server.listen()
    await server.load()
    # The address that is served, which the certificate names: `localhost` would be [::1] first, where nobody listens.
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*files)) as channel:
        caller = Caller(channel)
        await caller.add(fix(), call_id="c-1")
        await caller.get("c-1")
    await server.stop()
    journal = Journal.open(tmp_path / "calls.sqlite")
    assert [(look.who, look.method, look.call_id) for look in journal.audit()] == [("client", "GetCall", "c-1")]
    journal.close()
