"""What is noted while a PIDF-LO document is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from locsvc.formats.reading import FormatWarning

# A message that is worse than this is not made clearer by more words.
MAX_WARNINGS = 100
MAX_DETAILS = 100


@dataclass(slots=True)
class Notes:
    """Warnings, details, and whether the end of the document is missing."""

    warnings: list[FormatWarning] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    cut: bool = False

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
