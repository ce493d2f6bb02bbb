"""Lines: what an import makes of each row, and looking up."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locsvc.errors import BadData, DatasetError, InvalidInput
from locsvc.model import CivicAddress, ClassOfService, LatLng, LineRecord, Placement
from locsvc.reference.addresses import AddressStore, import_addresses
from locsvc.reference.importing import ImportReport
from locsvc.reference.lines import LineStore, import_lines
from locsvc.reference.lines import store as store_module
from locsvc.reference.lines.codes import class_of_service, placement, unix_time
from locsvc.reference.lines.table import COLUMNS, record_of, row_of
from locsvc.reference.snapshot import Draft, Snapshot

HEADER = "number,class_of_service,latitude,longitude,uncertainty_m,confidence,placement,provider,updated"


class World:
    """A data directory into which tables of lines are put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def put(
        self,
        header: str,
        *rows: str,
        region: str | None = "IE",
        mapping: dict[str, str] | None = None,
        addresses: AddressStore | None = None,
    ) -> ImportReport:
        source = self.folder / "lines.csv"
        source.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        with Draft.begin(self.data) as draft:
            report = import_lines(
                draft,
                source,
                mapping=mapping,
                default_region=region,
                addresses=addresses,
                rejects=self.folder / "rejects.csv",
            )
            draft.publish()
        return report

    def open(self) -> LineStore:
        return LineStore.open(Snapshot.open(self.data).entries("lines")[0])

    def record(self, number: str) -> LineRecord:
        found = self.open().lookup([number])[0]
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def addresses(tmp_path: Path) -> AddressStore:
    source = tmp_path / "addresses.csv"
    source.write_text(
        "lat,lon,number,street,city,postcode\n"
        "53.0000,-6.0,1,Mill Lane,Testham,T1\n"
        "53.0040,-6.0,9,Mill Lane,Testham,T1\n"
        "53.0200,-6.0,2,Station Road,Testham,T2\n",
        encoding="utf-8",
    )
    with Draft.begin(tmp_path / "town") as draft:
        import_addresses(draft, source, name="town")
        draft.publish()
    return AddressStore.open(Snapshot.open(tmp_path / "town").entries("addresses"))


def test_a_full_record_comes_back_whole(world: World) -> None:
    report = world.put(
        f"{HEADER},country,state,county,city,street_predirection,street,street_suffix,house_number,unit,floor,name,postcode",
        "+353209100001,RESD,51.9,-8.4,25,90,Structure,Eircom,2026-03-01T12:00:00Z,IE,Munster,Cork,Cork,N,Mill,Lane,3,B,2,A. Caller,T12",
    )
    assert report.rows == 1
    assert not report.rejected
    assert not report.notes
    assert world.record("+353209100001") == LineRecord(
        number="+353209100001",
        class_of_service=ClassOfService.RESIDENCE,
        address=CivicAddress(
            country="IE",
            state="Munster",
            county="Cork",
            city="Cork",
            street_predirection="N",
            street="Mill",
            street_suffix="Lane",
            house_number="3",
            unit="B",
            floor="2",
            name="A. Caller",
            postcode="T12",
        ),
        position=LatLng(51.9, -8.4),
        placement=Placement.STRUCTURE,
        uncertainty_m=25.0,
        confidence=0.9,
        provider="Eircom",
        updated_at=1772366400.0,
    )


def test_columns_are_mapped_and_constants_given(world: World) -> None:
    world.put(
        "rufnummer;strasse;hausnr",
        "020 91 00001;Dorfstrasse;24",
        mapping={
            "number": "rufnummer",
            "street": "strasse",
            "house_number": "hausnr",
            "class_of_service": "=BUSN",
            "provider": "=Telecom",
        },
    )
    record = world.record("+353209100001")
    assert record.class_of_service == ClassOfService.BUSINESS
    assert record.provider == "Telecom"
    assert record.address == CivicAddress(street="Dorfstrasse", house_number="24")
    assert record.position is None


