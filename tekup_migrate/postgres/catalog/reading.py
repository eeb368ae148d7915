"""Reads a whole database's catalog in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from tekup_migrate.postgres.catalog import attachments, definitions, event_triggers, plain, relations
from tekup_migrate.postgres.catalog.default_privileges import DefaultPrivileges, read_default_privileges
from tekup_migrate.postgres.catalog.dependencies import read_dependencies, read_extension_members
from tekup_migrate.postgres.catalog.objects import (
    RELATIONS,
    TYPES,
    WITH_ARGUMENTS,
    CatalogObject,
    Extension,
    Index,
    Kind,
    ObjectKey,
    Schema,
    StatisticsObject,
    Table,
)

if TYPE_CHECKING:
    import asyncpg

O = TypeVar("O", bound=CatalogObject)  # noqa: E741 - an object


@dataclass(frozen=True)
class Catalog:
    """Everything in a database outside Postgres' own schemas and extensions, and what needs what.

    Attributes:
        objects: every object by its key.
        needs: what each object directly needs, as Postgres records it.
        default_privileges: what a new object grants without being told.
        extension_members: schema and name of what each extension brought.
        roles: every role's name.
        memberships: the roles whose things the connected one may make, change and drop: it inherits from them, and may
            set their role.
        settable: the roles that the connected one may act as by ``SET ROLE``.
        user: the connected role.
        version: ``server_version_num``.
        publications: names of publications, and whether each takes all tables.
        own_publications: those that the connected role may change.
    """

    objects: Mapping[ObjectKey, CatalogObject]
    needs: Mapping[ObjectKey, frozenset[ObjectKey]]
    default_privileges: tuple[DefaultPrivileges, ...]
    extension_members: Mapping[str, frozenset[tuple[str, str]]]
    roles: frozenset[str]
    memberships: frozenset[str]
    settable: frozenset[str]
    user: str
    version: int
    publications: Mapping[str, bool]
    own_publications: frozenset[str]

    def of(self, kind: type[O]) -> Iterable[O]:
        """Return the objects of one class."""
        return (item for item in self.objects.values() if isinstance(item, kind))

    def get(self, key: ObjectKey, of: type[O]) -> O | None:
        """Return the object with this key, when it is of that class."""
        found = self.objects.get(key)
        return found if isinstance(found, of) else None

    def relation(self, schema: str, name: str) -> CatalogObject | None:
        """Return the table, view or sequence of that name."""
        return self._relations.get((schema, name))

    def attached(self, schema: str, relation: str) -> tuple[CatalogObject, ...]:
        """Return what hangs on a relation: constraints, indexes, triggers, rules, policies, statistics and the like."""
        return self._attached.get((schema, relation), ())

    def taken(self, key: ObjectKey) -> CatalogObject | None:
        """Return what already has the name that ``key`` would need, of whatever kind it is.

        Tables, views, sequences, indexes and composite types share one space of names per schema, and each table
        takes its name among the types as well.
        """
        if key.kind in RELATIONS | TYPES | {Kind.INDEX}:
            return self._names.get((key.schema, key.name))
        return self.objects.get(key)

    def schema(self, name: str) -> Schema | None:
        """Return a schema."""
        return self.get(ObjectKey(Kind.SCHEMA, "", name), Schema)

    def extension(self, name: str) -> Extension | None:
        """Return an installed extension."""
        return self.get(ObjectKey(Kind.EXTENSION, "", name), Extension)

    @cached_property
    def _relations(self) -> dict[tuple[str, str], CatalogObject]:
        return {(k.schema, k.name): item for k, item in self.objects.items() if k.kind in RELATIONS}

    @cached_property
    def _names(self) -> dict[tuple[str, str], CatalogObject]:
        spaces = RELATIONS | TYPES | {Kind.INDEX}
        return {(k.schema, k.name): item for k, item in self.objects.items() if k.kind in spaces}

    @cached_property
    def _attached(self) -> dict[tuple[str, str], tuple[CatalogObject, ...]]:
        found: dict[tuple[str, str], list[CatalogObject]] = {}
        for item in self.objects.values():
            parent = item.table if isinstance(item, (Index, StatisticsObject)) else item.key.parent
            schema = item.table_schema if isinstance(item, StatisticsObject) else item.key.schema
            if parent:
                found.setdefault((schema, parent), []).append(item)
        return {key: tuple(items) for key, items in found.items()}

    def functions_named(self, schema: str, name: str) -> tuple[ObjectKey, ...]:
        """Return the keys of every function, aggregate and operator of that name, whatever its arguments."""
        return self._functions.get((schema, name), ())

    @cached_property
    def _functions(self) -> dict[tuple[str, str], tuple[ObjectKey, ...]]:
        found: dict[tuple[str, str], tuple[ObjectKey, ...]] = {}
        for key in self.objects:
            if key.kind in WITH_ARGUMENTS:
                found[key.schema, key.name] = (*found.get((key.schema, key.name), ()), key)
        return found

    def tables(self) -> Iterable[Table]:
        """Return every table, partitioned and foreign ones too."""
        return self.of(Table)


_PUBLICATIONS = """
    SELECT pubname::text AS name, puballtables, pg_has_role(pubowner, 'MEMBER') AS mine FROM pg_publication
