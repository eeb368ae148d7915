"""Compares both catalogs and says of every object what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.catalog.objects import (
    RELATIONS,
    TYPES,
    CatalogObject,
    Constraint,
    Extension,
    Function,
    Index,
    Kind,
    ObjectKey,
    Schema,
    Sequence,
    StatisticsObject,
)
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.moves import (
    FollowStrings,
    KeepStrings,
    NewName,
    Resolutions,
    Share,
    Strings,
    TableMove,
)
from tekup_migrate.postgres.comparison.roles import about_roles
from tekup_migrate.postgres.comparison.selection import Selection, Tie, select
from tekup_migrate.postgres.comparison.strings import MEANT, changed_lines, offered, with_words
from tekup_migrate.postgres.ddl.naming import Naming, naming, renamed_part
from tekup_migrate.postgres.ddl.rendering import Identities, definition, statements
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.sql_text.rewriting import leftovers

_KNOWN_BY_NAME = frozenset(
    {Kind.SCHEMA, Kind.EXTENSION, Kind.PUBLICATION, Kind.DEFAULT_PRIVILEGES, Kind.OTHER,
     Kind.COLLATION, Kind.DICTIONARY, Kind.CONFIGURATION, Kind.AGGREGATE, Kind.OPERATOR, Kind.CAST}
)  # fmt: skip
_IN_A_SCHEMA = TYPES | {Kind.FUNCTION, Kind.VIEW, Kind.MATERIALIZED_VIEW}


class Disposition(Enum):
    """What becomes of an object."""

    MOVES = "moves"
    EQUAL = "already there and equal"
    DIFFERENT = "already there and different"
    STAYS = "stays behind"


class Item(Struct, frozen=True, kw_only=True):
    """One object that hangs on the moved tables.

    Attributes:
        key: what it is on the source.
        target: what it is, or would be, on the target.
        tie: how it is tied to the moved tables.
        definition: the SQL that makes it in the target.
        disposition: what becomes of it.
        reason: why it stays or conflicts, or what to know about it.
        existing: where something else has its name, that thing's definition.
        diff: where a written body was changed to follow renames, the change line by line.
        leftovers: lines of a changed body that still hold an old name.
        offer: where string constants say an old name and only a person knows whether they mean it, what would change.
        strings: what was decided about that, if anything.
    """

    key: ObjectKey
    target: ObjectKey
    tie: Tie
    definition: str
    disposition: Disposition
    reason: str = ""
    existing: str = ""
    diff: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()
    strings: FollowStrings | KeepStrings | None = None

    @property
    def kind(self) -> Kind:
        """What kind of object it is."""
        return self.key.kind

    @property
    def name(self) -> str:
        """How the object is named to the operator."""
        return str(self.target)

    @property
    def can_move(self) -> bool:
        """Whether it is a thing that can be made in the target at all."""
        return self.key.kind not in (Kind.DEFAULT_PRIVILEGES, Kind.EVENT_TRIGGER)

    @property
    def can_be_renamed(self) -> bool:
        """Whether it can have another name in the target; some are known by their name alone."""
        return self.key.kind not in _KNOWN_BY_NAME

    @property
    def asks_about_strings(self) -> bool:
        """Whether the operator has still to say whether its string constants follow."""
        return self.kind in MEANT and bool(self.offer) and not self.strings and self.disposition is Disposition.MOVES

    @property
    def has_own_schema(self) -> bool:
        """Whether it can live in another schema than its table, because it hangs on none."""
        return self.key.kind in _IN_A_SCHEMA


class Comparison(Struct, frozen=True):
    """Both catalogs compared.

    Attributes:
        items: every object that hangs on the moved tables, each with what becomes of it.
        naming: the names in the target.
        lacks: functions that move and use what will not be there.
    """

    items: tuple[Item, ...]
    naming: Naming
    lacks: tuple[str, ...] = ()

    @property
    def conflicts(self) -> tuple[Item, ...]:
        """Items that the operator must decide about before anything can be created."""
        return tuple(item for item in self.items if item.disposition is Disposition.DIFFERENT)

    def with_disposition(self, *dispositions: Disposition) -> tuple[Item, ...]:
        """Return the items of these dispositions."""
        return tuple(item for item in self.items if item.disposition in dispositions)


def compare(
    source: Catalog,
    target: Catalog,
    moves: Iterable[TableMove],
    resolutions: Resolutions,
    strings: Strings | None = None,
) -> Comparison:
    """Compare what hangs on the moved tables with what the target already has.

    Raises:
        MigrationError: a table does not exist, or is of a kind that cannot be moved.
    """
    moves = tuple(moves)
    selection = select(source, target, moves, resolutions)
    names = _naming(source, target, moves, selection, resolutions)
    strings = strings or {}
    following = frozenset(key for key, decision in strings.items() if isinstance(decision, FollowStrings))
    names = replace(names, following=following)
    comparing = _Comparing(source, target, selection, names, resolutions)
    items = [comparing.item(source.objects[key]) for key in selection.ties if key in source.objects]
    items += [_default_privileges(source)] if source.default_privileges else []
    settled = (msgspec.structs.replace(item, strings=strings.get(item.key)) for item in items if item is not None)
    return Comparison(tuple(settled), names, tuple(selection.lacks.values()))


def identities(catalog: Catalog) -> Identities:
    """Return the sequences of identity columns."""
    return {s.owned_by: s for s in catalog.of(Sequence) if s.identity and s.owned_by}


def _default_privileges(source: Catalog) -> Item:
    key = ObjectKey(Kind.DEFAULT_PRIVILEGES, "", "of the source project")
    roles = sorted({f"{d.role} in {d.schema or 'every schema'}" for d in source.default_privileges})
    return Item(
        key=key,
        target=key,
        tie=Tie.DEPENDS,
        definition="; ".join(roles),
        disposition=Disposition.STAYS,
        reason="they are the project's; every moved object gets its own grants instead",
    )


def _naming(
    source: Catalog, target: Catalog, moves: tuple[TableMove, ...], selection: Selection, resolutions: Resolutions
) -> Naming:
    tables = {(move.source.schema, move.source.name): move.target for move in moves}
    keys: dict[ObjectKey, ObjectKey] = {}
    for key in selection.ties:
        found = source.objects.get(key)
        new = _renamed(found, tables) if found else key
        decision = resolutions.get(key)
        if isinstance(decision, NewName):
            new = msgspec.structs.replace(new, name=decision.name, schema=decision.schema or new.schema)
        if new != key:
            keys[key] = new
    _follow_constraints(source, keys)
    places = _extension_places(source, target)
    names = naming(keys, _moved_members(source, places), places)
    renamed = names.renames.relations
    bare = {name for _, name in renamed}
    like = ((k.schema, k.name) for k in source.objects if k.kind in RELATIONS and k.name in bare)
    return replace(names, renames=replace(names.renames, kept=frozenset(each for each in like if each not in renamed)))


def _renamed(item: CatalogObject, tables: Mapping[tuple[str, str], Relation]) -> ObjectKey:
    """Return the key that follows from the tables' renames alone."""
    key = item.key
    place = _table_of(item)
    new = tables.get(place)
    if new is None:
        return key
    if key.kind is Kind.TABLE:
        return msgspec.structs.replace(key, schema=new.schema, name=new.name)
    if isinstance(item, (Constraint, Index, Sequence, StatisticsObject)):
        name = renamed_part(key.name, place[1], new.name)
        parent = new.name if key.parent else ""
        schema = new.schema if key.schema == place[0] else key.schema
        return msgspec.structs.replace(key, schema=schema, name=name, parent=parent)
    return key


