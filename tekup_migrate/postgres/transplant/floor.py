"""The plan's floor: columns, keys, indexes and enum labels that exist at the end whatever the source has.

What the source lacks is added to its catalog as it was read, so that everything that follows (creating, comparing
again, undoing) treats it like the source's own. What the target has made of it by then is taken from there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import count

from msgspec import Struct, structs

from tekup_migrate.plan_floor import Floor, FloorColumn, FloorForeignKey, FloorIndex
from tekup_migrate.postgres.catalog.objects import (
    TYPES,
    CatalogObject,
    Column,
    Constraint,
    EnumType,
    Grant,
    Index,
    Kind,
    ObjectKey,
    Table,
)
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.moves import TableMove
from tekup_migrate.postgres.ddl.naming import Naming, renamed_part
from tekup_migrate.postgres.ddl.type_names import is_serial, same_type
from tekup_migrate.postgres.quoting import Relation, cut_name, quote_ident, quote_idents
from tekup_migrate.postgres.sql_text.names import Text
from tekup_migrate.postgres.sql_text.rewriting import Renames, rewrite_written
from tekup_migrate.postgres.sql_text.tokens import canonical, tokens

VECTOR_METHODS = ("ivfflat", "hnsw")
_TYPE = re.compile(r'\s*("(?:[^"]|"")+"|[^\W\d]\w*)(.*)', re.DOTALL)
_BUILT_IN = frozenset({"gen_random_uuid"})
"""What an extension brings as well (``pgcrypto`` does), but Postgres has itself."""
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")


class FloorItem(Struct, frozen=True, kw_only=True):
    """One thing that the plan asks for.

    Attributes:
        what: what it is, for the operator.
        by_source: whether the source has it, so that it moves; else the plan adds it.
        made: whether the target has it by now.
        late: whether it is made after the rows.
        remark: what the operator should know about it.
        chosen: whether another step chooses what is made.
        absent: whether it belongs to a table that the source lacks altogether, which is told in one line.
        label: of a label, its enum type's key on the source and the label.
    """

    what: str
    by_source: bool
    made: bool
    late: bool = False
    remark: str = ""
    label: tuple[ObjectKey, str] | None = None
    chosen: bool = False
    absent: bool = False

    @property
    def added(self) -> bool:
        """Whether it is made by the plan's word alone; which vector index is made is another step's choice."""
        return not self.by_source and not self.chosen and not self.absent

    @property
    def line(self) -> str:
        """The item in one line of evidence."""
        origin = "of the source" if self.by_source else "added, the source has none"
        state = origin if self.made else "not there yet"
        return f"floor: {self.what}: {state}" + (f"; {self.remark}" if self.remark else "")


def raised_to(source: Catalog, target: Catalog, moves: Sequence[TableMove]) -> tuple[Catalog, tuple[FloorItem, ...]]:
    """Return the source's catalog with what the plan asks for and the source lacks, and every item of the floor."""
    raising = _Raising(source, target, moves)
    for move in moves:
        table = source.relation(move.source.schema, move.source.name)
        if isinstance(table, Table):
            raising.raise_table(table, move)
    return replace(source, objects=raising.objects, needs=raising.needs), tuple(raising.items)


def looked_up(items: Sequence[FloorItem], target: Catalog, names: Naming) -> tuple[FloorItem, ...]:
    """Return the items with their labels looked up in the target, where a type may have another name."""
    return tuple(
        structs.replace(item, made=item.label[1] in _labels(target, names.key(item.label[0]))) if item.label else item
        for item in items
    )


def policy_items(source: Catalog, target: Catalog, moves: Sequence[TableMove]) -> tuple[FloorItem, ...]:
    """Return an item for each policy that the plan asks for."""
    found = []
    for move in moves:
        here = {item.key.name for item in source.attached(move.source.schema, move.source.name)}
        there = {item.key.name for item in target.attached(move.target.schema, move.target.name)}
        for policy in move.policies:
            what = f"policy {policy.name} on {move.target.name}"
            found.append(FloorItem(what=what, by_source=policy.name in here, made=policy.name in there))
    return tuple(found)


