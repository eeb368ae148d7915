"""Writes every kind of catalog object as SQL: the statements that make it, and its comments."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tekup_migrate.postgres.catalog.objects import (
    CatalogObject,
    CompositeType,
    Constraint,
    Domain,
    EnumType,
    EventTrigger,
    Extension,
    Function,
    Index,
    Kind,
    ObjectKey,
    PlainObject,
    PublicationTable,
    RangeType,
    RowPolicy,
    Rule,
    Schema,
    Sequence,
    StatisticsObject,
    Table,
    Trigger,
    View,
)
from tekup_migrate.postgres.ddl.naming import Naming, bare_name, sql_name
from tekup_migrate.postgres.ddl.tables import (
    column_settings,
    create_sequence,
    create_table,
    storage_parameters,
    table_settings,
)
from tekup_migrate.postgres.quoting import quote_ident, quote_idents, quote_literal
from tekup_migrate.postgres.sql_text.tokens import canonical, tokens

Identities = Mapping[tuple[str, str, str], Sequence]
"""Identity columns' sequences by schema, table and column."""

_STATES = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
"""How a trigger or rule that does not fire as usual is set to what it does, by the catalog's letter."""


def definition(item: CatalogObject, naming: Naming, identities: Identities) -> str:
    """Return the object's definition under its new name in a form that is equal when the objects are."""
    if isinstance(item, Index) and item.constraint:
        return f"index of {item.constraint}"
    return canonical(";\n".join(statements(item, naming, identities)))


def statements(item: CatalogObject, naming: Naming, identities: Identities) -> list[str]:
    """Return the statements that make an object, without its comments, grants and owner."""
    naming = naming.of(item)
    match item:
        case Table():
            mine = {c: s for (schema, table, c), s in identities.items() if (schema, table) == _place(item)}
            return [create_table(item, naming, mine), *table_settings(item, naming)]
        case Sequence():
            return [] if item.identity else [create_sequence(item, naming)]
        case View():
            return _view(item, naming)
        case Domain():
            return _domain(item, naming)
        case EnumType() | CompositeType() | RangeType() | Function() | Schema() | Extension():
            return [_of_schema(item, naming)]
        case PlainObject():
            return _plain(item, naming)
        case EventTrigger():
            return _event_trigger(item, naming)
        case _:
            return _attached(item, naming)


def _plain(item: PlainObject, naming: Naming) -> list[str]:
    word, name = keyword(item), bare_name(naming.key(item.key))
    create = f"CREATE {word} {name} {naming.printed(item.definition)}"
    return [create, *(f"ALTER {word} {name} {naming.printed(change)}" for change in item.changes)]


def _of_schema(item: CatalogObject, naming: Naming) -> str:
    """Return the one statement that makes something that is neither a relation nor hangs on one."""
    match item:
        case Function():
            return _function(item, naming)
        case Schema():
            return f"CREATE SCHEMA {quote_ident(item.key.name)}"
        case Extension():
            schema = naming.extensions.get(item.key.name, item.schema)
            return f"CREATE EXTENSION {quote_ident(item.key.name)} WITH SCHEMA {quote_ident(schema)}"
        case _:
            return _type(item, naming)


def comments(item: CatalogObject, naming: Naming) -> list[str]:
    """Return the COMMENT statements of an object and its columns."""
    key = naming.key(item.key)
    found = []
    if item.comment is not None:
        found.append(f"COMMENT ON {_subject(item, key)} IS {quote_literal(item.comment).strip()}")
    if isinstance(item, (Table, View, CompositeType)):
        for column in item.columns:
            if column.comment is not None:
                place = f"{sql_name(key)}.{quote_ident(column.name)}"
                found.append(f"COMMENT ON COLUMN {place} IS {quote_literal(column.comment).strip()}")
    if isinstance(item, Domain):
        for check in item.checks:
            if check.comment is not None:
                place = f"{quote_ident(check.name)} ON DOMAIN {sql_name(key)}"
                found.append(f"COMMENT ON CONSTRAINT {place} IS {quote_literal(check.comment).strip()}")
    return found


def keyword(item: CatalogObject) -> str:
    """Return the word by which COMMENT, ALTER and DROP know the kind of object."""
    if isinstance(item, Function):
        return "PROCEDURE" if item.procedure else "FUNCTION"
    words = {
        Kind.ENUM: "TYPE",
        Kind.COMPOSITE: "TYPE",
        Kind.RANGE: "TYPE",
        Kind.FOREIGN_KEY: "CONSTRAINT",
        Kind.STATISTICS: "STATISTICS",
    }
    return words.get(item.key.kind, item.key.kind.value.upper())


