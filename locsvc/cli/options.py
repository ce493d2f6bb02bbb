"""Options that commands share, and the forms in which places, cells and times are written on the command line."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import click

from locsvc import model

_Function = TypeVar("_Function", bound=Callable[..., object])
DATA_VARIABLE = "LOCSVC_DATA"


@dataclass(slots=True)
class Common:
    """What may be said before the command's name or after it."""

    data: Path | None = None
    as_json: bool = False
    debug: bool = False

    def data_directory(self) -> Path | None:
        """The data directory: the option's, or else the environment's; None when neither is given."""
        if self.data is not None:
            return self.data
        given = os.environ.get(DATA_VARIABLE)
        return Path(given) if given else None

    def needed_data(self) -> Path:
        """The data directory.

        Raises
        ------
        click.UsageError
            None is given.
        """
        data = self.data_directory()
        if data is None:
            raise click.UsageError(f"where is the reference data? give --data DIR or set {DATA_VARIABLE}")
        return data


def _keep(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    if value and parameter.name is not None:
        setattr(ctx.ensure_object(Common), parameter.name, value)


def json_option(function: _Function) -> _Function:
    """Add `--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, expose_value=False, callback=_keep, help="Write JSON to stdout."
    )(function)


def debug_option(function: _Function) -> _Function:
    """Add `--debug`."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_keep,
        help="Show the traceback of an error.",
    )(function)


def data_option(function: _Function) -> _Function:
    """Add `--data`."""
    return click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_keep,
        help=f"Directory of the reference data; else that in {DATA_VARIABLE}.",
    )(function)


def common_options(function: _Function) -> _Function:
    """Add `--data`, `--json` and `--debug`."""
    return data_option(json_option(debug_option(function)))


def number_of(text: str, what: str) -> float:
    """The number that the text holds.

    Raises
    ------
    click.BadParameter
        It is none.
    """
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{what} {text!r} is not a number") from None


class PlaceType(click.ParamType):  # type: ignore[type-arg]  # not generic in click 8.1
    """`LAT,LON` in degrees."""

    name = "LAT,LON"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> model.LatLng:
        """The place."""
        if isinstance(value, model.LatLng):
            return value
        parts = str(value).split(",")
        if len(parts) != 2:
            self.fail(f"{value!r} is not a place: write latitude and longitude, as 52.4677,-8.3347", param, ctx)
        return place_of(parts[0], parts[1])


def place_of(latitude: str, longitude: str) -> model.LatLng:
    """The place that two texts name.

    Raises
    ------
    click.BadParameter
        One is no number or out of its range.
    """
    place = model.LatLng(number_of(latitude, "latitude"), number_of(longitude, "longitude"))
    if not -90 <= place.latitude_deg <= 90:
        raise click.BadParameter(f"latitude {latitude} is outside -90 to 90; latitude comes first")
    if not -180 <= place.longitude_deg <= 180:
        raise click.BadParameter(f"longitude {longitude} is outside -180 to 180")
    return place


_RADIOS = {
    "GSM": model.Radio.GSM,
    "2G": model.Radio.GSM,
    "UMTS": model.Radio.UMTS,
    "WCDMA": model.Radio.UMTS,
    "3G": model.Radio.UMTS,
    "LTE": model.Radio.LTE,
    "4G": model.Radio.LTE,
    "NR": model.Radio.NR,
    "5G": model.Radio.NR,
}


