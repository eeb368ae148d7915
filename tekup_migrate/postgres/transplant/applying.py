"""Runs a transplant's statements, each group in one transaction, and records what was created."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Listener, Ran
from tekup_migrate.postgres.catalog.event_triggers import read_event_triggers
from tekup_migrate.postgres.catalog.objects import CatalogObject, EventTrigger, Index, Kind, ObjectKey
from tekup_migrate.postgres.catalog.reading import Catalog, read_catalog
from tekup_migrate.postgres.comparison.items import identities, refuse_conflicts
from tekup_migrate.postgres.ddl.naming import Naming
from tekup_migrate.postgres.ddl.rendering import comments, statements
from tekup_migrate.postgres.sql_text.tokens import canonical
from tekup_migrate.postgres.transplant.event_triggers import refusing
from tekup_migrate.postgres.transplant.interference import refuse_changed
from tekup_migrate.postgres.transplant.planning import Statement, TransplantPlan

if TYPE_CHECKING:
    import asyncpg


class Created(Struct, frozen=True):
    """Something that was created in the target, in the order of creation; kept as JSON in the journal.

    Attributes:
        key: what it is.
        digest: SHA-256 of its definition as the target printed it right after, to notice later changes; empty for an
            index that is being built and commits by itself.
        procedure: whether a function is called as a procedure, for its DROP.
    """

    key: ObjectKey
    digest: str
    procedure: bool = False


Record = Callable[[tuple[Created, ...]], None]
"""Keeps what was created durably; called before the commit, so that nothing can exist unrecorded."""

_SETTINGS = ("SET LOCAL search_path = ''", "SET LOCAL check_function_bodies = off")


def _ignore(_: object) -> None:
    """Listen to nothing."""


async def apply_before(
    connection: asyncpg.Connection, plan: TransplantPlan, *, record: Record, listen: Listener = _ignore
) -> tuple[Created, ...]:
    """Make what must exist before the rows, in one transaction.

    Raises:
        MigrationError: a name is taken, or Postgres refused a statement, or an event trigger of the target refused one
            or changed what was made; nothing was created.
    """
    refuse_conflicts(plan.comparison)
    return await _apply(connection, plan, plan.before, record=record, listen=listen)


async def apply_after(
    connection: asyncpg.Connection, plan: TransplantPlan, *, record: Record, listen: Listener = _ignore
) -> tuple[Created, ...]:
    """Make what follows the rows (indexes, foreign keys, triggers, functions, views), in one transaction.

    Raises:
        MigrationError: a name is taken, or Postgres refused a statement, or an event trigger of the target refused one
            or changed what was made; nothing was created.
    """
    refuse_conflicts(plan.comparison)
    return await _apply(connection, plan, plan.after, record=record, listen=listen)


async def _apply(
    connection: asyncpg.Connection,
    plan: TransplantPlan,
    group: tuple[Statement, ...],
    *,
    record: Record,
    listen: Listener,
) -> tuple[Created, ...]:
    if not group:
        return ()
    async with connection.transaction():
        for setting in _SETTINGS:
            await connection.execute(setting)
        triggers = await read_event_triggers(connection)
        for statement in group:
            await _execute(connection, statement, triggers)
            listen(Ran(kind="sql", text=statement.sql))
        keys = dict.fromkeys(s.creates for s in group if s.new)
        catalog = await read_catalog(connection)
        refuse_changed(plan, catalog, keys, triggers)
        made = created(catalog, keys)
        record(made)
    return made


async def _execute(connection: asyncpg.Connection, statement: Statement, triggers: Sequence[EventTrigger]) -> None:
    import asyncpg

    try:
        await connection.execute(statement.sql)
    except asyncpg.PostgresError as error:
        refused = refusing(error, triggers)
        mend = "Look at the statement below; leave the object behind, or mend its definition on the source."
        raise MigrationError(
            f"The target refused to create {statement.creates}",
            happened=refused.happened,
            unchanged="Everything that this step had created is gone again: it was one transaction.",
            remedy=refused.remedy or mend,
            details=statement.sql,
        ) from error


def created(catalog: Catalog, keys: Iterable[ObjectKey]) -> tuple[Created, ...]:
    """Return the records of objects that were just created, with digests of what the target now says of them."""
    return tuple(
        Created(key, digest_of(catalog, key), bool(getattr(catalog.objects.get(key), "procedure", False)))
        for key in keys
        if not _goes_with_constraint(catalog, key)
    )


def _goes_with_constraint(catalog: Catalog, key: ObjectKey) -> bool:
    """Whether an index is a constraint's, which is recorded itself."""
    item = catalog.objects.get(key)
    return isinstance(item, Index) and bool(item.constraint)


def digest_of(catalog: Catalog, key: ObjectKey) -> str:
    """Return the digest of an object's definition, or an empty text where it does not exist.

    Rows and the positions of sequences do not count.
    """
    item = catalog.objects.get(key)
    if item is None:
        return _digest_of_setting(catalog, key)
    text = [*statements(item, Naming(), identities(catalog)), *comments(item, Naming()), _state(item)]
    return sha256(canonical(";\n".join(text)).encode()).hexdigest()


def _state(item: CatalogObject) -> str:
    constraint = item.constraint if isinstance(item, Index) else ""
    return f"{item.owner} {constraint}"


def _digest_of_setting(catalog: Catalog, key: ObjectKey) -> str:
    """Row security that was switched on is recorded as an object of its own."""
    table = catalog.relation(key.schema, key.parent) if key.kind is Kind.OTHER else None
    return "on" if table is not None and getattr(table, "row_security", False) else ""
