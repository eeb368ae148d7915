"""A TLS front for the embedded servers, which are built without TLS: it answers Postgres' SSLRequest.

A stand-in for a server's own TLS. It offers channel binding as a real TLS server does, by adding the mechanism to
the offer.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_SSL_REQUEST = struct.pack("!II", 8, 80877103)


@asynccontextmanager
async def tls_front(port: int, certificate: Path, key: Path, *, answer: bytes = b"S") -> AsyncIterator[int]:
    """Serve TLS in front of 127.0.0.1:``port`` for the length of the block; gives the front's own port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        upstream = None
        try:
            if await reader.readexactly(8) != _SSL_REQUEST:
                return
            writer.write(answer)
            await writer.drain()
            if answer != b"S":
                return
            await writer.start_tls(context)
            down_reader, upstream = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, upstream), _offer(down_reader, writer))
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            if upstream is not None:
                upstream.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _offer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):
        head = await reader.readexactly(5)
        body = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
        if head[:1] == b"R" and body[:4] == struct.pack("!I", 10):
            body = body[:4] + b"SCRAM-SHA-256-PLUS\0" + body[4:]
        writer.write(head[:1] + struct.pack("!I", len(body) + 4) + body)
        await _pump(reader, writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()