def test_usual_headers_are_found(world: World) -> None:
    world.put(
        "TN,COS,House No,Street Name,Community,Zip,Lat,Lon,Company ID",
        "0209100001,1,3,Mill Lane,Cork,T12,51.9,-8.4,EIR",
    )
    record = world.record("+353209100001")
    assert record.class_of_service == ClassOfService.RESIDENCE
    assert record.address == CivicAddress(house_number="3", street="Mill Lane", city="Cork", postcode="T12")
    assert record.provider == "EIR"


def test_number_is_the_house_number_when_another_column_is_the_telephones(world: World) -> None:
    world.put("number,street,phone", "3,Mill Lane,0209100001")
    assert world.record("+353209100001").address == CivicAddress(house_number="3", street="Mill Lane")
    world.put("number,street,phone", "0209100002,Mill Lane,1", mapping={"number": "number"})
    assert world.record("+353209100002").address == CivicAddress(street="Mill Lane")


def test_numbers_are_read_in_the_default_region_and_looked_up_so(world: World) -> None:
    world.put("number", "(020) 91-00001", "+44 1632 960123", "0044 1632 960124")
    store = world.open()
    assert store.default_region == "IE"
    found = store.lookup(["+353209100001", "020 9100001", "+441632960123", "+441632960124", "+353209100009", "?"])
    assert [r and r.number for r in found] == [
        "+353209100001",
        "+353209100001",
        "+441632960123",
        "+441632960124",
        None,
        None,
    ]


def test_without_a_region_only_international_numbers_are_kept(world: World) -> None:
    report = world.put("number", "020 91 00001", "+353209100001", region=None)
    assert report.rejected == {"not a possible telephone number": 1}
    assert world.open().default_region is None


def test_bad_rows_are_counted_by_reason_and_listed(world: World, tmp_path: Path) -> None:
    report = world.put("number,street", "+353209100001,A", ",B", "12,C", "+1555,D", "+353209100002")
    assert report.rows == 1
    assert report.rejected == {"no number": 1, "not a possible telephone number": 2, "wrong number of columns": 1}
    assert report.reject_file == tmp_path / "rejects.csv"
    assert '3,no number,",B"' in report.reject_file.read_text()


def test_what_is_wrong_in_a_record_is_left_out_and_noted(world: World) -> None:
    report = world.put(
        HEADER,
        "+353209100001,XXXX,51.9,-8.4,-5,200,Somewhere,Eircom,yesterday",
        "+353209100002,RESD,91,-8.4,10,0.9,,,",
        "+353209100003,RESD,north,-8.4,10,0.9,,,",
        "+353209100004,RESD,51.9,,10,0.9,,,",
        "+353209100005,RESD,0.0,0,10,0.9,,,",
        "+353209100006,RESD,51.9,-8.4,0,0.9,,,",
        "+353209100007,RESD,51.9,-8.4,nan,,,,",
        "+353209100008,RESD,51.9,-8.4,10,1e3,,,",
    )
    assert report.rows == 8
    assert not report.rejected
    assert report.notes == {
        "class of service not known: left out": 1,
        "confidence is no share above 0 and below 1, nor a percentage: left out": 1,
        "coordinates 0,0: taken as none": 1,
        "coordinates are no latitude and longitude in degrees: left out": 3,
        "no coordinates and no place for the address": 4,
        "placement not known: left out": 1,
        "time of the last change not understood: left out": 1,
        "uncertainty is no length: left out": 2,
    }
    first = world.record("+353209100001")
    assert first.class_of_service == ClassOfService.UNSPECIFIED
    assert (first.placement, first.uncertainty_m, first.confidence, first.updated_at) == (
        Placement.RECORD,
        None,
        None,
        None,
    )
    for n in (2, 3, 4, 5):
        record = world.record(f"+35320910000{n}")
        assert record.position is None
        assert record.placement == Placement.UNSPECIFIED
        assert record.uncertainty_m is None
    unknown_radius = world.record("+353209100006")
    assert unknown_radius.position == LatLng(51.9, -8.4)
    assert unknown_radius.uncertainty_m is None
    assert world.record("+353209100008").uncertainty_m == 10.0


