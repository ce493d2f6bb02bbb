"""What is noted while a PIDF-LO document is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from locsvc.formats.reading import FormatWarning

# A message that is worse than this is not made clearer by more words.
MAX_WARNINGS = 100
MAX_DETAILS = 100
# Of positions, in a whole message: three polygons as large as the contract takes them.
MAX_NUMBERS = 10_000


@dataclass(slots=True)
class Notes:
    """Warnings, details, and whether the end of the document is missing."""

    warnings: list[FormatWarning] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    numbers_left: int = MAX_NUMBERS

    def warn(self, name: str, value: str, reason: str) -> None:
        """Adds a warning, its value shortened."""
        if len(self.warnings) > MAX_WARNINGS:
            return
        if len(self.warnings) == MAX_WARNINGS:
            name, value, reason = "warnings", "", "there were more: left out"
        value = " ".join(value[:200].split())
        self.warnings.append(FormatWarning(name[:50], value if len(value) <= 60 else value[:57] + "...", reason))

    def detail(self, name: str, value: str) -> None:
        """Adds a detail; what was said first stands."""
        if value and len(self.details) < MAX_DETAILS:
            self.details.setdefault(name[:128], value[:1000])

    def may_read(self, name: str, count: int) -> bool:
        """Whether the message may have so many numbers more; a warning when not."""
        self.numbers_left -= count
        if self.numbers_left >= 0:
            return True
        self.numbers_left = 0
        self.warn(name, f"{count} numbers", f"is more than a location message has, {MAX_NUMBERS} in all: not read")
        return False
