"""PIDF-LO, the location object of the IETF: what HELD, SIP and LoST carry (RFC 4119, RFC 5491, RFC 7459)."""

from locsvc.formats.pidf_lo.names import method_token
from locsvc.formats.pidf_lo.reading import location_of, read
from locsvc.formats.pidf_lo.writing import write

__all__ = ["location_of", "method_token", "read", "write"]
