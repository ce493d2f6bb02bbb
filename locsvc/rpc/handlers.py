"""Method handlers made from the contract's descriptors.

They differ from the generated ones in two points: bytes that are no message reach the service as None and become
INVALID_ARGUMENT with details, where the library would answer INTERNAL; and methods that a service names in `RAW` take
and give bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor


def add_service(server: grpc.aio.Server, service: ServiceDescriptor, servicer: object) -> None:
    """Register every method of `service` with the method of the same name of `servicer`."""
    raw: frozenset[str] = getattr(servicer, "RAW", frozenset())
    handlers = {
        method.name: _handler(method, getattr(servicer, method.name), raw=method.name in raw)
        for method in service.methods
    }
    server.add_registered_method_handlers(service.full_name, handlers)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


def _handler(method: MethodDescriptor, behaviour: Callable[..., Any], *, raw: bool) -> grpc.RpcMethodHandler[Any, Any]:
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    if raw:
        return make(behaviour)
    reply = message_factory.GetMessageClass(method.output_type)
    return make(
        behaviour,
        request_deserializer=tolerant(message_factory.GetMessageClass(method.input_type)),
        response_serializer=reply.SerializeToString,
    )


def tolerant(message_class: type[Message]) -> Callable[[bytes], Message | None]:
    """A parser of the message that answers None for bytes that are none."""
    parse = message_class.FromString

    def parsed(content: bytes) -> Message | None:
        try:
            return parse(content)
        except DecodeError:
            return None

    return parsed