"""

_READERS = (
    definitions.read_schemas,
    definitions.read_extensions,
    definitions.read_enums,
    definitions.read_domains,
    definitions.read_composites,
    definitions.read_ranges,
    definitions.read_functions,
    plain.read_plain,
    relations.read_tables,
    relations.read_views,
    relations.read_sequences,
    attachments.read_constraints,
    attachments.read_indexes,
    attachments.read_triggers,
    attachments.read_rules,
    attachments.read_policies,
    attachments.read_statistics,
    attachments.read_publications,
    event_triggers.read_event_triggers,
)


async def read_catalog(connection: asyncpg.Connection) -> Catalog:
    """Read everything in one read-only snapshot, with names printed qualified; joins a transaction that is open."""
    outer = connection.is_in_transaction()
    transaction = connection.transaction() if outer else connection.transaction(isolation="repeatable_read")
    async with transaction:
        path = await connection.fetchval("SELECT current_setting('search_path')")
        await connection.execute("SET LOCAL search_path = ''")
        catalog = await _read(connection)
        await connection.execute("SELECT set_config('search_path', $1, true)", path)
    return catalog


async def _read(connection: asyncpg.Connection) -> Catalog:
    objects: dict[ObjectKey, CatalogObject] = {}
    for reader in _READERS:
        for item in await reader(connection):
            objects[item.key] = item
    members = {
        item.key.name: await read_extension_members(connection, item)
        for item in objects.values()
        if isinstance(item, Extension)
    }
    # Before Postgres 16 every membership came with the right to set the role.
    right = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
    row = await connection.fetchrow(
        "SELECT current_user::text AS user, current_setting('server_version_num')::int AS version,"
        " ARRAY(SELECT rolname::text FROM pg_roles) AS roles,"
        " ARRAY(SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, 'USAGE')) AS inherited,"
        f" ARRAY(SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, '{right}')) AS settable"
    )
    publications = await connection.fetch(_PUBLICATIONS)
    assert row is not None
    return Catalog(
        objects=objects,
        needs=await read_dependencies(connection, objects.values()),
        default_privileges=await read_default_privileges(connection),
        extension_members=members,
        roles=frozenset(row["roles"]),
        memberships=frozenset(row["inherited"]) & frozenset(row["settable"]),
        settable=frozenset(row["settable"]),
        user=row["user"],
        version=row["version"],
        publications={entry["name"]: entry["puballtables"] for entry in publications},
        own_publications=frozenset(entry["name"] for entry in publications if entry["mine"]),
    )
