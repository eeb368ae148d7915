"""Fragments of SQL that several readers share, and the one way to turn their rows into objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")

USER_SCHEMAS = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
"""Schemas that are not Postgres' own; ``pg_`` is reserved."""


def not_of_extension(catalog: str, oid: str) -> str:
    """Return a condition that leaves out what an extension brought."""
    return f"""NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = '{catalog}'::regclass
        AND d.objid = {oid} AND d.deptype = 'e')"""


def key(kind: str, schema: str, name: str, *, parent: str = "''", arguments: str = "''") -> str:
    """Return SQL for an ``ObjectKey``; every argument is an SQL expression."""
    return f"""json_build_object('kind', {kind}, 'schema', {schema}, 'name', {name}, 'parent', {parent},
        'arguments', {arguments})"""


def grants(acl: str, letter: str, owner: str) -> str:
    """Return SQL for a tuple of ``Grant`` in the order in which the server holds them.

    Args:
        acl: the ACL column; NULL stands for the built-in default.
        letter: what ``acldefault`` knows the kind as; ``c`` for columns.
        owner: the owner's OID.
    """
    whole = f"(SELECT count(*) FROM aclexplode(acldefault('{letter}', {owner})) AS every WHERE every.grantee = {owner})"
    if letter == "c":
        whole = "4"
    return f"""(
        SELECT coalesce(json_agg(json_build_object('grantee', g.grantee, 'grantable', g.is_grantable,
            'privileges', g.privileges, 'whole', g.number = {whole}, 'grantor', g.grantor) ORDER BY g.place), '[]')
        FROM (
            SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END AS grantee,
                   CASE WHEN a.grantor = {owner} THEN '' ELSE pg_get_userbyid(a.grantor)::text END AS grantor,
                   a.is_grantable, array_agg(a.privilege_type ORDER BY a.place) AS privileges,
                   count(*) AS number, min(a.place) AS place
            FROM aclexplode(coalesce({acl}, acldefault('{letter}', {owner})))
                 WITH ORDINALITY AS a(grantor, grantee, privilege_type, is_grantable, place)
            GROUP BY a.grantor, a.grantee, a.is_grantable
        ) AS g
    )"""


def owner(oid: str) -> str:
    """Return SQL for the columns ``owner`` and ``mine``."""
    return f"pg_get_userbyid({oid})::text AS owner, pg_has_role({oid}, 'MEMBER') AS mine"


async def read(connection: asyncpg.Connection, query: str, of: type[T]) -> list[T]:
    """Run a query whose columns are the fields of ``of``, the first telling them apart; return its rows, ordered by it.

    The server's own order changes whenever a row of its catalog is written anew, and previews would with it.
    """
    rows = await connection.fetch(f"SELECT to_json(r)::text AS json FROM ({query}) AS r")
    return [msgspec.json.decode(found, type=of) for found in sorted(row["json"] for row in rows)]
