"""The commands' way to a running server; the only place here that knows its client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from locsvc.rpc.client import Client


def connect(target: str, *, authority: Path | None = None, insecure: bool = False, timeout_s: float = 10.0) -> Client:
    """A client of the server at `target` (`host:port`).

    Raises
    ------
    ConfigError
        The server is on another machine and there is no TLS.
    """
    from locsvc.rpc.client import Client, ClientSettings

    return Client(ClientSettings(target, timeout_s=timeout_s, authority=authority, insecure=insecure))


def as_json(response: object) -> dict[str, object]:
    """A reply in the proto3 JSON mapping with the contract's field names."""
    from google.protobuf.json_format import MessageToDict

    found: dict[str, object] = MessageToDict(response, preserving_proto_field_name=True)  # type: ignore[arg-type]
    return found
