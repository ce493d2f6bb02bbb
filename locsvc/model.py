"""The words of the project as frozen dataclasses: call, evidence, shapes, estimate.

Angles are degrees clockwise from true north, lengths metres, confidences fractions, times seconds since the Unix
epoch (UTC) as `float`; `None` means "unknown". Each class mirrors the message of the same name in `proto/locsvc/v1`;
the enums have the same numbers. Nothing here checks ranges: faces do that where the data comes in.
"""

from __future__ import annotations

import builtins
import enum
from dataclasses import dataclass, field


class Radio(enum.IntEnum):
    """Radio access technology."""

    UNSPECIFIED = 0
    GSM = 1
    UMTS = 2
    LTE = 3
    NR = 4


class PositioningMethod(enum.IntEnum):
    """How a position was found."""

    UNSPECIFIED = 0
    GNSS = 1
    WIFI = 2
    CELL = 3
    FUSED = 4
    NETWORK = 5
    BEACON = 6
    MANUAL = 7


class Platform(enum.IntEnum):
    """Whose software a device runs."""

    UNSPECIFIED = 0
    ANDROID = 1
    IOS = 2


class ClassOfService(enum.IntEnum):
    """What kind of line a number is (NENA class of service)."""

    UNSPECIFIED = 0
    RESIDENCE = 1
    BUSINESS = 2
    RESIDENCE_PBX = 3
    BUSINESS_PBX = 4
    CENTREX = 5
    COIN_ONE_WAY = 6
    COIN_TWO_WAY = 7
    WIRELESS = 8
    RESIDENCE_OFF_PREMISES = 9
    BUSINESS_OFF_PREMISES = 10
    CUSTOMER_OWNED_COIN = 11
    WIRELESS_PHASE1 = 12
    WIRELESS_PHASE2 = 13
    VOIP = 14
    VOIP_RESIDENCE = 15
    VOIP_BUSINESS = 16
    VOIP_COIN = 17
    VOIP_MOBILE = 18
    VOIP_NOMADIC = 19
    VOIP_ENTERPRISE = 20
    TELEMATICS = 21
    WIRELESS_DISPATCHABLE = 22
    WIRELESS_CIVIC = 23
    TEXT = 24


class Placement(enum.IntEnum):
    """How the coordinates of a record or address were placed."""

    UNSPECIFIED = 0
    ACCESS = 1
    STRUCTURE = 2
    SITE = 3
    PARCEL = 4
    RECORD = 5
    GEOCODED_EXACT = 6
    GEOCODED_STREET = 7
    GEOCODED_LOCALITY = 8
    MAST = 9
    FIX = 10


class Outcome(enum.IntEnum):
    """What kind of answer an estimate is."""

    UNSPECIFIED = 0
    LOCATED = 1
    CONFLICT = 2
    NO_LOCATION = 3


class EvidenceKind(enum.IntEnum):
    """What kind of evidence a contribution is about."""

    UNSPECIFIED = 0
    CELL_SCAN = 1
    DEVICE_REPORT = 2
    LINE_LOOKUP = 3


class Disposition(enum.IntEnum):
    """What became of a piece of evidence."""

    UNSPECIFIED = 0
    USED = 1
    DOWN_WEIGHTED = 2
    SET_ASIDE = 3


class Reason(enum.IntEnum):
    """Why a piece of evidence counted as it did."""

    UNSPECIFIED = 0
    AGREES = 1
    CONFLICTS = 2
    DUPLICATE = 3
    STALE = 4
    NO_POSITION = 5
    UNKNOWN_UNCERTAINTY = 6
    UNKNOWN_CELL = 7
    CELL_NOT_FOUND = 8
    UNKNOWN_LINE = 9
    LINE_WITHOUT_PLACE = 10
    NOMADIC_LINE = 11
    DATASET_MISSING = 12
    DEPENDENT = 13
    INVALID = 14
    UNINFORMATIVE = 15
    UNKNOWN_METHOD = 16


