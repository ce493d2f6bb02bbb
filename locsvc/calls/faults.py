"""Faults that nobody foresaw, in the log: where they were met, and not their text, which may hold a number."""

from __future__ import annotations

import structlog

log = structlog.get_logger("locsvc.calls")


def report(what: str, error: BaseException) -> None:
    """Log a fault of the code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    log.error("fault", what=what, error=type(error).__name__, at=place)
