"""How far a pg_dump or a pg_restore is, from what it says and from what the server says about its COPY commands."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.backup.manifest import TableContent
from tekup_migrate.backup.source import SourceTable
from tekup_migrate.events import Listener, Progress
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

COPY_OUT, COPY_IN = "COPY TO", "COPY FROM"

_FINISHED = re.compile(r"finished item \d+ TABLE DATA (.*)\Z")
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class _Share:
    """A table's share of the whole: its size on the source's disk, and its rows as far as they are known."""

    relation: Relation
    rows: int
    bytes: int


class TableProgress:
    """Turns finished and running tables into bytes done; a table counts by its size on the source's disk."""

    def __init__(self, label: str, shares: Iterable[_Share], listen: Listener) -> None:
        self._label = label
        self._shares = {share.relation: share for share in shares}
        self._rows = {relation: share.rows for relation, share in self._shares.items()}
        self._listen = listen
        self._finished: Counter[str] = Counter()
        self._done = 0
        self._total = sum(share.bytes for share in self._shares.values())

    @classmethod
    def of_dump(cls, tables: Iterable[SourceTable], listen: Listener) -> TableProgress:
        """Return the progress of a pg_dump of these tables."""
        return cls("pg_dump", (_Share(each.relation, each.rows, each.bytes) for each in tables), listen)

    @classmethod
    def of_restore(cls, tables: Iterable[TableContent], listen: Listener) -> TableProgress:
        """Return the progress of a pg_restore of these tables."""
        shares = (_Share(Relation(each.schema, each.name), each.rows, each.bytes) for each in tables)
        return cls("pg_restore", shares, listen)

    def counted(self, relation: Relation, rows: int) -> None:
        """Replace a table's estimated rows by the counted ones."""
        self._rows[relation] = rows

    def on_line(self, line: str) -> None:
        """Take a line of the program's verbose output."""
        if match := _FINISHED.search(line):
            self._finished[match[1]] += 1
            self.show({})

    def finished(self, relation: Relation) -> None:
        """Count a table as done."""
        self._finished[relation.name] += 1
        self.show({})

    def complete(self) -> None:
        """Tell the listener that all is done; without parallel workers the programs name no finished table."""
        self._done = self._total
        self.show({})

    def show(self, copying: Mapping[Relation, int]) -> None:
        """Tell the listener how far it is; ``copying`` maps a table to the rows that were sent of it."""
        left = self._finished.copy()
        done = 0
        for relation, share in self._shares.items():
            # The programs name a finished table without its schema.
            if left[relation.name] > 0:
                left[relation.name] -= 1
                done += share.bytes
            elif relation in copying:
                rows = self._rows[relation]
                done += share.bytes * min(copying[relation], rows) // max(rows, 1)
        self._done = max(self._done, done)
        self._listen(Progress(label=self._label, done=self._done, total=self._total, unit="bytes"))

    async def watch(self, connection: asyncpg.Connection, command: str, ended: asyncio.Event) -> None:
        """Look at the server again and again until ``ended``; ``command`` is ``COPY_OUT`` or ``COPY_IN``."""
        while not ended.is_set():
            self.show(await copying_now(connection, command))
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _POLL_SECONDS)


async def copying_now(connection: asyncpg.Connection, command: str) -> dict[Relation, int]:
    """Return the tables that sessions on this database are copying, with the rows sent so far."""
    # Inside a transaction the statistics views would answer the same for ever.
    await connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
    rows = await connection.fetch(_COPYING, command)
    return {Relation(row["schema"], row["name"]): row["tuples"] for row in rows}


_COPYING = """
SELECT n.nspname::text AS schema, c.relname::text AS name, p.tuples_processed AS tuples
FROM pg_catalog.pg_stat_progress_copy p
JOIN pg_catalog.pg_class c ON c.oid = p.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.datname = pg_catalog.current_database() AND p.command = $1
"""
