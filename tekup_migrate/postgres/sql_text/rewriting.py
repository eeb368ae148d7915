"""Makes text that refers to things by their old names refer to them by their new ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.sql_text.constants import cut, of_trigger, pasted, regular_type, renamed_value
from tekup_migrate.postgres.sql_text.names import Reference, Role, Text
from tekup_migrate.postgres.sql_text.tokens import Token

Name = tuple[str, str]
"""A schema and a name in it."""

_SIMPLE = re.compile(r"[a-z][a-z0-9]*_[a-z0-9_$]*\Z")
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
        home: the schema in which the text looks for unqualified names first.
        strings: whether string constants that say an old name follow where only a person can know that they mean it.
    """

    relations: Mapping[Name, Name] = field(default_factory=dict)
    types: Mapping[Name, Name] = field(default_factory=dict)
    functions: Mapping[Name, Name] = field(default_factory=dict)
    members: Mapping[Name, Name] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    strings: bool = False
    kept: frozenset[Name] = frozenset()
    home: str = ""

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

    def bare(self, reference: Reference) -> Name | None:
        """Return the new name of something that stands unqualified in a text, or None when it keeps its own."""
        names = {
            Role.RELATION: self.relations,
            Role.PREFIX: self.relations,
            Role.TYPE: {**self.relations, **self.types},
            Role.CALL: self.functions,
        }.get(reference.role, {})
        return next((new for (_, old), new in names.items() if old == reference.name), None)


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
            parts[last] = _like(parsed.tokens[last], new_name)
        return
    if reference.schema is not None:
        new = renames.qualified((reference.schema, reference.name), called=reference.called)
        if new is not None:
            parts[first] = _like(parsed.tokens[first], new[0])
            if parsed.tokens[last].kind != "operator":
                parts[last] = _like(parsed.tokens[last], new[1])
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
    new = renames.bare(reference)
    if new is None or _means_another(reference, parsed, renames):
        return
    token = parsed.tokens[reference.first]
    old_schema = next((s for (s, n) in _all(renames) if n == reference.name), new[0])
    text = _like(token, new[1])
    if written and new[0] != old_schema and reference.role is not Role.PREFIX:
        text = f"{quote_ident(new[0])}.{text}"
    parts[reference.first] = text


def _means_another(reference: Reference, parsed: Text, renames: Renames) -> bool:
    """Whether an unqualified name is that of a like-named relation in another schema, which keeps its name."""
    others = {schema for schema, name in renames.kept if name == reference.name}
    if not others or reference.role not in (Role.RELATION, Role.PREFIX):
        return False
    named = parsed.unaliased(reference.name) if reference.role is Role.PREFIX else frozenset()
    return named <= others if named else renames.home in others


def _all(renames: Renames) -> tuple[Name, ...]:
    return (*renames.relations, *renames.types, *renames.functions)


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


def _like(token: Token, name: str) -> str:
    """Return ``name`` unquoted where the token was and where it is safe: with an underscore few words are reserved."""
    if token.name == name:
        return token.text
    if token.kind == "word" and _SIMPLE.match(name) and name not in _UNDERSCORED_KEYWORDS:
        return name
    return quote_ident(name)


_UNDERSCORED_KEYWORDS = frozenset(
    {"current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
     "current_user", "session_user", "system_user"}
)  # fmt: skip
"""Every reserved word of Postgres 18 that has an underscore (appendix C of its manual)."""
