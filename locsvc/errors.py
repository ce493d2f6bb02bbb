"""The error tree, and the one table that turns an error into a gRPC status, an exit code and a retry advice.

LocsvcError
├── InvalidInput          a field of a request, message or option is wrong
├── BadData               a file or row cannot be read
├── DatasetError          reference data is missing, damaged or of another schema
│   └── DatasetMissing    there is no such dataset in the data directory
├── NotFound              the thing looked up is not there
├── ConfigError           a setting is wrong or the process may not do what it was told to
├── Overloaded            too much work waits
├── DeadlineExceeded      the time given is over
├── Unavailable           a server or store cannot be reached
└── Unauthenticated       credentials are missing or wrong
"""

from __future__ import annotations

from dataclasses import dataclass


class LocsvcError(Exception):
    """Base of all errors that locsvc raises on purpose; `str(error)` is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path, and what is wrong and what to do."""

    field: str
    description: str


class InvalidInput(LocsvcError):  # noqa: N818 - named for what is wrong, as the standard library names LookupError
    """A field of a request, message or option is wrong.

    Parameters
    ----------
    violations
        Every wrong field that was found, at least one.
    """

    def __init__(self, violations: tuple[FieldViolation, ...] | list[FieldViolation]) -> None:
        self.violations = tuple(violations)
        shown = "; ".join(f"{v.field}: {v.description}" for v in self.violations[:5])
        more = len(self.violations) - 5
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))


class BadData(LocsvcError):  # noqa: N818
    """A file or row cannot be read."""


class DatasetError(LocsvcError):
    """Reference data is missing, damaged or of another schema."""


class DatasetMissing(DatasetError):  # noqa: N818
    """There is no such dataset in the data directory."""


class NotFound(LocsvcError):  # noqa: N818
    """The thing looked up is not there."""


class ConfigError(LocsvcError):
    """A setting is wrong, or the process may not do what it was told to."""


class Overloaded(LocsvcError):  # noqa: N818
    """Too much work waits; come back after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float = 0.1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class DeadlineExceeded(LocsvcError):  # noqa: N818
    """The time given is over."""


class Unavailable(LocsvcError):  # noqa: N818
    """A server or store cannot be reached."""


class Unauthenticated(LocsvcError):  # noqa: N818
    """Credentials are missing or wrong."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error class means to a caller of the service or of the command."""

    grpc_status: str
    reason: str
    exit_code: int
    retry: bool


EXIT_OK = 0
EXIT_USAGE = 2
EXIT_NO_LOCATION = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

# grpc_status: name of grpc.StatusCode; reason: google.rpc.ErrorInfo.reason (AIP-193); exit codes follow sysexits.h.
MEANINGS: dict[type[LocsvcError], Meaning] = {
    InvalidInput: Meaning("INVALID_ARGUMENT", "INVALID_FIELD", EXIT_USAGE, retry=False),
    BadData: Meaning("INVALID_ARGUMENT", "BAD_DATA", 65, retry=False),
    DatasetMissing: Meaning("FAILED_PRECONDITION", "DATASET_MISSING", 66, retry=False),
    DatasetError: Meaning("FAILED_PRECONDITION", "DATASET_UNUSABLE", 66, retry=False),
    NotFound: Meaning("NOT_FOUND", "NOT_FOUND", EXIT_NO_LOCATION, retry=False),
    ConfigError: Meaning("FAILED_PRECONDITION", "CONFIGURATION", 78, retry=False),
    Overloaded: Meaning("RESOURCE_EXHAUSTED", "OVERLOADED", 75, retry=True),
    DeadlineExceeded: Meaning("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", 4, retry=False),
    Unavailable: Meaning("UNAVAILABLE", "UNAVAILABLE", 69, retry=True),
    Unauthenticated: Meaning("UNAUTHENTICATED", "UNAUTHENTICATED", 77, retry=False),
    LocsvcError: Meaning("INTERNAL", "INTERNAL", EXIT_BUG, retry=False),
}


def meaning_of(error: LocsvcError) -> Meaning:
    """The meaning of the nearest class of `error` in the table.

    >>> meaning_of(DatasetMissing("no cells")).exit_code
    66
    """
    return next(MEANINGS[c] for c in type(error).__mro__ if c in MEANINGS)
