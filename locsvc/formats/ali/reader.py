"""ALI in either form: an exchange record or display text."""

from __future__ import annotations

from collections.abc import Sequence

from locsvc.formats.ali.display import STX, read_display
from locsvc.formats.ali.layout import Layout
from locsvc.formats.ali.record import looks_like_record, read_record, text_of
from locsvc.formats.reading import Reading


def read(
    message: bytes | str,
    *,
    arrived_at: float | None = None,
    layouts: Sequence[Layout] | None = None,
    utc_offset_s: float | None = None,
) -> Reading:
    """What one ALI message says: an exchange record by its first characters, everything else is display text.

    Parameters
    ----------
    arrived_at
        When it came, Unix seconds; displays leave the year out.
    layouts
        Layouts of display text that may be meant; None: the shipped ones.
    utc_offset_s
        Zone of the display's clock, seconds east of UTC; None: as the layout says, or worked out.

    Raises
    ------
    Unreadable
        It is neither.
    """
    head = text_of(message[:16])
    if STX not in head and looks_like_record(head):
        return read_record(message, arrived_at=arrived_at)
    return read_display(message, arrived_at=arrived_at, layouts=layouts, utc_offset_s=utc_offset_s)
