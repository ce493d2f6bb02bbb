"""Pieces of evidence as their senders write them: fields of the contract, or messages of the field.

Subscriber and handset identities are of the network 001-01 and of no handset (3GPP TS 23.003, reserved for tests).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from locsvc.evaluate.capture.drawing import Fix, Piece
from locsvc.formats import gad, held, pidf_lo
from locsvc.model import (
    CellMeasurement,
    CellScan,
    Circle,
    DeviceReport,
    Evidence,
    PositioningMethod,
    Radio,
    RawMessage,
)

_IMSI, _IMEI = "001010123456789", "001012345678905"
_AML_METHOD = {PositioningMethod.GNSS: "G", PositioningMethod.WIFI: "W", PositioningMethod.CELL: "C"}
_ELS_METHOD = {PositioningMethod.GNSS: "gps", PositioningMethod.WIFI: "wifi", PositioningMethod.CELL: "cell"}
_PIDF_METHOD = {PositioningMethod.WIFI: "802.11", PositioningMethod.GNSS: "GPS", PositioningMethod.NETWORK: "TDOA"}
# Access type and hexadecimal digits of area and cell: 3GPP TS 24.229 clause 7.2A.4.
_ACCESS = {
    Radio.GSM: ("3GPP-GERAN; cgi-3gpp", 4, 4),
    Radio.UMTS: ("3GPP-UTRAN-FDD; utran-cell-id-3gpp", 4, 7),
    Radio.LTE: ("3GPP-E-UTRAN-FDD; utran-cell-id-3gpp", 4, 7),
    Radio.NR: ("3GPP-NR-FDD; utran-cell-id-3gpp", 6, 9),
}


def evidence_of(piece: Piece, started_at: float, speed: float = 1.0) -> Evidence:
    """The piece as its sender sends it in a call that began at `started_at`, Unix seconds.

    Parameters
    ----------
    speed
        How many seconds of the scenario are played in one; the age of an old fix is what it is.
    """
    at = started_at + piece.true_s / speed - (piece.content.age_s if isinstance(piece.content, Fix) else 0.0)
    content = piece.content
    if isinstance(content, Fix):
        return Evidence(_report(content, piece.form, at), piece.name, piece.source, at)
    if isinstance(content, CellScan) and content.serving is not None:
        text = _cell_text(content.serving, piece.form)
        if text is not None:
            raw = RawMessage(piece.form, text.encode())
            return Evidence(DeviceReport(raw=raw), piece.name, piece.source, at)
    return Evidence(content, piece.name, piece.source, at)


def _report(fix: Fix, form: str, at: float) -> DeviceReport:
    writer = _WRITERS.get(form)
    if writer is not None:
        return DeviceReport(raw=RawMessage(*writer(fix, at)))
    return DeviceReport(Circle(fix.place, fix.radius_m), fix.confidence, fix.method, platform=fix.platform)


def _utc(at: float, form: str) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime(form)


def _aml(fix: Fix, at: float) -> tuple[str, bytes]:
    """ETSI TS 103 625, text message: `ml` is its length."""
    text = (
        f'A"ML=1;lt={fix.place.latitude_deg:+09.5f};lg={fix.place.longitude_deg:+010.5f};rd={round(fix.radius_m)}'
        f";top={_utc(at, '%Y%m%d%H%M%S')};lc={round(100 * fix.confidence)};pm={_AML_METHOD.get(fix.method, 'N')}"
        f";si={_IMSI};ei={_IMEI};mcc=001;mnc=01;ml="
    )
    return "aml", f"{text}{len(text) + 3}".encode()


def _els(fix: Fix, at: float) -> tuple[str, bytes]:
    fields = {
        "v": "1", "emergency_number": "112", "source": "CALL", "time": str(int(1000 * at)),
        "location_latitude": f"{fix.place.latitude_deg:.6f}", "location_longitude": f"{fix.place.longitude_deg:.6f}",
        "location_time": str(int(1000 * at)), "location_accuracy": f"{fix.radius_m:.1f}",
        "location_confidence": "0.6827", "location_source": _ELS_METHOD.get(fix.method, "unknown"),
        "device_imsi": _IMSI, "device_imei": _IMEI,
    }  # fmt: skip
    return "aml", urlencode(fields).encode()


def _pidf(fix: Fix, at: float) -> tuple[str, bytes]:
    method = _PIDF_METHOD.get(fix.method, "")
    shape = Circle(fix.place, fix.radius_m)
    return "pidf-lo", pidf_lo.write(shape, confidence=fix.confidence, method=method, timestamp=at)


def _held(fix: Fix, at: float) -> tuple[str, bytes]:
    return "held", held.write_response(_pidf(fix, at)[1])


def _sip(fix: Fix, at: float) -> tuple[str, bytes]:
    """RFC 6442: the location by value, behind the description of the session."""
    parts = (
        "--sent\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--sent\r\nContent-Type: application/pidf+xml\r\n"
        "Content-ID: <here@example.com>\r\n\r\n"
    )
    body = parts.encode() + _pidf(fix, at)[1] + b"\r\n--sent--\r\n"
    head = (
        "INVITE urn:service:sos SIP/2.0\r\nGeolocation: <cid:here@example.com>\r\nGeolocation-Routing: yes\r\n"
        f"Content-Type: multipart/mixed; boundary=sent\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return "sip", head.encode() + body


def _gad(fix: Fix, at: float) -> tuple[str, bytes]:
    """An ellipse of equal axes, as a circle of GAD carries no confidence (3GPP TS 23.032)."""
    del at
    shape = Circle(fix.place, fix.radius_m)
    return "gad", gad.write(shape, confidence=fix.confidence, state_confidence=True).hex().encode()


def _mlp(fix: Fix, at: float) -> tuple[str, bytes]:
    north, east = fix.place.latitude_deg, fix.place.longitude_deg
    return "mlp", (
        '<svc_result ver="3.5.0"><slia ver="3.5.0"><pos><msid type="MSISDN">447700900000</msid><pd>'
        f'<time utc_off="+0000">{_utc(at, "%Y%m%d%H%M%S")}</time><shape><CircularArea srsName="www.epsg.org#4326">'
        f"<coord><X>{_sexagesimal(north, 'NS')}</X><Y>{_sexagesimal(east, 'EW')}</Y></coord>"
        f"<radius>{round(fix.radius_m)}</radius></CircularArea></shape></pd></pos></slia></svc_result>"
    ).encode()


def _sexagesimal(degrees: float, sides: str) -> str:
    """Degrees, minutes and seconds as MLP writes them.

    >>> _sexagesimal(-2.5125, "EW")
    '2 30 45.00W'
    """
    hundredths = round(abs(degrees) * 360_000)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60} {minutes % 60:02d} {rest / 100:05.2f}{sides[degrees < 0]}"


def _ali(fix: Fix, at: float) -> tuple[str, bytes]:
    """A display of a wireless call of phase II, in the layout of `data/messages/ali.txt`."""
    north, east = fix.place.latitude_deg, fix.place.longitude_deg
    lines = (
        "2126", f"(719) 555-0128 WPH2 {_utc(at, '%m/%d %H:%M')}", "EXAMPLE WIRELESS            ",
        "      3690       P#719-555-0128", "   MILL LANE - N Sector", "                    ",
        "CALLBK=(719)555-0125  262 00311", "CO TESTHAM                     ", "                  TEL=XXMO",
        f"{north:+011.6f}  {east:+012.6f}  {round(fix.radius_m):5d} ", "PSAP=TESTHAM", "VERIFY PD", "VERIFY FD",
        "VERIFY EMS",
    )  # fmt: skip
    return "ali", "\x02{}\x03".format("\r\n".join(lines)).encode()


_WRITERS: Mapping[str, Callable[[Fix, float], tuple[str, bytes]]] = {
    "aml": _aml,
    "els": _els,
    "pidf-lo": _pidf,
    "held": _held,
    "sip": _sip,
    "gad": _gad,
    "mlp": _mlp,
    "ali": _ali,
}
FIX_FORMS = tuple(_WRITERS)


def _cell_text(cell: CellMeasurement, form: str) -> str | None:
    """The cell as a message; None where the form has no way to write it."""
    if cell.cell is None:
        return None
    if form == "access-network" and cell.area is not None and cell.radio in _ACCESS:
        access, of_area, of_cell = _ACCESS[cell.radio]
        return f"{access}={cell.mcc}{cell.mnc}{cell.area:0{of_area}X}{cell.cell:0{of_cell}X}"
    if form == "rfc7105" and cell.radio == Radio.LTE:
        return (
            '<lm:measurements xmlns:lm="urn:ietf:params:xml:ns:geopriv:lm"><lm:cellular><lm:servingCell>'
            f"<lm:mcc>{cell.mcc}</lm:mcc><lm:mnc>{cell.mnc}</lm:mnc><lm:eucid>{cell.cell}</lm:eucid>"
            "</lm:servingCell></lm:cellular></lm:measurements>"
        )
    return None


__all__ = ["FIX_FORMS", "evidence_of"]
