"""The target's transaction that one chunk is written in, with the table's own triggers silenced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tekup_migrate.postgres.foreign_keys import read_foreign_keys
from tekup_migrate.postgres.quoting import Relation, quote_ident
from tekup_migrate.postgres.referrers import Referrers

if TYPE_CHECKING:
    import asyncpg

_TRIGGERS = """
    SELECT t.tgname::text AS name, t.tgenabled::text AS enabled
    FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid = $1::text::regclass AND NOT t.tgisinternal AND t.tgenabled::text = ANY($2::text[])
    ORDER BY t.tgname
"""
_CHECKS_BY_TRIGGER = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint AS n
                   WHERE n.conrelid = $1::text::regclass AND n.contype IN ('p', 'u', 'x') AND n.condeferrable)
"""
_ROLLBACK_SECONDS = 10
_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@dataclass(frozen=True)
class WriteMode:
    """How rows get into a target table without waking what hangs on it.

    Attributes:
        relation: the table.
        replica: whether triggers are silenced by ``session_replication_role``: where our role may set it, and nothing
            but foreign keys is checked by them. Foreign keys sleep, too, then, and must be proved afterwards.
        loud: triggers that would fire nevertheless, with their ``tgenabled``.
        referrers: the foreign keys that point here.
    """

    relation: Relation
    replica: bool
    loud: tuple[tuple[str, str], ...]
    referrers: Referrers

    @property
    def replaces_by_update(self) -> bool:
        """Whether changed rows are updated in place: a foreign key that is awake lets no parent be deleted."""
        return bool(self.referrers.keys) and not self.replica

    @property
    def refers_to_itself(self) -> bool:
        """Whether a row may need another row of the same table, which may be in a later chunk."""
        return any(key.child == self.relation for key in self.referrers.keys)

    @property
    def silence(self) -> str:
        """Statements for the transaction's start."""
        return "".join(self._alter("DISABLE", name) for name, _ in self.loud)

    @property
    def wake(self) -> str:
        """Statements for the transaction's end: every trigger as it was."""
        if not self.loud:
            return ""
        # A table with constraint checks still to come cannot be altered.
        return "SET CONSTRAINTS ALL IMMEDIATE;" + "".join(
            self._alter(_ENABLE[enabled], name) for name, enabled in self.loud
        )

    def _alter(self, verb: str, name: str) -> str:
        return f"ALTER TABLE ONLY {self.relation.sql} {verb} TRIGGER {quote_ident(name)};"


async def read_write_mode(connection: asyncpg.Connection, relation: Relation) -> WriteMode:
    """Find out how the table's triggers can be silenced; changes nothing."""
    import asyncpg

    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
        # A deferrable unique or exclusion constraint is checked by a trigger as well, and would let anything in.
        replica = not await connection.fetchval(_CHECKS_BY_TRIGGER, relation.sql)
    except asyncpg.InsufficientPrivilegeError:
        replica = False
    firing = ["A", "R"] if replica else ["O", "A"]
    loud = await connection.fetch(_TRIGGERS, relation.sql, firing)
    pointing = [key for key in await read_foreign_keys(connection, [relation]) if key.parent == relation]
    return WriteMode(
        relation=relation,
        replica=replica,
        loud=tuple((row["name"], row["enabled"]) for row in loud),
        referrers=Referrers(relation, tuple(pointing)),
    )


class Writer:
    """Opens the transactions that write to one table; one at a time where its triggers must be altered."""

    def __init__(self, mode: WriteMode) -> None:
        self.mode = mode
        # ALTER TABLE locks out other writers until the commit: queueing here costs no server connection.
        self._turn = asyncio.Lock() if mode.loud else None

    @asynccontextmanager
    async def transaction(self, connection: asyncpg.Connection) -> AsyncIterator[None]:
        """Write inside this block; everything is rolled back when it ends with an error."""
        import asyncpg

        async with AsyncExitStack() as stack:
            if self._turn is not None:
                await stack.enter_async_context(self._turn)
            replica = "SET LOCAL session_replication_role = replica;" if self.mode.replica else ""
            await connection.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ;{replica}{self.mode.silence}")
            try:
                yield
                if self.mode.wake:
                    await connection.execute(self.mode.wake)
            except BaseException:
                # Where even this fails, or a server in trouble does not answer, the connection is dropped, and the
                # server rolls back.
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
                    async with asyncio.timeout(_ROLLBACK_SECONDS):
                        await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")
