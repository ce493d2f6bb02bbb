"""How fast and where to, as GAD carries it.

References
----------
3GPP TS 23.032 clause 8. Uncertainty 255 means that none is known (that meaning was not read in the standard itself).
"""

from __future__ import annotations

from dataclasses import dataclass

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.reading import Unreadable

UNKNOWN_UNCERTAINTY = 255
# Type -> octets: horizontal; with vertical; with uncertainty; with both.
_LENGTHS = (4, 5, 5, 7)
_LIMITS = {
    "bearing_deg": 359,
    "speed_kmh": 65_535,
    "vertical_kmh": 255,
    "uncertainty_kmh": 254,
    "vertical_uncertainty_kmh": 254,
}


@dataclass(frozen=True, slots=True)
class Velocity:
    """A velocity; the bearing is degrees clockwise from north, vertical speed above 0 goes up."""

    bearing_deg: int
    speed_kmh: int
    vertical_kmh: int | None = None
    uncertainty_kmh: int | None = None
    vertical_uncertainty_kmh: int | None = None


def read_velocity(octets: bytes) -> Velocity:
    """The velocity in 4 to 7 octets.

    Raises
    ------
    Unreadable
        The type is unknown, or octets are missing.

    >>> read_velocity(bytes.fromhex("112c2710c8"))
    Velocity(bearing_deg=300, speed_kmh=10000, vertical_kmh=200, uncertainty_kmh=None, vertical_uncertainty_kmh=None)
    """
    kind = octets[0] >> 4 if octets else 0
    if kind > 3:
        raise Unreadable(f"GAD velocity type {kind} is unknown; known are 0 to 3")
    if len(octets) < _LENGTHS[kind]:
        raise Unreadable(f"GAD velocity of type {kind} has {_LENGTHS[kind]} octets, not {len(octets)}")
    bearing = (octets[0] & 1) << 8 | octets[1]
    vertical = None
    if kind & 1:
        vertical = -octets[4] if octets[0] & 2 else octets[4]
    known = [None if octet == UNKNOWN_UNCERTAINTY else octet for octet in octets[4 + (kind & 1) : _LENGTHS[kind]]]
    return Velocity(
        bearing % 360,
        octets[2] << 8 | octets[3],
        vertical,
        known[0] if kind >= 2 else None,
        known[1] if kind == 3 else None,
    )


def write_velocity(velocity: Velocity) -> bytes:
    """The octets of a velocity, of the shortest type that carries all that is known of it.

    Raises
    ------
    InvalidInput
        A speed, bearing or uncertainty is beyond what its octets can carry.

    >>> write_velocity(Velocity(90, 59)).hex()
    '005a003b'
    """
    wrong = [
        FieldViolation(name, f"{value} is beyond {limit}; give it in whole units within that")
        for name, limit in _LIMITS.items()
        if (value := getattr(velocity, name)) is not None
        and not (-limit if name == "vertical_kmh" else 0) <= value <= limit
    ]
    if wrong:
        raise InvalidInput(wrong)
    vertical = velocity.vertical_kmh
    measured = velocity.uncertainty_kmh is not None or velocity.vertical_uncertainty_kmh is not None
    kind = (vertical is not None) + 2 * measured
    down = vertical is not None and vertical < 0
    octets = [kind << 4 | down << 1 | velocity.bearing_deg >> 8, velocity.bearing_deg & 255]
    octets += velocity.speed_kmh.to_bytes(2, "big")
    if vertical is not None:
        octets.append(abs(vertical))
    if measured:
        octets.append(UNKNOWN_UNCERTAINTY if velocity.uncertainty_kmh is None else velocity.uncertainty_kmh)
    if measured and vertical is not None:
        given = velocity.vertical_uncertainty_kmh
        octets.append(UNKNOWN_UNCERTAINTY if given is None else given)
    return bytes(octets)
