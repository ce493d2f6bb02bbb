"""Numbers of GAD as octets carry them: positions, uncertainties, altitudes, angles.

References
----------
3GPP TS 23.032 clause 6. A coded number N stands for the range from N to N + 1 steps; it is read as the lower edge,
towards the equator for latitudes and towards the west for longitudes, as most of the field does.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

LATITUDE_STEP_DEG = 90 / 2**23
LONGITUDE_STEP_DEG = 360 / 2**24
HIGH_LATITUDE_STEP_DEG = 90 / 2**31
HIGH_LONGITUDE_STEP_DEG = 180 / 2**31
INNER_RADIUS_STEP_M = 5
ANGLE_STEP_DEG = 2
HIGH_ALTITUDE_STEP_M = 2**-7
GREATEST_ALTITUDE_M = 32_767
GREATEST_INNER_RADIUS_M = 327_675
# A degree of latitude is nowhere longer than at the poles, and a degree of longitude never longer than this times the
# cosine of the latitude: a^2 / b * pi / 180 on WGS84.
GREATEST_DEGREE_M = 111_694.0
# A number that was read and is written again lands a few units of the last bit below its step.
_SLACK = 1e-6


def _table(c_m: float, x: float, codes: int) -> tuple[float, ...]:
    """Uncertainty of each code K, metres: C ((1 + x)^K - 1)."""
    return tuple(c_m * ((1 + x) ** k - 1) for k in range(codes))


# Clause 6.2; 127 stands for 1,806,627 m.
UNCERTAINTY_M = _table(10.0, 0.1, 128)
# Clause 6.4; 127 stands for 990.5 m.
ALTITUDE_UNCERTAINTY_M = _table(45.0, 0.025, 128)
# Clause 6.2a, of widths and heights; 255 stands for 46.5 m.
HIGH_UNCERTAINTY_M = _table(0.3, 0.02, 256)
# Clause 6.2b; 253 stands for 195 m, 254 and 255 are reserved. The constants were not read in the standard itself.
EXTENDED_UNCERTAINTY_M = _table(0.3, 0.02594, 254)


@dataclass(frozen=True, slots=True)
class Peer:
    """How one sender's GAD differs from the standard.

    orientation_unit_deg
        Degrees that a step of the orientation stands for: 1 in the standard, 2 in jss7 and what was built on it.
    inner_radius_unit_m
        Metres that a step of an arc's inner radius stands for: 5 in the standard, 1 in jss7.
    altitude_as_width
        Whether altitude uncertainty is coded like a width (C = 10, x = 0.1), as jss7 does.
    circle_confidence
        Confidence of a circle, which carries none: a fraction, None when it is not known. Commonly 0.68; 0.67 in older
        networks of the United States; 0.39 where the radius is one sigma.
    """

    orientation_unit_deg: int = 1
    inner_radius_unit_m: int = INNER_RADIUS_STEP_M
    altitude_as_width: bool = False
    circle_confidence: float | None = None


STANDARD = Peer()
JSS7 = Peer(orientation_unit_deg=2, inner_radius_unit_m=1, altitude_as_width=True)


def latitude_of(octets: bytes) -> float:
    """Latitude in three octets, degrees: a sign and 23 bits.

    >>> latitude_of(bytes.fromhex("20b60c")), latitude_of(bytes.fromhex("800000"))
    (23.0000..., 0.0)
    """
    n = int.from_bytes(octets, "big")
    return n * LATITUDE_STEP_DEG if n < 0x800000 else (0x800000 - n) * LATITUDE_STEP_DEG


def longitude_of(octets: bytes) -> float:
    """Longitude in three octets, degrees: two's complement.

    >>> longitude_of(bytes.fromhex("800000"))
    -180.0
    """
    n = int.from_bytes(octets, "big")
    return (n if n < 0x800000 else n - 0x1000000) * LONGITUDE_STEP_DEG


def code_of(table: tuple[float, ...], length_m: float) -> int | None:
    """The least code that stands for `length_m` or more, None when the table ends below it; never 0, "unknown".

    >>> code_of(UNCERTAINTY_M, 10.0), code_of(UNCERTAINTY_M, 9.4871), code_of(UNCERTAINTY_M, 2e6)
    (8, 7, None)
    """
    # A length that was read and is written again is a few units of the last bit off: a nanometre is no length.
    code = bisect_left(table, length_m * (1 - 1e-12) - 1e-9, lo=1)
    return code if code < len(table) else None


def latitude_number(latitude_deg: float) -> int:
    """The 24 bits of a latitude: its sign and the whole steps of its size.

    >>> hex(latitude_number(-65.0)), hex(latitude_number(90.0))
    ('0xdc71c7', '0x7fffff')
    """
    n = min(0x7FFFFF, int(abs(latitude_deg) / LATITUDE_STEP_DEG + _SLACK))
    return n | 0x800000 if latitude_deg < 0 and n else n


def longitude_number(longitude_deg: float) -> int:
    """The whole steps of a longitude, -2^23 to 2^23 - 1.

    >>> longitude_number(-180.0), longitude_number(180.0)
    (-8388608, 8388607)
    """
    return min(0x7FFFFF, math.floor(longitude_deg / LONGITUDE_STEP_DEG + _SLACK))


def moved_m(latitude_deg: float, longitude_deg: float, to_latitude_deg: float, to_longitude_deg: float) -> float:
    """At most how far the second place is from the first, metres; for places a few steps apart.

    >>> round(moved_m(52.0, 13.0, 52.0, 13.00001), 2)
    0.69
    """
    nearest_equator = min(abs(latitude_deg), abs(to_latitude_deg))
    north = latitude_deg - to_latitude_deg
    east = (longitude_deg - to_longitude_deg) * math.cos(math.radians(nearest_equator))
    return math.hypot(north, east) * GREATEST_DEGREE_M
