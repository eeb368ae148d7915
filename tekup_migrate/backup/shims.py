"""What an archive needs and does not hold: roles, extensions, and the functions of other schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.backup.manifest import InstalledExtension, Manifest, OutsideFunction
from tekup_migrate.postgres.quoting import Relation, quote_ident

if TYPE_CHECKING:
    import asyncpg

_STAND_IN_TYPES = {"citext": "text"}
"""Types of extensions that the embedded server lacks, and the built-in type whose values are sent alike."""


@dataclass(frozen=True)
class Shims:
    """What was put in place of what a throw-away server does not have.

    Attributes:
        schemas: the schemas that exist now beside ``public``.
        lacking: extensions that this server cannot have.
        notes: what was shimmed, a line each.
    """

    schemas: tuple[str, ...]
    lacking: tuple[InstalledExtension, ...]
    notes: tuple[str, ...]


async def install_shims(connection: asyncpg.Connection, manifest: Manifest) -> Shims:
    """Create in a throw-away server's new database what the archive needs; the connection is a superuser's."""
    roles = await _create_roles(connection, manifest.roles)
    wanted = dict.fromkeys([e.schema for e in manifest.extensions] + [f.schema for f in manifest.functions])
    schemas = tuple(name for name in wanted if name != "public" and not name.startswith("pg_"))
    for schema in schemas:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_ident(schema)}")
    lacking = tuple([e for e in manifest.extensions if not await _create_extension(connection, e)])
    functions = [f for f in manifest.functions if await _create_function(connection, f)]
    notes = [f"role {name}" for name in roles]
    notes += [f"function {function.schema}.{function.name}({function.arguments})" for function in functions]
    return Shims(schemas=schemas, lacking=lacking, notes=tuple(notes))


async def _create_roles(connection: asyncpg.Connection, roles: tuple[str, ...]) -> list[str]:
    known = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_catalog.pg_roles")}
    missing = [role for role in roles if role not in known]
    for role in missing:
        await connection.execute(f"CREATE ROLE {quote_ident(role)} NOLOGIN")
    return missing


async def _create_extension(connection: asyncpg.Connection, extension: InstalledExtension) -> bool:
    available = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = $1)", extension.name
    )
    schema = quote_ident(extension.schema)
    if available:
        await connection.execute(
            f"CREATE EXTENSION IF NOT EXISTS {quote_ident(extension.name)} WITH SCHEMA {schema} CASCADE"
        )
        return True
    if stand_in := _STAND_IN_TYPES.get(extension.name):
        await connection.execute(f"CREATE DOMAIN {schema}.{quote_ident(extension.name)} AS {stand_in}")
        return True
    return False


def stand_in(function: OutsideFunction) -> str:
    """Return the SQL that creates a function of the right signature which answers nothing."""
    name = Relation(function.schema, function.name).sql
    body = {"trigger": "BEGIN RETURN NEW; END", "void": "BEGIN END"}.get(function.result, "BEGIN RETURN NULL; END")
    if function.result.startswith(("SETOF ", "TABLE(")):
        body = "BEGIN RETURN; END"
    # IMMUTABLE, because an index expression accepts nothing less.
    return (
        f"CREATE FUNCTION {name}({function.arguments}) RETURNS {function.result} "
        f"LANGUAGE plpgsql IMMUTABLE AS $shim${body}$shim$"
    )


async def _create_function(connection: asyncpg.Connection, function: OutsideFunction) -> bool:
    """Create a stand-in for a function, unless an extension brought the real one."""
    import asyncpg

    try:
        await connection.execute(stand_in(function))
    except (asyncpg.DuplicateFunctionError, asyncpg.UndefinedObjectError, asyncpg.InvalidSchemaNameError):
        # It exists, or takes a type that is not here; then whatever calls it is named as not restored.
        return False
    except asyncpg.PostgresSyntaxError:
        return False
    return True
