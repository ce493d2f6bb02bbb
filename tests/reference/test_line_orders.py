"""Service orders on lines: each rule of theirs, all or none, and lines from records that are no table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.errors import BadData, DatasetError
from locsvc.model import CivicAddress, ClassOfService, LatLng, LineRecord, Placement
from locsvc.reference.addresses import AddressStore, import_addresses
from locsvc.reference.importing import ImportReport
from locsvc.reference.lines import LineStore, SourceRecord, apply_orders, current_lines, import_lines, import_records
from locsvc.reference.lines import orders as rules
from locsvc.reference.snapshot import Draft, Snapshot, current_id

OLD, NEW = "OLDCO", "NEWCO"
NUMBER = "+15555550100"
HOME = CivicAddress(house_number="1", street="Mill Lane", city="Testham")


def source_record(
    function: str,
    company: str = OLD,
    number: str = NUMBER,
    address: CivicAddress | None = HOME,
    position: LatLng | None = None,
    notes: tuple[str, ...] = (),
) -> SourceRecord:
    record = LineRecord(number, ClassOfService.RESIDENCE, address, position, provider=company, updated_at=1.7e9)
    return SourceRecord(1, f"{function}{number}", record, function=function, notes=notes)


class World:
    """A data directory whose lines are changed by orders."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.rejects = folder / "rejects.csv"

    def apply(self, *orders: SourceRecord, addresses: AddressStore | None = None) -> ImportReport:
        return self.apply_all(iter(orders), addresses)

    def apply_all(self, orders: Iterator[SourceRecord], addresses: AddressStore | None = None) -> ImportReport:
        with Draft.begin(self.data) as draft:
            report = apply_orders(
                draft,
                orders,
                current=current_lines(self.data),
                source="orders.ali",
                addresses=addresses,
                rejects=self.rejects,
            )
            draft.publish()
        return report

    def table(self, text: str) -> None:
        source = self.data.parent / "lines.csv"
        source.write_text(text, encoding="utf-8")
        with Draft.begin(self.data) as draft:
            import_lines(draft, source, mapping=None, default_region="GB", addresses=None, licence="CC0")
            draft.publish()

    def store(self) -> LineStore:
        return LineStore.open(Snapshot.open(self.data).entries("lines")[0])

    def record(self, number: str = NUMBER) -> LineRecord | None:
        return self.store().lookup([number])[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def addresses(tmp_path: Path) -> AddressStore:
    source = tmp_path / "addresses.csv"
    source.write_text("lat,lon,number,street,city\n53.0,-6.0,1,Mill Lane,Testham\n", encoding="utf-8")
    with Draft.begin(tmp_path / "town") as draft:
        import_addresses(draft, source, name="town")
        draft.publish()
    return AddressStore.open(Snapshot.open(tmp_path / "town").entries("addresses"))


# Each order, on each state of the line: what becomes of it.
LOCKED: tuple[SourceRecord, ...] = (source_record("I"),)
FREE = (*LOCKED, source_record("U"))
NONE: tuple[SourceRecord, ...] = ()
DONE = ""


@pytest.mark.parametrize(
    ("before", "order", "refused"),
    [
        pytest.param(NONE, ("I", OLD), DONE, id="insert of nothing"),
        pytest.param(NONE, ("C", OLD), rules.NO_SUCH_LINE, id="change of nothing"),
        pytest.param(NONE, ("D", OLD), rules.NO_SUCH_LINE, id="deletion of nothing"),
        pytest.param(NONE, ("U", OLD), rules.NO_SUCH_LINE, id="unlock of nothing"),
        pytest.param(NONE, ("M", NEW), rules.NO_SUCH_LINE, id="migration of nothing"),
        pytest.param(NONE, ("X", OLD), rules.UNKNOWN_FUNCTION, id="unknown function"),
        pytest.param(LOCKED, ("I", OLD), rules.ALREADY_THERE, id="insert again"),
        pytest.param(LOCKED, ("I", NEW), rules.ALREADY_THERE, id="insert of another's line"),
        pytest.param(LOCKED, ("C", OLD), DONE, id="change"),
        pytest.param(LOCKED, ("C", "oldco"), DONE, id="letter case is no other company"),
        pytest.param(LOCKED, ("C", ""), DONE, id="change without a company"),
        pytest.param(LOCKED, ("C", NEW), rules.OTHER_COMPANY, id="change of another's line"),
        pytest.param(LOCKED, ("D", OLD), DONE, id="deletion"),
        pytest.param(LOCKED, ("D", NEW), rules.OTHER_COMPANY, id="deletion of another's line"),
        pytest.param(LOCKED, ("U", OLD), DONE, id="unlock"),
        pytest.param(LOCKED, ("U", NEW), rules.OTHER_COMPANY, id="unlock of another's line"),
        pytest.param(LOCKED, ("M", NEW), rules.NOT_UNLOCKED, id="migration of a locked line"),
        pytest.param(FREE, ("I", NEW), DONE, id="insert of an unlocked line"),
        pytest.param(FREE, ("M", NEW), DONE, id="migration"),
        pytest.param(FREE, ("C", OLD), rules.UNLOCKED, id="change of an unlocked line"),
        pytest.param(FREE, ("D", OLD), rules.UNLOCKED, id="deletion of an unlocked line"),
        pytest.param(FREE, ("U", OLD), rules.UNLOCKED, id="unlock again"),
    ],
)
def test_an_order_is_carried_out_or_refused(
    world: World, before: tuple[SourceRecord, ...], order: tuple[str, str], refused: str
) -> None:
    other = source_record("I", number="+15555550199")
    world.apply(other, *before)
    former = world.record()
    # One more that can be carried out: with none there is nothing to publish.
    report = world.apply(
        source_record("C", number="+15555550199"), source_record(*order, position=LatLng(38.5, -104.5))
    )
    assert report.rejected == ({refused: 1} if refused else {})
    now = world.record()
    if refused:
        assert now == former
        assert refused in world.rejects.read_text(encoding="utf-8")
    elif order[0] == "D":
        assert now is None
    elif order[0] == "U":
        assert now == former
    else:
        assert now is not None
        assert (now.position, now.provider) == (LatLng(38.5, -104.5), order[1])


def test_a_line_that_was_taken_over_is_locked_again(world: World) -> None:
    report = world.apply(*FREE, source_record("M", NEW), source_record("M", OLD), source_record("D", OLD))
    assert report.rejected == {rules.NOT_UNLOCKED: 1, rules.OTHER_COMPANY: 1}
    assert report.notes["migrated"] == 1
    assert world.apply(source_record("D", NEW)).rows == 0
    assert world.record() is None


def test_a_line_stays_unlocked_over_imports_of_orders(world: World) -> None:
    world.apply(*FREE)
    world.apply(source_record("I", number="+15555550101"))
    assert world.apply(source_record("M", NEW)).notes["migrated"] == 1


def test_a_migration_without_a_place_keeps_the_lines(world: World) -> None:
    world.apply(source_record("I", position=LatLng(38.5, -104.5)), source_record("U"))
    world.apply(source_record("M", NEW, address=None))
    record = world.record()
    assert record is not None
    assert (record.address, record.position, record.provider) == (HOME, LatLng(38.5, -104.5), NEW)


def test_orders_change_the_lines_of_a_table_and_leave_the_others(world: World) -> None:
    world.table("number,provider,street\n+15555550100,Old Telephone,Mill Lane\n+441632960001,Ours,High Street\n")
    report = world.apply(source_record("C", NEW), source_record("I", NEW, number="+15555550101"))
    assert report.rows == 3
    assert report.notes == {"changed": 1, "inserted": 1, "no coordinates and no place for the address": 2}
    changed, other = world.record(), world.record("01632 960001")
    assert changed is not None
    assert changed.address == HOME
    assert other is not None
    assert other.provider == "Ours"
    version = Snapshot.open(world.data).entries("lines")[0].version
    assert (version.source, version.licence) == ("lines.csv and orders to orders.ali", "CC0")
    world.apply(source_record("D", NEW))
    assert Snapshot.open(world.data).entries("lines")[0].version.source == "lines.csv and orders to orders.ali"


def test_lines_of_orders_are_placed_by_their_address(world: World, addresses: AddressStore) -> None:
    report = world.apply(source_record("I", notes=("one",)), source_record("U", notes=("two",)), addresses=addresses)
    record = world.record()
    assert record is not None
    assert (record.position, record.placement) == (LatLng(53.0, -6.0), Placement.GEOCODED_EXACT)
    # Of an unlock nothing is placed, and nothing is left out.
    assert report.notes == {"inserted": 1, "unlocked": 1, "one": 1, "no coordinates: geocoded to the address": 1}


def test_what_is_no_order_is_listed(world: World) -> None:
    bad = SourceRecord(2, "spoilt", None, "no record")
    odd = source_record("I", number="+15555")
    assert world.apply(source_record("I"), bad, odd).rejected == {"no record": 1, "not a possible telephone number": 1}
    assert "2,no record,spoilt" in world.rejects.read_text(encoding="utf-8")


def test_orders_none_of_which_can_be_carried_out_publish_nothing(world: World) -> None:
    world.apply(source_record("I"))
    before = current_id(world.data)
    with pytest.raises(BadData, match="no order could be carried out"):
        world.apply(source_record("I"), source_record("D", number="+15555550101"))
    with pytest.raises(BadData, match="it has none"):
        world.apply()
    assert current_id(world.data) == before


def test_orders_that_turn_out_damaged_at_their_end_change_nothing(world: World) -> None:
    world.apply(source_record("I"))
    before, former = current_id(world.data), world.store()

    def damaged() -> Iterator[SourceRecord]:
        yield source_record("D")
        yield source_record("I", number="+15555550101")
        raise BadData("the trailer counts 3 records, the file has 2")

    with pytest.raises(BadData, match="trailer"):
        world.apply_all(damaged())
    assert current_id(world.data) == before
    assert world.record() is not None
    assert former.lookup([NUMBER, "+15555550101"])[1] is None


def test_who_reads_the_former_lines_reads_on(world: World) -> None:
    world.apply(source_record("I"))
    former = world.store()
    world.apply(source_record("D"))
    assert former.lookup([NUMBER])[0] is not None
    assert world.record() is None


def test_orders_to_damaged_lines_are_refused(world: World) -> None:
    world.apply(source_record("I"))
    file = Snapshot.open(world.data).entries("lines")[0].path / "lines.sqlite"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DatasetError, match="damaged"):
        world.apply(source_record("C"))


