"""Opening a connection that can be trusted: verified TLS, no timeouts, and pinned settings that were read back."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.connection_failures import diagnose
from tekup_migrate.postgres.dsn import ConnectionUrl
from tekup_migrate.postgres.url_mistakes import TRANSACTION_POOLER_PORT

if TYPE_CHECKING:
    import asyncpg

SUPABASE_ROOT = Path(__file__).parent / "supabase-root-2021-ca.pem"
CONNECT_TIMEOUT_SECONDS = 20.0

PINNED_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": "0",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "array_nulls": "on",
    "lc_monetary": "C",
    "jit": "off",
    "standard_conforming_strings": "on",
    "search_path": '""',
}
"""Settings that change what a value looks like or how a statement lives and runs; the same on every connection.

The empty ``search_path`` makes Postgres print every name outside ``pg_catalog`` qualified, and makes us write them so.
"""


@cache
def tls_context() -> ssl.SSLContext:
    """Return the verifying context for everything but loopback: the public CAs and Supabase's own root."""
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.load_verify_locations(cafile=SUPABASE_ROOT)
    return context


async def connect(
    url: ConnectionUrl,
    password: Secret,
    *,
    application_name: str = "tekup-migrate",
    settings: dict[str, str] | None = None,
    region: str = "",
) -> asyncpg.Connection:
    """Open a connection with verified TLS (plaintext on loopback only) and pinned settings.

    Args:
        url: where to; never the transaction pooler.
        password: revealed only to the driver.
        application_name: how the connection shows in ``pg_stat_activity``.
        settings: further settings to pin, or others than ``PINNED_SETTINGS``.
        region: the project's, where it is known, so that a failure can say which URL to use instead.

    Raises:
        ConnectionFailedError: with the cause and its cure.
    """
    import asyncpg

    _refuse_transaction_pooler(url)
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            host=url.host,
            port=url.port,
            user=url.user,
            password=password.reveal(),
            database=url.database,
            ssl=False if url.is_loopback else tls_context(),
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=None,
            server_settings={"application_name": application_name},
        )
    except (
        OSError,  # also what TLS and a timeout raise
        UnicodeError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        raise await diagnose(error, url, region=region) from error
    try:
        await pin(connection, PINNED_SETTINGS | (settings or {}), where=url.label)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def pin(connection: asyncpg.Connection, settings: dict[str, str], *, where: str) -> None:
    """Set session settings and read them back, because a pooler or a role may silently keep its own.

    A setting that this version of the server does not know (``transaction_timeout`` came with 17) is left out.

    Raises:
        ConnectionFailedError: a setting did not take.
    """
    names, values = list(settings), list(settings.values())
    query = """
        SELECT pg_catalog.set_config(s.name, s.value, false)
        FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS s(name, value)
        WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL
    """
    await connection.fetch(query, names, values)
    query = """
        SELECT n, pg_catalog.current_setting(n) AS v FROM pg_catalog.unnest($1::text[]) AS n
        WHERE pg_catalog.current_setting(n, true) IS NOT NULL
    """
    rows = await connection.fetch(query, names)
    wrong = [f"{row['n']} = {row['v']}" for row in rows if row["v"] != settings[row["n"]]]
    if wrong:
        raise ConnectionFailedError(
            "The server does not keep our session settings",
            happened=f"On {where} these settings did not take: {', '.join(wrong)}.",
            unchanged="Nothing was read or written.",
            remedy="Use the direct connection or the session pooler (port 5432).",
        )


def _refuse_transaction_pooler(url: ConnectionUrl) -> None:
    if url.port != TRANSACTION_POOLER_PORT:
        return
    raise ConnectionFailedError(
        "Port 6543 is the transaction pooler",
        happened=f"{url.label} loses session settings and prepared statements between two statements.",
        unchanged="Nothing was connected to.",
        remedy=f"Use the session pooler instead: the same URL with port 5432 ({url.host}:5432).",
    )