def _table_of(item: CatalogObject) -> tuple[str, str]:
    if isinstance(item, Sequence) and item.owned_by:
        return item.owned_by[:2]
    if isinstance(item, StatisticsObject):
        return item.table_schema, item.table
    if isinstance(item, Index):
        return item.key.schema, item.table
    return item.key.schema, item.key.parent or item.key.name


def _follow_constraints(source: Catalog, keys: dict[ObjectKey, ObjectKey]) -> None:
    """Give a constraint's index the constraint's new name, as Postgres does."""
    for index in source.of(Index):
        if index.constraint:
            constraint = ObjectKey(Kind.CONSTRAINT, index.key.schema, index.constraint, index.table)
            if constraint in keys:
                new = keys[constraint]
                keys[index.key] = msgspec.structs.replace(index.key, schema=new.schema, name=new.name)


def _extension_places(source: Catalog, target: Catalog) -> dict[str, str]:
    """Return the target's schema of each extension that lives in another one there.

    A missing one is installed in ``extensions`` where the target has that schema, as Supabase does.
    """
    found = {}
    for extension in source.of(Extension):
        there = target.extension(extension.key.name)
        usual = "extensions" if target.schema("extensions") else extension.schema
        place = there.schema if there else usual
        if place != extension.schema:
            found[extension.key.name] = place
    return found


