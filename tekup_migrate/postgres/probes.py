"""Asks as each API role what it may see and write, on either side, in transactions that are rolled back.

``postgres`` bypasses row level security, so only acting as the role tells. Claims are set the way PostgREST sets them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.plan import Policy
from tekup_migrate.postgres.quoting import Relation, quote_ident, quote_idents

if TYPE_CHECKING:
    import asyncpg

API_ROLES = ("anon", "authenticated", "service_role")
_OUTSIDE = ("anon", "authenticated")
"""Whom a policy for PUBLIC speaks of; ``service_role`` passes every policy by."""
SAMPLED_ROWS = 3
_STRANGER = uuid.UUID("00000000-0000-4000-8000-000000000001")

_COLUMNS = """
    SELECT a.attname::text AS name, a.attgenerated <> '' AS generated, a.attidentity = 'a' AS fixed,
           format_type(a.atttypid, NULL) AS type,
           coalesce(a.attnum = ANY (i.indkey), false) AS in_key
    FROM pg_attribute AS a
    LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""


class Outcome(Struct, frozen=True, kw_only=True):
    """What happened to one attempt.

    Attributes:
        table: the table as the target names it.
        role: the role that tried.
        subject: the user id in the claims, or empty.
        action: SELECT, INSERT, UPDATE or DELETE.
        result: ``refused``, or what came of it: rows seen with their checksum, rows written, ``allowed``.
    """

    table: str
    role: str
    subject: str
    action: str
    result: str


class _Table(Struct, frozen=True, kw_only=True):
    """What the probes need to know of a table."""

    relation: Relation
    name: str
    key: tuple[str, ...]
    written: tuple[str, ...]
    changed: str
    rows: tuple[str, ...]


async def subjects(source: asyncpg.Connection, table: Relation, *, limit: int = 2) -> tuple[str, ...]:
    """Return user ids to act as: some that the table's own uuid columns hold, and one that nobody has."""
    found: list[str] = []
    for column in await source.fetch(_COLUMNS, table.sql):
        if column["type"] == "uuid" and not column["in_key"] and len(found) < limit:
            name = quote_ident(column["name"])
            query = f"SELECT min({name}::text) AS id FROM {table.sql} HAVING count({name}) > 0"
            found += [row["id"] for row in await source.fetch(query)]
    return (*found, str(_STRANGER))


async def sample_rows(source: asyncpg.Connection, table: Relation) -> tuple[str, ...]:
    """Return some rows as JSON, the same ones whenever asked, for both sides to be tried with."""
    rows = await source.fetch(f"SELECT to_json(t)::text AS row FROM {table.sql} AS t ORDER BY 1 LIMIT {SAMPLED_ROWS}")
    return tuple(row["row"] for row in rows)


async def probe(
    connection: asyncpg.Connection,
    table: Relation,
    *,
    name: str,
    rows: Sequence[str],
    users: Iterable[str],
    roles: Iterable[str] = API_ROLES,
) -> tuple[Outcome, ...]:
    """Try to read and write a table as each role, and leave nothing behind.

    Args:
        connection: to one side, as a role that may switch to the others.
        table: the table's name on that side.
        name: what to call it in the outcomes: the same on both sides.
        rows: rows of the source as JSON (``sample_rows``).
        users: user ids for the claims of ``authenticated`` (``subjects``).
        roles: roles to act as; those that do not exist on this side have the result ``no such role``.
    """
    columns = await connection.fetch(_COLUMNS, table.sql)
    described = _Table(
        relation=table,
        name=name,
        key=tuple(column["name"] for column in columns if column["in_key"]),
        written=tuple(column["name"] for column in columns if not column["generated"]),
        changed=next((c["name"] for c in columns if not c["generated"] and not c["fixed"]), ""),
        rows=tuple(rows),
    )
    known = {row["rolname"] for row in await connection.fetch("SELECT rolname::text FROM pg_roles")}
    found: list[Outcome] = []
    for role in roles:
        for user in tuple(users) if role == "authenticated" else ("",):
            for action in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                result = (
                    "no such role" if role not in known else await _attempt(connection, described, role, user, action)
                )
                found.append(Outcome(table=name, role=role, subject=user, action=action, result=result))
    return tuple(found)


