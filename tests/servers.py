"""The embedded servers that tests share: at most one of each version per test process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.rehearsal.directory import RehearsalDirectory, rehearsal_directory
from tekup_migrate.rehearsal.server import EmbeddedServer, start_server
from tekup_migrate.rehearsal.supabase import (
    GrantRegime,
    SupabaseDatabase,
    connect_as_superuser,
    install_roles,
    install_schemas,
    make_password,
    owned_database,
)

_TEMPLATE = "shim_template"


@dataclass(frozen=True)
class SharedServer:
    """A running server with Supabase's roles, and a template database to copy for each test."""

    server: EmbeddedServer
    password: Secret

    @asynccontextmanager
    async def fresh_database(self) -> AsyncIterator[SupabaseDatabase]:
        """A database of the test's own that looks like a Supabase project's; dropped afterwards."""
        name = f"test_{secrets.token_hex(4)}"
        # Copied file by file: writing a template this small through the log takes twice as long.
        await self._administer(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} OWNER postgres STRATEGY file_copy")
        try:
            yield owned_database(self.server, name, self.password)
        finally:
            await self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    async def _administer(self, statement: str) -> None:
        connection = await connect_as_superuser(self.server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def shared_server(*, name: str, major: int, grants: GrantRegime, durable: bool = False) -> Iterator[SharedServer]:
    """Run a shared server; free of any event loop, so that tests on different loops can use it."""
    stack = AsyncExitStack()
    runner = asyncio.Runner()
    try:
        yield runner.run(_start(stack, name=name, major=major, grants=grants, durable=durable))
    finally:
        runner.run(stack.aclose())
        runner.close()


async def _start(stack: AsyncExitStack, *, name: str, major: int, grants: GrantRegime, durable: bool) -> SharedServer:
    directory: RehearsalDirectory = await stack.enter_async_context(rehearsal_directory())
    server = await start_server(directory, name=name, major=major, durable=durable)
    stack.push_async_callback(server.stop)
    password = make_password(name)
    await install_roles(server, password)
    connection = await connect_as_superuser(server)
    try:
        await connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    finally:
        await connection.close()
    await install_schemas(server, _TEMPLATE, grants=grants)
    return SharedServer(server=server, password=password)
