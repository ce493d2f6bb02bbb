"""The client speaks the model's words to a real server and raises the project's errors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from locsvc import model
from locsvc.errors import (
    DatasetMissing,
    InvalidInput,
    LocsvcError,
    NotFound,
    Overloaded,
    Unavailable,
)
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from locsvc.rpc.client import Client, ClientSettings
from locsvc.rpc.settings import ServerSettings
from locsvc.v1 import civic_pb2

Running = Any
Calls = dict[str, model.Call]
Answer = TypeVar("Answer")


async def asked(served: Running, ask: Callable[[Client], Answer]) -> Answer:
    """What `ask` gets, from a thread: the server runs on this one."""

    def work() -> Answer:
        with Client(ClientSettings(served.target)) as client:
            return ask(client)

    return await asyncio.to_thread(work)


async def test_resolve(served: Running, calls: Calls, imported_town: Path) -> None:
    resolver = Resolver(Reference.open(imported_town))
    for call in calls.values():
        estimate, trace = await asked(served, lambda c, call=call: c.resolve(call))  # type: ignore[misc]
        assert estimate == resolver.resolve([call])[0]
        assert trace is None
    call = calls["01-agreement"]
    got = await asked(served, lambda c: c.resolve(call, confidence=0.68, as_of=1.8e9, with_trace=True))
    assert got == resolver.resolve_traced([call], confidences=0.68, as_of=[1.8e9])[0]


async def test_resolve_many_in_several_batches(served: Running, calls: Calls, imported_town: Path) -> None:
    lone = calls["10-lone-cell"]
    many = [lone] * 1001
    many[500] = model.Call(calling_number="not a number")
    results = await asked(served, lambda c: c.resolve_many(many, confidence=0.8))
    expected = Resolver(Reference.open(imported_town)).resolve([lone], confidences=0.8)[0]
    assert len(results) == 1001
    wrong = results.pop(500)
    assert isinstance(wrong, InvalidInput)
    assert [v.field for v in wrong.violations] == ["calling_number"]
    assert all(result == expected for result in results)


async def test_lookups(served: Running, calls: Calls) -> None:
    scan = calls["10-lone-cell"].evidence[0].content
    assert isinstance(scan, model.CellScan)
    assert scan.serving is not None
    serving, place = scan.serving, model.LatLng(54.9956348, 2.4904369)
    cell = await asked(served, lambda c: c.lookup_cell(serving))
    assert cell.rows[0].cell.cell == serving.cell
    near = await asked(served, lambda c: c.lookup_cell(None, near=place, limit=2))
    assert len(near.rows) == 2
    line = await asked(served, lambda c: c.lookup_line("+441632960100"))
    assert line.record.address.house_number == "1"
    found = await asked(served, lambda c: c.find_addresses(near=place, limit=1))
    assert found.matches[0].address.street == "Mill Lane"
    placed = await asked(served, lambda c: c.find_addresses(address=model.CivicAddress(street="Mill Lane")))
    assert placed.matches[0].placement == civic_pb2.PLACEMENT_GEOCODED_STREET
    areas = await asked(served, lambda c: c.find_areas(place))
    assert len(areas.areas) == 1
    datasets, warnings = await asked(served, lambda c: c.list_datasets())
    assert {d.dataset for d in datasets} == {"cells", "lines", "addresses", "areas"}
    assert warnings == []


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda c: c.resolve(model.Call(call_id="x" * 129)), InvalidInput),
        (lambda c: c.lookup_line("+441632961999"), NotFound),
        (lambda c: c.lookup_cell(None), InvalidInput),
        (lambda c: c.find_areas(model.LatLng(91.0, 0.0)), InvalidInput),
    ],
)
async def test_errors_come_as_the_projects_classes(
    served: Running, ask: Callable[[Client], object], error: type[LocsvcError]
) -> None:
    with pytest.raises(error) as caught:
        await asked(served, ask)
    assert type(caught.value) is error
    if isinstance(caught.value, InvalidInput):
        assert caught.value.violations[0].field in {"call.call_id", "cell", "position.latitude_deg"}


async def test_a_missing_dataset_and_overload_come_as_such(start: Callable[..., Any], town: Path) -> None:
    bare = await start()
    with pytest.raises(DatasetMissing):
        await asked(bare, lambda c: c.lookup_line("+441632960100"))
    small = await start(ServerSettings(data=town, max_waiting_batch_calls=1000))
    small.server.batcher.reserve(1000)
    with pytest.raises(Overloaded) as caught:
        await asked(small, lambda c: c.resolve_many([model.Call()]))
    assert caught.value.retry_after_s == 1.0


async def test_too_large_a_message_comes_as_overload(start: Callable[..., Any]) -> None:
    # RESOURCE_EXHAUSTED by the library: without details of ours it is read by its code.
    served = await start(ServerSettings(max_message_bytes=1024))
    with pytest.raises(Overloaded):
        await asked(served, lambda c: c.resolve(model.Call(call_id="x" * 2000)))


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{held.getsockname()[1]}"
        with Client(ClientSettings(target, timeout_s=5.0)) as client, pytest.raises(Unavailable):
            client.resolve(model.Call())
