"""Areas of responsibility: which polygons hold a place."""

from locsvc.reference.areas.importer import import_areas
from locsvc.reference.areas.store import AreaStore

__all__ = ["AreaStore", "import_areas"]
