"""Decides what goes with the moved tables: what they own, what they need, and what depends on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from msgspec import structs

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.catalog.objects import (
    RELATIONS,
    TYPES,
    WITH_ARGUMENTS,
    CatalogObject,
    EventTrigger,
    Function,
    Kind,
    ObjectKey,
    PublicationTable,
    RowPolicy,
    Sequence,
    Table,
    Trigger,
    View,
)
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.mentions import mentioned, spoken
from tekup_migrate.postgres.comparison.moves import Bring, LeaveBehind, Resolutions, TableMove

IN_BODIES = WITH_ARGUMENTS | {Kind.CONFIGURATION}
"""What a body needs to run, besides the tables in it."""

_WHOLE_DATABASE = (
    "it acts on the whole database and not on a table, and creating one takes a superuser or the platform's permission"
)

_READ = frozenset({Kind.TABLE, Kind.PARTITIONED_TABLE, Kind.FOREIGN_TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW})


class Tie(Enum):
    """How an object is tied to the moved tables."""

    MOVED = "moved"
    OWNED = "owned"
    NEEDED = "needed"
    DEPENDS = "depends"


@dataclass
class Selection:
    """What was found: how each object is tied to the moved tables, why some stays, and what a moved function lacks."""

    ties: dict[ObjectKey, Tie] = field(default_factory=dict)
    stays: dict[ObjectKey, str] = field(default_factory=dict)
    lacks: dict[ObjectKey, str] = field(default_factory=dict)

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self.ties and key not in self.stays


def select(source: Catalog, target: Catalog, moves: Iterable[TableMove], resolutions: Resolutions) -> Selection:
    """Find everything that hangs on the tables of ``moves``.

    Raises:
        MigrationError: a table does not exist, or is of a kind that cannot be moved.
    """
    return _Selecting(source, target, tuple(moves), resolutions).run()


class _Selecting:
    def __init__(
        self, source: Catalog, target: Catalog, moves: tuple[TableMove, ...], resolutions: Resolutions
    ) -> None:
        self.source = source
        self.target = target
        self.resolutions = resolutions
        self.moves = moves
        self.tables = tuple(movable_table(source, move) for move in moves)
        self.found = Selection()

    def run(self) -> Selection:
        """Add what the moved tables need and own, until nothing new comes in."""
        for table in self.tables:
            self._take(table.key, Tie.MOVED)
        before = -1
        while before != len(self.found.ties) + len(self.found.stays):
            before = len(self.found.ties) + len(self.found.stays)
            self._add_owned()
            self._add_needed()
            self._add_dependents()
        for key in self.found.ties:
            lost = self._lost_table(key, inside=False) if key.kind is Kind.FUNCTION and key in self.found else ""
            if lost:
                self.found.lacks[key] = lost
        for trigger in self.source.of(EventTrigger):
            if trigger.own:
                self.found.ties[trigger.key] = Tie.DEPENDS
                self.found.stays[trigger.key] = self._about_event_trigger(trigger)
        return self.found

    def _about_event_trigger(self, trigger: EventTrigger) -> str:
        """Say why it stays, and what of the moved things its function uses."""
        found = [_WHOLE_DATABASE]
        for key in sorted(self.source.needs.get(trigger.key, frozenset())):
            function = self.source.get(key, Function)
            used = mentioned(function, self.source) | spoken(function, self.source) if function else frozenset()
            moved = [str(each) for each in sorted(used) if each in self.found]
            found += [f"its {key} uses {', '.join(moved)}"] if moved else []
        return "; ".join(found)

    def _take(self, key: ObjectKey, tie: Tie) -> None:
        if key in self.found.ties:
            return
        self.found.ties[key] = tie
        decision = self.resolutions.get(key)
        if isinstance(decision, LeaveBehind):
            self.found.stays[key] = decision.reason

    def _leave(self, key: ObjectKey, tie: Tie, reason: str) -> None:
        self.found.ties.setdefault(key, tie)
        if not isinstance(self.resolutions.get(key), Bring):
            self.found.stays.setdefault(key, reason)

    def _selected(self) -> list[CatalogObject]:
        return [
            self.source.objects[key]
            for key in list(self.found.ties)
            if key in self.found and key in self.source.objects
        ]

    def _add_owned(self) -> None:
        for item in self._selected():
            if not isinstance(item, (Table, View)):
                continue
            for part in self.source.attached(item.key.schema, item.key.name):
                self._add_part(part)
            for sequence in self.source.of(Sequence):
                if sequence.owned_by and sequence.owned_by[:2] == (item.key.schema, item.key.name):
                    self._take(sequence.key, Tie.OWNED)

    def _add_part(self, part: CatalogObject) -> None:
        if part.key in self.found.ties:
            return
        if isinstance(part, RowPolicy):
            missing = sorted(set(part.roles) - {"PUBLIC"} - self.target.roles)
            if missing:
                self._leave(part.key, Tie.OWNED, f"the target has no role {', '.join(missing)}")
                return
        if isinstance(part, PublicationTable):
            all_tables = self.target.publications.get(part.key.name)
            if all_tables is None:
                self._leave(part.key, Tie.OWNED, "the target has no publication of that name")
                return
            if all_tables:
                self._leave(part.key, Tie.OWNED, "the target's publication has all tables already")
                return
            if part.key.name not in self.target.own_publications and not self._published(part.key):
                self._leave(part.key, Tie.OWNED, "the target's publication of that name is another role's")
                return
        self._take(part.key, Tie.OWNED)

    def _published(self, key: ObjectKey) -> bool:
        """Whether the target's publication has the table already, by whatever name it gets."""
        move = next((m for m in self.moves if (m.source.schema, m.source.name) == (key.schema, key.parent)), None)
        if move is None:
            return key in self.target.objects
        there = structs.replace(key, schema=move.target.schema, parent=move.target.name)
        return there in self.target.objects

    def _add_needed(self) -> None:
        for item in self._selected():
            for need in sorted(self.needs(item)):
                if need in self.found:
                    continue
                reason = self._obstacle(item, need)
                if reason and not isinstance(self.resolutions.get(item.key), Bring):
                    self._leave(item.key, self.found.ties[item.key], reason)
                    break
                if need.kind is not Kind.OTHER and not self._given(need):
                    self._take(need, Tie.NEEDED)

    def needs(self, item: CatalogObject) -> frozenset[ObjectKey]:
        """Return what an object needs, by the catalog and by its body; tables in a body are no need to create it."""
        recorded = self.source.needs.get(item.key, frozenset())
        if isinstance(item, Function):
            recorded |= {key for key in self.bodies.get(item.key, frozenset()) if key.kind in IN_BODIES}
        if isinstance(item, PublicationTable):
            recorded = frozenset(key for key in recorded if key.kind is not Kind.OTHER)
        return recorded

    def _given(self, need: ObjectKey) -> bool:
        """Whether the target has it because it is Supabase's or another role's, and not ours to carry."""
        found = self.source.objects.get(need)
        return found is not None and not found.mine and self.target.taken(need) is not None

    def _obstacle(self, item: CatalogObject, need: ObjectKey) -> str:
        """Say why something cannot have what it needs; empty where it can."""
        if need in self.found.stays and need in self.found.ties:
            return f"it needs {need}, which stays behind"
        if need.kind is Kind.OTHER:
            return f"it needs {need.name}, which cannot be carried over"
        if isinstance(item, Trigger) and need.kind is Kind.FUNCTION:
            return self._lost_table(need, inside=True)
        return self._absent(need)

    def _lost_table(self, function: ObjectKey, *, inside: bool) -> str:
        """Say which table or view a function would look for in vain whenever it runs.

        Args:
            function: the function.
            inside: look into the functions that it calls as well.
        """
        waiting, seen = [function], {function}
        while waiting:
            caller = waiting.pop()
            for key in sorted(self.bodies.get(caller, frozenset())):
                if key.kind in _READ and key not in self.found and self.target.taken(key) is None:
                    return f"{caller} uses {key.schema}.{key.name}, which does not move and is not in the target"
                if inside and key.kind is Kind.FUNCTION and key not in seen:
                    seen.add(key)
                    waiting.append(key)
        return ""

    def _absent(self, need: ObjectKey) -> str:
        there = self.target.taken(need)
        holder = ObjectKey(Kind.TABLE, need.schema, need.parent) if need.parent else need
        if need.kind in RELATIONS - {Kind.SEQUENCE, Kind.VIEW, Kind.MATERIALIZED_VIEW} or need.parent:
            if holder in self.found.ties:
                return ""
            if there is None:
                return f"it needs {holder}, which does not move and is not in the target"
            self.found.ties.setdefault(holder, Tie.NEEDED)
            return ""
        found = self.source.objects.get(need)
        if found is not None and not found.mine and need.kind is not Kind.EXTENSION and there is None:
            return "" if need.kind is Kind.SCHEMA else f"it needs {need}, which is not in the target"
        return ""

    def _add_dependents(self) -> None:
        core = {key for key, tie in self.found.ties.items() if key in self.found and self._draws(key, tie)}
        for item in self.source.objects.values():
            if item.key in self.found.ties:
                continue
            if (isinstance(item, (View, Function)) or item.key.kind is Kind.AGGREGATE) and item.mine:
                self._weigh(item, core)
            elif item.key.kind is Kind.CAST:
                self._weigh_cast(item)
            elif item.key.parent and self._holder(item.key) not in self.found.ties:
                self._mention_outside(item, core)

    def _draws(self, key: ObjectKey, tie: Tie) -> bool:
        """Whether dependents of this object follow it."""
        return (key.kind in RELATIONS - {Kind.SEQUENCE} and tie is not Tie.NEEDED) or tie is Tie.DEPENDS

    def _holder(self, key: ObjectKey) -> ObjectKey | None:
        relation = self.source.relation(key.schema, key.parent)
        return relation.key if relation else None

    def _weigh(self, item: CatalogObject, core: set[ObjectKey]) -> None:
        """Take a view, function or aggregate that uses the moved tables, unless it uses others as well."""
        used = self.source.needs.get(item.key, frozenset()) | self.bodies.get(item.key, frozenset())
        spoken_of = spoken(item, self.source) if isinstance(item, Function) else frozenset()
        if not (used | spoken_of) & core:
            return
        others = sorted(key for key in used if key.kind in (Kind.TABLE, Kind.PARTITIONED_TABLE) and key not in core)
        if others and not isinstance(self.resolutions.get(item.key), Bring):
            names = ", ".join(f"{key.schema}.{key.name}" for key in others)
            self._leave(item.key, Tie.DEPENDS, f"it also uses {names}, which does not move")
            return
        self._take(item.key, Tie.DEPENDS)

    def _weigh_cast(self, item: CatalogObject) -> None:
        """Take a cast from or to a type that comes along: expressions use it without anything recording it."""
        types = {key for key in self.source.needs.get(item.key, frozenset()) if key.kind in TYPES}
        others = sorted(key for key in types if key not in self.found)
        if others and types - set(others):
            self._leave(item.key, Tie.DEPENDS, f"it also uses {', '.join(map(str, others))}, which does not move")
        elif types and not others:
            self._take(item.key, Tie.DEPENDS)

    def _mention_outside(self, item: CatalogObject, core: set[ObjectKey]) -> None:
        """List what hangs on a table that does not move but refers to one that does."""
        tables = {
            ObjectKey(Kind.TABLE, k.schema, k.parent) if k.parent else k for k in self.source.needs.get(item.key, ())
        }
        if tables & core:
            self._leave(item.key, Tie.DEPENDS, f"{item.key.schema}.{item.key.parent} does not move")

    @cached_property
    def bodies(self) -> dict[ObjectKey, frozenset[ObjectKey]]:
        """What each function's body names."""
        return {f.key: mentioned(f, self.source) for f in self.source.of(Function) if f.mine}


def movable_table(source: Catalog, move: TableMove) -> Table:
    """Return the table that a move names.

    Raises:
        MigrationError: it does not exist, or is of a kind that cannot be moved.
    """
    found = source.relation(move.source.schema, move.source.name)
    if isinstance(found, Table) and not found.irregular:
        return found
    if found is None:
        why, remedy = "There is no such table.", "Choose a table that exists on the source."
    elif isinstance(found, Table):
        why = f"It cannot be moved as it is: {found.irregular}."
        remedy = "Move it with pg_dump and pg_restore, or turn it into an ordinary table first."
    else:
        why, remedy = f"It is a {found.key.kind.value}, not a table.", "Name the tables that it reads from."
    raise MigrationError(
        f"{move.source} cannot be moved",
        happened=why,
        unchanged="Nothing was created or copied.",
        remedy=remedy,
    )
