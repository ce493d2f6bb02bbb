"""Lines: what is known of a telephone number."""

from locsvc.reference.lines.importer import import_lines
from locsvc.reference.lines.orders import apply_orders, current_lines
from locsvc.reference.lines.records import SourceRecord, import_records
from locsvc.reference.lines.store import LineStore

__all__ = ["LineStore", "SourceRecord", "apply_orders", "current_lines", "import_lines", "import_records"]
