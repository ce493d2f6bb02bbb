"""Documented ranges of the contract's fields: the one table that every face checks by.

`locsvc.rpc.convert` checks messages by it, `locsvc.formats.call_checks` what came as JSON, as options or in a format of
the field.

References
----------
3GPP TS 23.003 (LAC, TAC, CI, ECI, NCI), TS 36.211 and 38.211 (physical cell identity), TS 25.213 (scrambling code),
TS 45.010, 36.213 and 38.213 (timing advance); the comments in `proto/locsvc/v1` state each range.
"""

from __future__ import annotations

from typing import Final

MAX_EVIDENCE: Final = 1_000
MAX_NEIGHBOURS: Final = 64
MIN_VERTICES: Final = 3
MAX_VERTICES: Final = 1_000

# Names (call_id, evidence_id, provider, floor) and other texts (address parts, numbers as dialled), characters.
MAX_NAME: Final = 128
MAX_TEXT: Final = 1_000
MAX_DIALLED: Final = 64

# A message as it came: far above what the field sends (a PIDF-LO with a large polygon has some 20 KiB), far below what
# keeps a parser busy.
MAX_RAW_BYTES: Final = 65_536

MIN_CONFIDENCE: Final = 0.5
MAX_CONFIDENCE: Final = 0.999

# Half the circumference of the Earth is 20,037,508 m on the equator: no circle on the ground is wider.
MAX_LENGTH_M: Final = 20_100_000.0
MIN_ALTITUDE_M: Final = -500.0
MAX_ALTITUDE_M: Final = 10_000.0
MIN_SIGNAL_DBM: Final = -160.0
MAX_SIGNAL_DBM: Final = 0.0
MIN_QUALITY_DB: Final = -50.0
MAX_QUALITY_DB: Final = 30.0
MAX_ARFCN: Final = 3_279_165

# 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, the range of google.protobuf.Timestamp.
MIN_SECONDS: Final = -62_135_596_800
MAX_SECONDS: Final = 253_402_300_799
MAX_NANOS: Final = 999_999_999

# By model.Radio number: unspecified, GSM, UMTS, LTE, NR. The all-ones values are in range: they mean "unknown".
MAX_AREA: Final = (0xFFFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFF)
MAX_CELL: Final = ((1 << 36) - 1, 0xFFFF, (1 << 28) - 1, (1 << 28) - 1, (1 << 36) - 1)
MAX_PCI: Final = (1_007, 63, 511, 503, 1_007)
# UMTS has no timing advance of this kind: any value of another radio passes and is not used.
MAX_TIMING_ADVANCE: Final = (3_846, 219, 3_846, 1_282, 3_846)
