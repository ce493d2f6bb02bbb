"""Line records from CSV into a draft: numbers to E.164, records without coordinates geocoded."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from locsvc.errors import BadData, FieldViolation, InvalidInput
from locsvc.geo import is_null_position
from locsvc.model import CivicAddress, ClassOfService, LatLng, LineRecord, Placement
from locsvc.reference.addresses import AddressStore
from locsvc.reference.importing import ImportReport, Rejects, TableLayout, TableRow, find_layout, read_table
from locsvc.reference.lines import codes
from locsvc.reference.lines.placing import Placer
from locsvc.reference.lines.records import IMPOSSIBLE_NUMBER
from locsvc.reference.lines.table import AGAIN, CIVIC_FIELDS, DATASET, FILE, NAME, Value, row_of, write_rows
from locsvc.reference.numbers import known_region, normalise_number
from locsvc.reference.snapshot import Draft

_PROGRESS_ROWS = 20_000

# Reasons for which a row is no record.
NO_NUMBER = "no number"
# What became of rows that are records.
UNKNOWN_CLASS = "class of service not known: left out"
UNKNOWN_PLACEMENT = "placement not known: left out"
BAD_COORDINATES = "coordinates are no latitude and longitude in degrees: left out"
NULL_COORDINATES = "coordinates 0,0: taken as none"
BAD_UNCERTAINTY = "uncertainty is no length: left out"
BAD_CONFIDENCE = "confidence is no share above 0 and below 1, nor a percentage: left out"
BAD_TIME = "time of the last change not understood: left out"

# Headers that were met. "number" is the telephone number, unless another column is clearly that.
_KNOWN: dict[str, tuple[str, ...]] = {
    "number": (),
    "telephone": (
        "telephone_number",
        "phone_number",
        "phone",
        "tn",
        "calling_number",
        "msisdn",
        "e164",
        "cli",
        "ani",
        "did",
    ),
    "class_of_service": ("cos", "class", "service_class", "class_code"),
    "latitude": ("lat", "latitude_deg", "y"),
    "longitude": ("lon", "lng", "long", "longitude_deg", "x"),
    "uncertainty_m": ("uncertainty", "radius_m", "radius", "accuracy_m", "accuracy"),
    "confidence": ("confidence_percent", "cop"),
    "placement": ("placement_method", "placed_by"),
    "provider": ("carrier", "company", "company_id", "operator", "service_provider"),
    "updated": ("updated_at", "last_updated", "last_update", "changed", "modified", "extract_date", "date"),
    **dict.fromkeys(CIVIC_FIELDS, ()),
    "country": ("country_code",),
    "state": ("region", "province"),
    "city": ("town", "community", "locality", "municipality", "msag_community", "post_town"),
    "street_predirection": ("prefix_directional", "predir", "prd"),
    "street": ("street_name", "road", "addr:street"),
    "street_suffix": ("street_type", "sts"),
    "street_postdirection": ("post_directional", "postdir", "pod"),
    "house_number": ("housenumber", "house_no", "hno", "street_number", "addr:housenumber"),
    "house_number_suffix": ("number_suffix", "hns"),
    "name": ("customer_name", "customer", "subscriber"),
    "postcode": ("post_code", "postal_code", "zip", "zipcode", "zip_code", "eircode"),
    "unit": ("apartment", "flat", "suite"),
}


def import_lines(
    draft: Draft,
    source: Path,
    *,
    mapping: Mapping[str, str] | None,
    default_region: str | None,
    addresses: AddressStore | None,
    rejects: Path | None = None,
    licence: str = "",
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import a CSV file of line records in place of the former ones; what became of each row is in the report.

    A row is rejected only when it has no possible number; what else is wrong with it is left out and noted, since the
    rest of the record may be all that is known of a caller. Coordinates 0,0 and an uncertainty of 0 mean "unknown".
    A confidence of 1 or more is taken as a percentage.

    Parameters
    ----------
    mapping
        Our column (number, class_of_service, latitude, longitude, uncertainty_m, confidence, placement, provider,
        updated, or a field of CivicAddress) -> column of the table, or "=text" for a constant. Columns with usual
        names are found without.
    default_region
        ISO 3166-1 alpha-2 of the region in which numbers without a country code are dialled; None: they are rejected.
    addresses
        Where records without coordinates are looked for; None: they stay without.
    rejects
        CSV file for the rows that could not be used.
    progress
        Called with the number of rows read so far, now and then.

    Raises
    ------
    BadData
        The file cannot be read, or has no usable row.
    InvalidInput
        The mapping names a column that is not there, no column holds the number, or the region is not one.
    """
    started = time.monotonic()
    if default_region is not None and not known_region(default_region):
        remedy = "give ISO 3166-1 alpha-2 in upper case, as IE"
        raise InvalidInput([FieldViolation("default_region", f"{default_region!r} is no region; {remedy}")])
    layout = _layout(source, mapping)
    with Rejects(rejects) as rejected:
        reader = _Reader(rejected, default_region, addresses, progress)
        file = draft.dataset_dir(DATASET, NAME) / FILE
        rows = write_rows(file, reader.rows(read_table(source, layout)))
        if not rows:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in rejected.counts.items())
            raise BadData(f"{source} has no usable line record ({reasons or 'no rows'})")
        if reader.kept > rows:
            reader.notes[AGAIN] = reader.kept - rows
        notes = dict(sorted(reader.notes.items()))
        extra = {"default_region": default_region, "notes": notes}
        draft.describe(DATASET, NAME, rows=rows, source=source.name, licence=licence, built_at=time.time(), extra=extra)
        return rejected.report(rows, time.monotonic() - started, notes)