@pytest.mark.parametrize(("text", "share"), [("0.68", 0.68), ("68", 0.68), ("95 %", 0.95), ("0.5%", 0.005)])
def test_a_confidence_is_a_share_or_a_percentage(world: World, text: str, share: float) -> None:
    world.put(HEADER, f"+353209100001,RESD,51.9,-8.4,10,{text},,,")
    assert world.record("+353209100001").confidence == pytest.approx(share)


def test_the_newest_of_several_records_stays(world: World) -> None:
    report = world.put(
        "number,provider,updated",
        "+353209100001,old,2020-01-01",
        "+353209100001,new,2024-01-01",
        "0209100001,older,2019-01-01",
        "+353209100002,first,",
        "+353209100002,last,",
        "+353209100003,dated,2020-01-01",
        "+353209100003,undated,",
        "+353209100004,undated,",
        "+353209100004,dated,2020-01-01",
    )
    assert report.rows == 4
    assert report.notes["number came more than once: newest record kept"] == 5
    assert not report.rejected
    assert [world.record(f"+35320910000{n}").provider for n in (1, 2, 3, 4)] == ["new", "last", "dated", "dated"]


def test_records_without_coordinates_are_geocoded(world: World, addresses: AddressStore) -> None:
    report = world.put(
        "number,class_of_service,house_number,street,city,latitude,longitude",
        "+353209100001,RESD,1,Mill Ln,TESTHAM,,",
        "+353209100002,RESD,77,Mill Lane,Testham,,",
        "+353209100003,RESD,77,Unknown Way,Testham,0,0",
        "+353209100004,RESD,1,Mill Lane,Elsewhere,,",
        "+353209100005,RESD,1,Mill Lane,Testham,52.5,-7.5",
        "+353209100006,RESD,,,,,",
        addresses=addresses,
    )
    assert {k: v for k, v in report.notes.items() if "coordinates" in k} == {
        "coordinates 0,0: taken as none": 1,
        "no coordinates and no place for the address": 2,
        "no coordinates: geocoded to the address": 1,
        "no coordinates: geocoded to the street": 1,
        "no coordinates: geocoded to the locality": 1,
    }
    exact, street, locality, elsewhere, own, bare = (world.record(f"+35320910000{n}") for n in range(1, 7))
    assert (exact.placement, exact.position, exact.uncertainty_m) == (
        Placement.GEOCODED_EXACT,
        LatLng(53.0, -6.0),
        None,
    )
    assert street.placement == Placement.GEOCODED_STREET
    assert street.uncertainty_m is not None
    assert 400 < street.uncertainty_m < 500
    assert locality.placement == Placement.GEOCODED_LOCALITY
    assert locality.uncertainty_m is not None
    assert locality.uncertainty_m > 1700
    assert elsewhere.position is None
    assert (own.placement, own.position) == (Placement.RECORD, LatLng(52.5, -7.5))
    assert bare.address is None


def test_wireless_lines_are_not_placed_at_an_address_that_is_not_the_callers(
    world: World, addresses: AddressStore
) -> None:
    report = world.put(
        "number,class_of_service,house_number,street,city",
        "+353209100001,WPH1,1,Mill Lane,Testham",
        "+353209100002,WPH2,1,Mill Lane,Testham",
        "+353209100003,MOBL,1,Mill Lane,Testham",
        "+353209100004,TLMA,1,Mill Lane,Testham",
        "+353209100005,WPH1,77,Mill Lane,Testham",
        "+353209100006,VNOM,1,Mill Lane,Testham",
        addresses=addresses,
    )
    placed = [world.record(f"+35320910000{n}").placement for n in range(1, 7)]
    assert placed == [
        Placement.MAST,
        Placement.MAST,
        Placement.UNSPECIFIED,
        Placement.UNSPECIFIED,
        Placement.UNSPECIFIED,
        Placement.GEOCODED_EXACT,
    ]
    assert world.record("+353209100001").uncertainty_m is None
    assert report.notes["no coordinates: mast placed at the record's address"] == 2


