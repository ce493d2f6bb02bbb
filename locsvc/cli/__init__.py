"""The command `locsvc`: stdout is data, stderr is talk."""

from locsvc.cli.app import main

__all__ = ["main"]
