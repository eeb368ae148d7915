"""Turns a comparison into the exact, ordered SQL that makes everything that moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from tekup_migrate.postgres.catalog.objects import (
    CatalogObject,
    Constraint,
    Function,
    Index,
    Kind,
    ObjectKey,
    Schema,
    Table,
    View,
)
from tekup_migrate.postgres.catalog.objects import Sequence as SequenceObject
from tekup_migrate.postgres.catalog.reading import Catalog, read_catalog
from tekup_migrate.postgres.comparison.clashes import with_clashes
from tekup_migrate.postgres.comparison.items import Comparison, Disposition, Item, compare, identities
from tekup_migrate.postgres.comparison.mentions import mentioned
from tekup_migrate.postgres.comparison.moves import Resolutions, Strings, TableMove
from tekup_migrate.postgres.comparison.roles import WITHOUT_OWNER, owner_there
from tekup_migrate.postgres.comparison.selection import IN_BODIES, Tie
from tekup_migrate.postgres.ddl.granting import grant_statements
from tekup_migrate.postgres.ddl.naming import Naming, sql_name
from tekup_migrate.postgres.ddl.rendering import comments, keyword, statements
from tekup_migrate.postgres.ddl.tables import index_choices, own_sequence
from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.transplant.absent import remarks_on, told, with_absent
from tekup_migrate.postgres.transplant.circles import broken
from tekup_migrate.postgres.transplant.event_triggers import remarks_on_event_triggers
from tekup_migrate.postgres.transplant.floor import FloorItem, looked_up, policy_items, raised_to
from tekup_migrate.postgres.transplant.floor_policies import FloorPolicy, floor_policies, raised
from tekup_migrate.postgres.transplant.ordering import closure, creation_needs, ordered

if TYPE_CHECKING:
    import asyncpg


class Statement(Struct, frozen=True):
    """One SQL statement; ``creates`` is the target's key of what it belongs to, ``new`` whether it helps to make it."""

    sql: str
    creates: ObjectKey
    new: bool = True


class Asked(Struct, frozen=True):
    """What a plan was made from, besides the target's catalog: the source's as it was read, and what was decided."""

    source: Catalog
    moves: tuple[TableMove, ...]
    resolutions: Resolutions
    strings: Strings | None