def _moved_members(source: Catalog, places: Mapping[str, str]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return where the target keeps what an extension brought, where it keeps it elsewhere."""
    return {
        (schema, name): (place, name)
        for extension, place in places.items()
        for schema, name in source.extension_members[extension]
    }


class _Comparing:
    def __init__(
        self,
        source: Catalog,
        target: Catalog,
        selection: Selection,
        names: Naming,
        resolutions: Resolutions,
    ) -> None:
        self.source = source
        self.target = target
        self.selection = selection
        self.names = names
        self.resolutions = resolutions
        self.source_identities = identities(source)
        self.target_identities = identities(target)

    def item(self, found: CatalogObject) -> Item | None:
        """Say what becomes of one object; None for what is part of another item or was there all along."""
        if found.key.kind is Kind.TABLE and self.selection.ties[found.key] is Tie.NEEDED:
            return None
        if isinstance(found, Index) and found.constraint and not found.comment and not found.statistics:
            return None
        if isinstance(found, Sequence) and found.identity and found.key not in self.selection.stays:
            disposition, reason, existing = self._name_only(found)
        elif isinstance(found, (Schema, Extension)):
            disposition, reason, existing = self._by_name(found)
        else:
            disposition, reason, existing = self._compared(found)
        sql = ";\n".join(statements(found, self.names, self.source_identities))
        diff, left = self._diff(found)
        offer = offered(found, self.names, self.source_identities)
        if disposition is Disposition.MOVES:
            reason = with_words(reason, found.key, offer, self.names)
        return Item(
            key=found.key,
            target=self.names.key(found.key),
            tie=self.selection.ties[found.key],
            definition=sql,
            disposition=disposition,
            reason=reason,
            existing=existing,
            diff=diff,
            leftovers=left,
            offer=offer,
        )

    def _compared(self, found: CatalogObject) -> tuple[Disposition, str, str]:
        stays = self.selection.stays.get(found.key)
        if stays:
            return Disposition.STAYS, stays, ""
        there = self._taken(found)
        if there is None:
            lacks = self.selection.lacks.get(found.key, "")
            return Disposition.MOVES, lacks or about_roles(found, self.names, self.source, self.target), ""
        rebuilt = self._rebuilt(found, there)
        if there is found or rebuilt:
            return Disposition.EQUAL, "vector indexes are chosen anew for the target" if rebuilt else "", ""
        wanted = definition(found, self.names, self.source_identities)
        has = definition(there, Naming(), self.target_identities)
        if wanted == has and there.key.kind is found.key.kind:
            return Disposition.EQUAL, "", ""
        if isinstance(self.resolutions.get(found.key), Share):
            return Disposition.EQUAL, "the target's own definition is used although it differs", has
        existing = ";\n".join(statements(there, Naming(), self.target_identities)) or str(there.key)
        return Disposition.DIFFERENT, f"the target has another {there.key} already", existing

    def _taken(self, found: CatalogObject) -> CatalogObject | None:
        key = self.names.key(found.key)
        there = self.target.taken(key)
        if there is None and isinstance(found, Constraint) and found.type in ("p", "u", "x"):
            return self.target.taken(ObjectKey(Kind.INDEX, key.schema, key.name))
        if isinstance(there, Index) and isinstance(found, Index) and found.constraint:
            table = self.names.relation(found.key.schema, found.table)[1]
            if there.table == table:
                settled = (there.comment, there.statistics) == (found.comment, found.statistics)
                return found if settled else None
        return there

    def _rebuilt(self, found: CatalogObject, there: CatalogObject) -> bool:
        """Whether both are vector indexes of the same table: kind and parameters follow the target's rows."""
        if not isinstance(found, Index) or not isinstance(there, Index):
            return False
        table = self.names.relation(found.key.schema, found.table)[1]
        return found.finds_vectors and there.finds_vectors and there.table == table

    def _name_only(self, found: CatalogObject) -> tuple[Disposition, str, str]:
        there = self._taken(found)
        if there is None:
            return Disposition.MOVES, "made with its identity column", ""
        if isinstance(there, Sequence) and there.identity:
            return Disposition.EQUAL, "", ""
        return Disposition.DIFFERENT, f"the target has another {there.key} already", str(there.key)

    def _by_name(self, found: Schema | Extension) -> tuple[Disposition, str, str]:
        there = self.target.objects.get(self.names.key(found.key))
        if there is None:
            return Disposition.MOVES, "", ""
        if isinstance(found, Extension) and isinstance(there, Extension) and there.version != found.version:
            return Disposition.EQUAL, f"version {there.version} there, {found.version} on the source", ""
        return Disposition.EQUAL, "", ""

    def _diff(self, found: CatalogObject) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if not isinstance(found, Function) or not found.body:
            return (), ()
        new = self.names.of(found).written(found.body)
        left = leftovers(new, self.names.renames)
        if new == found.body:
            return (), left
        return changed_lines(found.body, new), left


def refuse_conflicts(comparison: Comparison) -> None:
    """Stop where the operator still has to decide.

    Raises:
        MigrationError: something in the target has a name that a moved object needs.
    """
    conflicts = comparison.conflicts
    if not conflicts:
        return
    raise MigrationError(
        "Names are already taken in the target",
        happened=f"{len(conflicts)} objects of other definition have names that are needed.",
        unchanged="Nothing was created.",
        remedy="Choose a new name for each, or use what is there.",
        details="\n".join(f"{item.name}: {item.reason}" for item in conflicts),
    )