class _Raising:
    """Adds to a copy of the source's catalog, and notes each item."""

    def __init__(self, source: Catalog, target: Catalog, moves: Sequence[TableMove]) -> None:
        self.moves = moves
        self.source = source
        self.target = target
        self.objects: dict[ObjectKey, CatalogObject] = dict(source.objects)
        self.needs: dict[ObjectKey, frozenset[ObjectKey]] = dict(source.needs)
        self.items: list[FloorItem] = []
        self.named: set[ObjectKey] = set()

    def raise_table(self, table: Table, move: TableMove) -> None:
        """Add what one table lacks; enums first, because a column may be of one."""
        first = len(self.items)
        there = self.target.relation(move.target.schema, move.target.name)
        if move.floor != Floor():
            self.items.append(
                FloorItem(what=f"table {move.target.name}", by_source=not move.made, made=isinstance(there, Table))
            )
        if move.floor.comment and not table.comment:
            self.objects[table.key] = replace(table, comment=move.floor.comment)
        for name, labels in move.floor.enums.items():
            self._enum(table, name, labels)
        for column in move.floor.columns:
            self._column(table.key, column, move, there)
        if move.made and move.floor.primary_key:
            self._primary_key(table, move)
        for index in move.floor.indexes if move.made else move.floor.wanted_indexes:
            self._index(table, index, move)
        for foreign in move.floor.foreign_keys:
            self._foreign_key(table, foreign, move)
        if move.made:
            self.items[first:] = [
                structs.replace(item, absent=item.label is None or item.label[0] not in self.source.objects)
                for item in self.items[first:]
            ]

    def _enum(self, table: Table, name: str, labels: tuple[str, ...]) -> None:
        key = ObjectKey(Kind.ENUM, table.key.schema, name)
        found = self.objects.get(key)
        has = found.labels if isinstance(found, EnumType) else ()
        self.items += [
            FloorItem(
                what=f"enum {name}, label {label!r}",
                by_source=label in _labels(self.source, key),
                made=False,
                label=(key, label),
            )
            for label in labels
        ]
        missing = tuple(label for label in labels if label not in has)
        if isinstance(found, EnumType):
            self.objects[key] = replace(found, labels=(*has, *missing))
        elif not self.source.taken(key):
            everyone = tuple(Grant(role, ("USAGE",), whole=True) for role in ("PUBLIC", table.owner))
            self.objects[key] = EnumType(key=key, oid=0, owner=table.owner, labels=labels, grants=everyone)
            self._need(table.key, key)

    def _column(self, key: ObjectKey, wanted: FloorColumn, move: TableMove, there: CatalogObject | None) -> None:
        table = self.objects[key]
        assert isinstance(table, Table)
        here = next((column for column in table.columns if column.name == wanted.name), None)
        made = _column_of(there, wanted.name)
        remark = ""
        if here is not None and not same_type(here.type, wanted.type):
            remark = f"the plan says {wanted.type}, the source's {here.type} is kept"
        elif here is None and wanted.not_null and not wanted.default and not move.made:
            remark = "it may be NULL, because the source's rows have no value for it"
        what = f"column {move.target.name}.{wanted.name}"
        self.items.append(FloorItem(what=what, by_source=here is not None, made=made is not None, remark=remark))
        if here is None:
            number = 1 + max((column.number for column in table.columns), default=0)
            column = self._new_column(key, wanted, move, number)
            if made and (not move.made or (same_type(made.type, wanted.type) and made.not_null == column.not_null)):
                column = replace(made, number=number)
            self.objects[key] = replace(table, columns=(*table.columns, column))

    def _new_column(self, table: ObjectKey, wanted: FloorColumn, move: TableMove, number: int) -> Column:
        type_, used = self._qualified(wanted.type, table.schema)
        if used:
            self._need(table, used)
        filled = move.made or bool(wanted.default)
        keyed = move.made and (wanted.name in move.floor.primary_key or is_serial(wanted.type))
        return Column(
            number=number,
            name=wanted.name,
            type=type_,
            not_null=(wanted.not_null and filled) or keyed,
            default=self._in_full(wanted.default, table) or None,
            comment=wanted.comment or None,
        )

    def _qualified(self, type_: str, schema: str) -> tuple[str, ObjectKey | None]:
        """Return a type's name with its schema, as nothing is on the search path, and the object that it is."""
        match = _TYPE.match(type_)
        if match is None:
            return type_, None
        name, rest = tokens(match.group(1))[0].name or "", match.group(2)
        for kind in sorted(TYPES):
            key = ObjectKey(kind, schema, name)
            if key in self.objects:
                return f"{quote_ident(schema)}.{quote_ident(name)}{rest}", key
        for catalog in (self.source, self.target):
            for extension, members in catalog.extension_members.items():
                for place, member in members:
                    if member == name:
                        used = ObjectKey(Kind.EXTENSION, "", extension)
                        return f"{place}.{name}{rest}", used if catalog is self.source else None
        return type_, None

    def _in_full(self, default: str, table: ObjectKey) -> str:
        """Return a default with the schemas of what it calls and casts to, as nothing is on the search path."""
        members = (each for catalog in (self.target, self.source) for each in catalog.extension_members.values())
        found = {name: (place, name) for brought in members for place, name in brought if name not in _BUILT_IN}
        said = {reference.name for reference in Text(default, written=True).references()}
        kinds = TYPES | {Kind.FUNCTION}
        for key in [
            key for key in self.objects if key.schema == table.schema and key.kind in kinds and key.name in said
        ]:
            found[key.name] = (key.schema, key.name)
            self._need(table, key)
        names = {("", name): new for name, new in found.items()}
        return rewrite_written(default, Renames(functions=names, types=names))

    def _primary_key(self, table: Table, move: TableMove) -> None:
        """Add the primary key of a table that is made; the source's own tables keep the key that they have."""
        columns = ", ".join(move.floor.primary_key)
        definition = f"PRIMARY KEY ({quote_idents(move.floor.primary_key)})"
        there = (canonical(constraint.definition) for constraint in _constraints(self.target, move.target))
        made = canonical(definition) in there
        self.items.append(FloorItem(what=f"primary key of {move.target.name} on {columns}", by_source=False, made=made))
        if not made:
            name = cut_name(table.key.name, "_pkey")
            self._constrain(ObjectKey(Kind.CONSTRAINT, table.key.schema, name, table.key.name), definition, "p")

    def _foreign_key(self, table: Table, wanted: FloorForeignKey, move: TableMove) -> None:
        columns = ", ".join(wanted.columns)
        parent = next((each for each in self.moves if each.plan_name == wanted.references), None)
        other = move.elsewhere.get(wanted.references, Relation("public", wanted.references))
        there = parent.target if parent else other
        here = parent.source if parent else there
        by_source = _has_foreign_key(self.source, move.source, wanted, here)
        made = _has_foreign_key(self.target, move.target, wanted, there)
        what = f"foreign key of {move.target.name} on {columns} to {wanted.references}"
        self.items.append(FloorItem(what=what, by_source=by_source, made=made, late=True))
        key = ObjectKey(Kind.FOREIGN_KEY, table.key.schema, "", table.key.name)
        key = self._unused(key, "_".join((table.key.name, *wanted.columns)), "_fkey")
        if by_source or made:
            return
        action = f" ON DELETE {wanted.on_delete.upper()}" if wanted.on_delete else ""
        self._constrain(key, _referring(wanted, here) + action, "f")
        self._need(key, ObjectKey(Kind.TABLE, here.schema, here.name))

    def _constrain(self, key: ObjectKey, definition: str, letter: str) -> None:
        self.objects[key] = Constraint(key=key, oid=0, type=letter, definition=definition, options=())
        self._need(key, ObjectKey(Kind.TABLE, key.schema, key.parent))

    def _index(self, table: Table, wanted: FloorIndex, move: TableMove) -> None:
        what = f"{'unique ' * wanted.unique}index of {move.target.name} on {', '.join(wanted.columns)}"
        there = self.objects[table.key]
        parts = _parts(wanted, {column.name for column in there.columns} if isinstance(there, Table) else set())
        here = any(_satisfies(index, wanted, parts) for index in _indexes(self.source, move.source))
        key = self._index_key(table, wanted, move)
        name = renamed_part(key.name, move.source.name, move.target.name)
        made = any(
            _satisfies(index, wanted, parts) or index.key.name == name for index in _indexes(self.target, move.target)
        )
        if wanted.method in VECTOR_METHODS:
            remark = "which kind, or none, is chosen by what the rows need"
            self.items.append(FloorItem(what=what, by_source=here, made=True, late=True, remark=remark, chosen=True))
            return
        self.items.append(FloorItem(what=what, by_source=here, made=made, late=True))
        as_key = move.made and wanted.unique and wanted.columns == move.floor.primary_key
        if here or made or as_key:
            return
        parameters = ", ".join(f"{option}={number}" for option, number in wanted.parameters.items())
        self.objects[key] = Index(
            key=key,
            oid=0,
            owner=table.owner,
            table=table.key.name,
            definition=f"{Relation(table.key.schema, table.key.name).sql} USING {wanted.method} ({', '.join(parts)})"
            + (f" WITH ({parameters})" if parameters else ""),
            unique=wanted.unique,
            method=wanted.method,
            constraint="",
            statistics=(),
            bytes=0,
        )
        self._need(key, table.key)

    def _index_key(self, table: Table, wanted: FloorIndex, move: TableMove) -> ObjectKey:
        """Return an index's key on the source; in the target the table's name in it follows the table's again."""
        base, ending = _index_name(table.key.name, wanted)
        if wanted.name:
            base, ending = wanted.name.replace(move.plan_name, move.source.name, 1), ""
        return self._unused(ObjectKey(Kind.INDEX, table.key.schema, ""), base, ending)

    def _unused(self, key: ObjectKey, base: str, ending: str) -> ObjectKey:
        """Return a key of a name that neither the source nor another part of the floor has, cut or not."""
        names = (cut_name(base, f"{ending}{number or ''}") for number in count())
        keys = (structs.replace(key, name=name) for name in names)
        found = next(each for each in keys if each not in self.named and self.source.taken(each) is None)
        self.named.add(found)
        return found

    def _need(self, needer: ObjectKey, needed: ObjectKey) -> None:
        self.needs[needer] = self.needs.get(needer, frozenset()) | {needed}


