"""Takes a transplant back: drops exactly what was created, and nothing that has changed or is needed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError, WorldChangedError
from tekup_migrate.postgres.catalog.event_triggers import read_event_triggers
from tekup_migrate.postgres.catalog.objects import RELATIONS, Function, Kind
from tekup_migrate.postgres.catalog.reading import Catalog, read_catalog
from tekup_migrate.postgres.comparison.items import identities
from tekup_migrate.postgres.comparison.mentions import mentioned
from tekup_migrate.postgres.ddl.naming import sql_name
from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.transplant.applying import Created, digest_of
from tekup_migrate.postgres.transplant.circles import broken
from tekup_migrate.postgres.transplant.event_triggers import refusing
from tekup_migrate.postgres.transplant.ordering import creation_needs
from tekup_migrate.postgres.transplant.strangers import strangers

if TYPE_CHECKING:
    import asyncpg

_WORDS = {Kind.ENUM: "TYPE", Kind.COMPOSITE: "TYPE", Kind.RANGE: "TYPE", Kind.STATISTICS: "STATISTICS"}


def undo_statements(created: Iterable[Created]) -> tuple[str, ...]:
    """Return the DROP statements that take back what was created, last made first, never with CASCADE."""
    # A column's own sequence goes with its table, and no sequence goes before the default, of a column or of a
    # function's argument, that counts with it; a sequence itself needs nothing but its schema.
    last = {Kind.SEQUENCE: 1, Kind.SCHEMA: 2}
    entries = list(created)
    entries.reverse()
    entries.sort(key=lambda entry: last.get(entry.key.kind, 0))
    return tuple(_drop(entry) for entry in entries)


async def undo(connection: asyncpg.Connection, created: Sequence[Created]) -> tuple[str, ...]:
    """Drop what was created, in one transaction, and return the statements that ran.

    What is gone already is passed over, so that undoing twice ends in the same state.

    Raises:
        WorldChangedError: something was changed since, or something else has come to depend on it; nothing was dropped.
        MigrationError: Postgres, or an event trigger of the target, refused a statement; nothing was dropped.
    """
    import asyncpg

    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = ''")
        await connection.execute("SET LOCAL check_function_bodies = off")
        drops = await undo_plan(connection, created)
        triggers = await read_event_triggers(connection)
        for sql in drops:
            try:
                await connection.execute(sql)
            except asyncpg.DependentObjectsStillExistError as error:
                raise _refusal([f"{error.detail or error}"]) from error
            except asyncpg.PostgresError as error:
                refused = refusing(error, triggers)
                raise MigrationError(
                    "The target refused to drop what was created",
                    happened=refused.happened,
                    unchanged="Nothing was dropped: it was one transaction.",
                    remedy=refused.remedy or "Look at the statement below, mend what the server names, and undo again.",
                    details=sql,
                ) from error
    return drops


async def undo_plan(connection: asyncpg.Connection, created: Sequence[Created]) -> tuple[str, ...]:
    """Return the statements that ``undo`` would run now, and refuse where it would; reads only.

    Raises:
        WorldChangedError: something was changed since, or something else has come to depend on it.
    """
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = ''")
        catalog = await read_catalog(connection)
    present = [entry for entry in created if digest_of(catalog, entry.key)]
    refuse_undo(catalog, present)
    return (*_loosening(catalog, present), *undo_statements(present))


def _loosening(catalog: Catalog, created: Sequence[Created]) -> tuple[str, ...]:
    """Return what lets objects that need each other in a circle be dropped one after the other."""
    objects = {entry.key: catalog.objects[entry.key] for entry in created if entry.key in catalog.objects}
    own = identities(catalog)
    unwound = broken(objects, creation_needs(objects, catalog.needs), own, version=catalog.version)
    return tuple(sql for rest in unwound.rest.values() for sql in rest.loosened(own))


async def gone_by_hand(connection: asyncpg.Connection, created: Sequence[Created]) -> tuple[Created, ...]:
    """Return what of the created things is not there under its name any more; what went with a table is not named."""
    left = await still_there(connection, created)
    # An index whose building was cut off has no digest, and may never have been there.
    gone = [entry for entry in created if entry.digest and entry not in left]
    tables = {(entry.key.schema, entry.key.name) for entry in gone if entry.key.kind is Kind.TABLE}
    return tuple(entry for entry in gone if (entry.key.schema, entry.key.parent) not in tables)


async def still_there(connection: asyncpg.Connection, created: Sequence[Created]) -> tuple[Created, ...]:
    """Return what of the created things exists, changed or not."""
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = ''")
        catalog = await read_catalog(connection)
    return tuple(entry for entry in created if digest_of(catalog, entry.key))


def refuse_undo(catalog: Catalog, created: Sequence[Created]) -> None:
    """Stop where dropping would take more than what was created.

    Raises:
        WorldChangedError: something was changed since, hangs on a created table without being ours, or others use it.
    """
    ours = {entry.key for entry in created}
    # An index whose building was cut off has no digest: it is ours whatever became of it.
    changed = [entry.key for entry in created if entry.digest and digest_of(catalog, entry.key) != entry.digest]
    reasons = [f"{key} was changed after it was created" for key in changed]
    for key in ours:
        if key.kind in RELATIONS:
            others = strangers(catalog, key, ours)
            reasons += [f"{other} hangs on {key} and was not created by this run" for other in others]
    for function in catalog.of(Function):
        if function.mine and function.key not in ours and function.body:
            used = sorted(mentioned(function, catalog) & ours)
            reasons += [f"{function.key} uses {key}" for key in used]
    if reasons:
        raise _refusal(reasons)


def _drop(entry: Created) -> str:
    key = entry.key
    table = f"{quote_ident(key.schema)}.{quote_ident(key.parent)}" if key.parent else ""
    match key.kind:
        case Kind.CONSTRAINT | Kind.FOREIGN_KEY:
            return f"ALTER TABLE {table} DROP CONSTRAINT {quote_ident(key.name)}"
        case Kind.TRIGGER | Kind.RULE | Kind.POLICY:
            return f"DROP {key.kind.value.upper()} {quote_ident(key.name)} ON {table}"
        case Kind.PUBLICATION:
            return f"ALTER PUBLICATION {quote_ident(key.name)} DROP TABLE ONLY {table}"
        case Kind.OTHER:
            return f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
        case Kind.SEQUENCE | Kind.INDEX:
            # A column's own sequence and a constraint's index go with the table or constraint.
            return f"DROP {key.kind.value.upper()} IF EXISTS {sql_name(key)}"
        case _:
            word = "PROCEDURE" if entry.procedure else _WORDS.get(key.kind, key.kind.value.upper())
            return f"DROP {word} {sql_name(key)}"


def _refusal(reasons: list[str]) -> WorldChangedError:
    return WorldChangedError(
        "What was created cannot be taken back as it is",
        happened="Since it was created it was changed, or other things have come to depend on it.",
        unchanged="Nothing was dropped.",
        remedy="Look at each of them; drop or detach by hand what may go, then undo again.",
        details="\n".join(reasons),
    )
