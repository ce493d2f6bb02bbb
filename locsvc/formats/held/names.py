"""Names of HELD: namespaces, error codes, location types, and text made fit for XML."""

from __future__ import annotations

HELD = "urn:ietf:params:xml:ns:geopriv:held"
IDENTITY = "urn:ietf:params:xml:ns:geopriv:held:id"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

# RFC 5985 section 4.3.2 and, the last one, RFC 6155 section 6.1.
ERROR_CODES = (
    "requestError",
    "xmlError",
    "generalLisError",
    "locationUnknown",
    "unsupportedMessage",
    "timeout",
    "cannotProvideLiType",
    "notLocatable",
    "badIdentifier",
)
# RFC 5985 section 6.2.1.
LOCATION_TYPES = ("any", "geodetic", "civic", "locationURI")
# RFC 5985 section 6.1: instead of a time, what the location is for.
PURPOSES = ("emergencyRouting", "emergencyDispatch")
# Names of identifiers that name a person or handset for good; they are shown masked (RFC 6155 sections 3.4 to 3.7).
MASKED = frozenset({"imsi", "imei", "min", "duid"})
# Characters of a value that a warning or detail shows.
SHOWN = 80

# XML 1.0 has no way to write these characters (section 2.2).
_UNWRITABLE = {c: None for c in (*range(32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF) if c not in (9, 10, 13)}


def escaped(text: str) -> str:
    """The text as it stands in XML content or in an attribute in double quotes.

    >>> escaped('a<b & "c"')
    'a&lt;b &amp; &quot;c&quot;'
    """
    text = text.translate(_UNWRITABLE).replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
