"""What must hold before a move: room, connections, versions, timeouts, and who else is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.activity import connected
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

OUR_CONNECTIONS = 4
"""The most that we hold per side."""

_FACTS = """
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
           pg_database_size(current_database()) AS database_bytes,
           current_setting('max_connections')::int AS max_connections,
           current_setting('superuser_reserved_connections')::int AS reserved,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
           (SELECT least(nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1)) FROM pg_roles AS r, pg_database AS d
            WHERE r.rolname = current_user AND d.datname = current_database()) AS own_limit,
           (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user)
               AS own_connections,
           current_setting('statement_timeout') AS statement_timeout,
           (SELECT reset_val FROM pg_settings WHERE name = 'statement_timeout') AS usual_timeout,
           pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only,
           (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user) AS bypasses_row_security
"""

_SIZES = """
    SELECT coalesce(sum(pg_table_size(c.oid)), 0)::int8 AS table_bytes,
           coalesce(sum(pg_indexes_size(c.oid)), 0)::int8 AS index_bytes
    FROM ROWS FROM (unnest($1::text[]), unnest($2::text[])) AS w(schema, name)
    JOIN pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
"""

_AVAILABLE = "SELECT default_version FROM pg_available_extensions WHERE name = $1"
_EXTENSIONS = "SELECT extname::text AS name, extversion AS version FROM pg_extension"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        subject: what, in a few words.
        holds: whether it is as it must be; None where it could not be told.
        text: what was found, and what it means where it does not hold.
    """

    subject: str
    holds: bool | None
    text: str


class _Facts(Struct, frozen=True, kw_only=True):
    """What one server says of itself."""

    version: int
    version_text: str
    database_bytes: int
    max_connections: int
    reserved: int
    connections: int
    own_limit: int | None
    own_connections: int
    statement_timeout: str
    usual_timeout: str
    read_only: bool
    bypasses_row_security: bool


class Need(Struct, frozen=True, kw_only=True):
    """What a move takes on the target's disk, in bytes."""

    tables_and_indexes: int
    wal: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.tables_and_indexes + self.wal


async def preflight(
    source: asyncpg.Connection,
    target: asyncpg.Connection,
    tables: Iterable[Relation],
    *,
    disk_limit_bytes: int | None = None,
    vector_index_bytes: int = 0,
) -> tuple[Finding, ...]:
    """Look at both servers before anything is created.

    Args:
        source: where the tables are.
        target: where they shall go.
        tables: the source's names of them.
        disk_limit_bytes: how large the target may become, as the operator knows it; Postgres cannot tell.
        vector_index_bytes: what vector indexes that the source does not have will take.
    """
    here, there = await _facts(source), await _facts(target)
    needed = await bytes_needed(source, tables, vector_index_bytes=vector_index_bytes)
    findings = [
        _room(there, needed, disk_limit_bytes),
        _writable(there),
        _connections(there),
        _versions(here, there),
        _timeout("source", here),
        _timeout("target", there),
        _row_security(here),
        *await _extensions(source, target),
        *await _company(target),
    ]
    return tuple(findings)


async def bytes_needed(source: asyncpg.Connection, tables: Iterable[Relation], *, vector_index_bytes: int = 0) -> Need:
    """Return what the move will take on the target's disk: tables, indexes, and the WAL that both write meanwhile.

    WAL repeats what is written and is recycled once it exceeds ``max_wal_size``; it is counted once.
    """
    wanted = tuple(tables)
    row = await source.fetchrow(_SIZES, [t.schema for t in wanted], [t.name for t in wanted])
    assert row is not None
    tables_and_indexes: int = row["table_bytes"] + max(row["index_bytes"], vector_index_bytes)
    return Need(tables_and_indexes=tables_and_indexes, wal=tables_and_indexes)


async def _facts(connection: asyncpg.Connection) -> _Facts:
    row = await connection.fetchrow(_FACTS)
    assert row is not None
    return _Facts(**dict(row))


