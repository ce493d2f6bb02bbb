"""The services over a real connection: answers, errors with their details, limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from locsvc import model
from locsvc.errors import DatasetError
from locsvc.reference.store import Reference
from locsvc.resolver import Begun, Resolver
from locsvc.resolver.table import EvidenceTable
from locsvc.rpc.convert.replies import read_estimate, read_trace, write_call, write_cell
from locsvc.rpc.settings import ServerSettings
from locsvc.rpc.waiting import RETRY_AFTER_S
from locsvc.v1 import call_service_pb2, civic_pb2, estimate_pb2, geometry_pb2, reference_service_pb2
from locsvc.v1.location_service_pb2 import (
    BatchResolveLocationsRequest,
    ResolveLocationRequest,
    ResolveLocationResponse,
)

Running = Any
Floats = npt.NDArray[np.float64]
Start = Callable[..., Awaitable[Any]]
Calls = dict[str, model.Call]
RequestOf = Callable[[model.Call], ResolveLocationRequest]

SERVICES = ("", "locsvc.v1.LocationService", "locsvc.v1.ReferenceService")


@pytest.fixture(params=[False, True], ids=["worker", "beside"])
def resolver_process(request: pytest.FixtureRequest) -> bool:
    """What resolves: the worker by itself, or the process beside it."""
    return bool(request.param)


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The details of a rich error by their kind; each kind comes once."""
    status = rpc_status.from_call(error)
    assert isinstance(status, status_pb2.Status)
    found: dict[str, Any] = {}
    for packed in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            if packed.Is(kind.DESCRIPTOR):
                assert kind.__name__ not in found
                found[kind.__name__] = kind.FromString(packed.value)
    assert found["ErrorInfo"].domain == "locsvc.v1"
    return found


