"""Messages of the field by the name of their format: which there are, and the reading of one.

The reader of a format is imported when its first message comes, so that the names cost nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol, cast

from locsvc.formats.ranges import MAX_RAW_BYTES
from locsvc.formats.reading import Reading, Unreadable


class Reader(Protocol):
    """What every format's module offers as `read`."""

    def __call__(self, message: bytes | str, *, arrived_at: float | None = None) -> Reading:
        """What the message says.

        Raises
        ------
        Unreadable
            Nothing of it can be understood.
        """
        ...


# Name of the format in the contract and on the command line -> module under `locsvc.formats`.
_MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aml": "aml",
        "pidf-lo": "pidf_lo",
        "held": "held",
        "sip": "sip",
        "gad": "gad",
        "ali": "ali",
        "mlp": "mlp",
        "access-network": "access_network",
        "rfc7105": "measurements",
    }
)
FORMATS: Final = tuple(_MODULES)

_loaded: dict[str, Reader] = {}


def reader_of(name: str) -> Reader:
    """The reader of a format, imported when it is first asked for.

    Raises
    ------
    KeyError
        There is no such format.
    """
    reader = _loaded.get(name)
    if reader is None:
        module = importlib.import_module(f"locsvc.formats.{_MODULES[name]}")
        reader = _loaded[name] = cast("Reader", module.read)
    return reader


def read(name: str, message: bytes | str, *, arrived_at: float | None = None) -> Reading:
    """What a message of the named format says.

    Parameters
    ----------
    name
        One of FORMATS.
    message
        As it came.
    arrived_at
        When it came, Unix seconds: the "now" of formats whose times lack a year or a day.

    Raises
    ------
    Unreadable
        There is no such format, the message is empty or too long, or nothing of it can be understood.
    """
    if name not in _MODULES:
        raise Unreadable(f"format {name[:40]!r} is none of {', '.join(FORMATS)}")
    if len(message) > MAX_RAW_BYTES:
        raise Unreadable(f"the message has {len(message):,} bytes; at most {MAX_RAW_BYTES:,} are read")
    if not message.strip():
        raise Unreadable("the message is empty")
    return reader_of(name)(message, arrived_at=arrived_at)
