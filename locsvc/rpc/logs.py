"""Logs on stderr: one event a line, as JSON or for a person; no numbers, names or coordinates of callers at INFO."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

log = structlog.get_logger("locsvc.rpc")

INFO, WARNING = logging.INFO, logging.WARNING

if TYPE_CHECKING:
    from locsvc.rpc.settings import LogFormat


def configure(log_format: LogFormat, *, level: int = INFO) -> None:
    """Send the server's events to stderr in the given form."""
    last: structlog.types.Processor
    last = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def tell_fault(method: str, error: BaseException) -> None:
    """Log a fault that nobody foresaw: where it happened, without its text, which may hold a number."""
    log.error("fault", method=method, error=type(error).__name__, at=_place(error))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
