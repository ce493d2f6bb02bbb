"""Text messages: the header in its spellings, the pairs, what was cut off; the version says which grammar follows.

References
----------
ETSI TS 103 625; sheet 01 of the standards, sections 1 to 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from locsvc.formats.aml import text1, text2
from locsvc.formats.aml.findings import Findings, guarded
from locsvc.formats.aml.grammar import Grammar
from locsvc.formats.reading import Reading, Unreadable

# As the standard writes it.
HEADER = 'A"ML='
# As gateways write it: typographic quotes, one quote doubled or made of two strokes, a backslash before it, none at
# all, escaped for HTML or in percent signs.
_QUOTES = "\"'`\u00b4\u00a8\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2036\u3003\uff02\u02ba"
_HEADER = re.compile(
    rf"(?<![0-9A-Za-z])(A(?:\\{{0,3}}[{_QUOTES}]{{1,2}}|&quot;|&#34;|&#x22;|%5C%22|%22|%E2%80%9[CD])? ?ML)"
    r" {0,3}(?:=|%3D) {0,3}",
    re.IGNORECASE,
)
_PLAIN_HEADER = re.compile(r'(A"ML)=')
# A message of version 1 whose beginning was lost.
_HEADLESS = re.compile(r"(?:^|;)(lt=[^;]{1,20};lg=[^;]{1,20};(?:rd|top)=)")
_AROUND = " \t\r\n\0\f\v'`\u2018\u2019\u201c\u201d\"\ufeff\u200b"
_LINE_BREAKS = re.compile(r"[\r\n]+")
# Far above the 160 characters of one SMS, and above what any series of them brought.
MAX_CHARACTERS = 2_000
# A stated length that is off by no more is a sender's miscount: published samples are.
MISCOUNT = 3
_LENGTH = re.compile(r"[0-9]{1,5}")


def is_text(message: str) -> bool:
    """Whether there is a text message of AML in it.

    >>> is_text('A"ML=1;lt=+0.1'), is_text("\u201cA\u201dML=1;"), is_text("SAML=1")
    (True, True, False)
    """
    opening = message[:MAX_CHARACTERS]
    return HEADER in opening or bool(_HEADER.search(opening) or _HEADLESS.search(opening))


def is_header(opening: str) -> bool:
    """Whether a text begins with the header, in any of its spellings."""
    return _HEADER.match(opening) is not None


def read(message: str, *, arrived_at: float | None = None) -> Reading:
    """What a text message of version 1 or 2 says.

    Parameters
    ----------
    message
        As it came; what stands around it is left out.
    arrived_at
        When it came, Unix seconds: a fix from later than that is not believed.

    Raises
    ------
    Unreadable
        There is no header, or the version is not known and the keys are of neither.
    """
    found = Findings(arrived_at)
    body = _opened(message, found)
    version, _, rest = body.partition(";")
    fields, last = _pairs(rest, found)
    grammar = _GRAMMARS.get(version) or _guessed(version.strip(), fields, found)
    strange = {key: fields.pop(key) for key in [k for k in fields if k not in grammar.keys]}
    if strange:
        found.unknown(strange)
    if grammar is text1.GRAMMAR and _has_length(fields, len(HEADER) + len(body), found):
        last = ""
    if last in fields and last != "ml" and not body.endswith(";"):
        _distrust_end(fields, last, grammar, found)
    return grammar.read_fields(fields, found)


def _opened(message: str, found: Findings) -> str:
    """The message from its version on."""
    if message.startswith(HEADER):
        return _tidied(message[len(HEADER) :], found)
    opening = message[:MAX_CHARACTERS]
    header = _PLAIN_HEADER.search(opening) or _HEADER.search(opening)
    if header is None:
        headless = _HEADLESS.search(opening)
        if headless is None:
            raise Unreadable('no AML text: expected a message that begins with A"ML=1; or A"ML=2;')
        found.warn('A"ML', "", "the header was lost; read as version 1, whose keys these are")
        return "1;" + _tidied(message[headless.start(1) :], found)
    if header[1] != 'A"ML':
        found.warn('A"ML', header[0], 'the header is not written A"ML=; taken for it')
    if message[: header.start()].strip(_AROUND):
        found.warn('A"ML', "", "text before the header was left out")
    rest = message[header.end() :]
    if ";" not in rest and "%3b" in rest[:MAX_CHARACTERS].lower():
        # A form's field that was not decoded; the next field is not the message's.
        rest = unquote_plus(rest.partition("&")[0][: 3 * MAX_CHARACTERS])
    return _tidied(rest, found)


def _tidied(rest: str, found: Findings) -> str:
    if len(rest) > MAX_CHARACTERS:
        found.warn('A"ML', "", f"the message is longer than {MAX_CHARACTERS} characters; the rest is left out")
        rest = rest[:MAX_CHARACTERS]
    rest = rest.strip(_AROUND)
    if "ML" in rest:
        second = _PLAIN_HEADER.search(rest) or _HEADER.search(rest)
        if second is not None:
            found.warn('A"ML', "", "another message follows; only the first is read")
            rest = rest[: second.start()].rstrip(_AROUND)
    if "\n" in rest or "\r" in rest:
        folded = ";" in rest
        found.warn('A"ML', "", f"line breaks {'were left out' if folded else 'taken for semicolons'}")
        rest = _LINE_BREAKS.sub("" if folded else ";", rest)
    return rest


def _pairs(rest: str, found: Findings) -> tuple[dict[str, str], str]:
    """Values by key, without those that are contradicted, and the key of the last pair."""
    fields: dict[str, str] = {}
    contradicted: set[str] = set()
    key = ""
    empty = malformed = 0
    for pair in rest.split(";"):
        key, equals, value = pair.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals or not key:
            empty += not pair.strip()
            malformed += bool(pair.strip())
            if pair.strip() and malformed == 1:
                found.warn(pair[:3], pair, "is no pair of key and value; left out")
        else:
            found.put(fields, key, value, contradicted)
    if malformed > 1:
        found.warn("", "", f"{malformed - 1} more pairs have no key and value; left out")
    if empty > rest.endswith(";"):
        found.warn("", "", f"{empty} empty pairs; left out")
    found.take_out(fields, contradicted)
    return fields, key if key in fields else ""


def _guessed(version: str, fields: Mapping[str, str], found: Findings) -> Grammar:
    """The grammar of a version that is written oddly or not known, by keys that only one of them has."""
    grammar = _GRAMMARS.get(version.lstrip("0").removesuffix(".0"))
    if grammar is not None:
        return grammar
    if "lo" in fields:
        number = "2"
    elif "lt" in fields and "lg" in fields and not fields.keys().isdisjoint(("rd", "top", "pm")):
        number = "1"
    else:
        raise Unreadable(
            f"AML text of version {guarded(version)!r}: versions 1 and 2 are known, and its keys are of neither"
        )
    found.warn('A"ML', version, f"is a version that is not known; read as {number}, whose keys these are")
    return _GRAMMARS[number]


def _has_length(fields: Mapping[str, str], length: int, found: Findings) -> bool:
    """Whether the message is as long as it says; if not, or it does not say, that is warned about."""
    text = fields.get("ml", "")
    if not text:
        found.warn("ml", "", "the message does not state its length: it may have been cut")
        return False
    if _LENGTH.fullmatch(text) is None:
        found.warn("ml", text, "is no length; not compared")
        return False
    missing = int(text) - length
    if missing > MISCOUNT:
        found.warn("ml", text, f"the message has {length} characters: {missing} are missing; values may be cut")
    elif missing:
        reason = "taken for a miscount" if missing >= -MISCOUNT else "something was added, or it was miscounted"
        found.warn("ml", text, f"the message has {length} characters; {reason}")
    return not missing


def _distrust_end(fields: dict[str, str], last: str, grammar: Grammar, found: Findings) -> None:
    """The last value goes, unless its form shows that nothing of it was cut off."""
    value = fields[last]
    whole = grammar.whole_at_end.get(last)
    if whole is not None and whole.fullmatch(value):
        return
    if last == "lo" and value.count(",") > 1:
        # A comma ends the longitude: only the accuracy can have been cut.
        fields[last] = value.rpartition(",")[0]
    else:
        del fields[last]
    found.warn(last, value, "the message ends here and may be cut; not believed")


_GRAMMARS: Mapping[str, Grammar] = {"1": text1.GRAMMAR, "2": text2.GRAMMAR}