def _labels(catalog: Catalog, key: ObjectKey) -> tuple[str, ...]:
    found = catalog.get(key, EnumType)
    return found.labels if found else ()


def _column_of(table: CatalogObject | None, name: str) -> Column | None:
    columns = table.columns if isinstance(table, Table) else ()
    return next((column for column in columns if column.name == name), None)


def _indexes(catalog: Catalog, table: Relation) -> list[Index]:
    return [item for item in catalog.attached(table.schema, table.name) if isinstance(item, Index)]


def _constraints(catalog: Catalog, table: Relation) -> list[Constraint]:
    return [item for item in catalog.attached(table.schema, table.name) if isinstance(item, Constraint)]


def _has_foreign_key(catalog: Catalog, table: Relation, wanted: FloorForeignKey, parent: Relation) -> bool:
    """Whether a table has a foreign key of the same columns to the same table, whatever it does on a deletion."""
    start = canonical(_referring(wanted, parent))
    found = (canonical(item.definition) for item in _constraints(catalog, table) if item.type == "f")
    return any(text == start or text.startswith(f"{start} ") for text in found)


def _referring(wanted: FloorForeignKey, parent: Relation) -> str:
    columns, keys = quote_idents(wanted.columns), quote_idents(wanted.keys)
    return f"FOREIGN KEY ({columns}) REFERENCES {parent.sql} ({keys})"


