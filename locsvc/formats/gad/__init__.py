"""GAD, the geographical area description of 3GPP: shapes, velocity, and their kin in ISUP and 5G.

`read` takes octets, their hex or base64 text, geodetic information of MAP or ISUP, or the JSON of the 5G core; `write`
gives octets, `write_json` the JSON.

References
----------
3GPP TS 23.032 (GAD), TS 29.572 and TS 29.571 (JSON), ITU-T Q.763 (ISUP).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from locsvc.formats.gad.coding import JSS7, STANDARD, Peer
from locsvc.formats.gad.isup import is_geodetic_information, read_geodetic_location
from locsvc.formats.gad.json_form import read_json
from locsvc.formats.gad.json_writing import write_json
from locsvc.formats.gad.messages import BER_OCTETS, octets_or_json
from locsvc.formats.gad.octets import is_whole, read_octets
from locsvc.formats.gad.velocity import Velocity, read_velocity, write_velocity
from locsvc.formats.gad.writing import write, write_geodetic_information, write_geographical_information
from locsvc.formats.reading import FormatWarning, Reading

__all__ = [
    "JSS7",
    "STANDARD",
    "Peer",
    "Velocity",
    "read",
    "read_velocity",
    "write",
    "write_geodetic_information",
    "write_geographical_information",
    "write_json",
    "write_velocity",
]


def read(
    message: bytes | str,
    *,
    arrived_at: float | None = None,
    peer: Peer = STANDARD,
    layout: Literal["gad", "isup"] = "gad",
) -> Reading:
    """What a shape says.

    Parameters
    ----------
    message
        Octets, hex or base64 text of TS 23.032; 10 octets of geodetic information; or JSON of TS 29.572 or 29.571.
    arrived_at
        When it came, Unix seconds: JSON states an age in minutes.
    peer
        How the sender deviates from the standard.
    layout
        "isup" reads octets as a calling geodetic location of Q.763, whose shapes are numbered otherwise.

    Raises
    ------
    Unreadable
        The shape is unknown, or ends before its position does.

    >>> read("1020b60c1dddde28").evidence[0].content.shape.radius_m
    442.59...
    """
    octets = octets_or_json(message)
    if isinstance(octets, str):
        return read_json(octets, arrived_at=arrived_at, peer=peer)
    if layout == "isup":
        return read_geodetic_location(octets, peer)
    if is_whole(octets):
        return read_octets(octets, peer)
    if len(octets) > BER_OCTETS and octets[1] == len(octets) - BER_OCTETS and is_whole(octets[BER_OCTETS:]):
        inner = read_octets(octets[BER_OCTETS:], peer)
        told = FormatWarning("octets", octets[:BER_OCTETS].hex(), "a BER tag and length stand in front; skipped")
        return dataclasses.replace(inner, warnings=(told, *inner.warnings))
    return read_geodetic_location(octets, peer) if is_geodetic_information(octets) else read_octets(octets, peer)
