"""What tells the versions of the text message apart: their keys, and how to read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from locsvc.formats.aml.findings import Findings
from locsvc.formats.reading import Reading


@dataclass(frozen=True, slots=True)
class Grammar:
    """One version of the text message.

    `whole_at_end` tells by key when a value is surely whole although the message ends behind it; a key that is not in
    it never is. `read_fields` reads values by key.
    """

    keys: frozenset[str]
    whole_at_end: Mapping[str, re.Pattern[str]]
    read_fields: Callable[[Mapping[str, str], Findings], Reading]
