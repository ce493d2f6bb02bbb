"""The commands' way to a running server; the only place here that knows its client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from locsvc.cli.options import Common

if TYPE_CHECKING:
    from locsvc.calls.words import Update
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


def update_of(message: object) -> Update:
    """One message of a watched call in the model's words."""
    from locsvc.rpc.convert.updates import read_update

    return read_update(message)  # type: ignore[arg-type]


def look_up(
    common: Common,
    server: tuple[str | None, Path | None, bool],
    remotely: Callable[[Client], object],
    locally: Callable[[Path], dict[str, object]],
) -> dict[str, object]:
    """A reply in the JSON mapping, from a server when one is named, or else from the data directory.

    Parameters
    ----------
    server
        Target, authority and whether to speak without TLS, as the options give them.
    remotely, locally
        Ask a server; ask the data directory.

    Raises
    ------
    LocsvcError
        What either says.
    """
    target, authority, insecure = server
    if target is None:
        return locally(common.needed_data())
    with connect(target, authority=authority, insecure=insecure) as client:
        return as_json(remotely(client))
