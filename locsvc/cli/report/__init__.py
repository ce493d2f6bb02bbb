"""What a batch came to as one page: plots and a map of the answers, self-contained."""

from locsvc.cli.report.page import Report, report_page

__all__ = ["Report", "report_page"]