class CellFallback(enum.IntEnum):
    """Which knowledge answered for a cell, from best to worst."""

    UNSPECIFIED = 0
    COVERAGE = 1
    SECTOR = 2
    CENTROID = 3
    PHYSICAL_IDENTITY = 4
    SITE = 5
    AREA = 6
    NETWORK = 7
    COUNTRY = 8


class WarningCode(enum.IntEnum):
    """What kind of warning it is."""

    UNSPECIFIED = 0
    UNKNOWN_CELL = 1
    STALE = 2
    CONFLICT = 3
    DEGRADED_DATASET = 4
    UNUSABLE_EVIDENCE = 5
    UNKNOWN_LINE = 6
    NOMADIC_LINE = 7
    DUPLICATE = 8
    NO_EVIDENCE = 9
    UNKNOWN_UNCERTAINTY = 10
    TRUNCATED = 11
    PARTLY_READ = 12
    NOT_KEPT = 13


@dataclass(frozen=True, slots=True)
class LatLng:
    """A place on the WGS84 ellipsoid, degrees."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Point:
    """A place without a stated uncertainty; never exact."""

    center: LatLng


@dataclass(frozen=True, slots=True)
class Circle:
    """A disc; radius 0 means "unknown"."""

    center: LatLng
    radius_m: float


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse; a half axis of 0 means "unknown"."""

    center: LatLng
    semi_major_m: float
    semi_minor_m: float
    orientation_deg: float


@dataclass(frozen=True, slots=True)
class ArcBand:
    """A sector of a ring around a mast."""

    center: LatLng
    inner_radius_m: float
    outer_radius_m: float
    start_angle_deg: float
    opening_angle_deg: float


@dataclass(frozen=True, slots=True)
class Polygon:
    """A simple polygon; the first corner is not repeated at the end."""

    vertices: tuple[LatLng, ...]


