"""How the proto3 JSON mapping spells names, enums and times."""

from __future__ import annotations

import datetime as dt
import enum
import re

_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def snake(name: str) -> str:
    """`CellScan` as `cell_scan`.

    >>> snake("CellScan"), snake("ArcBand")
    ('cell_scan', 'arc_band')
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """`call_id` as `callId`, the other spelling that a reader must take.

    >>> camel("phase1_radius_m")
    'phase1RadiusM'
    """
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def enum_name(value: enum.IntEnum) -> str:
    """The contract's name of an enum's value.

    >>> from locsvc import model
    >>> enum_name(model.PositioningMethod.GNSS)
    'POSITIONING_METHOD_GNSS'
    """
    return f"{snake(type(value).__name__).upper()}_{value.name}"


def enum_word(value: enum.IntEnum) -> str:
    """The value's name in lower-case words, for a person.

    >>> from locsvc import model
    >>> enum_word(model.Disposition.SET_ASIDE)
    'set aside'
    """
    return value.name.lower().replace("_", " ")


def timestamp_text(time_s: float) -> str:
    """Seconds since the Unix epoch as RFC 3339 in UTC, to the microsecond, with 0, 3 or 6 decimals.

    >>> timestamp_text(1.5), timestamp_text(1700000000.0)
    ('1970-01-01T00:00:01.500Z', '2023-11-14T22:13:20Z')
    """
    micros = round(time_s * 1e6)
    whole, rest = divmod(micros, 1_000_000)
    # Added to the epoch: fromtimestamp() refuses times before 1970 on some systems.
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=whole)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    if rest == 0:
        return text + "Z"
    return f"{text}.{rest // 1000:03d}Z" if rest % 1000 == 0 else f"{text}.{rest:06d}Z"


def timestamp_seconds(text: str) -> float:
    """RFC 3339 as seconds since the Unix epoch.

    >>> timestamp_seconds("2023-11-14T23:13:20.25+01:00")
    1700000000.25

    Raises
    ------
    ValueError
        It is not RFC 3339.
    """
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise ValueError("is not a time: write it as 2026-11-21T22:15:00Z")
    day, clock, fraction, zone = found.groups()
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        raise ValueError("is not a time: there is no such day or hour") from None
    # One division of whole numbers: the nearest float, as a sum of two floats would not always be.
    digits = fraction or ""
    unit: int = 10 ** len(digits)
    return (int(moment.timestamp()) * unit + int(digits or "0")) / unit
