"""How far a pg_dump is, from what it says and from what the server says about its COPY commands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tekup_migrate.backup.source import SourceTable
from tekup_migrate.events import Listener, Progress

if TYPE_CHECKING:
    import asyncpg

_FINISHED = re.compile(r"finished item \d+ TABLE DATA (.*)\Z")
_LABEL = "pg_dump"


class DumpProgress:
    """Turns finished and running tables into bytes done; a table counts by its size on the source's disk."""

    def __init__(self, tables: tuple[SourceTable, ...], listen: Listener) -> None:
        self._tables = tables
        self._listen = listen
        self._rows = {table.oid: table.rows for table in tables}
        self._finished: Counter[str] = Counter()
        self._done = 0
        self._total = sum(table.bytes for table in tables)

    def counted(self, oid: int, rows: int) -> None:
        """Replace a table's estimated rows by the counted ones."""
        self._rows[oid] = rows

    def on_line(self, line: str) -> None:
        """Take a line of pg_dump's verbose output."""
        if match := _FINISHED.search(line):
            self._finished[match[1]] += 1
            self.show({})

    def complete(self) -> None:
        """Tell the listener that the dump is done; without parallel workers pg_dump names no finished table."""
        self._done = self._total
        self.show({})

    def show(self, copying: Mapping[int, int]) -> None:
        """Tell the listener how far the dump is; ``copying`` maps a table's OID to the rows it has sent."""
        left = self._finished.copy()
        done = 0
        for table in self._tables:
            # pg_dump names a finished table without its schema.
            if left[table.relation.name] > 0:
                left[table.relation.name] -= 1
                done += table.bytes
            elif table.oid in copying:
                done += table.bytes * min(copying[table.oid], self._rows[table.oid]) // max(self._rows[table.oid], 1)
        self._done = max(self._done, done)
        self._listen(Progress(label=_LABEL, done=self._done, total=self._total, unit="bytes"))


async def copying_now(connection: asyncpg.Connection) -> dict[int, int]:
    """Return what pg_dump's sessions are copying: table OID to rows sent so far."""
    # Inside a transaction the statistics views would answer the same for ever.
    await connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
    rows = await connection.fetch(_COPYING)
    return {row["relid"]: row["tuples"] for row in rows}


_COPYING = """
SELECT relid::bigint AS relid, tuples_processed AS tuples
FROM pg_catalog.pg_stat_progress_copy
WHERE datname = pg_catalog.current_database() AND command = 'COPY TO'
"""
