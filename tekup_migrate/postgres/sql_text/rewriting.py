"""Makes text that refers to things by their old names refer to them by their new ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.sql_text.constants import cut, of_trigger, pasted, regular_type, renamed_value
from tekup_migrate.postgres.sql_text.keywords import is_plain
from tekup_migrate.postgres.sql_text.names import Reference, Role, Text
from tekup_migrate.postgres.sql_text.tokens import Token

Name = tuple[str, str]
"""A schema and a name in it."""

_AS_SQL = {"regclass": ("FROM ", ""), "regtype": ("x::", ""), "regproc": ("", "()"), "regprocedure": ("", "")}
"""What makes a text that is read as a ``reg`` type a piece of SQL in which the name's place tells what it is."""


@dataclass(frozen=True)
class Renames:
    """What is called differently in the target.

    Attributes:
        relations: tables, views, sequences, indexes and row types.
        types: enums, domains, composite and range types.
        functions: functions and procedures, all of one name alike.
        members: what extensions brought, where they live in another schema.
        constraints: names of constraints, for ``ON CONFLICT ON CONSTRAINT``.
        kept: relations that keep their names, though one of the same name in another schema does not.
        path: the schemas in which the text looks for unqualified names, in order.
        strings: whether string constants that say an old name follow where only a person can know that they mean it.
    """

    relations: Mapping[Name, Name] = field(default_factory=dict)
    types: Mapping[Name, Name] = field(default_factory=dict)
    functions: Mapping[Name, Name] = field(default_factory=dict)
    members: Mapping[Name, Name] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    strings: bool = False
    kept: frozenset[Name] = frozenset()
    path: tuple[str, ...] = ()

    @cached_property
    def names(self) -> dict[str, str]:
        """Every changed name by the old one, without its schema."""
        spaces = (self.functions, self.types, self.relations)
        pairs = ((old[1], new[1]) for space in spaces for old, new in space.items())
        return {old: new for old, new in (*self.constraints.items(), *pairs) if old != new}

    def qualified(self, name: Name, *, called: bool) -> Name | None:
        """Return the new name of something that stands qualified in a text, or None when it keeps its own."""
        order = (self.functions, self.members, self.relations, self.types)
        if not called:
            order = (self.relations, self.types, self.members, self.functions)
        return next((names[name] for names in order if name in names), None)

    def bare(self, reference: Reference) -> dict[str, Name]:
        """Return the new names, by the old schema, of what an unqualified name in a text may mean."""
        names = {
            Role.RELATION: self.relations,
            Role.PREFIX: self.relations,
            Role.TYPE: {**self.relations, **self.types},
            Role.CALL: self.functions,
        }.get(reference.role, {})
        return {schema: new for (schema, old), new in names.items() if old == reference.name}


def rewrite_printed(text: str, renames: Renames) -> str:
    """Rewrite text that the server printed under an empty ``search_path``."""
    return _rewrite(text, renames, written=False)


def rewrite_written(text: str, renames: Renames) -> str:
    """Rewrite a body that a person wrote; the difference is for the operator to confirm."""
    return _rewrite(text, renames, written=True)


def leftovers(text: str, renames: Renames) -> tuple[str, ...]:
    """Return the lines of a rewritten body that still hold an old name as a word, in code, string or comment.

    Where a table gets into another schema, they include those that ask in which one a trigger's table is.
    """
    old = {name for names in (renames.relations, renames.types, renames.functions) for _, name in names}
    if any(before[0] != after[0] for before, after in renames.relations.items()):
        old.add("TG_TABLE_SCHEMA")
    if not old:
        return ()
    pattern = re.compile(r"(?<![\w$])(?:" + "|".join(map(re.escape, sorted(old))) + r")(?![\w$])", re.IGNORECASE)
    return tuple(line.strip() for line in text.splitlines() if pattern.search(line))


def _rewrite(text: str, renames: Renames, *, written: bool) -> str:
    parsed = Text(text, written=written)
    parts = [token.text for token in parsed.tokens]
    _rewrite_strings(parsed.tokens, parts, renames, written=written)
    for reference in parsed.references():
        _apply(reference, parsed, parts, renames, written=written)
    return "".join(parts)


def _apply(reference: Reference, parsed: Text, parts: list[str], renames: Renames, *, written: bool) -> None:
    first, last = reference.first, reference.last
    if reference.role is Role.CONSTRAINT:
        new_name = renames.constraints.get(reference.name)
        if new_name is not None:
            parts[last] = _like(parsed.tokens[last], new_name, written=written)
        return
    if reference.schema is not None:
        new = renames.qualified((reference.schema, reference.name), called=reference.called)
        if new is not None:
            parts[first] = _like(parsed.tokens[first], new[0], written=written)
            if parsed.tokens[last].kind != "operator":
                parts[last] = _like(parsed.tokens[last], new[1], written=written)
            return
        # Not a schema: a relation's name before a column's.
        prefix = Reference(Role.PREFIX, None, reference.schema, first, first)
        _rename_bare(prefix, parsed, parts, renames, written=written)
        return
    _rename_bare(reference, parsed, parts, renames, written=written)


def _rename_bare(reference: Reference, parsed: Text, parts: list[str], renames: Renames, *, written: bool) -> None:
    """Rename an unqualified name, unless the text itself gave that name to something else."""
    if reference.role in (Role.RELATION, Role.PREFIX) and reference.name in parsed.aliases:
        return
    changed = renames.bare(reference)
    schema = _schema_of(reference, parsed, renames, changed) if changed else ""
    if schema not in changed:
        return
    new = changed[schema]
    text = _like(parsed.tokens[reference.first], new[1], written=written)
    if written and new[0] != schema and reference.role is not Role.PREFIX:
        text = f"{quote_ident(new[0])}.{text}"
    parts[reference.first] = text


def _schema_of(reference: Reference, parsed: Text, renames: Renames, changed: Mapping[str, Name]) -> str:
    """Return the schema of what an unqualified name means: what its query has by it, else the first on the path.

    There may be like-named relations in other schemas, which keep their names or get others.
    """
    relation = reference.role in (Role.RELATION, Role.PREFIX)
    known = {*changed, *(schema for schema, name in renames.kept if relation and name == reference.name)}
    if len(known) > 1 and reference.role is Role.PREFIX:
        named = parsed.unaliased(reference.name, reference.first) & known
        if named:
            return min(named)
    return next((schema for schema in renames.path if schema in known), next(iter(changed)))


def _rewrite_strings(found: list[Token], parts: list[str], renames: Renames, *, written: bool) -> None:
    """Rewrite names in string literals: what is read as a ``reg`` type, and SQL that a body runs dynamically."""
    for index, token in enumerate(found):
        string = cut(token)
        if string is None:
            continue
        opening, value, closing = string
        kind = regular_type(found, index, written=written)
        if kind:
            before, after = _AS_SQL[kind]
            whole = _rewrite(before + value + after, renames, written=True)
            new = whole[len(before) : len(whole) - len(after)]
        elif written and of_trigger(found, index):
            new = renames.names.get(value, value)
        elif written or renames.strings:
            new = _rewrite(value, renames, written=True)
            new = renamed_value(value, renames.names) if renames.strings and new == value else new
        else:
            continue
        if new != value and (closing == "'" or closing not in new):
            parts[index] = pasted(opening, new, closing)


def _like(token: Token, name: str, *, written: bool) -> str:
    """Return ``name`` as the server prints it, or as a person wrote it who put the old one into quotes."""
    if token.name == name:
        return token.text
    plain = is_plain(name) and (token.kind == "word" or not written)
    return name if plain else quote_ident(name)
