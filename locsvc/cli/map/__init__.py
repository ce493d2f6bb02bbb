"""The map of an answer: one self-contained page that needs no network."""

from locsvc.cli.map.page import MappedCall, map_page

__all__ = ["MappedCall", "map_page"]