async def failure(answer: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    return caught.value


class SlowResolver(Resolver):
    """The real resolver, held up until the test lets it go."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference)
        self.gate = threading.Event()
        self.seen: list[int] = []
        self.hold = False

    def begin(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Begun:
        self.seen.append(len(confidences))
        if self.hold:
            self.gate.wait(30.0)
        return super().begin(table, confidences, as_of)


# LocationService


async def test_resolve_is_what_the_resolver_says(
    served: Running, calls: Calls, request_of: RequestOf, imported_town: Path
) -> None:
    resolver = Resolver(Reference.open(imported_town))
    for call in calls.values():
        response = await served.location.ResolveLocation(request_of(call))
        assert read_estimate(response.estimate) == resolver.resolve([call])[0]
        assert not response.HasField("trace")


async def test_confidence_time_and_trace_reach_the_resolver(
    served: Running, calls: Calls, request_of: RequestOf, imported_town: Path
) -> None:
    call = calls["01-agreement"]
    request = request_of(call)
    request.confidence = 0.5
    request.as_of.FromSeconds(1_800_000_000)
    request.with_trace = True
    response = await served.location.ResolveLocation(request)
    resolver = Resolver(Reference.open(imported_town))
    (estimate, trace) = resolver.resolve_traced([call], confidences=0.5, as_of=[1_800_000_000.0])[0]
    assert read_estimate(response.estimate) == estimate
    assert read_trace(response.trace) == trace
    assert response.estimate.confidence == 0.5
    assert response.estimate.estimated_at.seconds == 1_800_000_000
    assert len(response.trace.cells) > 1


async def test_a_call_without_evidence_is_answered_without_a_location(served: Running) -> None:
    request = ResolveLocationRequest(with_trace=True)
    request.call.call_id = "empty"
    response = await served.location.ResolveLocation(request)
    assert response.estimate.outcome == estimate_pb2.OUTCOME_NO_LOCATION
    assert response.estimate.call_id == "empty"
    assert [w.code for w in response.estimate.warnings] == [estimate_pb2.WARNING_CODE_NO_EVIDENCE]
    assert not response.HasField("trace")
    assert not response.estimate.HasField("position")


async def test_bad_request_names_all_fields(served: Running) -> None:
    request = ResolveLocationRequest(confidence=90.0)
    request.call.calling_number = "087 secret"
    request.call.evidence.add().device_report.confidence = 68.0
    error = await failure(served.location.ResolveLocation(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = details(error)
    assert found["ErrorInfo"].reason == "INVALID_FIELD"
    assert {v.field for v in found["BadRequest"].field_violations} == {
        "confidence",
        "call.calling_number",
        "call.evidence[0].device_report.confidence",
    }
    assert "secret" not in str(error.debug_error_string()) + str(error.details())


async def test_very_many_violations_fit_into_the_metadata(served: Running) -> None:
    request = ResolveLocationRequest()
    for _ in range(1000):
        request.call.evidence.add().device_report.confidence = 68.0
    error = await failure(served.location.ResolveLocation(request))
    found = details(error)
    shown = len(found["BadRequest"].field_violations)
    assert found["ErrorInfo"].metadata == {"violations": "1000", "shown": str(shown)}
    assert 20 < shown < 1000


@pytest.mark.parametrize(
    "method",
    [
        "LocationService/ResolveLocation",
        "LocationService/BatchResolveLocations",
        "ReferenceService/LookupLine",
        "ReferenceService/ListDatasets",
    ],
)
async def test_bytes_that_are_no_message_are_a_bad_request(served: Running, method: str) -> None:
    error = await failure(served.channel.unary_unary(f"/locsvc.v1.{method}")(b"\xff\xff\xff"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error)["BadRequest"].field_violations[0].field == "request"


async def test_too_large_a_message_is_shed_and_the_server_lives(start: Start, imported_town: Path) -> None:
    served = await start(ServerSettings(data=imported_town, max_message_bytes=2048))
    request = ResolveLocationRequest()
    request.call.call_id = "x" * 3000
    error = await failure(served.location.ResolveLocation(request))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    request.call.call_id = "x"
    assert (await served.location.ResolveLocation(request)).estimate.call_id == "x"


async def test_batch_answers_each_call_on_its_own(served: Running, calls: Calls, imported_town: Path) -> None:
    asked = [*calls.values()] * 12
    request = BatchResolveLocationsRequest(confidence=0.8)
    for call in asked:
        write_call(call, request.calls.add())
    request.calls[7].evidence.add().device_report.confidence = 68.0
    response = await served.location.BatchResolveLocations(request)
    alone = Resolver(Reference.open(imported_town)).resolve(asked, confidences=0.8)
    assert len(response.results) == len(asked)
    wrong = response.results[7]
    assert wrong.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    place = len(asked[7].evidence)
    assert [v.field for v in wrong.error.violations] == [f"evidence[{place}].device_report.confidence"]
    for n, (result, estimate) in enumerate(zip(response.results, alone, strict=True)):
        if n != 7:
            assert read_estimate(result.estimate) == estimate


@pytest.mark.parametrize("count", [0, 1001])
async def test_batch_bounds(served: Running, count: int) -> None:
    request = BatchResolveLocationsRequest()
    for _ in range(count):
        request.calls.add()
    error = await failure(served.location.BatchResolveLocations(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [v.field for v in details(error)["BadRequest"].field_violations] == ["calls"]


async def test_a_thousand_calls_and_a_single_one_between_them(
    served: Running, calls: Calls, request_of: RequestOf
) -> None:
    request = BatchResolveLocationsRequest()
    for _ in range(1000):
        write_call(calls["10-lone-cell"], request.calls.add())
    batch = asyncio.ensure_future(served.location.BatchResolveLocations(request))
    while not served.server.batcher.resolved:  # noqa: ASYNC110 - a count of the server, no event
        await asyncio.sleep(0.001)
    single = await served.location.ResolveLocation(request_of(calls["10-lone-cell"]))
    assert single.estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert not batch.done(), "the single call waited for the whole batch"
    assert len((await batch).results) == 1000


# Faults, load and deadlines


async def test_requests_that_wait_together_are_fused(
    start: Start, imported_town: Path, calls: Calls, request_of: RequestOf
) -> None:
    resolver = SlowResolver(Reference.open(imported_town))
    served = await start(make=lambda: resolver)
    request = request_of(calls["10-lone-cell"])
    resolver.seen.clear()
    answers = await asyncio.gather(*(served.location.ResolveLocation(request) for _ in range(200)))
    assert len({a.SerializeToString(deterministic=True) for a in answers}) == 1
    assert sum(resolver.seen) == 200
    assert max(resolver.seen) > 1
    assert max(resolver.seen) <= 64


async def test_overload_is_shed_with_a_time_to_come_back(
    start: Start, imported_town: Path, calls: Calls, request_of: RequestOf
) -> None:
    served = await start(ServerSettings(data=imported_town, max_waiting=4))
    request = request_of(calls["10-lone-cell"])
    answers = await asyncio.gather(
        *(served.location.ResolveLocation(request) for _ in range(400)), return_exceptions=True
    )
    shed = [a for a in answers if isinstance(a, grpc.aio.AioRpcError)]
    good = [a for a in answers if isinstance(a, ResolveLocationResponse)]
    assert len(shed) + len(good) == 400
    assert good
    assert shed
    for error in shed:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        found = details(error)
        assert found["ErrorInfo"].reason == "OVERLOADED"
        assert found["RetryInfo"].retry_delay.ToMilliseconds() == RETRY_AFTER_S * 1000
    assert (await served.location.ResolveLocation(request)).estimate.call_id == "10-lone-cell"


async def test_batches_beyond_their_room_are_shed_and_give_it_back(start: Start, imported_town: Path) -> None:
    served = await start(ServerSettings(data=imported_town, max_waiting_batch_calls=1000))
    request = BatchResolveLocationsRequest()
    for _ in range(600):
        request.calls.add()
    answers = await asyncio.gather(
        *(served.location.BatchResolveLocations(request) for _ in range(4)), return_exceptions=True
    )
    codes = [a.code() for a in answers if isinstance(a, grpc.aio.AioRpcError)]
    assert codes
    assert set(codes) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(codes) < 4
    for _ in range(3):
        assert len((await served.location.BatchResolveLocations(request)).results) == 600


async def test_a_fault_in_one_call_does_not_spoil_the_others(
    start: Start, imported_town: Path, calls: Calls, request_of: RequestOf
) -> None:
    class Faulty(Resolver):
        def begin(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Begun:
            if "poison" in table.names:
                raise ZeroDivisionError("+353209100000")
            return super().begin(table, confidences, as_of)

    served = await start(make=lambda: Faulty(Reference.open(imported_town)))
    good, poison = request_of(calls["10-lone-cell"]), ResolveLocationRequest()
    poison.call.evidence.add(evidence_id="poison")
    answers = await asyncio.gather(
        *(served.location.ResolveLocation(poison if n % 10 == 0 else good) for n in range(50)), return_exceptions=True
    )
    for n, answer in enumerate(answers):
        if n % 10 == 0:
            assert isinstance(answer, grpc.aio.AioRpcError)
            assert answer.code() is grpc.StatusCode.INTERNAL
            assert details(answer)["ErrorInfo"].reason == "INTERNAL"
            assert "353" not in str(answer.details())
        else:
            assert isinstance(answer, ResolveLocationResponse)
            assert answer.estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    batch = BatchResolveLocationsRequest(calls=[good.call, poison.call, good.call])
    results = (await served.location.BatchResolveLocations(batch)).results
    assert [r.WhichOneof("result") for r in results] == ["estimate", "error", "estimate"]
    assert results[1].error.code == grpc.StatusCode.INTERNAL.value[0]


async def test_the_clients_deadline_is_kept(
    start: Start, imported_town: Path, calls: Calls, request_of: RequestOf
) -> None:
    resolver = SlowResolver(Reference.open(imported_town))
    served = await start(make=lambda: resolver)
    request = request_of(calls["10-lone-cell"])
    resolver.hold = True
    threading.Timer(0.5, resolver.gate.set).start()
    error = await failure(served.location.ResolveLocation(request, timeout=0.1))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    resolver.hold = False
    assert (await served.location.ResolveLocation(request, timeout=10)).estimate.call_id == "10-lone-cell"


# ReferenceService


async def test_lookup_cell(served: Running, calls: Calls) -> None:
    scan = calls["01-agreement"].evidence[0].content
    assert isinstance(scan, model.CellScan)
    assert scan.serving is not None
    request = reference_service_pb2.LookupCellRequest()
    write_cell(scan.serving, request.cell)
    response = await served.reference.LookupCell(request)
    assert response.rows[0].cell.cell == scan.serving.cell
    assert response.fallback in (estimate_pb2.CELL_FALLBACK_SECTOR, estimate_pb2.CELL_FALLBACK_CENTROID)
    assert not response.rows[0].HasField("distance_m")

    near = reference_service_pb2.LookupCellRequest(limit=3)
    near.near.latitude_deg, near.near.longitude_deg = 55.0, 2.5
    rows = (await served.reference.LookupCell(near)).rows
    assert len(rows) == 3
    distances = [row.distance_m for row in rows]
    assert distances == sorted(distances)
    assert all(0 < d < 5000 for d in distances)


async def test_lookup_cell_that_is_not_there(served: Running) -> None:
    request = reference_service_pb2.LookupCellRequest()
    write_cell(model.CellMeasurement(model.Radio.LTE, "001", "01", 1101, 999_999), request.cell)
    response = await served.reference.LookupCell(request)
    assert response.fallback == estimate_pb2.CELL_FALLBACK_AREA
    assert {row.cell.area for row in response.rows} == {1101}
    request.cell.area, request.cell.mnc = 9, "99"
    error = await failure(served.reference.LookupCell(request))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert details(error)["ErrorInfo"].reason == "NOT_FOUND"


async def test_lookup_line(served: Running) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await served.reference.LookupLine(reference_service_pb2.LookupLineRequest(number="01632 960100"))
    audit = next(entry for entry in logs if entry["event"] == "line_looked_up")
    assert audit["found"] is True
    assert audit["peer"].startswith("ipv4:127.0.0.1")
    assert "960100" not in str(logs)
    assert response.record.number == "+441632960100"
    assert response.record.class_of_service == civic_pb2.CLASS_OF_SERVICE_RESIDENCE
    assert response.record.address.street == "Mill Lane"
    error = await failure(served.reference.LookupLine(reference_service_pb2.LookupLineRequest(number="+441632961999")))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "1632" not in str(error.details())


async def test_find_addresses(served: Running) -> None:
    request = reference_service_pb2.FindAddressesRequest(limit=4)
    request.near.latitude_deg, request.near.longitude_deg = 54.9956348, 2.4904369
    found = (await served.reference.FindAddresses(request)).matches
    assert len(found) == 4
    assert found[0].distance_m < 1.0
    assert (found[0].address.house_number, found[0].address.street) == ("1", "Mill Lane")

    request = reference_service_pb2.FindAddressesRequest()
    request.address.street, request.address.house_number, request.address.city = "mill lane", "1", "TESTHAM"
    found = (await served.reference.FindAddresses(request)).matches
    assert found[0].position.latitude_deg == pytest.approx(54.9956348, abs=1e-6)
    assert found[0].placement == civic_pb2.PLACEMENT_GEOCODED_EXACT
    assert not found[0].HasField("distance_m")


async def test_find_areas(served: Running) -> None:
    request = reference_service_pb2.FindAreasRequest()
    request.position.latitude_deg, request.position.longitude_deg = 54.9956348, 2.4904369
    found = (await served.reference.FindAreas(request)).areas
    assert [(a.dataset, a.share) for a in found] == [("areas", 1.0)]
    request.position.latitude_deg = 10.0
    assert not (await served.reference.FindAreas(request)).areas


async def test_list_datasets(served: Running, start: Start) -> None:
    response = await served.reference.ListDatasets(reference_service_pb2.ListDatasetsRequest())
    assert {(d.dataset, d.name) for d in response.datasets} == {
        ("cells", "cells"),
        ("cells", "sectors"),
        ("addresses", "addresses"),
        ("areas", "areas"),
        ("lines", "lines"),
    }
    assert all(d.rows and d.size_bytes and d.version for d in response.datasets)
    assert not response.warnings

    bare = await start()
    response = await bare.reference.ListDatasets(reference_service_pb2.ListDatasetsRequest())
    assert not response.datasets
    assert [w.field for w in response.warnings] == ["cells", "lines", "addresses", "areas"]


LOOKUPS: list[tuple[str, str, dict[str, Any], str]] = [
    ("LookupCell", "LookupCellRequest", {}, "cell"),
    ("LookupCell", "LookupCellRequest", {"cell": {"mcc": "1", "cell": 1}}, "cell.mcc"),
    ("LookupCell", "LookupCellRequest", {"cell": {"mcc": "001"}}, "cell.cell"),
    ("LookupCell", "LookupCellRequest", {"near": {"latitude_deg": 91}}, "near.latitude_deg"),
    ("LookupCell", "LookupCellRequest", {"near": {}, "limit": 101}, "limit"),
    ("LookupLine", "LookupLineRequest", {}, "number"),
    ("LookupLine", "LookupLineRequest", {"number": "no number"}, "number"),
    ("LookupLine", "LookupLineRequest", {"number": "1" * 65}, "number"),
    ("FindAddresses", "FindAddressesRequest", {}, "near"),
    ("FindAddresses", "FindAddressesRequest", {"near": {}, "limit": -1}, "limit"),
    ("FindAddresses", "FindAddressesRequest", {"address": {"country": "gb"}}, "address.country"),
    ("FindAreas", "FindAreasRequest", {}, "position"),
    ("FindAreas", "FindAreasRequest", {"position": {"longitude_deg": 181}}, "position.longitude_deg"),
]


@pytest.mark.parametrize(("method", "message", "fields", "field"), LOOKUPS)
async def test_lookups_name_what_is_wrong(
    served: Running, method: str, message: str, fields: dict[str, Any], field: str
) -> None:
    error = await failure(getattr(served.reference, method)(getattr(reference_service_pb2, message)(**fields)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in [v.field for v in details(error)["BadRequest"].field_violations]


async def test_lookups_without_their_dataset_say_so(start: Start) -> None:
    bare = await start()
    place = geometry_pb2.LatLng(latitude_deg=55.0, longitude_deg=2.5)
    asked = [
        bare.reference.LookupCell(reference_service_pb2.LookupCellRequest(near=place)),
        bare.reference.LookupLine(reference_service_pb2.LookupLineRequest(number="+441632960100")),
        bare.reference.FindAddresses(reference_service_pb2.FindAddressesRequest(near=place)),
        bare.reference.FindAreas(reference_service_pb2.FindAreasRequest(position=place)),
    ]
    for answer, dataset in zip(asked, ("cells", "lines", "addresses", "areas"), strict=True):
        error = await failure(answer)
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert details(error)["ErrorInfo"].reason == "DATASET_MISSING"
        assert f"locsvc import {dataset}" in str(error.details())


# CallService, health, reflection


async def test_call_service_says_that_it_is_not_served(served: Running) -> None:
    for answer in (
        served.call.AddEvidence(call_service_pb2.AddEvidenceRequest()),
        served.call.GetCall(call_service_pb2.GetCallRequest()),
        served.call.EndCall(call_service_pb2.EndCallRequest()),
        anext(aiter(served.call.WatchLocation(call_service_pb2.WatchLocationRequest()))),
    ):
        error = await failure(answer)
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "ResolveLocation" in str(error.details())
        assert details(error)["ErrorInfo"].reason == "NOT_SERVED"


async def health_of(served: Running, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(served.channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest(service=name))).status)


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_follows_the_data(start: Start, imported_town: Path) -> None:
    served = await start(ServerSettings(data=imported_town), load=False)
    request = ResolveLocationRequest()
    request.call.SetInParent()
    error = await failure(served.location.ResolveLocation(request))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    for name in SERVICES:
        assert await health_of(served, name) == NOT_SERVING
    await served.server.load()
    for name in (*SERVICES, "locsvc.reference.cells", "locsvc.reference.areas"):
        assert await health_of(served, name) == SERVING
    # Its methods answer UNIMPLEMENTED, so a balancer must not send anyone there.
    assert await health_of(served, "locsvc.v1.CallService") == NOT_SERVING
    error = await failure(health_of(served, "unknown.Service"))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_a_dataset_that_is_missing_shows_in_its_own_health(start: Start) -> None:
    bare = await start()
    assert await health_of(bare, "") == SERVING
    assert await health_of(bare, "locsvc.reference.cells") == NOT_SERVING


async def test_health_watch_sees_the_drain(start: Start, imported_town: Path) -> None:
    served = await start(ServerSettings(data=imported_town))
    watch = health_pb2_grpc.HealthStub(served.channel).Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    stopping = asyncio.create_task(served.server.stop(drain_s=0.3))
    assert (await watch.read()).status == NOT_SERVING
    watch.cancel()
    await stopping


async def test_reflection_on_loopback_and_not_when_refused(start: Start) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    async def listed(served: Running) -> set[str]:
        stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
        answers = stub.ServerReflectionInfo(iter([request]))
        return {s.name for s in (await anext(aiter(answers))).list_services_response.service}

    assert {"locsvc.v1.LocationService", "locsvc.v1.CallService", "grpc.health.v1.Health"} <= await listed(
        await start()
    )
    error = await failure(listed(await start(ServerSettings(reflection=False))))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


# Start


async def test_a_damaged_snapshot_is_refused_with_its_files_name(start: Start, town: Path) -> None:
    sectors = town / "snapshots" / (town / "CURRENT").read_text().strip() / "cells" / "sectors"
    file = next(p for p in sorted(sectors.iterdir()) if p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=file.name):
        await start(ServerSettings(data=town))


async def test_no_data_is_served_without_it_unless_it_is_required(start: Start, tmp_path: Path) -> None:
    served = await start(ServerSettings(data=tmp_path / "none"))
    request = ResolveLocationRequest()
    circle = request.call.evidence.add().device_report.shape.circle
    circle.center.latitude_deg, circle.center.longitude_deg, circle.radius_m = 53.0, -7.0, 30.0
    assert (await served.location.ResolveLocation(request)).estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    for data in (tmp_path / "none", None):
        with pytest.raises(DatasetError):
            await start(ServerSettings(data=data, require_data=True))
