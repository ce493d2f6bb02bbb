"""Answers of HELD: locations by value and by reference, fixes of the handset, errors.

References
----------
RFC 5985 sections 5.3, 5.4 and 6 (response, error, locationUriSet), RFC 6155 section 3.8 (requiredIdentifiers),
RFC 7840 section 3 (routing information).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.formats import pidf_lo
from locsvc.formats.elements import child, child_words, children, words
from locsvc.formats.held.aml_element import aml_of
from locsvc.formats.held.names import ERROR_CODES, LANGUAGE, SHOWN
from locsvc.formats.held.requests import request_of
from locsvc.formats.joining import joined
from locsvc.formats.measurements import measurements_of
from locsvc.formats.multipart import head_and_body
from locsvc.formats.reading import FormatWarning, Reading, Unreadable
from locsvc.formats.xml import Document, local_name, parse

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

# Elements that are a message of HELD, or that carry one of its parts by themselves.
_MESSAGES = frozenset({"locationResponse", "error", "locationRequest", "presence", "measurements", "device"})
# Bounds on what one message gives.
MAX_URIS = 20
MAX_PRESENCES = 8


def read(message: bytes | str, *, arrived_at: float | None = None, language: str = "en") -> Reading:
    """What a message of HELD says: the locations of a response; an error is `no_location` with its code and text.

    A request is read too: the cells that the device measured are evidence, its number is the calling number.

    Parameters
    ----------
    message
        The document, with or without the header fields of HTTP before it.
    arrived_at
        When the message came; times of its parts are judged by it.
    language
        In which the text of an error is wanted; English is next, then the first that there is.

    Raises
    ------
    Unreadable
        It is no XML within the bounds, or nothing in it is HELD.
    """
    document = parse(_without_http(message))
    found = next((e for e in document.root.iter() if local_name(e) in _MESSAGES), None)
    if found is None:
        name = local_name(document.root)[:SHOWN]
        raise Unreadable(f"element {name!r} is no HELD: expected locationResponse, error or locationRequest")
    own = Reading(warnings=document.warnings)
    name = local_name(found)
    if name == "error":
        return joined([("held", own), ("error", _error(found, language))])
    if name in ("locationRequest", "device"):
        return joined([("held", own), *_request(found)])
    if name == "measurements":
        return joined([("held", own), ("measurements", measurements_of(found))])
    return joined([("held", own), *_response(found, document, arrived_at)])


def _without_http(message: bytes | str) -> bytes | str:
    start = message[:5]
    if start not in ("HTTP/", b"HTTP/", "POST ", b"POST "):
        return message
    return head_and_body(message if isinstance(message, bytes) else message.encode("utf-8", "replace"))[1]


def _response(response: Element, document: Document, arrived_at: float | None) -> list[tuple[str, Reading]]:
    """The parts of a locationResponse (or of a bare presence), in order of preference."""
    presences = [e for e in response.iter() if local_name(e) == "presence"]
    parts = [
        ("presence", pidf_lo.location_of(e, cut=document.cut, arrived_at=arrived_at)) for e in presences[:MAX_PRESENCES]
    ]
    fixes = [e for e in response.iter() if local_name(e) == "aml"]
    parts += [("aml", aml_of(e)) for e in fixes[:MAX_PRESENCES]]
    parts.append(("response", _references(response, by_value=bool(presences))))
    return parts


def _references(response: Element, *, by_value: bool) -> Reading:
    """Location URIs and routing information, which are details."""
    details: dict[str, str] = {}
    warnings: list[FormatWarning] = []
    named = child(response, "locationUriSet")
    uris = [words(e)[:1000] for e in children(named, "locationURI")] if named is not None else []
    uris = [uri for uri in uris if uri][:MAX_URIS]
    _number(details, "locationURI", uris)
    if named is not None and named.get("expires"):
        details["locationUriSet.expires"] = str(named.get("expires"))[:SHOWN]
    routing = child(response, "routingInformation")
    if routing is not None:
        services = list(children(routing, "service"))[:MAX_URIS]
        _number(details, "serviceUri", [str(e.get("serviceUri") or "")[:SHOWN] for e in services])
        _number(details, "dest", [words(e)[:1000] for s in services for e in children(s, "dest")][:MAX_URIS])
    if uris and not by_value:
        reason = "the location is by reference: ask its server for it (RFC 6753)"
        warnings.append(FormatWarning("locationURI", uris[0][:SHOWN], reason))
    none = "" if by_value else "the location is given by reference only: dereference locationURI"
    if not uris and not by_value:
        none = "the response has neither a location nor a reference to one"
    return Reading(warnings=tuple(warnings), no_location=none, details=details)


def _number(details: dict[str, str], name: str, texts: list[str]) -> None:
    """Puts texts under one name, the second and later ones with their number."""
    for place, text in enumerate(texts):
        details[f"{name}[{place + 1}]" if place else name] = text


def _error(error: Element, language: str) -> Reading:
    """The code and the text of an error."""
    code = str(error.get("code") or "").strip()[:SHOWN]
    messages = [(str(e.get(LANGUAGE) or "").lower(), words(e)[:1000]) for e in children(error, "message")]
    text = _in_language(messages, language.lower())
    details = {"error.code": code, "error.message": text}
    details["error.requiredIdentifiers"] = child_words(error, "requiredIdentifiers")[:SHOWN]
    warnings: tuple[FormatWarning, ...] = ()
    if code not in ERROR_CODES:
        reason = f"is no code of HELD, such as {ERROR_CODES[3]}; it is passed on as it is"
        warnings = (FormatWarning("code", code, reason),)
    return Reading(
        warnings=warnings,
        no_location=": ".join(part for part in (code, text) if part) or "an error without a code",
        details={name: value for name, value in details.items() if value},
    )


def _in_language(messages: list[tuple[str, str]], wanted: str) -> str:
    """The text in the wanted language, else in English, else the first; "de-AT" will do for "de"."""
    for language in (wanted, wanted.partition("-")[0], "en"):
        for tag, text in messages:
            if language and language in (tag, tag.partition("-")[0]):
                return text
    return messages[0][1] if messages else ""


def _request(element: Element) -> list[tuple[str, Reading]]:
    request = request_of(element)
    details = {"locationType": " ".join(request.location_types)}
    if request.purpose or request.response_time_s is not None:
        details["responseTime"] = request.purpose or f"{request.response_time_s:g} s"
    for identifier in request.identifiers:
        details.setdefault(f"device.{identifier.name}", identifier.shown())
    own = Reading(
        warnings=request.warnings,
        calling_number=request.calling_number,
        no_location=f"the message asks for a location ({details['locationType']})",
        details=details,
    )
    return [("request", own), ("measurements", request.measured)]
