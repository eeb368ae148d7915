"""The outside judge: ``pg_dump --schema-only``, which knows nothing of our catalog code."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.rehearsal.supabase import SupabaseDatabase

if TYPE_CHECKING:
    import asyncpg

_VOLATILE = re.compile(
    r"^(-- Dumped (from|by) .*|ALTER DEFAULT PRIVILEGES .*|SET transaction_timeout = 0;)\n", re.MULTILINE
)
_DEFAULT_ACL_HEADING = re.compile(r"^-- Name: DEFAULT PRIVILEGES FOR .*$", re.MULTILINE)


async def dump(database: SupabaseDatabase) -> str:
    """Return all of a database's schema as pg_dump 18 writes it."""
    process = await asyncio.create_subprocess_exec(
        str(embedded_program("pg_dump", 18)),
        "--schema-only",
        "--restrict-key=judge",
        f"--host={database.host}",
        f"--port={database.port}",
        f"--username={database.user}",
        database.database,
        env={**os.environ, "PGPASSWORD": database.password.reveal()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def comparable(text: str) -> list[str]:
    """Return a dump's statements without what belongs to the server and not to the schema, in the dump's order."""
    text = _DEFAULT_ACL_HEADING.sub("", _VOLATILE.sub("", text))
    return [line for line in text.splitlines() if line.strip() not in ("", "--")]


@asynccontextmanager
async def connected(database: SupabaseDatabase) -> AsyncIterator[asyncpg.Connection]:
    """Connect as the owner with an empty search path, as the engine's own connections are."""
    connection = await database.connect()
    try:
        await connection.execute("SET search_path = ''")
        yield connection
    finally:
        await connection.close()
