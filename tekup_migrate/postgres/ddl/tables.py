"""Writes tables and sequences as SQL."""

from __future__ import annotations

from collections.abc import Iterable

from tekup_migrate.postgres.catalog.objects import Column, Sequence, SequenceOptions, Table, View
from tekup_migrate.postgres.ddl.naming import Naming
from tekup_migrate.postgres.quoting import quote_ident, quote_literal

_IDENTITY = {"a": "ALWAYS", "d": "BY DEFAULT"}


def create_table(table: Table, naming: Naming, identity: dict[str, Sequence]) -> str:
    """Return the CREATE TABLE statement; ``identity`` holds the sequences of identity columns by column name."""
    schema, name = naming.relation(table.key.schema, table.key.name)
    lines = [_column(column, naming, identity.get(column.name)) for column in table.columns]
    unlogged = "UNLOGGED " if table.persistence == "u" else ""
    inner = ",\n    ".join(lines)
    body = f"(\n    {inner}\n)" if lines else "()"
    method = f"\nUSING {quote_ident(table.access_method)}" if table.access_method not in ("", "heap") else ""
    return f"CREATE {unlogged}TABLE {_qualified(schema, name)} {body}{method}{storage_parameters(table.options)}"


def table_settings(table: Table, naming: Naming) -> list[str]:
    """Return the statements for what CREATE TABLE cannot say: storage, compression, statistics, row security."""
    schema, name = naming.relation(table.key.schema, table.key.name)
    alter = f"ALTER TABLE {_qualified(schema, name)}"
    found = column_settings(alter, table.columns)
    if table.row_security:
        found.append(f"{alter} ENABLE ROW LEVEL SECURITY")
    if table.row_security_forced:
        found.append(f"{alter} FORCE ROW LEVEL SECURITY")
    identities = {"n": "NOTHING", "f": "FULL"}
    if table.replica_identity in identities:
        found.append(f"{alter} REPLICA IDENTITY {identities[table.replica_identity]}")
    return found


def index_choices(table: Table | View, naming: Naming) -> list[tuple[str, str]]:
    """Return index names of the source with the statements that may run once the index exists."""
    schema, name = naming.relation(table.key.schema, table.key.name)
    word = "MATERIALIZED VIEW" if isinstance(table, View) else "TABLE"
    alter = f"ALTER {word} {_qualified(schema, name)}"
    found = []
    if isinstance(table, Table) and table.replica_identity == "i" and table.replica_index:
        index = naming.relation(table.key.schema, table.replica_index)[1]
        found.append((table.replica_index, f"{alter} REPLICA IDENTITY USING INDEX {quote_ident(index)}"))
    if table.clustered_index:
        index = naming.relation(table.key.schema, table.clustered_index)[1]
        found.append((table.clustered_index, f"{alter} CLUSTER ON {quote_ident(index)}"))
    return found


def column_settings(alter: str, columns: Iterable[Column]) -> list[str]:
    """Return what is set column by column after the relation exists."""
    found = []
    for column in columns:
        change = f"{alter} ALTER COLUMN {quote_ident(column.name)}"
        if column.storage:
            found.append(f"{change} SET STORAGE {column.storage}")
        if column.compression:
            found.append(f"{change} SET COMPRESSION {column.compression}")
        if column.statistics is not None:
            found.append(f"{change} SET STATISTICS {column.statistics}")
        if column.not_null_state == "v":
            found.append(f"{alter} ADD {_not_null_name(column)}NOT NULL {quote_ident(column.name)} NOT VALID")
        if column.options:
            found.append(f"{change} SET ({', '.join(_parameter(option) for option in column.options)})")
    return found


def storage_parameters(options: tuple[str, ...]) -> str:
    """Return the WITH clause of a table or view, or nothing."""
    return f"\nWITH ({', '.join(_parameter(option) for option in options)})" if options else ""


def create_sequence(sequence: Sequence, naming: Naming) -> str:
    """Return the CREATE SEQUENCE statement of a sequence that is not an identity column's."""
    schema, name = naming.relation(sequence.key.schema, sequence.key.name)
    unlogged = "UNLOGGED " if sequence.persistence == "u" else ""
    type_ = f" AS {sequence.options.type}" if sequence.options.type != "bigint" else ""
    return f"CREATE {unlogged}SEQUENCE {_qualified(schema, name)}{type_} {_options(sequence.options)}"


def own_sequence(sequence: Sequence, naming: Naming) -> str | None:
    """Return the statement that ties a sequence to its column, or None where it stands alone."""
    if sequence.owned_by is None or sequence.identity:
        return None
    table_schema, table, column = sequence.owned_by
    schema, name = naming.relation(sequence.key.schema, sequence.key.name)
    owner = f"{_qualified(*naming.relation(table_schema, table))}.{quote_ident(column)}"
    return f"ALTER SEQUENCE {_qualified(schema, name)} OWNED BY {owner}"


def _column(column: Column, naming: Naming, identity: Sequence | None) -> str:
    parts = [quote_ident(column.name), naming.printed(column.type)]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        stored = "STORED" if column.generated == "s" else "VIRTUAL"
        parts.append(f"GENERATED ALWAYS AS ({naming.printed(column.default or '')}) {stored}")
    elif column.identity:
        options = ""
        if identity is not None:
            schema, name = naming.relation(identity.key.schema, identity.key.name)
            options = f" (SEQUENCE NAME {_qualified(schema, name)} {_options(identity.options)})"
        parts.append(f"GENERATED {_IDENTITY[column.identity]} AS IDENTITY{options}")
    elif column.default is not None:
        parts.append(f"DEFAULT {naming.printed(column.default)}")
    if column.not_null and column.not_null_state != "v":
        parts.append(f"{_not_null_name(column)}NOT NULL" + " NO INHERIT" * (column.not_null_state == "i"))
    return " ".join(parts)


def _not_null_name(column: Column) -> str:
    return f"CONSTRAINT {quote_ident(column.not_null_name)} " if column.not_null_name else ""


def _options(options: SequenceOptions) -> str:
    cycle = "CYCLE" if options.cycle else "NO CYCLE"
    return (
        f"START WITH {options.start} INCREMENT BY {options.increment} MINVALUE {options.minimum}"
        f" MAXVALUE {options.maximum} CACHE {options.cache} {cycle}"
    )


def _parameter(option: str) -> str:
    """Write ``name=value`` of ``reloptions`` so that any value survives; a name may have the prefix ``toast.``."""
    name, _, value = option.partition("=")
    quoted = ".".join(quote_ident(part) for part in name.split("."))
    return f"{quoted} = {quote_literal(value).strip()}"


def _qualified(schema: str, name: str) -> str:
    return f"{quote_ident(schema)}.{quote_ident(name)}"