def _subject(item: CatalogObject, key: ObjectKey) -> str:
    if key.parent:
        parent = f"{quote_ident(key.schema)}.{quote_ident(key.parent)}"
        return f"{keyword(item)} {quote_ident(key.name)} ON {parent}"
    return f"{keyword(item)} {sql_name(key)}"


def _place(item: CatalogObject) -> tuple[str, str]:
    return item.key.schema, item.key.name


def _type(item: CatalogObject, naming: Naming) -> str:
    name = sql_name(naming.key(item.key))
    match item:
        case EnumType():
            labels = ", ".join(quote_literal(label).strip() for label in item.labels)
            return f"CREATE TYPE {name} AS ENUM ({labels})"
        case CompositeType():
            parts = [
                f"{quote_ident(c.name)} {naming.printed(c.type)}" + (f" COLLATE {c.collation}" if c.collation else "")
                for c in item.columns
            ]
            return f"CREATE TYPE {name} AS (\n    {(',' + chr(10) + '    ').join(parts)}\n)"
        case RangeType():
            return _range(item, naming, name)
        case _:
            raise TypeError(item)


def _domain(item: Domain, naming: Naming) -> list[str]:
    """Return a domain with its checks; one that was never proved for what was there can only be added afterwards."""
    name = sql_name(naming.key(item.key))
    parts = [f"CREATE DOMAIN {name} AS {naming.printed(item.base)}"]
    if item.collation:
        parts.append(f"COLLATE {item.collation}")
    if item.default is not None:
        parts.append(f"DEFAULT {naming.printed(item.default)}")
    if item.not_null:
        parts.append("NOT NULL")
    checks = [f"CONSTRAINT {quote_ident(c.name)} {naming.printed(c.definition)}" for c in item.checks]
    later = [check for check in checks if check.endswith(" NOT VALID")]
    parts += [check for check in checks if check not in later]
    return [" ".join(parts), *(f"ALTER DOMAIN {name} ADD {check}" for check in later)]


def _range(item: RangeType, naming: Naming, name: str) -> str:
    multirange = f"{quote_ident(naming.key(item.key).schema)}.{quote_ident(item.multirange)}"
    parts = [f"SUBTYPE = {naming.printed(item.subtype)}", f"MULTIRANGE_TYPE_NAME = {multirange}"]
    options = (("SUBTYPE_OPCLASS", item.opclass), ("COLLATION", item.collation), ("SUBTYPE_DIFF", item.difference))
    parts += [f"{word} = {naming.printed(value)}" for word, value in options if value]
    return f"CREATE TYPE {name} AS RANGE ({', '.join(parts)})"


def _view(item: View, naming: Naming) -> list[str]:
    name = sql_name(naming.key(item.key))
    query = naming.printed(item.query)
    if item.key.kind is Kind.MATERIALIZED_VIEW:
        create = f"CREATE MATERIALIZED VIEW {name}{storage_parameters(item.options)} AS\n{query}\nWITH NO DATA"
        return [create, *column_settings(f"ALTER MATERIALIZED VIEW {name}", item.columns)]
    found = [f"CREATE VIEW {name}{storage_parameters(item.options)} AS\n{query}"]
    for column in item.columns:
        if column.default is not None:
            place = f"ALTER VIEW {name} ALTER COLUMN {quote_ident(column.name)}"
            found.append(f"{place} SET DEFAULT {naming.printed(column.default)}")
    return found


def _function(item: Function, naming: Naming) -> str:
    key = naming.key(item.key)
    opening, _, rest = item.head.partition("(")
    words = " ".join(opening.split()[:2])
    head = f"{words} {quote_ident(key.schema)}.{quote_ident(key.name)}({naming.printed(rest)}"
    if not item.body:
        return head
    body = naming.written(item.body)
    delimiter = "$function$"
    while delimiter[:-1] in body:
        delimiter = delimiter[:-1] + "x$"
    return f"{head}AS {delimiter}{body}{delimiter}"