def differences(source: Iterable[Outcome], target: Iterable[Outcome]) -> tuple[str, ...]:
    """Return in words where the two sides answered differently."""
    there = {(o.table, o.role, o.subject, o.action): o.result for o in target}
    found = []
    for outcome in source:
        result = there.get((outcome.table, outcome.role, outcome.subject, outcome.action), "not tried")
        if result != outcome.result:
            who = f"{outcome.role} {outcome.subject}".strip()
            found.append(f"{outcome.action} on {outcome.table} as {who}: {outcome.result} on the source, {result} here")
    return tuple(found)


def unlike_policies(policies: Sequence[Policy], outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Return in words where a table with nothing but these policies lets through more, or shows less, than they say.

    What they let through of writes depends on the row, so only what no policy speaks of is held against the table.
    """
    found = []
    for outcome in outcomes:
        wanted, refused = _speaks_of(policies, outcome), outcome.result == "refused"
        more = not wanted and not refused and outcome.result != "no such role"
        less = wanted and refused and outcome.action == "SELECT"
        if more or less:
            what = f"{outcome.action} on {outcome.table} as {outcome.role}"
            found.append(f"{what}: {outcome.result}, against the plan's policies")
    return tuple(found)


def _speaks_of(policies: Sequence[Policy], outcome: Outcome) -> bool:
    """Whether a policy is about what was tried, for the role that tried it."""
    return any(
        policy.command.upper() in ("ALL", outcome.action)
        and (outcome.role in policy.roles or (outcome.role in _OUTSIDE and "PUBLIC" in map(str.upper, policy.roles)))
        for policy in policies
    )


async def _attempt(connection: asyncpg.Connection, table: _Table, role: str, user: str, action: str) -> str:
    import asyncpg

    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL search_path = ''")
        claims = {"role": role} | ({"sub": user} if user else {})
        await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", json.dumps(claims))
        await connection.execute(f"SET LOCAL ROLE {quote_ident(role)}")
        return await _act(connection, table, action)
    except asyncpg.InsufficientPrivilegeError:
        return "refused"
    except asyncpg.IntegrityConstraintViolationError:
        # Privileges and policies come before constraints: the row was let through.
        return "allowed"
    except asyncpg.PostgresError as error:
        return f"failed: {error.sqlstate}"
    finally:
        await transaction.rollback()


async def _act(connection: asyncpg.Connection, table: _Table, action: str) -> str:
    if action == "SELECT":
        return await _see(connection, table)
    if action == "INSERT":
        return await _insert(connection, table)
    if not table.key or not table.rows or not table.changed:
        return "not tried: no rows or no key"
    key = quote_idents(table.key)
    chosen = f"({key}) IN (SELECT {key} FROM jsonb_populate_recordset(NULL::{table.relation.sql}, $1::jsonb))"
    first = quote_ident(table.changed)
    change = (
        f"UPDATE {table.relation.sql} SET {first} = {first}"
        if action == "UPDATE"
        else f"DELETE FROM {table.relation.sql}"
    )
    status = await connection.execute(f"{change} WHERE {chosen}", f"[{','.join(table.rows)}]")
    return f"{status.rpartition(' ')[2]} rows"


async def _see(connection: asyncpg.Connection, table: _Table) -> str:
    """Count the visible rows, with a checksum of their keys that no order changes."""
    key = f"pg_catalog.jsonb_build_array({quote_idents(table.key)})::text" if table.key else "''"
    query = (
        f"SELECT count(*) AS rows, coalesce(bit_xor(hashtextextended({key}, 0)), 0) AS sum FROM {table.relation.sql}"
    )
    row = await connection.fetchrow(query)
    assert row is not None
    return f"{row['rows']} rows, checksum {row['sum']}"


async def _insert(connection: asyncpg.Connection, table: _Table) -> str:
    if not table.rows:
        return "not tried: no rows"
    columns = quote_idents(table.written)
    query = (
        f"INSERT INTO {table.relation.sql} ({columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {columns} FROM jsonb_populate_record(NULL::{table.relation.sql}, $1::jsonb)"
    )
    await connection.execute(query, table.rows[0])
    return "allowed"
