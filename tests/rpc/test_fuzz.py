"""Whatever is sent, the answer is OK or INVALID_ARGUMENT with the fields, and the server lives on."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor, json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.call_json import call_from_json
from locsvc.formats.messages import FORMATS
from locsvc.resolver.filling import TableBuilder
from locsvc.rpc.convert.calls import read_call
from locsvc.rpc.convert.requests import ask_resolve
from locsvc.rpc.handlers import tolerant
from locsvc.v1 import call_pb2, estimate_pb2
from locsvc.v1.location_service_pb2 import ResolveLocationRequest, ResolveLocationResponse

Running = Any


@pytest.fixture(params=[False, True], ids=["worker", "beside"])
def resolver_process(request: pytest.FixtureRequest) -> bool:
    """What resolves: the worker by itself, or the process beside it."""
    return bool(request.param)


Field = descriptor.FieldDescriptor
AnyField = Any  # the library's types name two classes for one thing
ODD_DOUBLES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    0.9,
    53.0,
    -7.0,
    90.0,
    180.0,
    359.9,
    1e-3,
    1e-300,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
]
ODD_TEXTS = ["", "272", "01", "+353209100000", "x" * 2000, "٢٧٢", "\x00", "ie", "\U0001f4de", "a b"]
ODD_BYTES = [
    b"",
    b"\x00" * 8,
    b'A"ML=1;lt=+53.0;lg=-7.0;rd=30',
    b"<presence/>",
    b"<!DOCTYPE a []>",
    b"\xff" * 65_536,
    b"{}",
]
BITS = {Field.CPPTYPE_INT32: 31, Field.CPPTYPE_INT64: 63, Field.CPPTYPE_UINT32: 32, Field.CPPTYPE_UINT64: 64}


def any_value(field: AnyField, draw: random.Random) -> object:
    if field.cpp_type == Field.CPPTYPE_DOUBLE:
        return draw.choice([*ODD_DOUBLES, draw.uniform(-200, 200), draw.uniform(0, 1)])
    if field.type == Field.TYPE_BYTES:
        return draw.choice(ODD_BYTES)
    if field.cpp_type == Field.CPPTYPE_STRING:
        return draw.choice(FORMATS if field.name == "format" else ODD_TEXTS)
    if field.cpp_type == Field.CPPTYPE_BOOL:
        return draw.random() < 0.5
    if field.cpp_type == Field.CPPTYPE_ENUM:
        return draw.choice([0, 1, 2, 3, 4, 7, 24, 99, -1])
    bits = BITS[field.cpp_type]
    low = -(1 << bits) if bits in {31, 63} else 0
    return draw.choice([0, 1, 3, 100, 65535, (1 << bits) - 1, low, draw.randrange(1 << 20)])


def fill(message: Message, draw: random.Random, share: float, depth: int = 0) -> None:
    """Set about `share` of the fields of a message to odd values."""
    for field in message.DESCRIPTOR.fields:
        if draw.random() > share:
            continue
        if field.message_type is None:
            setattr(message, field.name, any_value(field, draw))
        elif field.is_repeated:
            for _ in range(draw.randrange(4)):
                fill(getattr(message, field.name).add(), draw, share, depth + 1)
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, draw, share, depth + 1)


def refused_by_json(message: call_pb2.Call) -> tuple[set[str], model.Call | None]:
    try:
        return set(), call_from_json(json_format.MessageToDict(message, preserving_proto_field_name=True))
    except InvalidInput as error:
        return {v.field for v in error.violations}, None


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
def test_a_call_is_the_same_to_both_faces(rng: np.random.Generator, share: float) -> None:
    """What gRPC refuses JSON refuses by the same names, and what both take is the same call."""
    taken = 0
    for start in rng.integers(0, 1 << 40, 200).tolist():
        message = call_pb2.Call()
        fill(message, random.Random(start), share)
        if not is_json(message):
            continue
        refused: list[FieldViolation] = []
        call = read_call(message, refused)
        theirs, same = refused_by_json(message)
        assert theirs == {v.field for v in refused}
        if not refused:
            assert same == call
            taken += 1
    assert share > 0.1 or taken > 20


def is_json(message: call_pb2.Call) -> bool:
    """Whether all of the message can be told in JSON: times of the years 1 to 9999."""
    try:
        json_format.MessageToDict(message)
    except json_format.Error:
        return False
    return True


def leaves(message: Message) -> list[tuple[Message, AnyField]]:
    """Every plain field that is set anywhere below."""
    found: list[tuple[Message, AnyField]] = []
    for field, value in message.ListFields():
        if field.message_type is None:
            found.append((message, field))
        else:
            for inner in value if field.is_repeated else [value]:
                found += leaves(inner)
    return found


async def ask(served: Running, request: ResolveLocationRequest) -> str:
    """What the server said; it fails the test when that is neither an answer nor a bad request that names its fields."""
    answer = await asyncio.gather(served.location.ResolveLocation(request, timeout=30), return_exceptions=True)
    response = answer[0]
    if isinstance(response, grpc.aio.AioRpcError):
        assert response.code() is grpc.StatusCode.INVALID_ARGUMENT, (str(response.details()), str(request))
        status = rpc_status.from_call(response)
        bad = error_details_pb2.BadRequest()
        assert any(detail.Unpack(bad) for detail in status.details)
        assert all(v.field for v in bad.field_violations)
        return "refused"
    assert isinstance(response, ResolveLocationResponse)
    estimate = response.estimate
    if estimate.outcome == estimate_pb2.OUTCOME_NO_LOCATION:
        assert not estimate.HasField("position")
        return "no location"
    assert math.isfinite(estimate.radius_m)
    assert estimate.radius_m > 0
    assert -90 <= estimate.position.latitude_deg <= 90
    assert estimate.region.cells
    return "located"


@pytest.mark.parametrize("share", [0.3, 0.7])
async def test_messages_of_odd_values(served: Running, rng_of_test: random.Random, share: float) -> None:
    requests = []
    for _ in range(200):
        request = ResolveLocationRequest()
        fill(request, rng_of_test, share)
        requests.append(request)
    said = [await asyncio.gather(*(ask(served, r) for r in requests[n : n + 20])) for n in range(0, 200, 20)]
    assert "refused" in {word for words in said for word in words}


async def test_real_calls_with_odd_fields(
    served: Running,
    calls: dict[str, model.Call],
    request_of: Callable[[model.Call], ResolveLocationRequest],
    rng_of_test: random.Random,
) -> None:
    said = []
    for _ in range(40):
        requests = []
        for call in calls.values():
            request = request_of(call)
            for message, field in rng_of_test.sample(leaves(request), 2):
                setattr(message, field.name, any_value(field, rng_of_test))
            requests.append(request)
        said += await asyncio.gather(*(ask(served, r) for r in requests))
    assert {"refused", "located"} <= set(said)


@pytest.fixture
def rng_of_test(seed: int) -> random.Random:
    return random.Random(seed)


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(content: bytes) -> None:
    parsed = tolerant(ResolveLocationRequest)(content)
    if not isinstance(parsed, ResolveLocationRequest):
        return
    try:
        ask_resolve(parsed).put(TableBuilder())
    except InvalidInput as error:
        fields = {v.field for v in error.violations}
        assert "" not in fields
