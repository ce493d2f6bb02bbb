"""ALI: what North American line databases exchange (fixed records) and show to a call-taker (display text)."""

from locsvc.formats.ali.classes import TYPES_OF_SERVICE, Kind, ServiceClass, service_class
from locsvc.formats.ali.display import Display, read_display, split_display
from locsvc.formats.ali.files import FileRecord, looks_like_file, records
from locsvc.formats.ali.layout import Layout, shipped_layouts
from locsvc.formats.ali.reader import read
from locsvc.formats.ali.record import AliRecord, line_record, read_record, split_record

__all__ = [
    "TYPES_OF_SERVICE",
    "AliRecord",
    "Display",
    "FileRecord",
    "Kind",
    "Layout",
    "ServiceClass",
    "line_record",
    "looks_like_file",
    "read",
    "read_display",
    "read_record",
    "records",
    "service_class",
    "shipped_layouts",
    "split_display",
    "split_record",
]