def _parts(wanted: FloorIndex, columns: Collection[str]) -> list[str]:
    """Return an index's columns, quoted, and its expressions as they are written."""
    return [quote_ident(part) if part in columns or _PLAIN.match(part) else part for part in wanted.columns]


def _satisfies(index: Index, wanted: FloorIndex, parts: Sequence[str]) -> bool:
    """Whether an index does what the plan wants: the same columns in order, at least as unique, and of all rows."""
    if index.finds_vectors and wanted.method in VECTOR_METHODS:
        # The operator class follows the column.
        return any(f"{key} ".startswith(f"{canonical(parts[0])} ") for key in _keys(index))
    partial = any(token.keyword == "WHERE" for token in tokens(index.definition))
    unique = index.unique or not wanted.unique
    return (
        index.method == wanted.method and unique and not partial and _keys(index) == [canonical(part) for part in parts]
    )


def _keys(index: Index) -> list[str]:
    """Return an index's columns and expressions, without what follows their list."""
    found, depth, part = [], 0, ""
    inside = index.definition.partition(f" USING {index.method} ")[2]
    for token in tokens(inside):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 or (depth == 1 and token.text == ","):
            found.append(canonical(part))
            part = ""
            if depth == 0:
                break
        elif depth > 1 or token.text != "(":
            part += token.text
    return [key.removesuffix(" asc") for key in found]


def _index_name(table: str, wanted: FloorIndex) -> tuple[str, str]:
    """Return what an index is called, and the ending that it keeps where that has to be cut."""
    columns = "_".join(re.sub(r"\W+", "_", column).strip("_") for column in wanted.columns)
    return f"{table}_{columns}", "_key" if wanted.unique else "_idx"
