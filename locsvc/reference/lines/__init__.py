"""Lines: what is known of a telephone number."""

from locsvc.reference.lines.importer import import_lines
from locsvc.reference.lines.store import LineStore

__all__ = ["LineStore", "import_lines"]
