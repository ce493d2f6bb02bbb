"""Messages of nobody: reserved networks and numbers, with the length that the standard asks for."""

from __future__ import annotations

from locsvc import model
from locsvc.formats.reading import Reading

IMSI, IMEI = "001011234567890", "001012345678905"
# 2025-07-17T14:19:35Z
NOON_S = 1752761975.0
PAIRS = {
    "lt": "+54.76397",
    "lg": "-0.18305",
    "rd": "50",
    "top": "20250717141935",
    "lc": "90",
    "pm": "W",
    "si": IMSI,
    "ei": IMEI,
    "mcc": "001",
    "mnc": "01",
}
FORM = {
    "v": "1",
    "emergency_number": "112",
    "source": "CALL",
    "time": "1752761970000",
    "location_latitude": "54.76397",
    "location_longitude": "-0.18305",
    "location_time": "1752761975000",
    "location_accuracy": "10.4",
    "location_source": "gps",
    "location_confidence": "0.83",
    "location_altitude": "57.5",
    "location_vertical_accuracy": "3",
    "location_floor": "2",
    "device_number": "%2B441632960123",
    "device_imsi": IMSI,
    "device_imei": IMEI,
    "cell_network_mcc": "001",
    "cell_network_mnc": "01",
}


def with_length(message: str) -> str:
    """The message with the pair that states its length."""
    length = len(message) + len(";ml=100")
    return f"{message};ml={length if length > 99 else length - 1}"


def text1(header: str = 'A"ML', /, **pairs: str | None) -> str:
    """A message of version 1; None leaves a pair out."""
    kept = {key: value for key, value in (PAIRS | pairs).items() if value is not None}
    stated = with_length(";".join(['A"ML=1', *(f"{key}={value}" for key, value in kept.items())]))
    return header + stated[len('A"ML') :]


def text2(**pairs: str | None) -> str:
    """A message of version 2."""
    given: dict[str, str | None] = {
        "en": "112",
        "et": "1752761970",
        "lo": "-37.42175,-122.08461,2000.1",
        "lt": "5",
        "lc": "68",
        "lz": "-100.1,100.1",
        "ls": "F",
        "ei": IMEI,
        "nc": "00101",
        "hc": "001001",
        "lg": "en-GB,fr",
    }
    return 'A"ML=2;' + ";".join(f"{key}={value}" for key, value in (given | pairs).items() if value is not None)


def form(**fields: str | None) -> str:
    """A form; values are encoded as they are given."""
    return "&".join(f"{name}={value}" for name, value in (FORM | fields).items() if value is not None)


def report(reading: Reading) -> model.DeviceReport:
    """The only device report of a reading."""
    (fix,) = (e.content for e in reading.evidence if isinstance(e.content, model.DeviceReport))
    return fix


def circle(reading: Reading) -> tuple[float, float, float]:
    """Latitude, longitude and radius of the fix."""
    shape = report(reading).shape
    assert isinstance(shape, model.Circle)
    return shape.center.latitude_deg, shape.center.longitude_deg, shape.radius_m


def warned(reading: Reading) -> set[str]:
    """Fields that are warned about."""
    return {warning.field for warning in reading.warnings}
