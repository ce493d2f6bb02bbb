"""XML from strangers: what is refused, what is mended, what is lost when a document is cut."""

from __future__ import annotations

import contextlib
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats import xml
from locsvc.formats.reading import Unreadable

LAUGHS = (
    "<!DOCTYPE a [<!ENTITY l0 'ha'>"
    + "".join(f"<!ENTITY l{i} '{f'&l{i - 1};' * 10}'>" for i in range(1, 10))
    + "]><a>&l9;</a>"
)

BOMBS = {
    "billion laughs": LAUGHS,
    "billion laughs in UTF-16": LAUGHS.encode("utf-16"),
    "billion laughs in UTF-16 without a mark": LAUGHS.encode("utf-16-be"),
    "billion laughs behind a false encoding": b'<?xml version="1.0" encoding="utf-16"?>' + LAUGHS.encode(),
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
    "external DTD": '<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>',
    "DOCTYPE in UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-',
    "attribute of 10 MB": "<a b='" + "x" * 10_000_000 + "'/>",
    "attribute of 200 kB": "<a b='" + "x" * 200_000 + "'/>",
    "100,000 nested": "<a>" * 100_000 + "</a>" * 100_000,
    "70,000 nested, not closed": "<a>" * 70_000,
    "2,500 nested": "<a>" * 2500 + "</a>" * 2500,
    "65 nested": "<a>" * 65 + "</a>" * 65,
    "100,000 attributes": "<a " + " ".join(f"b{i}=''" for i in range(100_000)) + "/>",
    "attributes below the size": "<a " + " ".join(f"b{i}=''" for i in range(6000)) + "/>",
    "namespaces on every level": "".join(f"<a xmlns:p{i}='urn:{i}'>" for i in range(4000)),
    "20,001 elements": "<a>" + "<b/>" * 20_001 + "</a>",
    "letters of two bytes": "<a>" + "é" * 140_000 + "</a>",
    "ampersands": "<a>" + "&" * 250_000 + "</a>",
    "250,000 lines and a mistake": "<a>" + "\n" * 250_000 + "<b",
}

NO_XML = {
    "nothing": b"",
    "white space": b" \n",
    "text": b'A"ML=1;lt=+1.0',
    "one bracket": b"<",
    "zeros": b"\x00" * 100,
    "an unknown encoding": b'<?xml version="1.0" encoding="x-mars"?><a/>',
    "cut within its first tag": b"<presence xmlns='urn:ietf:params:xml:ns:pi",
}


@pytest.mark.parametrize("message", [pytest.param(m, id=name) for name, m in (BOMBS | NO_XML).items()])
def test_bombs_and_what_is_no_xml_are_refused(message: str | bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable):
        xml.parse(message)
    # Kilobytes. The message itself was there before.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_document_as_large_and_deep_as_allowed_is_read() -> None:
    deep = xml.parse("<a>" * xml.MAX_DEPTH + "</a>" * xml.MAX_DEPTH)
    assert sum(1 for _ in deep.root.iter()) == xml.MAX_DEPTH
    wide = xml.parse("<a>" + "<b/>" * (xml.MAX_ELEMENTS - 2) + "</a>")
    assert len(wide.root) == xml.MAX_ELEMENTS - 2
    text = "<a b='" + "x" * xml.MAX_ATTRIBUTE + "'>"
    long = xml.parse(text + "y" * (xml.MAX_BYTES - len(text) - 4) + "</a>")
    assert long.root.get("b") == "x" * xml.MAX_ATTRIBUTE
    assert (deep.warnings, wide.warnings, long.warnings) == ((), (), ())


def test_text_is_one_piece_whatever_stands_within_it() -> None:
    root = xml.parse("<?xml version='1.0'?><!-- a --><a>1 <!-- b -->2<?c d?> <![CDATA[3]]></a><!-- e -->").root
    assert (root.tag, root.text) == ("a", "1 2 3")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param("<a>é</a>".encode(), "é", id="utf-8"),
        pytest.param(b"\xef\xbb\xbf<a>\xc3\xa9</a>", "é", id="utf-8 with a mark"),
        pytest.param("\ufeff<a>é</a>", "é", id="text with a mark"),
        pytest.param("<a>é</a>".encode("utf-16"), "é", id="utf-16"),
        pytest.param("<a>é</a>".encode("utf-16-le"), "é", id="utf-16 without a mark"),
        pytest.param('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), "é", id="latin-1"),
        pytest.param('<?xml version="1.0" encoding="iso-8859-2"?><a>ő</a>'.encode("iso8859-2"), "ő", id="latin-2"),
        pytest.param('<?xml version="1.0" encoding="UTF-16"?><a>é</a>', "é", id="text that says it is utf-16"),
        pytest.param(b'\r\n <?xml version="1.0"?><a>e</a>\x00\x00', "e", id="white space and zeros around it"),
    ],
)
def test_encodings(message: str | bytes, text: str) -> None:
    document = xml.parse(message)
    assert (document.root.text, document.warnings) == (text, ())


@pytest.mark.parametrize(
    ("message", "text", "reason"),
    [
        pytest.param(b"<a><b>Caf\xe9 1</b></a>", "Café 1", "windows-1252", id="latin-1 that does not say so"),
        pytest.param("<a><b>Fish & Chips</b></a>", "Fish  Chips", "read all the same", id="a bare ampersand"),
        pytest.param("<a><b>Caf&eacute;</b></a>", "Caf", "read all the same", id="an entity of HTML"),
        pytest.param("<g:a><g:b>1</g:b></g:a>", "1", "read all the same", id="prefixes not declared"),
        pytest.param("<a xmlns=' x y'><b>1</b></a>", "1", "read all the same", id="a namespace that is no URI"),
        pytest.param("<a><b>1</b></a><c/>", "1", "only what stands before", id="two documents"),
        pytest.param("<a><b>1</b></a> -- \nsent by", "1", "only what stands before", id="text after the document"),
    ],
)
def test_harmless_mistakes_are_mended(message: str | bytes, text: str, reason: str) -> None:
    document = xml.parse(message)
    assert document.root[0].text == text
    assert not document.cut
    assert [w.field for w in document.warnings] == ["XML"]
    assert reason in document.warnings[0].reason


WHOLE = "<a xmlns='urn:u'>\n <b>12</b>\n <c d='3'/><e><f>45</f><g>678</g></e>\n</a>"


def test_a_cut_document_keeps_what_was_complete() -> None:
    whole = [(xml.local_name(e), (e.text or "").strip()) for e in xml.parse(WHOLE).root.iter() if len(e) == 0]
    for end in range(1, len(WHOLE)):
        try:
            document = xml.parse(WHOLE[:end])
        except Unreadable:
            assert end < WHOLE.index("</b>") + 4
            continue
        leaves = [(xml.local_name(e), (e.text or "").strip()) for e in document.root.iter() if len(e) == 0]
        # A number that was cut short is not there at all.
        assert leaves == whole[: len(leaves)] or leaves == [*whole[: len(leaves) - 1], ("e", "")]
        assert document.cut
        assert len(document.warnings) == 1


def test_nothing_after_a_mistake_is_believed() -> None:
    document = xml.parse("<a><b>1</b><c>2</d><b>3</b></a>")
    assert [e.text for e in document.root.iter("b")] == ["1"]
    assert document.cut


@given(
    st.binary(max_size=200) | st.text(max_size=100) | st.text("<>/&;!?-='\" ab:x\n", max_size=200).map("<a>".__add__)
)
def test_anything_is_read_or_refused(message: str | bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert all(isinstance(element.tag, str) for element in xml.parse(message).root.iter())
