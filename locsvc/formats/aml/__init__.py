"""Locations that handsets send: AML text and data messages, ELS forms, and the JSON of servers that hand them on."""

from locsvc.formats.aml.recognise import read

__all__ = ["read"]
