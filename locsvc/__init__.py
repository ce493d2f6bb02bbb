"""locsvc: where an emergency caller is, with an honest region, within the seconds that a call gives."""

__version__ = "0.1.0"
