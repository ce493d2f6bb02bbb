"""Words of an address as keys that are equal for the same street, town or number however it is written.

Keys are for comparing only: case, accents, spaces and punctuation are gone from them, and kinds of streets and points
of the compass are written out.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

from locsvc.model import CivicAddress

_CACHED_WORDS = 1 << 16
# Letters that Unicode does not take apart into a base letter and an accent.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "&": " and ",
    }
)
# An apostrophe joins what it stands between: St John's = St Johns.
_APOSTROPHES = re.compile("['\u2019\u2018`\u00b4]")
_SEPARATORS = re.compile(r"[\W_]+")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_DASHES = re.compile(r"\s*[-\u2010-\u2015]\s*")
_BEFORE_LETTER = re.compile(r"(?<=\d)[\s-]+(?=[^\W\d])")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)\s+(?=\d)")
_NUMBER_LIST = re.compile(r"[;,&+]|\band\b|(?<=\d[a-z])-(?=\d)|(?<=\d)-(?=\d)")
_NUMBER_FIRST = re.compile(r"(\d+\s?[A-Za-z]?(?:[-/]\d+[A-Za-z]?)?)[\s,]+(\D.*)")
_NUMBER_LAST = re.compile(r"(\D.*?)[\s,]+(\d+\s?[A-Za-z]?(?:[-/]\d+[A-Za-z]?)?)")

_COMPASS = {
    "n": "north",
    "s": "south",
    "e": "east",
    "w": "west",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
# Kinds of streets as they are shortened: USPS Publication 28 appendix C1 (the common ones), and European habits.
_KINDS = {
    "al": "allee",
    "alle": "allee",
    "aly": "alley",
    "av": "avenue",
    "ave": "avenue",
    "aven": "avenue",
    "avda": "avenida",
    "bd": "boulevard",
    "bld": "boulevard",
    "blvd": "boulevard",
    "bvd": "boulevard",
    "c": "calle",
    "ch": "chemin",
    "cir": "circle",
    "cl": "close",
    "cres": "crescent",
    "cresc": "crescent",
    "ct": "court",
    "crt": "court",
    "dr": "drive",
    "drv": "drive",
    "est": "estate",
    "expy": "expressway",
    "ext": "extension",
    "fwy": "freeway",
    "gdn": "garden",
    "gdns": "gardens",
    "grn": "green",
    "gr": "grove",
    "gro": "grove",
    "hts": "heights",
    "hwy": "highway",
    "la": "lane",
    "ln": "lane",
    "mt": "mount",
    "pde": "parade",
    "pk": "park",
    "pkwy": "parkway",
    "pkway": "parkway",
    "pl": "place",
    "plz": "plaza",
    "prom": "promenade",
    "pt": "point",
    "rd": "road",
    "rte": "route",
    "sq": "square",
    "st": "street",
    "sta": "station",
    "str": "strasse",
    "ter": "terrace",
    "terr": "terrace",
    "tce": "terrace",
    "trl": "trail",
    "vw": "view",
    "wy": "way",
}
# Kinds that stand first: av. de la Gare, c/ Mayor. "St" there is a saint.
_FIRST_KINDS = {k: _KINDS[k] for k in ("av", "ave", "avda", "bd", "blvd", "c", "ch", "pl", "rte")} | {"r": "rue"}


@lru_cache(maxsize=_CACHED_WORDS)
def fold(text: str) -> str:
    """The words of `text` without case, accents and punctuation, one space between them.

    >>> fold("  Straße-Nr. ÅBO "), fold("Städtle"), fold("St. John's")
    ('strasse nr abo', 'stadtle', 'st johns')
    """
    apart = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text).casefold().translate(_LETTERS))
    bare = "".join(c for c in apart if not unicodedata.combining(c))
    return _SEPARATORS.sub(" ", bare).strip()


@lru_cache(maxsize=_CACHED_WORDS)
def street_key(text: str) -> str:
    """The key of a street.

    >>> street_key("E Fairmount Ave.") == street_key("east fairmount  AVENUE")
    True
    >>> street_key("St. John's St"), street_key("Bahnhofstr."), street_key("Av. de la Gare")
    ('saintjohnsstreet', 'bahnhofstrasse', 'avenuedelagare')
    """
    words = fold(text).split()
    first, last = 0, len(words) - 1
    if last - first >= 1 and words[last] in _COMPASS:
        words[last] = _COMPASS[words[last]]
        last -= 1
    if last - first >= 1 and words[first] in _COMPASS:
        words[first] = _COMPASS[words[first]]
        first += 1
    if last > first:
        words[last] = _KINDS.get(words[last], words[last])
        words[first] = _FIRST_KINDS.get(words[first], words[first])
    words = ["saint" if w == "st" else w for w in words]
    # German writes kind and name in one word.
    return "".join(w + "asse" if len(w) > 5 and w.endswith("str") else w for w in words)


def joined_street(address: CivicAddress) -> str:
    """The street with its directions and kind, as one text.

    >>> joined_street(CivicAddress(street_predirection="N", street="Wolfe", street_suffix="St"))
    'N Wolfe St'
    """
    parts = (address.street_predirection, address.street, address.street_suffix, address.street_postdirection)
    return " ".join(p for p in parts if p)


@lru_cache(maxsize=_CACHED_WORDS)
def number_keys(text: str) -> tuple[str, ...]:
    """The keys of all house numbers that a text names: the text as a whole, then each of a list or pair.

    A pair names its ends only: 2-6 is as often 2, 4, 6 as it is 2 to 6.

    >>> number_keys("012 A"), number_keys("12 \u2013 14"), number_keys("3;5-b"), number_keys("17 1/2")
    (('12a',), ('12-14', '12', '14'), ('3;5b', '3', '5b'), ('17_1/2',))
    """
    dashed = _DASHES.sub("-", _LEADING_ZEROS.sub("", text.strip().casefold()))
    written = _BETWEEN_DIGITS.sub("_", _BEFORE_LETTER.sub("", dashed))
    parts = [part.strip() for part in _NUMBER_LIST.split(written)]
    keys = ["".join(key.split()) for key in (written, *parts)]
    return tuple(dict.fromkeys(key for key in keys if any(c.isalnum() for c in key)))


@lru_cache(maxsize=_CACHED_WORDS)
def place_key(text: str) -> str:
    """The key of a town, county, country or post code.

    >>> place_key("Saint-Étienne") == place_key("St Etienne"), place_key("te1 3st")
    (True, 'te13st')
    """
    return "".join("saint" if w == "st" else w for w in fold(text).split())


def without_number(street: str) -> tuple[str, str]:
    """The street and the house number that a person wrote into one text; no number when there is none.

    >>> without_number("3 Mill Lane"), without_number("Kaivokatu 1"), without_number("Mill Lane")
    (('Mill Lane', '3'), ('Kaivokatu', '1'), ('Mill Lane', ''))
    """
    if found := _NUMBER_FIRST.fullmatch(street.strip()):
        return found[2], found[1]
    if found := _NUMBER_LAST.fullmatch(street.strip()):
        return found[1], found[2]
    return street, ""


@lru_cache(maxsize=_CACHED_WORDS)
def hashed(key: str) -> int:
    """The key as a signed 64-bit number, 0 for the empty key.

    >>> hashed("") == 0, hashed("a") == hashed("b")
    (True, False)
    """
    if not key:
        return 0
    return int.from_bytes(hashlib.blake2b(key.encode(errors="replace"), digest_size=8).digest(), "big", signed=True)