def test_lines_are_imported_from_records(world: World, addresses: AddressStore) -> None:
    again = source_record("I", NEW)
    with Draft.begin(world.data) as draft:
        report = import_records(
            draft,
            [source_record("I"), again, SourceRecord(3, "spoilt", None, "no record")],
            source="initial.ali",
            default_region="US",
            addresses=addresses,
        )
        draft.publish()
    assert (report.rows, report.rejected) == (1, {"no record": 1})
    assert report.notes["number came more than once: newest record kept"] == 1
    assert world.store().default_region == "US"
    record = world.record("555-555-0100")
    assert record is not None
    assert (record.provider, record.position) == (NEW, LatLng(53.0, -6.0))
    with Draft.begin(world.data) as draft, pytest.raises(BadData, match="1 x no record"):
        import_records(
            draft,
            [SourceRecord(1, "spoilt", None, "no record")],
            source="initial.ali",
            default_region="US",
            addresses=None,
        )


class Model:
    """The rules once more, as plainly as they can be said."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[str, bool]] = {}

    def carry_out(self, function: str, number: str, company: str) -> bool:
        held = self.lines.get(number)
        takes: dict[str, Callable[[], bool]] = {
            "I": lambda: held is None or held[1],
            "M": lambda: held is not None and held[1],
            "C": lambda: held is not None and not held[1] and held[0] == company,
            "D": lambda: held is not None and not held[1] and held[0] == company,
            "U": lambda: held is not None and not held[1] and held[0] == company,
        }
        if not takes[function]():
            return False
        if function == "D":
            del self.lines[number]
        else:
            self.lines[number] = (company, function == "U")
        return True


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ICDUM"), st.sampled_from(["+15555550100", "+15555550101"]), st.sampled_from([OLD, NEW])
        ),
        max_size=40,
    )
)
def test_any_orders_leave_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[str, str, str]]
) -> None:
    world, plain = World(tmp_path_factory.mktemp("orders")), Model()
    done = sum([plain.carry_out(*order) for order in orders])
    if not done:
        return
    report = world.apply(*(source_record(function, company, number) for function, number, company in orders))
    assert sum(report.rejected.values()) == len(orders) - done
    assert report.rows == len(plain.lines)
    for number in ("+15555550100", "+15555550101"):
        record = world.record(number)
        assert (record and record.provider) == (plain.lines[number][0] if number in plain.lines else None)
