"""Quotes of CSV: where records end when some quotes are never closed.

A quoted field may hold line ends, so that one stray quote would take all rows up to the next quote with it. Here a
record goes on in further lines only where what comes of it is one: quotes that stand where fields begin and end, and as
many fields as the header has. Else its first line is taken for a slip and costs itself alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Possessive, so that no text makes them try twice.
_QUOTED = rb'"(?:[^"]++|"")*+"'
_QUOTE, _LINE_END = ord('"'), ord("\n")


class Slip(NamedTuple):
    """A line with a quote that is not closed: its bytes in the block, without the line's end."""

    start: int
    end: int


class Quotes:
    """The quoting of a table with so many fields between delimiters."""

    def __init__(self, delimiter: str, fields: int) -> None:
        between = re.escape(delimiter.encode())
        bare = rb'(?:[^"\r\n%b][^\r\n%b]*+)?+' % (between, between)
        # What stands in a field, the field's end looked at.
        field = rb"(?:%b|%b)(?=%b|\r?\n|\r?\Z)" % (_QUOTED, bare, between)
        self._delimiter = ord(delimiter)
        self._record = re.compile(rb"%b(?:%b%b){%d}\r?(?=\n|\Z)" % (field, between, field, fields - 1))
        self._begun = re.compile(rb'(?:%b%b)*+"(?:[^"]++|"")*+\Z' % (field, between))
        alone = rb'(?:"(?:[^"\n]++|"")*+"|%b)(?=%b|\r?\n|\r?\Z)' % (bare, between)
        self._line = re.compile(rb"%b(?:%b%b)*+\r?(?=\n|\Z)" % (alone, between, alone))

    def whole(self, block: bytes) -> int:
        r"""Where the last whole record of a block ends; 0 for nowhere.

        >>> Quotes(",", 2).whole(b'a,b\nc,"d\ne'), Quotes(",", 2).whole(b'a,"b\nc,d\n"e",f\n')
        (4, 15)
        """
        end = block.rfind(b"\n") + 1
        for slip in self.slips(block[:end]):
            if self._begun.match(block, slip.start, end):
                return slip.start
        return end

    def slips(self, block: bytes) -> Iterator[Slip]:
        r"""Lines with a quote that is not closed, in order.

        >>> list(Quotes(",", 2).slips(b'a,"b\nc,d\n1,2" pipe\n"e\nf",g\n'))
        [Slip(start=0, end=4)]
        """
        if b'"' not in block:
            return
        read = 0
        for start, end in self._doubtful(block):
            if start < read or self._line.match(block, start):
                continue
            record = self._record.match(block, start)
            if record is None:
                yield Slip(start, end)
            else:
                read = record.end()

    def is_whole(self, line: bytes) -> bool:
        r"""Whether a line is a record by itself, its quotes closed.

        >>> [Quotes(",", 2).is_whole(x) for x in (b'a,"b, c"', b'5" pipe,1', b'a,"b')]
        [True, True, False]
        """
        return next(self.slips(line), None) is None

    def _doubtful(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Lines whose quotes are odd in number, or open where no field begins; most are neither."""
        text = np.frombuffer(block, np.uint8)
        ends = np.append(np.flatnonzero(text == _LINE_END), len(text))
        quote = np.flatnonzero(text == _QUOTE)
        line = np.searchsorted(ends, quote)
        count = np.bincount(line, minlength=len(ends))
        opens = (np.arange(len(quote)) - (np.cumsum(count) - count)[line]) % 2 == 0
        before = np.where(quote > 0, text[quote - 1], _LINE_END)
        at_start = (before == self._delimiter) | (before == _LINE_END) | (before == _QUOTE)
        odd = count % 2 == 1
        odd[line[opens & ~at_start]] = True
        numbers = np.flatnonzero(odd)
        starts = np.append(0, ends + 1)[numbers]
        yield from zip(starts.tolist(), ends[numbers].tolist(), strict=True)
