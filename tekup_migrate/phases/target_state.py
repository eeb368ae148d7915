"""What the target held before somebody else's tool changed it: rows per table, and a digest of every object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.phases.resolutions import all_moves
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    import asyncpg


class TargetState(Struct, frozen=True):
    """Row counts of the target's tables by name, and what its catalog says of every object, as digests."""

    tables: dict[str, int]
    objects: dict[str, str]


async def target_state(context: Context, connection: asyncpg.Connection) -> TargetState:
    """Read the schema ``public`` as it is now, and those that this run has put tables into."""
    from tekup_migrate.postgres.catalog.reading import read_catalog
    from tekup_migrate.postgres.inventory import inventory
    from tekup_migrate.postgres.transplant import digest_of

    schemas = tuple(dict.fromkeys(("public", *(move.schema for move in all_moves(context)))))
    tables = {
        Relation(schema, table.name).label: table.rows
        for schema in schemas
        for table in await inventory(connection, schema)
        if table.counted
    }
    async with connection.transaction():
        # Definitions are compared as text: the names in them must not depend on the session.
        await connection.execute("SET LOCAL search_path = ''")
        catalog = await read_catalog(connection)
    return TargetState(tables, {str(key): digest_of(catalog, key) for key in catalog.objects if key.schema in schemas})


def changes(before: TargetState, now: TargetState) -> tuple[str, ...]:
    """Return every object that was created, changed or dropped in between, a line each."""
    lines = []
    for name in sorted(before.objects.keys() | now.objects.keys()):
        was, is_now = before.objects.get(name), now.objects.get(name)
        if was != is_now:
            word = "gone" if is_now is None else "created since" if was is None else "changed since"
            lines.append(f"{name}: {word}")
    return tuple(lines)
