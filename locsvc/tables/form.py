"""The table form: which columns there are, and what a run's result looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from locsvc.errors import BadData
from locsvc.model import Outcome

# Columns that are evidence: read, and not written again, as two of them share a name with a result.
EVIDENCE_COLUMNS: Final = (
    "calling_number",
    "radio",
    "mcc",
    "mnc",
    "area",
    "cell",
    "pci",
    "arfcn",
    "signal_dbm",
    "quality_db",
    "timing_advance",
    "neighbours",
    "latitude",
    "longitude",
    "radius_m",
    "reported_confidence",
    "method",
    "aml",
)
# Of located history: where the caller was, how well that is known, and which rows are of one drive or walk.
TRUTH_COLUMNS: Final = ("truth_lat", "truth_lon", "truth_accuracy_m", "session")
# What a mapping may name: these and those of the truth pass through too.
COLUMNS: Final = ("call_id", "t", *EVIDENCE_COLUMNS, *TRUTH_COLUMNS)

# Columns of the engine's own in the batches that it hands to the kernel: the row's number in the input from 1, the
# number of its call among those of the batch, a call as JSON, and why a row could not be read at all.
ROW, CALL, CALL_JSON, UNREAD = "__row", "__call", "__call_json", "__unread"
OWN: Final = (ROW, CALL, CALL_JSON, UNREAD)

RESULT: Final = pa.schema(
    [
        pa.field("call_id", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("latitude_deg", pa.float64()),
        pa.field("longitude_deg", pa.float64()),
        pa.field("confidence", pa.float64()),
        pa.field("radius_m", pa.float64()),
        pa.field("ellipse_semi_major_m", pa.float64()),
        pa.field("ellipse_semi_minor_m", pa.float64()),
        pa.field("ellipse_orientation_deg", pa.float64()),
        pa.field("region_resolution", pa.int32()),
        pa.field("region_cells", pa.list_(pa.uint64())),
        pa.field("region_area_m2", pa.float64()),
        pa.field("sources", pa.list_(pa.string())),
        pa.field("warnings", pa.list_(pa.string())),
        pa.field("address", pa.string()),
        pa.field("area", pa.string()),
    ]
)
# A call of which something could not be read, and nothing else says where the caller is.
REJECTED: Final = "rejected"
# What a call has beyond the refusals that it tells, and how many.
FURTHER: Final = "further values or rows of the call cannot be read"
OUTCOMES: Final = {o: o.name.lower() for o in Outcome}


def passing(names: Sequence[str]) -> list[str]:
    """Names of the input's columns that pass through.

    >>> passing(["call_id", "cell", "truth_lat", "note"])
    ['truth_lat', 'note']
    """
    return [n for n in names if n != "call_id" and n not in EVIDENCE_COLUMNS and n not in OWN]


def passed_name(name: str) -> str:
    """A passing column's name in the output: one that is a result's too is told from it.

    >>> passed_name("note"), passed_name("outcome")
    ('note', 'input_outcome')
    """
    return f"input_{name}" if name in RESULT.names else name


def output_schema(input_schema: pa.Schema) -> pa.Schema:
    """Schema of the output for an input, whose columns have our names."""
    fields = [input_schema.field(n) for n in passing(input_schema.names)]
    return pa.schema([*RESULT, *(f.with_name(passed_name(f.name)).with_nullable(True) for f in fields)])


def check_mapping(mapping: Mapping[str, str], names: Sequence[str]) -> None:
    """Whether a mapping of their names to ours fits an input.

    Raises
    ------
    BadData
        A name is not in the input, or is not one of ours.
    """
    for theirs, ours in mapping.items():
        if ours not in COLUMNS:
            raise BadData(f"--map {theirs}={ours}: {ours!r} is none of our columns: {', '.join(COLUMNS)}")
        if theirs not in names:
            raise BadData(f"--map {theirs}={ours}: the input has no column {theirs!r}; it has {', '.join(names)}")


def renamed(names: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """The input's names with ours in place of theirs.

    A column that had one of our names already, which the mapping gives to another, keeps its content under another.

    Raises
    ------
    BadData
        The mapping gives two columns one name, or two columns have one.
    """
    if len(set(mapping.values())) < len(mapping):
        raise BadData("--map gives one of our names to two columns")
    taken = set(mapping.values())
    result = [mapping.get(n, f"input_{n}" if n in taken else n) for n in names]
    twice = {n for n in result if result.count(n) > 1}
    if twice:
        raise BadData(f"the input has two columns {min(twice)!r}; give one another name")
    return result