def _attached(item: CatalogObject, naming: Naming) -> list[str]:
    key = naming.key(item.key)
    match item:
        case Index():
            return _index(item, naming, key)
        case Constraint():
            table = f"{quote_ident(key.schema)}.{quote_ident(key.parent)}"
            add = f"ADD CONSTRAINT {quote_ident(key.name)} {_constraint(item, naming)}"
            return [f"ALTER TABLE {table} {add}"]
        case Trigger() | Rule():
            return _trigger(item, naming, key)
        case RowPolicy():
            return [policy(item, naming)]
        case StatisticsObject():
            tail = item.definition.partition(" (")[2] if " (" in item.definition.partition(" ON ")[0] else ""
            kinds_and_on = f" ({tail}" if tail else " ON " + item.definition.partition(" ON ")[2]
            found = [f"CREATE STATISTICS {sql_name(key)}{naming.printed(kinds_and_on)}"]
            if item.target is not None:
                found.append(f"ALTER STATISTICS {sql_name(key)} SET STATISTICS {item.target}")
            return found
        case PublicationTable():
            table = f"{quote_ident(key.schema)}.{quote_ident(key.parent)}"
            columns = f" ({quote_idents(item.columns)})" if item.columns else ""
            where = f" WHERE ({naming.printed(item.where)})" if item.where else ""
            return [f"ALTER PUBLICATION {quote_ident(key.name)} ADD TABLE ONLY {table}{columns}{where}"]
        case _:
            raise TypeError(item)


def _constraint(item: Constraint, naming: Naming) -> str:
    """Return a constraint's definition with its index's parameters, which the server leaves out."""
    text = naming.printed(item.definition)
    tail = re.search(r"(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?\Z", text)
    end = tail.start() if tail else len(text)
    return text[:end] + storage_parameters(item.options).replace("\n", " ") + text[end:]


def _index(item: Index, naming: Naming, key: ObjectKey) -> list[str]:
    found = []
    if not item.constraint:
        unique = "UNIQUE " if item.unique else ""
        found.append(f"CREATE {unique}INDEX {quote_ident(key.name)} ON {naming.printed(item.definition)}")
    found += [
        f"ALTER INDEX {sql_name(key)} ALTER COLUMN {column} SET STATISTICS {target}"
        for column, target in item.statistics
    ]
    return found


def _event_trigger(item: EventTrigger, naming: Naming) -> list[str]:
    name = quote_ident(item.key.name)
    tags = f" WHEN TAG IN ({', '.join(quote_literal(tag).strip() for tag in item.tags)})" if item.tags else ""
    function = naming.printed(item.function)
    found = [f"CREATE EVENT TRIGGER {name} ON {item.event}{tags} EXECUTE FUNCTION {function}"]
    return [*found, f"ALTER EVENT TRIGGER {name} {_STATES[item.enabled]}"] if item.enabled in _STATES else found


def _trigger(item: Trigger | Rule, naming: Naming, key: ObjectKey) -> list[str]:
    word = "TRIGGER" if isinstance(item, Trigger) else "RULE"
    found = [_named(naming.printed(item.definition), word, key.name)]
    state = _STATES.get(item.enabled)
    if state:
        table = f"{quote_ident(key.schema)}.{quote_ident(key.parent)}"
        found.append(f"ALTER TABLE {table} {state} {word} {quote_ident(key.name)}")
    return found


def _named(text: str, word: str, name: str) -> str:
    """Return a CREATE TRIGGER or CREATE RULE with another name: the first one after that word."""
    found = tokens(text)
    place = next(index for index, token in enumerate(found) if token.keyword == word)
    place = next(index for index in range(place + 1, len(found)) if not found[index].silent)
    parts = [token.text for token in found]
    if found[place].name != name:
        parts[place] = quote_ident(name)
    return "".join(parts)


def policy(item: RowPolicy, naming: Naming) -> str:
    """Return the CREATE POLICY statement."""
    key = naming.key(item.key)
    roles = ", ".join("PUBLIC" if role == "PUBLIC" else quote_ident(role) for role in item.roles)
    parts = [f"CREATE POLICY {quote_ident(key.name)} ON {quote_ident(key.schema)}.{quote_ident(key.parent)}"]
    if not item.permissive:
        parts.append("AS RESTRICTIVE")
    parts.append(f"FOR {item.command} TO {roles}")
    if item.using is not None:
        parts.append(f"USING ({naming.printed(item.using)})")
    if item.check is not None:
        parts.append(f"WITH CHECK ({naming.printed(item.check)})")
    return " ".join(parts)