def _room(there: _Facts, needed: Need, limit: int | None) -> Finding:
    subject = "room on the target"
    told = (
        f"{_size(needed.tables_and_indexes)} are needed for tables and indexes, {_size(needed.wal)} for WAL meanwhile"
    )
    if limit is None:
        return Finding(subject=subject, holds=None, text=f"{told}; the disk's limit was not given")
    room = limit - there.database_bytes
    return Finding(
        subject=subject,
        holds=needed.bytes <= room,
        text=f"{told}; {_size(max(room, 0))} of {_size(limit)} are free",
    )


def _connections(there: _Facts) -> Finding:
    free = there.max_connections - there.reserved - there.connections
    text = f"{free} of {there.max_connections} are free"
    if there.own_limit is not None:
        own = there.own_limit - there.own_connections
        free = min(free, own)
        text += f", {own} of the {there.own_limit} that this role or database may have"
    return Finding(
        subject="connections to the target",
        holds=free >= OUR_CONNECTIONS,
        text=f"{text}; up to {OUR_CONNECTIONS} are needed",
    )


def _writable(there: _Facts) -> Finding:
    text = "it is a read replica, or its transactions are read-only" if there.read_only else "it takes writes"
    return Finding(subject="writing to the target", holds=not there.read_only, text=text)


def _versions(here: _Facts, there: _Facts) -> Finding:
    older = there.version // 10000 < here.version // 10000
    text = f"source {here.version_text}, target {there.version_text}"
    if older:
        text += "; what the source's version brought may be missing on the target"
    return Finding(subject="server versions", holds=not older, text=text)


def _timeout(side: str, facts: _Facts) -> Finding:
    return Finding(
        subject=f"statement_timeout on the {side}",
        holds=facts.statement_timeout == "0",
        text=f"none for us, {_milliseconds(facts.usual_timeout)} for others"
        if facts.statement_timeout == "0"
        else f"{facts.statement_timeout} would cut a long copy off",
    )


def _milliseconds(setting: str) -> str:
    return "none" if setting == "0" else f"{int(setting) / 1000:g} s"


def _row_security(here: _Facts) -> Finding:
    return Finding(
        subject="reading past row level security",
        holds=here.bypasses_row_security,
        text="the source's role sees every row" if here.bypasses_row_security else "policies may hide rows from us",
    )


async def _extensions(source: asyncpg.Connection, target: asyncpg.Connection) -> list[Finding]:
    here = {row["name"]: row["version"] for row in await source.fetch(_EXTENSIONS)}
    there = {row["name"]: row["version"] for row in await target.fetch(_EXTENSIONS)}
    found = []
    for name, version in sorted(here.items()):
        if name in there:
            holds = _version_key(there[name]) >= _version_key(version)
            text = f"{version} on the source, {there[name]} on the target" + ("" if holds else ", which is older")
            found.append(Finding(subject=f"extension {name}", holds=holds, text=text))
        else:
            found.append(_absent(name, version, await target.fetchval(_AVAILABLE, name)))
    return found


def _absent(name: str, version: str, available: str | None) -> Finding:
    """Say of an extension that the target has not installed whether it could be."""
    older = available is not None and _version_key(available) < _version_key(version)
    offer = f"{available} is available there{', which is older' * older}" if available else "none is available there"
    text = f"{version} on the source, not installed on the target; {offer}; it comes along if a moved thing needs it"
    return Finding(subject=f"extension {name}", holds=None, text=text)


def _version_key(version: str) -> tuple[int, ...]:
    """Return a version's numbers, so that 0.10 comes after 0.9."""
    return tuple(int(part) for part in version.replace("-", ".").split(".") if part.isdigit())


async def _company(target: asyncpg.Connection) -> list[Finding]:
    return [
        Finding(
            subject=f"connected to the target: {entry.application}",
            holds=not entry.idle_in_transaction,
            text=f"{entry.sessions} as {entry.user}, {entry.active} active"
            + (f", {entry.idle_in_transaction} idle in a transaction" if entry.idle_in_transaction else ""),
        )
        for entry in await connected(target)
    ]


def _size(number: int) -> str:
    """Return bytes as people say them."""
    size = float(number)
    for unit in ("bytes", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