class CellType(click.ParamType):  # type: ignore[type-arg]  # not generic in click 8.1
    """`RADIO,MCC,MNC,AREA,CELL` and then `key=value` for what was measured."""

    name = "RADIO,MCC,MNC,AREA,CELL"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> model.CellMeasurement:
        """The cell; AREA and CELL may be empty."""
        if isinstance(value, model.CellMeasurement):
            return value
        plain = [part.strip() for part in str(value).split(",") if "=" not in part]
        more = dict(part.strip().split("=", 1) for part in str(value).split(",") if "=" in part)
        if not 3 <= len(plain) <= 5 or plain[0].upper() not in _RADIOS:
            self.fail(
                f"{value!r} is not a cell: write RADIO,MCC,MNC,AREA,CELL, as LTE,272,05,42300,237575"
                " (radio GSM, UMTS, LTE or NR; AREA and CELL may be empty)",
                param,
                ctx,
            )
        known = {"pci", "arfcn", "signal", "quality", "ta"}
        if not set(more) <= known:
            self.fail(
                f"{min(set(more) - known)!r} is not known; after the cell come pci=, arfcn=, signal=, quality=, ta="
            )
        area, cell = (*plain[3:], "", "")[:2]
        return model.CellMeasurement(
            _RADIOS[plain[0].upper()],
            plain[1],
            plain[2],
            _whole(area, "area"),
            _whole(cell, "cell"),
            _whole(more.get("pci", ""), "pci"),
            _whole(more.get("arfcn", ""), "arfcn"),
            number_of(more["signal"], "signal") if "signal" in more else None,
            number_of(more["quality"], "quality") if "quality" in more else None,
            _whole(more.get("ta", ""), "ta"),
        )


def _whole(text: str, what: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{what} {text!r} is not a whole number")
    return int(text)


class DeviceType(click.ParamType):  # type: ignore[type-arg]  # not generic in click 8.1
    """`LAT,LON,RADIUS` and then `confidence=`, `method=` and `platform=`."""

    name = "LAT,LON,RADIUS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> model.DeviceReport:
        """The report; without RADIUS its uncertainty is unknown."""
        if isinstance(value, model.DeviceReport):
            return value
        plain = [part.strip() for part in str(value).split(",") if "=" not in part]
        more = dict(part.strip().split("=", 1) for part in str(value).split(",") if "=" in part)
        if not 2 <= len(plain) <= 3:
            self.fail(f"{value!r} is not a report: write LAT,LON,RADIUS, as 52.4677,-8.3347,30", param, ctx)
        if not set(more) <= {"confidence", "method", "platform"}:
            self.fail(f"{value!r}: after the radius come confidence=, method= and platform=", param, ctx)
        chosen = {}
        for key, members in (
            ("method", model.PositioningMethod.__members__),
            ("platform", model.Platform.__members__),
        ):
            chosen[key] = more.get(key, "unspecified").upper()
            if chosen[key] not in members:
                names = ", ".join(name.lower() for name in members)
                self.fail(f"{key} {chosen[key].lower()!r} is none of {names}", param, ctx)
        place = place_of(plain[0], plain[1])
        shape = model.Circle(place, number_of(plain[2], "radius")) if len(plain) > 2 else model.Point(place)
        confidence = number_of(more["confidence"], "confidence") if "confidence" in more else None
        return model.DeviceReport(
            shape,
            confidence,
            model.PositioningMethod[chosen["method"]],
            platform=model.Platform[chosen["platform"]],
        )


class ConfidenceType(click.ParamType):  # type: ignore[type-arg]  # not generic in click 8.1
    """A probability, 0.5 to 0.999."""

    name = "P"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The confidence as a fraction."""
        confidence = number_of(str(value), "confidence")
        if not 0.5 <= confidence <= 0.999:
            hint = f"; for {confidence:g} % write {confidence / 100:g}" if 1 < confidence < 100 else ""
            self.fail(f"{confidence:g} is outside 0.5 to 0.999{hint}", param, ctx)
        return confidence


class FiniteRange(click.FloatRange):
    """A number within a range, which NaN is not."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = float(super().convert(cast("float", value), param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


class TimeType(click.ParamType):  # type: ignore[type-arg]  # not generic in click 8.1
    """A time, RFC 3339."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds since the Unix epoch."""
        from locsvc.formats.spelling import timestamp_seconds

        if isinstance(value, float):
            return value
        try:
            return timestamp_seconds(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


PLACE, CELL, DEVICE, CONFIDENCE, TIME = PlaceType(), CellType(), DeviceType(), ConfidenceType(), TimeType()
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
