"""Finds what a function's body refers to, because Postgres records nothing about the inside of most bodies."""

from __future__ import annotations

from tekup_migrate.postgres.catalog.objects import RELATIONS, Function, Kind, ObjectKey
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.ddl.naming import search_path
from tekup_migrate.postgres.sql_text.names import Role, Text

_USUAL = frozenset(
    {"=", "<>", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "^", "|", "&", "#", "~", "||", "->", "->>", "#>",
     "#>>", "@>", "<@", "&&", "?", "@@", "~*", "!~", "!~*", "<<", ">>", "::", ":="}
)  # fmt: skip
"""Names that a body more likely means Postgres' own operators by, unless it says the schema."""


def mentioned(function: Function, catalog: Catalog) -> frozenset[ObjectKey]:
    """Return the tables, views, sequences, functions and operators of ``catalog`` that a function's body names.

    An unqualified name means the object of that name in the first schema of the function's path, else in any other.
    """
    if not function.body:
        return frozenset()
    found: set[ObjectKey] = set()
    for role, schema, name in _names(function.body, depth=0):
        found |= _resolve(role, schema, name, function, catalog)
    return frozenset((found - {function.key}) | _configurations(function, catalog) | _operators(function, catalog))


def _operators(function: Function, catalog: Catalog) -> set[ObjectKey]:
    """Return the operators that a body uses by a name of their own; most of what is called ``=`` is Postgres' own."""
    used = {token.text for token in Text(function.body, written=True).tokens if token.kind == "operator"} - _USUAL
    return {key for key in catalog.objects if key.kind is Kind.OPERATOR and key.name in used}


def _configurations(function: Function, catalog: Catalog) -> set[ObjectKey]:
    """Return the text search configurations that a body names in a string, as ``to_tsvector('danish', …)`` does."""
    strings = {token.text.strip("'") for token in Text(function.body, written=True).tokens if token.kind == "string"}
    named = (key for key in catalog.objects if key.kind is Kind.CONFIGURATION)
    return {key for key in named if {key.name, f"{key.schema}.{key.name}"} & strings}


def spoken(function: Function, catalog: Catalog) -> frozenset[ObjectKey]:
    """Return the tables and views whose names are string literals of a body, as ``format('%I', 'notes')`` has them.

    It may be mere chance; a function is rather taken along, and shown, than lost.
    """
    strings = {token.text.strip("'") for token in Text(function.body, written=True).tokens if token.kind == "string"}
    found = set()
    for name in strings:
        schema, _, bare = name.rpartition(".")
        for place in (schema,) if schema else search_path(function):
            relation = catalog.relation(place, bare)
            if relation is not None:
                found.add(relation.key)
    return frozenset(found)


def _names(text: str, *, depth: int) -> set[tuple[Role, str | None, str]]:
    parsed = Text(text, written=True)
    found = {
        (reference.role, reference.schema, reference.name)
        for reference in parsed.references()
        if reference.role is not Role.RELATION or reference.name not in parsed.aliases
    }
    if depth < 2:
        for token in parsed.tokens:
            if token.kind in ("string", "dollar"):
                found |= _names(token.text.strip("'").strip("$"), depth=depth + 1)
    return found


def _resolve(role: Role, schema: str | None, name: str, function: Function, catalog: Catalog) -> set[ObjectKey]:
    if role not in (Role.QUALIFIED, Role.RELATION, Role.CALL):
        return set()
    schemas = [schema] if schema is not None else [*search_path(function), *_other_schemas(catalog)]
    for place in schemas:
        found = set(catalog.functions_named(place, name)) if role is not Role.RELATION else set()
        relation = catalog.relation(place, name)
        if relation is not None and role is not Role.CALL and relation.key.kind in RELATIONS:
            found.add(relation.key)
        if found:
            return found
    return set()


def _other_schemas(catalog: Catalog) -> list[str]:
    return sorted((key.name for key in catalog.objects if key.kind is Kind.SCHEMA), key=lambda name: name != "public")
