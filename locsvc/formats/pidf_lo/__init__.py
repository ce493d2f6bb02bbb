"""PIDF-LO, the location object of the IETF: what HELD, SIP and LoST carry (RFC 4119, RFC 5491, RFC 7459)."""

from locsvc.formats.pidf_lo.reading import location_of, read

__all__ = ["location_of", "read"]
