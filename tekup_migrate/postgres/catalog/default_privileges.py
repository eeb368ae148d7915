"""Reads what a new object grants without being told (``ALTER DEFAULT PRIVILEGES``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import Grant
from tekup_migrate.postgres.catalog.sql import grants, read

if TYPE_CHECKING:
    import asyncpg

_DEFAULTS = f"""
    SELECT pg_get_userbyid(d.defaclrole)::text AS role, coalesce(n.nspname::text, '') AS schema,
           d.defaclobjtype::text AS type, {grants("d.defaclacl", "r", "d.defaclrole")} AS grants
    FROM pg_default_acl AS d
    LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
"""


@dataclass(frozen=True)
class DefaultPrivileges:
    """What objects of one type, made by ``role`` in ``schema`` (empty for everywhere), grant from the start.

    ``type`` is the catalog's letter: r(elation), S(equence), f(unction), T(ype), n (schema).
    """

    role: str
    schema: str
    type: str
    grants: tuple[Grant, ...]


async def read_default_privileges(connection: asyncpg.Connection) -> tuple[DefaultPrivileges, ...]:
    """Return every default privilege of this database."""
    return tuple(await read(connection, _DEFAULTS, DefaultPrivileges))