@dataclass(frozen=True, slots=True)
class Sphere:
    """A ball."""

    center: LatLng
    altitude_m: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipse with a vertical half axis."""

    center: LatLng
    altitude_m: float
    semi_major_m: float
    semi_minor_m: float
    vertical_m: float
    orientation_deg: float


@dataclass(frozen=True, slots=True)
class Prism:
    """A polygon with a height."""

    base: Polygon
    base_altitude_m: float
    height_m: float


Shape = Point | Circle | Ellipse | ArcBand | Polygon | Sphere | Ellipsoid | Prism


@dataclass(frozen=True, slots=True)
class CivicAddress:
    """A civic address; empty text means "not given". PIDF-LO names are in the contract."""

    country: str = ""
    state: str = ""
    county: str = ""
    city: str = ""
    district: str = ""
    street_predirection: str = ""
    street: str = ""
    street_suffix: str = ""
    street_postdirection: str = ""
    house_number: str = ""
    house_number_suffix: str = ""
    landmark: str = ""
    location: str = ""
    name: str = ""
    postcode: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    room: str = ""
    place_type: str = ""

    def line(self) -> str:
        """The address as one line for a person.

        >>> CivicAddress(house_number="3", street="Mill Lane", city="Testham", postcode="TE1 3ST").line()
        '3 Mill Lane, Testham TE1 3ST'
        """
        number = self.house_number + self.house_number_suffix
        street = " ".join(
            t
            for t in (number, self.street_predirection, self.street, self.street_suffix, self.street_postdirection)
            if t
        )
        town = " ".join(t for t in (self.city, self.state, self.postcode) if t)
        inner = ", ".join(t for t in (self.unit, self.floor and f"floor {self.floor}", self.room) if t)
        return ", ".join(t for t in (self.name, inner, street, self.district, town, self.country) if t)


@dataclass(frozen=True, slots=True)
class LineRecord:
    """What a line database holds for one number."""

    number: str = ""
    class_of_service: ClassOfService = ClassOfService.UNSPECIFIED
    address: CivicAddress | None = None
    position: LatLng | None = None
    placement: Placement = Placement.UNSPECIFIED
    uncertainty_m: float | None = None
    confidence: float | None = None
    provider: str = ""
    updated_at: float | None = None


@dataclass(frozen=True, slots=True)
class CellMeasurement:
    """One cell as measured; see the contract for ranges and unknown markers."""

    radio: Radio = Radio.UNSPECIFIED
    mcc: str = ""
    mnc: str = ""
    area: int | None = None
    cell: int | None = None
    pci: int | None = None
    arfcn: int | None = None
    signal_dbm: float | None = None
    quality_db: float | None = None
    timing_advance: int | None = None


@dataclass(frozen=True, slots=True)
class CellScan:
    """Serving cell and neighbours as measured at one time."""

    serving: CellMeasurement | None = None
    neighbours: tuple[CellMeasurement, ...] = ()


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message in a format of the field, byte for byte as it came."""

    format: str = ""
    bytes: builtins.bytes = b""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A shape with a confidence and a method, or a message that is still to be read."""

    shape: Shape | None = None
    confidence: float | None = None
    method: PositioningMethod = PositioningMethod.UNSPECIFIED
    altitude_m: float | None = None
    vertical_uncertainty_m: float | None = None
    floor: str = ""
    raw: RawMessage | None = None
    platform: Platform = Platform.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class LineLookup:
    """The number to look up, or the record as another line database gave it."""

    number: str = ""
    record: LineRecord | None = None


EvidenceContent = CellScan | DeviceReport | LineLookup


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that says where the caller is."""

    content: EvidenceContent | None = None
    evidence_id: str = ""
    provider: str = ""
    observed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One emergency call."""

    call_id: str = ""
    calling_number: str = ""
    started_at: float | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """A compacted set of H3 cells, ascending, with the mass that it really holds."""

    resolution: int
    cells: tuple[int, ...]
    mass: float
    area_m2: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another place where the caller may be."""

    position: LatLng
    mass: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Altitude:
    """Height above the WGS84 ellipsoid."""

    altitude_m: float
    uncertainty_m: float | None
    confidence: float
    floor: str = ""


@dataclass(frozen=True, slots=True)
class AreaShare:
    """How much of the region's mass lies in one area."""

    name: str
    dataset: str
    share: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """What became of one piece of evidence, or of one cell of a scan."""

    evidence_id: str
    part: str
    kind: EvidenceKind
    disposition: Disposition
    reason: Reason
    explanation: str
    cell_fallback: CellFallback = CellFallback.UNSPECIFIED
    distance_m: float | None = None
    agreement: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the contract's word; the builtin is not used in this project
    """What the reader should know."""

    code: WarningCode
    message: str
    evidence_id: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A dataset, or the calibration, as it was when it was used."""

    dataset: str
    name: str
    version: str
    rows: int = 0
    built_at: float | None = None
    size_bytes: int = 0
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class LocationEstimate:
    """One best-estimate location with an honest region, and why."""

    outcome: Outcome
    call_id: str
    confidence: float
    position: LatLng | None = None
    radius_m: float | None = None
    ellipse: Ellipse | None = None
    region: Region | None = None
    alternatives: tuple[Alternative, ...] = ()
    altitude: Altitude | None = None
    address: CivicAddress | None = None
    address_distance_m: float | None = None
    areas: tuple[AreaShare, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    warnings: tuple[Warning, ...] = ()
    estimated_at: float | None = None
    datasets: tuple[DatasetVersion, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of what one piece of evidence says by itself; the first ring is the outer one, others are holes."""

    evidence_id: str
    part: str
    rings: tuple[Polygon, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about, to be drawn: posterior cells (densest first), their masses, evidence outlines."""

    cells: tuple[int, ...] = ()
    masses: tuple[float, ...] = ()
    outlines: tuple[Outline, ...] = ()
