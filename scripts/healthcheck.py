#!/usr/bin/env python3
"""Asks a server for its health; ends with 0 when it is SERVING, else with 1. For containers and scripts.

    healthcheck.py [HOST:PORT]      (default: LOCSVC_HEALTH_TARGET, else 127.0.0.1:50051)

TLS: LOCSVC_HEALTH_CA names the authority's PEM file, LOCSVC_HEALTH_NAME the name in the server's certificate where it
is not the host's, LOCSVC_HEALTH_CERT and LOCSVC_HEALTH_KEY the client's own where the server demands one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 2.0


def file_in(variable: str) -> bytes | None:
    """The content of the file that an environment variable names."""
    name = os.environ.get(variable)
    return Path(name).read_bytes() if name else None


def channel_to(target: str) -> grpc.Channel:
    """A channel, encrypted when an authority is named."""
    authority = file_in("LOCSVC_HEALTH_CA")
    if authority is None:
        return grpc.insecure_channel(target)
    credentials = grpc.ssl_channel_credentials(
        authority, private_key=file_in("LOCSVC_HEALTH_KEY"), certificate_chain=file_in("LOCSVC_HEALTH_CERT")
    )
    name = os.environ.get("LOCSVC_HEALTH_NAME")
    return grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", name)] if name else None)


def status_of(target: str) -> str:
    """The server's word for its health, or why it gave none."""
    with channel_to(target) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


def main() -> int:
    """The exit code."""
    target = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LOCSVC_HEALTH_TARGET", "127.0.0.1:50051")
    status = status_of(target)
    print(status)
    return 0 if status == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main())
