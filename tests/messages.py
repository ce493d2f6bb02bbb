"""One message of each format for the caller in the sample town, as `data/messages` has them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "data" / "messages"
FILES = {
    "aml": "aml.txt",
    "pidf-lo": "pidf-lo.xml",
    "held": "held.xml",
    "sip": "sip.txt",
    "gad": "gad.hex",
    "ali": "ali.txt",
    "mlp": "mlp.xml",
    "access-network": "access-network.txt",
    "rfc7105": "rfc7105.xml",
}

# Format -> a message that says where the caller is.
MESSAGES: dict[str, bytes] = {name: (FOLDER / file).read_bytes() for name, file in FILES.items()}
