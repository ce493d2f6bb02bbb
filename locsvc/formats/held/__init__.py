"""HELD, how a location server is asked for a location and answers (RFC 5985, RFC 6155, RFC 6753, RFC 7840)."""

from locsvc.formats.held.requests import Identifier, LocationRequest, read_request, write_request
from locsvc.formats.held.responses import read
from locsvc.formats.held.writing import write_error, write_response

__all__ = ["Identifier", "LocationRequest", "read", "read_request", "write_error", "write_request", "write_response"]
