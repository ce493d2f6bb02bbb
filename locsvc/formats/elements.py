"""Small questions to elements of a parsed XML document: a child by its name, its text, its number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from locsvc.formats.reading import FormatWarning
from locsvc.formats.xml import local_name

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

# What `float` takes beside numbers (underscores, "nan", "1e999", digits of other scripts) is not taken.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?")


def children(element: Element, *names: str) -> Iterator[Element]:
    """The children with one of the local names, in order."""
    return (child for child in element if local_name(child) in names)


def child(element: Element, *names: str) -> Element | None:
    """The first child with one of the local names, if there is one."""
    return next(children(element, *names), None)


def words(element: Element | None) -> str:
    """The element's own text with runs of white space as one space; nothing for no element."""
    return " ".join((element.text or "").split()) if element is not None else ""


def child_words(element: Element, *names: str) -> str:
    """The text of the first child with one of the local names, or nothing."""
    return words(child(element, *names))


def number(text: str) -> float | None:
    """The finite number that the text spells, or None.

    >>> number(" 03.07500 "), number("nan"), number("1e999"), number("1_0")
    (3.075, None, None, None)
    """
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def stated_confidence(text: str, name: str, warnings: list[FormatWarning]) -> float | None:
    """The fraction of a confidence in percent, on either scale; None where none is stated.

    >>> [stated_confidence(text, "lev_conf", []) for text in ("67", "0.68", "", "0", "1", "100")]
    [0.67, 0.68, None, None, None, None]
    """
    if not text:
        return None
    percent = number(text)
    if percent is not None and 1 < percent < 100:
        return percent / 100
    if percent is not None and 0 < percent < 1:
        warnings.append(FormatWarning(name, text[:80], "is less than 1 percent: it is read as a fraction"))
        return percent
    warnings.append(FormatWarning(name, text[:80], "is no confidence between 0 and 100 %: it counts as not stated"))
    return None
