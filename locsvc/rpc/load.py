"""A load generator that costs a few microseconds a request: one request, prepared once, sent again and again.

A gRPC client in Python costs as much as the server that it measures, and on a small machine the two share the cores:
what is measured then is the client. This one speaks only as much HTTP/2 (RFC 9113) as a unary call with a fixed
request needs; it checks that each answer carries a message and is whole, and leaves its content to real clients.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SETTING = 4
_MAX_WINDOW = (1 << 31) - 1
_DEFAULT_WINDOW = 65_535
# Streams are odd numbers of 31 bits; a run is shorter than this many requests.
_MAX_STREAM = (1 << 31) - 1
# The connection's receive window is topped up long before it is used up.
_TOP_UP = 1 << 29


@dataclass(slots=True)
class LoadResult:
    """What one connection saw: seconds of each answered request, requests that failed, length of the run."""

    latencies_s: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0


# select() waits to the microsecond, but knows only the first files of a process; poll() knows all, and milliseconds.
_SELECTABLE = 1024


class Connection:
    """One HTTP/2 connection that sends one prepared request to one method."""

    def __init__(self, port: int, path: str, message: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._next_stream = 1
        self._window = _DEFAULT_WINDOW
        self._peer_initial_window = _DEFAULT_WINDOW
        self._unacknowledged = 0
        self._headers = _header_block(path, port)
        self._body = struct.pack(">BI", 0, len(message)) + message
        self._sent_s: dict[int, float] = {}
        self._bytes_of: dict[int, int] = {}
        self._waiting: deque[float] = deque()
        settings = struct.pack(">HI", _INITIAL_WINDOW_SETTING, _MAX_WINDOW)
        self._socket.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW, 0, 0, struct.pack(">I", _MAX_WINDOW - _DEFAULT_WINDOW))
        )

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    @property
    def under_way(self) -> int:
        """Requests sent and not answered."""
        return len(self._sent_s)

    def send(self, starts_s: list[float]) -> None:
        """Send a request for each start time; what the peer's window does not hold waits."""
        self._waiting.extend(starts_s)
        self._flush()

    def _flush(self) -> None:
        out = bytearray()
        size = len(self._body)
        while self._waiting and self._window >= size:
            stream = self._next_stream
            if stream > _MAX_STREAM:
                raise RuntimeError("a connection has no more streams; make the run shorter")
            self._next_stream += 2
            self._window -= size
            self._sent_s[stream] = self._waiting.popleft()
            out += _frame(_HEADERS, _END_HEADERS, stream, self._headers)
            out += _frame(_DATA, _END_STREAM, stream, self._body)
        if out:
            self._socket.sendall(out)

    def _has_arrived(self, timeout_s: float) -> bool:
        """Whether there are bytes to read, after waiting for them."""
        if self._socket.fileno() < _SELECTABLE:
            return bool(select.select([self._socket], [], [], timeout_s)[0])
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(1000.0 * timeout_s))

    def receive(self, timeout_s: float | None, result: LoadResult) -> int:
        """Number of requests that ended; waits at most `timeout_s` for the first bytes."""
        if timeout_s is not None and not self._has_arrived(timeout_s):
            return 0
        content = self._socket.recv(1 << 18)
        if not content:
            raise ConnectionError("the server closed the connection")
        received = self._received
        received += content
        now_s = time.perf_counter()
        ended, at = 0, 0
        while len(received) - at >= 9:
            length = int.from_bytes(received[at : at + 3], "big")
            if len(received) - at - 9 < length:
                break
            kind, flags = received[at + 3], received[at + 4]
            stream = int.from_bytes(received[at + 5 : at + 9], "big")
            if kind == _DATA:
                self._bytes_of[stream] = self._bytes_of.get(stream, 0) + length
                self._unacknowledged += length
            elif kind not in (_HEADERS, _RST):
                self._control(kind, flags, bytes(received[at + 9 : at + 9 + length]), stream)
            if (kind == _HEADERS and flags & _END_STREAM) or kind == _RST:
                ended += 1
                self._end(stream, now_s, result, whole=kind == _HEADERS)
            at += 9 + length
        del received[:at]
        self._top_up()
        return ended

    def _end(self, stream: int, now_s: float, result: LoadResult, *, whole: bool) -> None:
        start_s = self._sent_s.pop(stream)
        # An error has trailers only; an answer has its five-byte prefix at least.
        if whole and self._bytes_of.pop(stream, 0) >= 5:
            result.latencies_s.append(now_s - start_s)
        else:
            result.failed += 1

    def _control(self, kind: int, flags: int, payload: bytes, stream: int) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._flush()
        elif kind == _GOAWAY:
            raise ConnectionError("the server ends the connection")

    def _top_up(self) -> None:
        if self._unacknowledged > _TOP_UP:
            self._socket.sendall(_frame(_WINDOW, 0, 0, struct.pack(">I", self._unacknowledged)))
            self._unacknowledged = 0


def closed_loop(connection: Connection, seconds: float, concurrency: int) -> LoadResult:
    """Keep `concurrency` requests under way for `seconds`: what the server can do."""
    result = LoadResult()
    start_s = time.perf_counter()
    end_s = start_s + seconds
    connection.send([start_s] * concurrency)
    while (now_s := time.perf_counter()) < end_s:
        ended = connection.receive(1.0, result)
        if ended:
            connection.send([time.perf_counter()] * ended)
    result.seconds = now_s - start_s
    counted = LoadResult(list(result.latencies_s), result.failed, result.seconds)
    _wait_for_rest(connection, result)
    counted.failed += connection.under_way
    return counted


def open_loop(connection: Connection, seconds: float, per_second: float, seed: int) -> LoadResult:
    """Send at random times whether answers come or not: what a caller waits at that load, from the planned moment."""
    draw = random.Random(seed)  # noqa: S311 - gaps between requests
    result = LoadResult()
    start_s = time.perf_counter()
    end_s = start_s + seconds
    next_s = start_s + draw.expovariate(per_second)
    while (now_s := time.perf_counter()) < end_s:
        due = []
        while next_s <= now_s:
            due.append(next_s)
            next_s += draw.expovariate(per_second)
        if due:
            connection.send(due)
        connection.receive(max(0.0, next_s - time.perf_counter()), result)
    result.seconds = now_s - start_s
    _wait_for_rest(connection, result)
    result.failed += connection.under_way
    return result


def _wait_for_rest(connection: Connection, result: LoadResult) -> None:
    end_s = time.perf_counter() + 10.0
    while connection.under_way and time.perf_counter() < end_s:
        connection.receive(0.5, result)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _header_block(path: str, port: int) -> bytes:
    """HPACK (RFC 7541): literals without indexing (clause 6.2.2), so that no table is kept on either side."""
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", f"127.0.0.1:{port}"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    )
    block = bytearray()
    for name, value in fields:
        block += bytes((0, len(name))) + name.encode() + bytes((len(value),)) + value.encode()
    return bytes(block)
