"""A loopback relay for Postgres programs that were built without TLS.

The program speaks plaintext to a port of 127.0.0.1; the relay speaks TLS to the server and verifies it.

What this protects. Nothing but loopback ever carries plaintext: the server's certificate and name are checked
before the program's first byte is sent. A connection is taken only from this process or a process that it
started, which is looked up by the connection's own port, and the relay lives only as long as one dump or
restore. It adds no right: whoever connects still has to log in to the server, end to end. It does not protect
against somebody who can read this machine's loopback traffic or memory, which needs administrator's rights.

``SCRAM-SHA-256-PLUS`` binds a login to the TLS channel, and a program without TLS has none, so the relay removes it
from what the server offers; plain ``SCRAM-SHA-256`` is left, which never sends the password. A server that asks for
the password itself is refused, so that none crosses the relay in the clear.
Protocol: PostgreSQL documentation, "Message Formats" and "SASL Authentication".
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tekup_migrate.errors import ConnectionFailedError

LOOPBACK = "127.0.0.1"

_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_CANCEL_REQUEST = 80877102
_LARGEST_STARTUP = 10_000
_LARGEST_AUTHENTICATION = 64 * 1024
_PIECE = 256 * 1024
_CONNECT_SECONDS = 20.0
_SASL = 10
_MD5 = 5
_LOGIN_STEPS = (_MD5, _SASL, 11, 12)
_CHANNEL_BOUND = b"SCRAM-SHA-256-PLUS"


@dataclass
class Relay:
    """A running relay.

    Attributes:
        port: where it listens on 127.0.0.1.
        failures: why connections did not come about, in the operator's words, oldest first.
    """

    host: str
    server_port: int
    context: ssl.SSLContext
    port: int = 0
    failures: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        try:
            await self._carry(reader, writer)
        except (OSError, ssl.SSLError, TimeoutError, asyncio.IncompleteReadError, _RefusedError) as error:
            self.failures.append(_reason(error))
        finally:
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: tuple[str, int] = writer.get_extra_info("peername")
        if not await asyncio.to_thread(_is_ours, peer[1]):
            raise _RefusedError("a connection from a program that we did not start was refused")
        startup = await _read_startup(reader, writer)
        server_reader, server_writer = await open_verified(self.host, self.server_port, self.context)
        try:
            server_writer.write(startup)
            if struct.unpack_from("!I", startup, 4)[0] != _CANCEL_REQUEST:
                await self._relay(reader, writer, server_reader, server_writer)
            else:
                await server_writer.drain()
                await server_reader.read()
        finally:
            server_writer.transport.abort()

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        upwards = asyncio.create_task(_pump(reader, server_writer))
        downwards = asyncio.create_task(_answer(server_reader, writer))
        try:
            await asyncio.wait({upwards, downwards}, return_when=asyncio.FIRST_COMPLETED)
            if upwards.done() and not downwards.done():
                # The program said goodbye; the server's last words may still be on their way.
                await asyncio.wait({downwards}, timeout=1.0)
        finally:
            upwards.cancel()
            downwards.cancel()
            results = await asyncio.gather(upwards, downwards, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result


@asynccontextmanager
async def running_relay(host: str, port: int, context: ssl.SSLContext) -> AsyncIterator[Relay]:
    """Run a relay to a server for the length of the block; no connection outlives it.

    Args:
        host: the server's name, which its certificate must carry.
        port: the server's port.
        context: verifies the server.

    Raises:
        ConnectionFailedError: the server cannot be reached with verified TLS.
    """
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ValueError("the relay needs a context that verifies the server and its name")
    await _probe(host, port, context)
    relay = Relay(host, port, context)
    carried: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection in a task of its own, which the end of the block cancels."""
        task = asyncio.ensure_future(relay.serve(reader, writer))
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(accept, LOOPBACK, 0, limit=_PIECE)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def open_verified(
    host: str, port: int, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a TLS connection to a Postgres server; nothing has been sent on it yet.

    Raises:
        OSError: it cannot be reached.
        ssl.SSLError: its certificate does not prove that it is ``host``.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_CONNECT_SECONDS):
        raw = await _connected(host, port)
        with ExitStack() as unless_open:
            unless_open.callback(raw.close)
            await loop.sock_sendall(raw, struct.pack("!II", 8, _SSL_REQUEST))
            # One byte and no more: what follows before the handshake could be injected by a man in the middle.
            if await loop.sock_recv(raw, 1) != b"S":
                raise _RefusedError(f"{host}:{port} does not offer TLS, and plaintext is for loopback only")
            reader = asyncio.StreamReader(limit=_PIECE)
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.create_connection(lambda: protocol, sock=raw, ssl=context, server_hostname=host)
            unless_open.pop_all()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    last: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with ExitStack() as unless_connected:
            raw = unless_connected.enter_context(socket.socket(family, kind, protocol))
            raw.setblocking(False)
            try:
                await loop.sock_connect(raw, address)
            except OSError as error:
                last = error
                continue
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            unless_connected.pop_all()
            return raw
    raise last


