"""Answers of HELD as documents: a location by value, by reference, or an error.

References
----------
RFC 5985 sections 5.3, 5.4 and 7 (schema: locationUriSet before presence).
"""

from __future__ import annotations

from collections.abc import Sequence

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.held.names import ERROR_CODES, HELD, IDENTITY, escaped
from locsvc.formats.spelling import timestamp_text

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def write_response(
    presence: bytes = b"", *, location_uris: Sequence[str] = (), expires_at: float | None = None
) -> bytes:
    """The document of a locationResponse.

    Parameters
    ----------
    presence
        A PIDF-LO document, as `pidf_lo.write` gives it; empty for a location by reference only.
    location_uris
        References to the location.
    expires_at
        When the references end, Unix seconds; needed with them.

    Raises
    ------
    InvalidInput
        There is neither a location nor a reference, or references without an end.
    """
    if not presence and not location_uris:
        raise InvalidInput([FieldViolation("presence", "is empty, and so is location_uris: write an error instead")])
    if location_uris and expires_at is None:
        raise InvalidInput([FieldViolation("expires_at", "is needed with location_uris")])
    uris = "".join(f"<locationURI>{escaped(uri)}</locationURI>" for uri in location_uris)
    if location_uris and expires_at is not None:
        uris = f'<locationUriSet expires="{timestamp_text(expires_at)}">{uris}</locationUriSet>'
    text = presence.decode("utf-8")
    # A document within another has no declaration of its own.
    inner = text.partition("?>")[2].strip() if text.startswith("<?xml") else text.strip()
    return f'{_DECLARATION}<locationResponse xmlns="{HELD}">{uris}{inner}</locationResponse>\n'.encode()


def write_error(code: str, message: str = "", *, language: str = "en", required: Sequence[str] = ()) -> bytes:
    """The document of an error.

    Parameters
    ----------
    code
        One of ERROR_CODES.
    message, language
        Words for a person, and their language.
    required
        Names of the identifiers that a request must have, with code `badIdentifier`.

    Raises
    ------
    InvalidInput
        The code is none of HELD.

    >>> write_error("timeout").decode().splitlines()[1]
    '<error xmlns="urn:ietf:params:xml:ns:geopriv:held" code="timeout"></error>'
    """
    if code not in ERROR_CODES:
        raise InvalidInput([FieldViolation("code", f"{code[:40]!r} is none of {', '.join(ERROR_CODES)}")])
    words = f'<message xml:lang="{escaped(language)}">{escaped(message)}</message>' if message else ""
    named = ""
    if required:
        named = f'<requiredIdentifiers xmlns="{IDENTITY}">{escaped(" ".join(required))}</requiredIdentifiers>'
    return f'{_DECLARATION}<error xmlns="{HELD}" code="{code}">{words}{named}</error>\n'.encode()
