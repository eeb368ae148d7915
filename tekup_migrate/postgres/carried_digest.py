"""Digesting rows while they are copied, so that the source reads each of them once.

A COPY query returns rows and nothing besides. The sums that make up the digest are therefore kept in two settings of
the transaction, to which the query adds each row as it passes. A value that travels as the bytes of its type's ``send``
function is turned into them once: they are digested, and travel as ``bytea``, whose binary form is those very bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.digest import Digest, hash_of, mixed
from tekup_migrate.postgres.table import Column, Table

if TYPE_CHECKING:
    import asyncpg

_FIRST, _SECOND = "tekup_migrate.first_sum", "tekup_migrate.second_sum"


@dataclass(frozen=True)
class CarriedDigest:
    """Digests the rows of one table as a binary COPY reads them.

    Attributes:
        table: the table on the side that is read.
        names: every compared column, in the order both sides use.
        written: the columns that travel, in the order they are written in.
        hashed: whether by the servers' hash functions, as for ``RowDigests``.
    """

    table: Table
    names: tuple[str, ...]
    written: tuple[str, ...]
    hashed: bool

    async def begin(self, connection: asyncpg.Connection) -> None:
        """Start at nothing; the connection must be in the transaction that ``query`` is copied in."""
        await connection.execute(f"SET LOCAL {_FIRST} TO '0'; SET LOCAL {_SECOND} TO '0'")

    async def end(self, connection: asyncpg.Connection, rows: int) -> Digest:
        """Return the digest of the rows that were copied since ``begin``, of which COPY counted ``rows``."""
        (sums,) = await connection.fetch(f"SELECT {_current(_FIRST)}::numeric, {_current(_SECOND)}::numeric")
        return Digest.of_sums(rows, *sums)

    def query(self, where: str) -> str:
        """Return the query for a binary COPY of the rows that meet a condition."""
        columns = self.table.pick(self.names)
        places = {name: f"v{n}" for n, name in enumerate(self.names)}
        # One value for each column: with two, a wide table would have more than a query may return.
        read = ", ".join(f"{_read(column)} AS {places[column.name]}" for column in columns)
        values = ", ".join(_digested(column, places[column.name]) for column in columns)
        # OFFSET 0 keeps the planner from computing a value wherever it is used instead of once.
        return f"""
            SELECT {", ".join(places[name] for name in self.written)}
            FROM (SELECT *, {hash_of(f"ARRAY[{values}]::bytea[]", hashed=self.hashed)} AS digest
                  FROM (SELECT {read} FROM ONLY {self.table.relation.sql} WHERE {where} OFFSET 0) AS read
                  OFFSET 0) AS digested
            WHERE {_add("digest", _FIRST)} AND {_add(mixed("digest", hashed=self.hashed), _SECOND)}
        """


def _read(column: Column) -> str:
    return column.type.bytes_of(column.sql) if column.type.travels_as_sent else column.sql


def _digested(column: Column, value: str) -> str:
    return value if column.type.travels_as_sent else column.type.bytes_of(value)


def _current(setting: str) -> str:
    return f"pg_catalog.current_setting('{setting}')"


def _add(value: str, setting: str) -> str:
    """Return a condition that is always true and adds to a setting."""
    return f"pg_catalog.set_config('{setting}', ({_current(setting)}::numeric + {value})::text, true) IS NOT NULL"