async def _probe(host: str, port: int, context: ssl.SSLContext) -> None:
    try:
        _, writer = await open_verified(host, port, context)
    except (OSError, ssl.SSLError, TimeoutError, _RefusedError) as error:
        raise ConnectionFailedError(
            f"{host} could not be reached with verified TLS",
            happened=f"Connecting to {host}:{port} failed: {_reason(error)}.",
            unchanged="No password was sent, and nothing was read or written.",
            remedy="Check the URL. If a security program opens TLS on this machine, exempt the database's host.",
            details=f"{type(error).__name__}: {error}",
        ) from error
    writer.transport.abort()


async def _read_startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read the program's first message, declining TLS and GSS encryption, which loopback does not need."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        if code in (_SSL_REQUEST, _GSS_REQUEST):
            writer.write(b"N")
            await writer.drain()
            continue
        if not 8 <= length <= _LARGEST_STARTUP:
            raise _RefusedError("a connection that does not speak Postgres' protocol was refused")
        return head + await reader.readexactly(length - 8)


async def _answer(server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass the server's messages on: one by one until the login is settled, then as bytes."""
    while True:
        head = await server.readexactly(5)
        kind, length = struct.unpack("!cI", head)
        if not 4 <= length <= _LARGEST_AUTHENTICATION:
            raise _RefusedError("the server's answer to the login is not Postgres' protocol")
        body = await server.readexactly(length - 4)
        if kind == b"R" and (method := struct.unpack_from("!I", body)[0]) != 0:
            if method not in _LOGIN_STEPS:
                raise _RefusedError("the server asks for the password itself instead of a proof of it (SCRAM-SHA-256)")
            body = without_channel_binding(body) if method == _SASL else body
        writer.write(struct.pack("!cI", kind, len(body) + 4) + body)
        await writer.drain()
        if kind == b"E" or (kind == b"R" and method == 0):
            break
    await _pump(server, writer)


def without_channel_binding(body: bytes) -> bytes:
    """Return an AuthenticationSASL message's body without the mechanism that needs a TLS channel."""
    offered = [name for name in body[4:].split(b"\0") if name]
    kept = [name for name in offered if name != _CHANNEL_BOUND]
    return body[:4] + b"".join(name + b"\0" for name in kept) + b"\0"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()


def _is_ours(port: int) -> bool:
    """Whether the loopback port belongs to a connection of this process or of one that it started."""
    import psutil

    own = psutil.Process(os.getpid())
    for process in (*reversed(own.children(recursive=True)), own):
        try:
            connections = process.net_connections(kind="tcp4")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(connection.laddr and connection.laddr.port == port for connection in connections):
            return True
    return False


class _RefusedError(Exception):
    """A connection that is not carried, and why."""


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, asyncio.IncompleteReadError):
        return "the connection was closed early"
    return str(error) or type(error).__name__