def _layout(source: Path, mapping: Mapping[str, str] | None) -> TableLayout:
    layout = find_layout(source, known=_KNOWN, mapping=mapping)
    telephone = layout.indexes.pop("telephone", None)
    if telephone is not None and "number" not in (mapping or {}):
        other = layout.indexes.get("number")
        layout.indexes["number"] = telephone
        if other is not None and "house_number" not in layout.columns():
            layout.indexes["house_number"] = other
    if "number" not in layout.indexes:
        raise InvalidInput([FieldViolation("mapping.number", f"{source} has no column for it; say which one it is")])
    return layout


class _Reader:
    """Rows of the table into rows of the database."""

    def __init__(
        self,
        rejected: Rejects,
        default_region: str | None,
        addresses: AddressStore | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._rejected = rejected
        self._region = default_region
        self._progress = progress
        self.notes: Counter[str] = Counter()
        self.kept = 0
        self._placer = Placer(addresses, self.notes)

    def rows(self, table: Iterator[TableRow]) -> Iterator[tuple[Value, ...]]:
        """The usable rows; the others are rejected on the way."""
        for count, row in enumerate(table, start=1):
            if self._progress is not None and count % _PROGRESS_ROWS == 0:
                self._progress(count)
            text = row.values.get("number", "")
            number = normalise_number(text, self._region) if text else None
            if number is None:
                self._rejected.add(row.line, row.problem or (IMPOSSIBLE_NUMBER if text else NO_NUMBER), row.text)
                continue
            self.kept += 1
            yield row_of(self._record(number, row.values))

    def _record(self, number: str, values: Mapping[str, str]) -> LineRecord:
        civic = {name: values[name] for name in CIVIC_FIELDS if values.get(name)}
        line_class = codes.class_of_service(values.get("class_of_service", ""))
        if line_class is None:
            self.notes[UNKNOWN_CLASS] += 1
            line_class = ClassOfService.UNSPECIFIED
        placement = codes.placement(values.get("placement", ""))
        if placement is None:
            self.notes[UNKNOWN_PLACEMENT] += 1
            placement = Placement.UNSPECIFIED
        position = self._position(values.get("latitude", ""), values.get("longitude", ""))
        address = CivicAddress(**civic) if civic else None
        uncertainty_m = self._uncertainty_m(values.get("uncertainty_m", "")) if position else None
        record = LineRecord(
            number=number,
            class_of_service=line_class,
            address=address,
            position=position,
            placement=placement,
            uncertainty_m=uncertainty_m,
            confidence=self._confidence(values.get("confidence", "")) if uncertainty_m is not None else None,
            provider=values.get("provider", ""),
            updated_at=self._updated_at(values.get("updated", "")),
        )
        return self._placer.placed(record)

    def _position(self, latitude_text: str, longitude_text: str) -> LatLng | None:
        if not latitude_text and not longitude_text:
            return None
        latitude, longitude = _number(latitude_text), _number(longitude_text)
        if latitude is None or longitude is None or abs(latitude) > 90.0 or abs(longitude) > 180.0:
            self.notes[BAD_COORDINATES] += 1
            return None
        if is_null_position(latitude, longitude):
            self.notes[NULL_COORDINATES] += 1
            return None
        return LatLng(latitude, longitude)

    def _uncertainty_m(self, text: str) -> float | None:
        if not text:
            return None
        value = _number(text)
        if value is None or value < 0.0:
            self.notes[BAD_UNCERTAINTY] += 1
            return None
        return value or None

    def _confidence(self, text: str) -> float | None:
        if not text:
            return None
        value = _number(text.removesuffix("%"))
        share = value / 100.0 if value is not None and (value >= 1.0 or text.endswith("%")) else value
        if share is None or not 0.0 < share < 1.0:
            self.notes[BAD_CONFIDENCE] += 1
            return None
        return share

    def _updated_at(self, text: str) -> float | None:
        if not text:
            return None
        time_s = codes.unix_time(text)
        if time_s is None:
            self.notes[BAD_TIME] += 1
        return time_s


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