def test_coordinates_of_wireless_records_are_the_masts_or_a_fix(world: World) -> None:
    world.put(
        HEADER,
        "+353209100001,G,51.9,-8.4,,,,,",
        "+353209100002,H,51.9,-8.4,50,90,,,",
        "+353209100003,G,51.9,-8.4,,,Site,,",
    )
    placed = [world.record(f"+35320910000{n}").placement for n in (1, 2, 3)]
    assert placed == [Placement.MAST, Placement.FIX, Placement.SITE]


def test_wrong_tables_and_options_are_refused_and_the_former_lines_stay(world: World) -> None:
    world.put("number", "+353209100001")
    with pytest.raises(InvalidInput, match="'Ireland' is no region"):
        world.put("number", "+353209100002", region="Ireland")
    with pytest.raises(InvalidInput, match=r"mapping\.number"):
        world.put("street,city", "A,B")
    with pytest.raises(InvalidInput, match="'rufnummer'"):
        world.put("number,city", "+353209100002,B", mapping={"number": "rufnummer"})
    with pytest.raises(BadData, match="1 x not a possible telephone number"):
        world.put("number", "12")
    with pytest.raises(BadData):
        world.put("a,b", "1,2")
    assert world.record("+353209100001").number == "+353209100001"


def test_a_new_import_replaces_the_former(world: World) -> None:
    world.put("number", "+353209100001")
    world.put("number", "+353209100002")
    assert world.open().lookup(["+353209100001"]) == [None]


def test_many_numbers_at_once_come_back_in_order(world: World) -> None:
    world.put("number", *(f"+3532091{n:05d}" for n in range(0, 2000, 2)))
    asked = [f"+3532091{n:05d}" for n in [*range(1999, -1, -1), 4, 4]]
    found = world.open().lookup(asked)
    assert [r.number if r else None for r in found] == [n if int(n[-5:]) % 2 == 0 else None for n in asked]
    assert world.open().lookup([]) == []


def test_records_that_are_kept_are_those_of_the_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_KEPT_RECORDS", 3)
    world.put("number", *(f"+3532091{n:05d}" for n in range(8)))
    store = world.open()
    asked = [f"+3532091{n:05d}" for n in (0, 1, 99, 0, 2, 3, 4, 5, 0, 99)]
    for batch in (1, 2, 4, len(asked)):
        found = [record for i in range(0, len(asked), batch) for record in store.lookup(asked[i : i + batch])]
        assert [r.number if r else None for r in found] == [None if n.endswith("99") else n for n in asked]
    assert store.lookup(["no number", asked[0]])[0] is None


def test_threads_read_at_once_even_when_the_snapshot_is_gone(world: World) -> None:
    world.put("number", *(f"+3532091{n:05d}" for n in range(500)))
    store = world.open()
    shutil.rmtree(world.data)
    answers: list[list[LineRecord | None]] = []

    def read() -> None:
        answers.append([store.lookup([f"+3532091{n:05d}"])[0] for n in range(500)])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(r is not None and r.number == f"+3532091{n:05d}" for a in answers for n, r in enumerate(a))
    store.close()


