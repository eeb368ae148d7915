"""Connections: pinned settings, verified TLS, and failures turned into cause and cure."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres import connection as connection_module
from tekup_migrate.postgres.connection import PINNED_SETTINGS, connect, tls_context
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.side import Side
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.sides import connection_url

PASSWORD = Secret("not the password", kind="database password")


async def test_a_connection_has_its_settings_pinned(source_database: SupabaseDatabase) -> None:
    connection = await connect(connection_url(source_database), source_database.password)
    try:
        for name, value in PINNED_SETTINGS.items():
            # This server is older than the setting.
            expected = None if name == "transaction_timeout" else value
            assert await connection.fetchval("SELECT current_setting($1, true)", name) == expected
        assert await connection.fetchval("SHOW application_name") == "tekup-migrate"
    finally:
        await connection.close()


async def test_the_transaction_pooler_is_refused_with_the_url_to_use() -> None:
    url = ConnectionUrl(user="me", host="127.0.0.1", port=6543, database="mine")
    with pytest.raises(ConnectionFailedError, match="6543") as refused:
        await connect(url, PASSWORD)
    assert "127.0.0.1:5432" in refused.value.remedy


async def _failure(url: ConnectionUrl) -> ConnectionFailedError:
    with pytest.raises(ConnectionFailedError) as refused:
        await connect(url, PASSWORD)
    assert PASSWORD.reveal() not in str(refused.value)
    return refused.value


async def test_a_wrong_password_a_wrong_database_and_a_closed_port_are_told_apart(
    source_database: SupabaseDatabase,
) -> None:
    url = connection_url(source_database)
    assert (await _failure(url)).title == "The password was refused"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert (await _failure(replace(url, port=unused.getsockname()[1]))).title == "The connection was refused"
    with pytest.raises(ConnectionFailedError, match="no such database"):
        await connect(replace(url, database="nowhere"), source_database.password)


async def test_a_name_that_does_not_resolve_may_be_a_paused_project() -> None:
    failed = await _failure(ConnectionUrl(user="me", host="db.nowhere.invalid", port=5432, database="postgres"))
    assert failed.title == "The host's name does not resolve"
    assert "paused" in failed.remedy


@contextlib.asynccontextmanager
async def _server(answer: bytes) -> AsyncIterator[int]:
    """A listener that answers anything with the same bytes: stands in for poolers we cannot reach."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(answer)
        with contextlib.suppress(OSError):
            await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _error(state: str, message: str) -> bytes:
    fields = f"SFATAL\0C{state}\0M{message}\0\0".encode()
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.mark.parametrize(
    ("state", "message", "title"),
    [
        ("XX000", "Tenant or user not found", "The pooler does not know this project"),
        ("53300", "sorry, too many clients already", "The server has no free connection"),
        ("XX000", "Max client connections reached", "The server has no free connection"),
        ("57P03", "the database system is starting up", "The server is starting or stopping"),
    ],
)
async def test_what_a_server_says_becomes_cause_and_cure(state: str, message: str, title: str) -> None:
    async with _server(_error(state, message)) as port:
        failed = await _failure(ConnectionUrl(user="me", host="127.0.0.1", port=port, database="postgres"))
    assert failed.title == title
    assert failed.remedy


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CONNECT_TIMEOUT_SECONDS", 0.3)
    async with _server(b"") as port:
        failed = await _failure(ConnectionUrl(user="me", host="127.0.0.1", port=port, database="postgres"))
    assert failed.title == "The server did not answer in time"


def test_beyond_loopback_certificate_and_host_name_are_checked_and_supabase_is_trusted() -> None:
    context = tls_context()
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    names = [str(authority.get("subject")) for authority in context.get_ca_certs()]
    assert any("Supabase Root 2021 CA" in name for name in names)
    assert not ConnectionUrl(user="me", host="10.0.0.1", port=5432, database="x").is_loopback


async def test_a_side_never_holds_more_than_its_connections(source_database: SupabaseDatabase) -> None:
    async with Side(connection_url(source_database), source_database.password) as side:
        counted: list[int] = []

        async def use() -> None:
            async with side.connection() as connection:
                query = (
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE application_name = 'tekup-migrate' AND datname = current_database()"
                )
                counted.append(await connection.fetchval(query))
                await asyncio.sleep(0.05)

        async with side.snapshot():
            await asyncio.gather(*[use() for _ in range(12)])
    assert max(counted) == 4


async def test_a_snapshot_shows_one_moment_to_every_connection(source_database: SupabaseDatabase) -> None:
    writer = await source_database.connect()
    try:
        await writer.execute("CREATE TABLE notes (id int)")
        async with Side(connection_url(source_database), source_database.password) as side:
            async with side.snapshot():
                await writer.execute("INSERT INTO notes VALUES (1)")
                async with side.connection() as one, side.connection() as other:
                    counts = [await c.fetchval("SELECT count(*) FROM public.notes") for c in (one, other)]
                assert counts == [0, 0]
            async with side.connection() as later:
                assert await later.fetchval("SELECT count(*) FROM public.notes") == 1
    finally:
        await writer.close()


async def test_no_timeout_of_the_role_ends_a_long_copy(target_database: SupabaseDatabase) -> None:
    admin = await target_database.connect()
    try:
        role = f"ALTER ROLE postgres IN DATABASE {target_database.database} SET"
        for name in ("transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"):
            await admin.execute(f"{role} {name} = '100ms'")
    finally:
        await admin.close()
    async with Side(connection_url(target_database), target_database.password) as side:
        async with side.connection() as connection:
            await asyncio.sleep(0.2)
            async with connection.transaction():
                await asyncio.sleep(0.2)
                assert await connection.fetchval("SELECT 1") == 1
