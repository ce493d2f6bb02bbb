"""The map of an answer: one self-contained page that needs no network."""

from locsvc.cli.map.background import read_background
from locsvc.cli.map.page import MappedCall, map_page
from locsvc.cli.map.scene import reach_m

__all__ = ["MappedCall", "map_page", "reach_m", "read_background"]
