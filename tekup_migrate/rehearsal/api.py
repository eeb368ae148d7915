"""Stands in for the API gateways of the sample world's projects: tells their keys from all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from tekup_migrate.credentials.secret import Secret

_ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
_SAID = b'{"message":"Invalid API key"}'
_REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_SAID), _SAID)
_SECONDS = 5.0


@asynccontextmanager
async def running_gateways(keys: Mapping[str, tuple[Secret, ...]]) -> AsyncIterator[dict[str, str]]:
    """Answer for projects on loopback ports while the block runs; yields each project's address.

    Args:
        keys: by project id, the keys that its gateway knows.
    """
    servers = {name: await asyncio.start_server(_Gateway(known).answer, "127.0.0.1", 0) for name, known in keys.items()}
    try:
        yield {name: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.close()


class _Gateway:
    """Answers one project's requests, whatever they ask for."""

    def __init__(self, known: tuple[Secret, ...]) -> None:
        self._known = known

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request by its key, and close."""
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_ACCEPTED if self._knows(head) else _REFUSED)
                await writer.drain()
        writer.close()

    def _knows(self, head: bytes) -> bool:
        lines = head.decode("latin-1").split("\r\n")
        sent = next((line[7:].strip() for line in lines if line.lower().startswith("apikey:")), "")
        return any(sent == key.reveal() for key in self._known)