@pytest.mark.parametrize("damage", ["cut", "text", "schema", "absent"])
def test_a_damaged_file_is_named(world: World, damage: str) -> None:
    world.put("number", *(f"+3532091{n:05d}" for n in range(500)))
    entry = Snapshot.open(world.data).entries("lines")[0]
    file = entry.path / "lines.sqlite"
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[:1000])
        case "text":
            file.write_bytes(b"no database at all" * 500)
        case "schema":
            file.write_bytes(content[:60] + (99).to_bytes(4, "big") + content[64:])
        case "absent":
            file.unlink()
    with pytest.raises(DatasetError, match=r"lines\.sqlite"):
        LineStore.open(entry)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((c, ClassOfService(i)) for i, c in enumerate("123456789", start=1)),
        ("0", ClassOfService.BUSINESS_OFF_PREMISES),
        ("A", ClassOfService.CUSTOMER_OWNED_COIN),
        ("B", ClassOfService.UNSPECIFIED),
        ("G", ClassOfService.WIRELESS_PHASE1),
        ("wph1", ClassOfService.WIRELESS_PHASE1),
        ("H", ClassOfService.WIRELESS_PHASE2),
        ("V", ClassOfService.VOIP),
        ("VRES", ClassOfService.VOIP_RESIDENCE),
        ("K", ClassOfService.VOIP_ENTERPRISE),
        ("W911", ClassOfService.WIRELESS),
        ("WDL2", ClassOfService.WIRELESS_DISPATCHABLE),
        ("TEXT", ClassOfService.TEXT),
        ("CLASS_OF_SERVICE_VOIP_MOBILE", ClassOfService.VOIP_MOBILE),
        ("Residence PBX", ClassOfService.RESIDENCE_PBX),
        ("", ClassOfService.UNSPECIFIED),
        ("Q", None),
        ("12", None),
    ],
)
def test_classes_of_service(code: str, expected: ClassOfService | None) -> None:
    assert class_of_service(code) == expected


def test_every_class_and_placement_is_known_by_its_name() -> None:
    for line_class in ClassOfService:
        assert class_of_service(line_class.name.lower()) == line_class
    for placed in Placement:
        assert placement(placed.name.lower()) == placed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21", 1795219200.0),
        ("2026-11-21T01:00:00+01:00", 1795219200.0),
        ("2026-11-21 00:00:00", 1795219200.0),
        ("20261121", 1795219200.0),
        ("11/21/2026", 1795219200.0),
        ("1795219200", 1795219200.0),
        ("1795219200.5", 1795219200.5),
        ("21.11.2026", None),
        ("99/99/2026", None),
        ("", None),
    ],
)
def test_times(text: str, expected: float | None) -> None:
    assert unix_time(text) == expected


TEXT = st.text(max_size=12)
RECORDS = st.builds(
    LineRecord,
    number=st.integers(10_000_000, 10**15 - 1).map(lambda n: f"+{n}"),
    class_of_service=st.sampled_from(ClassOfService),
    address=st.none() | st.builds(CivicAddress, street=TEXT.filter(bool), city=TEXT, name=TEXT),
    position=st.none() | st.builds(LatLng, st.floats(-90, 90), st.floats(-180, 180)),
    placement=st.sampled_from(Placement),
    uncertainty_m=st.none() | st.floats(1, 1e6),
    confidence=st.none() | st.floats(0.01, 0.99),
    provider=TEXT,
    updated_at=st.none() | st.floats(0, 4e9),
)


@given(RECORDS)
def test_a_record_is_its_row(record: LineRecord) -> None:
    row = row_of(record)
    assert len(row) == len(COLUMNS)
    assert record_of(row) == record


@given(
    st.binary(max_size=200)
    | st.lists(st.tuples(*[st.text(max_size=8)] * 6), max_size=5).map(
        lambda rows: "\n".join(
            [
                "number,class_of_service,latitude,longitude,confidence,updated",
                "+353209100001,,,,,",
                *(f"+35320910000{n}," + ",".join(row[1:]) for n, row in enumerate(rows)),
            ]
        ).encode(errors="replace")
    )
)
@example(b"\r\x01")
def test_any_file_is_imported_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "any.csv").write_bytes(content)
    with Draft.begin(folder / "data") as draft:
        try:
            report = import_lines(draft, folder / "any.csv", mapping=None, default_region="IE", addresses=None)
        except (BadData, InvalidInput):
            return
        draft.publish()
    assert report.rows > 0
    assert LineStore.open(Snapshot.open(folder / "data").entries("lines")[0]).lookup(["+353209100009"]) == [None]
