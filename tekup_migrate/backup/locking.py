"""Locks tables that are about to be replaced, and makes sure that no row was written since they were counted."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Protocol

from tekup_migrate.postgres.quoting import Relation, quote_literal


class Counted(Protocol):
    """A table's rows as they were counted in a snapshot; ``rows_now`` is None where it does not exist."""

    @property
    def relation(self) -> Relation:
        """The table."""

    @property
    def rows_now(self) -> int | None:
        """How many rows it had."""

    @property
    def rows_then(self) -> int | None:
        """How many rows will replace them; None where it stays."""

    @property
    def snapshot(self) -> str:
        """The server's snapshot in which they were counted."""


_WAITING = "SET LOCAL statement_timeout = 0;\nSET LOCAL lock_timeout = '1min';\n"
"""Counting may take longer than a role's own limit; whoever waits behind our wait for a lock should not wait long."""


def nothing_written_since(counted: Iterable[Counted]) -> str:
    """Return SQL that locks the tables to be replaced until the transaction ends, and fails if a row was written since.

    A row may have been written since when its transaction's number is not below all that ran in the snapshot: a
    part of a transaction (a savepoint) has a higher number than the whole, and the snapshot does not name it. Where
    there is no such row and the number of rows is the same, none was deleted either. It reads each row's head only.
    """
    replaced = [each for each in counted if each.rows_then is not None]
    if not replaced:
        return ""
    there = [each for each in replaced if each.rows_now is not None]
    tables = ", ".join(each.relation.sql for each in there)
    lock = f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;\n" if there else ""
    checks = "\n".join(_failing_if(_written(each) if each in there else _created(each), each) for each in replaced)
    # A quote that no table's name can end.
    quote = f"$check_{secrets.token_hex(8)}$"
    return f"{_WAITING}{lock}DO {quote} BEGIN\n{checks}\nEND {quote};\n"


def _failing_if(condition: str, table: Counted) -> str:
    message = (
        f"{table.relation} was, or may have been, written to after its rows were counted:"
        " stop whatever writes to the database, end transactions that stay open, then try again"
    )
    return f"IF {condition}\nTHEN RAISE EXCEPTION USING MESSAGE = {quote_literal(message)}; END IF;"


def _written(table: Counted) -> str:
    # A row carries the lower half of its transaction's number; those below 3 stand for "long ago".
    number = "r.now - ((r.now - t.xmin::text::bigint) & 4294967295)"
    oldest = f"pg_catalog.pg_snapshot_xmin({quote_literal(table.snapshot)}::pg_catalog.pg_snapshot)::text::bigint"
    new = f"t.xmin::text::bigint > 2 AND {number} >= {oldest}"
    return (
        f"(SELECT count(*) <> {table.rows_now} OR count(*) FILTER (WHERE {new}) > 0\n"
        f"    FROM ONLY {table.relation.sql} AS t, (SELECT pg_catalog.pg_snapshot_xmax(\n"
        f"        pg_catalog.pg_current_snapshot())::text::bigint AS now) AS r)"
    )


def _created(table: Counted) -> str:
    """Return whether a table that was not there is there by now: it would be dropped uncounted."""
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        f"    WHERE n.nspname = {quote_literal(table.relation.schema)} AND c.relkind = 'r'\n"
        f"      AND c.relname = {quote_literal(table.relation.name)})"
    )
