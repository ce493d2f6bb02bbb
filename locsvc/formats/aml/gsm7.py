"""The GSM 7-bit default alphabet, and its packing of 8 septets into 7 octets, both ways.

References
----------
3GPP TS 23.038 clauses 6.1.2.1.1 (packing for SMS), 6.2.1 (default alphabet), 6.2.1.1 (extension table).
"""

from __future__ import annotations

from collections.abc import Iterable

SEPTET_BITS = 7
OCTET_BITS = 8
ESCAPE = 0x1B
# Index is the septet. 0x1B is the escape to the extension table and no character of its own.
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_SHIFTS = range(0, SEPTET_BITS * OCTET_BITS, SEPTET_BITS)
_SEPTETS = {character: bytes([septet]) for septet, character in enumerate(ALPHABET) if septet != ESCAPE} | {
    character: bytes([ESCAPE, septet]) for septet, character in EXTENSION.items()
}


def unpack(octets: bytes, count: int | None = None, fill_bits: int = 0) -> bytes:
    """The septets in packed octets, one a byte.

    Parameters
    ----------
    octets
        Packed, lowest bits first.
    count
        How many septets there are. None: as many as fit, which is one too many where exactly 7 bits were left over.
    fill_bits
        Bits before the first septet: after a user data header, septets begin at the next septet boundary.

    References
    ----------
    3GPP TS 23.038 clause 6.1.2.1.1; TS 23.040 clause 9.2.3.24 for the fill bits.

    >>> unpack(bytes.fromhex("415193D9")).decode()
    'A"ML'
    """
    fitting = (len(octets) * OCTET_BITS - fill_bits) // SEPTET_BITS
    wanted = fitting if count is None else min(count, fitting)
    if fill_bits:
        octets = (int.from_bytes(octets, "little") >> fill_bits).to_bytes(len(octets), "little")
    septets = bytearray()
    # 7 octets are 8 septets: each block is taken apart by itself.
    for start in range(0, len(octets), SEPTET_BITS):
        bits = int.from_bytes(octets[start : start + SEPTET_BITS], "little")
        septets += bytes([bits >> shift & 0x7F for shift in _SHIFTS])
    return bytes(septets[: max(0, wanted)])


def pack(septets: Iterable[int], fill_bits: int = 0) -> bytes:
    """Octets that hold the septets, lowest bits first, the last octet filled with 0.

    Raises
    ------
    ValueError
        A value is no septet.

    References
    ----------
    3GPP TS 23.038 clause 6.1.2.1.1.

    >>> pack(b'A"ML=').hex()
    '415193d903'
    >>> unpack(pack([1, 127, 64], fill_bits=3), 3, fill_bits=3).hex()
    '017f40'
    """
    octets = bytearray()
    bits, held = 0, fill_bits
    for septet in septets:
        if not 0 <= septet <= 0x7F:
            raise ValueError(f"{septet} is no septet: give 0 to 127")
        bits |= septet << held
        held += SEPTET_BITS
        while held >= OCTET_BITS:
            octets.append(bits & 0xFF)
            bits >>= OCTET_BITS
            held -= OCTET_BITS
    if held:
        octets.append(bits)
    return bytes(octets)


def text_of(septets: bytes) -> str:
    r"""The text that septets stand for.

    An escape before a septet that the extension table leaves open adds nothing, and one before another escape, or at
    the end, is a space, as the tables ask.

    References
    ----------
    3GPP TS 23.038 clauses 6.2.1 and 6.2.1.1.

    >>> text_of(b"\x1b\x65 5")
    '€ 5'
    """
    if ESCAPE not in septets:
        return "".join([ALPHABET[septet & 0x7F] for septet in septets])
    characters: list[str] = []
    escaped = False
    for septet in septets:
        if escaped:
            characters.append(" " if septet == ESCAPE else EXTENSION.get(septet, ALPHABET[septet & 0x7F]))
            escaped = False
        elif septet == ESCAPE:
            escaped = True
        else:
            characters.append(ALPHABET[septet & 0x7F])
    return "".join(characters) + (" " if escaped else "")


def septets_of(text: str) -> bytes:
    r"""The septets of a text, one a byte; two for a character of the extension table.

    Raises
    ------
    ValueError
        A character is not in the alphabet.

    References
    ----------
    3GPP TS 23.038 clauses 6.2.1 and 6.2.1.1.

    >>> septets_of("@_{")
    b'\x00\x11\x1b('
    """
    try:
        return b"".join(map(_SEPTETS.__getitem__, text))
    except KeyError as missing:
        raise ValueError(f"{missing.args[0]!r} is not in the GSM 7-bit alphabet") from None