class TransplantPlan(Struct, frozen=True, kw_only=True):
    """What will be done to the target's catalog, and what was found out on the way.

    Attributes:
        comparison: every object, with what becomes of it, and the names in the target.
        before: statements to run before the rows are loaded, in order.
        after: statements to run once the rows are there, in order.
        vector_indexes: the source's vector indexes, which are weighed and built on their own.
        remarks: what the operator should know.
        asked: what it was made from.
        source: the source's catalog with what the plan's floor adds to it.
        floor: what the plan asks for whatever the source has, each thing with whether it is there.
    """

    comparison: Comparison
    before: tuple[Statement, ...]
    after: tuple[Statement, ...]
    vector_indexes: tuple[Index, ...]
    remarks: tuple[str, ...]
    asked: Asked
    source: Catalog
    floor: tuple[FloorItem, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """Every object that hangs on the moved tables."""
        return self.comparison.items

    @property
    def lost(self) -> tuple[str, ...]:
        """Tables that the plan moves but that cannot be made in the target, each with its reason."""
        stays = self.comparison.with_disposition(Disposition.STAYS)
        return tuple(f"{item.key}: {item.reason}" for item in stays if item.tie is Tie.MOVED)

    @property
    def conflicts(self) -> tuple[Item, ...]:
        """What the operator must decide before the plan can be applied."""
        return self.comparison.conflicts

    @property
    def changes(self) -> tuple[Item, ...]:
        """What is changed to follow a rename, or still holds an old name."""
        return tuple(item for item in self.items if item.diff or item.leftovers or item.offer)


async def plan_transplant(
    source: asyncpg.Connection,
    target: asyncpg.Connection,
    moves: Iterable[TableMove],
    resolutions: Resolutions | None = None,
    strings: Strings | None = None,
) -> TransplantPlan:
    """Read both catalogs and say what is to be created; reads only, and may be asked again at any time.

    What an earlier application made is found there and equal, and is not created again.

    Raises:
        MigrationError: a table does not exist, or is of a kind that cannot be moved.
    """
    here, there = await read_catalog(source), await read_catalog(target)
    return plan_from_catalogs(here, there, tuple(moves), resolutions or {}, strings)


def plan_from_catalogs(
    source: Catalog,
    target: Catalog,
    moves: Sequence[TableMove],
    resolutions: Resolutions,
    strings: Strings | None = None,
) -> TransplantPlan:
    """Make the plan from two catalogs that were read before."""
    asked = Asked(source, tuple(moves), resolutions, strings)
    policies = policy_items(source, target, moves)
    source = with_absent(source, moves)
    source, remarks = raised(source, target, moves)
    source, items = raised_to(source, target, moves)
    comparison = compare(source, target, moves, resolutions, strings)
    comparison = structs.replace(comparison, items=with_clashes(told(comparison.items, moves)))
    plan = _Planning(source, target, asked, comparison).plan()
    added = tuple(f"The plan asks for {item.what}; the source has none, so it is added" for item in items if item.added)
    watched = remarks_on_event_triggers(target) if plan.before or plan.after else ()
    return structs.replace(
        plan,
        remarks=(*remarks_on(moves), *remarks, *added, *plan.remarks, *watched),
        floor=(*looked_up(items, target, comparison.naming), *policies),
    )


def planned_again(plan: TransplantPlan, target: Catalog) -> TransplantPlan:
    """Make the same plan once more, for a target that has become another: what is left of it, and what conflicts."""
    asked = plan.asked
    return plan_from_catalogs(asked.source, target, asked.moves, asked.resolutions, asked.strings)


class _Planning:
    def __init__(self, source: Catalog, target: Catalog, asked: Asked, comparison: Comparison) -> None:
        self.source = source
        self.target = target
        self.asked = asked
        self.comparison = comparison
        self.names: Naming = comparison.naming
        moving = (item.key for item in comparison.with_disposition(Disposition.MOVES))
        objects = {key: source.objects[key] for key in moving}
        self.identities = identities(source)
        needs = creation_needs(objects, source.needs)
        unwound = broken(objects, needs, self.identities, version=target.version)
        self.objects, self.needs, self.rest = unwound.objects, unwound.needs, unwound.rest

    def plan(self) -> TransplantPlan:
        """Put the statements into their order: before the rows, after them, and the vector indexes."""
        carried = self.comparison.with_disposition(Disposition.MOVES, Disposition.EQUAL)
        indexes = (self.source.get(item.key, Index) for item in carried)
        vectors = [index for index in indexes if index is not None and index.finds_vectors]
        early = self._early()
        late = frozenset(self.needs) - early - {index.key for index in vectors}
        floor, remarks = floor_policies(self.target, self.asked.moves, self.comparison, self.source)
        before = self._new_schemas()
        before += [s for key in ordered(early, self.needs) for s in self._make(key)]
        before += [statement for policy in floor for statement in _floor(policy)]
        after = [s for key in ordered(late, self.needs) for s in self._make(key)]
        after += self._refreshes()
        return TransplantPlan(
            comparison=self.comparison,
            before=tuple(before),
            after=tuple(after),
            vector_indexes=tuple(vectors),
            remarks=(*remarks, *self.comparison.lacks),
            asked=self.asked,
            source=self.source,
        )

    def _early(self) -> frozenset[ObjectKey]:
        """Return what must exist before the load: tables, keys, checks, policies, and all that those need."""
        start = frozenset(
            key
            for key, item in self.objects.items()
            if isinstance(item, (Table, SequenceObject))
            or key.kind is Kind.POLICY
            or (isinstance(item, Constraint) and item.type in ("p", "u", "c") and not self._of_view(item))
        )
        needs = dict(self.needs)
        for key, item in self.objects.items():
            if key.kind is Kind.OPERATOR:
                # The first of two that name each other reserves the other's name: both belong into one transaction.
                needs[key] = self.needs[key] | (self.source.needs.get(key, frozenset()) & self.objects.keys())
            if isinstance(item, Function):
                bodies = {need for need in mentioned(item, self.source) if need.kind in IN_BODIES}
                needs[key] = self.needs[key] | (bodies & self.objects.keys())
        for key, rest in self.rest.items():
            # Both goes of one object belong into one transaction.
            needs[rest.whole.key] |= {key}
        return closure(start, needs)

    def _new_schemas(self) -> list[Statement]:
        """Return what makes the schemas that only the new names ask for, open to whom the old ones are open."""
        found: dict[str, Schema] = {}
        for key in self.objects:
            new = self.names.key(key).schema
            old = self.source.schema(key.schema)
            made_anyway = ObjectKey(Kind.SCHEMA, "", new) in self.objects
            if old and new and new not in found and not made_anyway and not self.target.schema(new):
                found[new] = replace(old, key=ObjectKey(Kind.SCHEMA, "", new), comment=None)
        return [Statement(sql, schema.key) for schema in found.values() for sql in self._create(schema)]

    def _of_view(self, item: CatalogObject) -> bool:
        return isinstance(self.source.relation(item.key.schema, item.key.parent), View)

    def _make(self, key: ObjectKey) -> list[Statement]:
        if key in self.rest:
            rest = self.rest[key]
            whole = self.names.key(rest.whole.key)
            return [Statement(sql, whole) for sql in rest.completed(self.names, self.identities)]
        return [Statement(sql, self.names.key(key)) for sql in self._create(self.objects[key])]

    def _create(self, item: CatalogObject) -> list[str]:
        found = statements(item, self.names, self.identities)
        if isinstance(item, Table):
            found += self._own_sequences(item)
        found += self._index_choices(item)
        found += comments(item, self.names)
        # A change of owner rewrites who was given what by whom: it goes first.
        found += self._owner(item)
        if isinstance(item, Table):
            # A column's own sequence is made before its table, and has the table's owner from here on.
            owned = (sequence for sequence in self._sequences_of(item) if not sequence.identity)
            return found + [
                sql for each in (item, *owned) for sql in self._grants(each, owner_there(each, self.target))
            ]
        if isinstance(item, SequenceObject) and item.owned_by and not item.identity:
            table = self.source.relation(*item.owned_by[:2])
            return found if table and table.key in self.objects else found + self._grants(item, self.target.user)
        return found + self._grants(item, owner_there(item, self.target))

    def _grants(self, item: CatalogObject, owner: str) -> list[str]:
        return grant_statements(item, self.names, self.source, self.target, owner=owner)

    def _own_sequences(self, table: Table) -> list[str]:
        found = [own_sequence(sequence, self.names) for sequence in self._sequences_of(table)]
        return [sql for sql in found if sql]

    def _sequences_of(self, table: Table) -> list[SequenceObject]:
        """Return the sequences of a table's columns that are made as well."""
        place = (table.key.schema, table.key.name)
        made = (item for item in self.objects.values() if isinstance(item, SequenceObject))
        return [sequence for sequence in made if sequence.owned_by and sequence.owned_by[:2] == place]

    def _index_choices(self, item: CatalogObject) -> list[str]:
        """Return REPLICA IDENTITY and CLUSTER ON, which name an index, once that index is made."""
        table = item.table if isinstance(item, Index) else item.key.parent
        if not isinstance(item, (Index, Constraint)) or not table:
            return []
        owner = self.source.relation(item.key.schema, table)
        choices = index_choices(owner, self.names) if isinstance(owner, (Table, View)) else []
        return [sql for index, sql in choices if index == item.key.name and not getattr(item, "constraint", "")]

    def _owner(self, item: CatalogObject) -> list[str]:
        owner = owner_there(item, self.target)
        owned_by_column = isinstance(item, SequenceObject) and item.owned_by
        if owner == self.target.user or item.key.kind in WITHOUT_OWNER or owned_by_column:
            return []
        return [f"ALTER {keyword(item)} {sql_name(self.names.key(item.key))} OWNER TO {quote_ident(owner)}"]

    def _refreshes(self) -> list[Statement]:
        """Return what fills the materialized views, those as well that had to be made before the rows."""
        carried = self.comparison.with_disposition(Disposition.MOVES, Disposition.EQUAL)
        views = (self.source.get(item.key, View) for item in carried if item.kind is Kind.MATERIALIZED_VIEW)
        empty = frozenset(view.key for view in views if view and view.populated and not self._filled(view))
        between = closure(empty, self.source.needs) & self.source.objects.keys()
        needs = creation_needs({key: self.source.objects[key] for key in between}, self.source.needs)
        new = [self.names.key(key) for key in ordered(between, needs) if key in empty]
        return [Statement(f"REFRESH MATERIALIZED VIEW {sql_name(key)}", key, new=False) for key in new]

    def _filled(self, view: View) -> bool:
        there = self.target.get(self.names.key(view.key), View)
        return there is not None and there.populated


def _floor(policy: FloorPolicy) -> list[Statement]:
    return [Statement(sql, policy.key) for sql in policy.statements]
