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


def nothing_written_since(counted: Iterable[Counted]) -> str:
    """Return SQL that locks the tables to be replaced until the transaction ends, and fails if a row was written since.

    A row was written since when the transaction that made it was not over in the snapshot; where there is none and
    the number of rows is the same, none was deleted either. It reads each row's head only.
    """
    replaced = [each for each in counted if each.rows_now is not None and each.rows_then is not None]
    if not replaced:
        return ""
    tables = ", ".join(each.relation.sql for each in replaced)
    checks = "\n".join(map(_check, replaced))
    # A quote that no table's name can end.
    quote = f"$check_{secrets.token_hex(8)}$"
    return f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;\nDO {quote} BEGIN\n{checks}\nEND {quote};\n"


def _check(table: Counted) -> str:
    # A row carries the lower half of its transaction's number; those below 3 stand for "long ago".
    number = "(r.now - ((r.now - t.xmin::text::bigint) & 4294967295))::text::pg_catalog.xid8"
    snapshot = f"{quote_literal(table.snapshot)}::pg_catalog.pg_snapshot"
    new = f"t.xmin::text::bigint > 2 AND NOT pg_catalog.pg_visible_in_snapshot({number}, {snapshot})"
    message = f"{table.relation} was written to after its rows were counted: stop whatever writes to it, then try again"
    return (
        f"IF (SELECT count(*) <> {table.rows_now} OR count(*) FILTER (WHERE {new}) > 0\n"
        f"    FROM ONLY {table.relation.sql} AS t, (SELECT pg_catalog.pg_snapshot_xmax(\n"
        f"        pg_catalog.pg_current_snapshot())::text::bigint AS now) AS r)\n"
        f"THEN RAISE EXCEPTION USING MESSAGE = {quote_literal(message)}; END IF;"
    )
