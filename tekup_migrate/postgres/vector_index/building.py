"""Builds a vector index after the load, with the memory it needs, and tells how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.events import Listener, Progress, Ran
from tekup_migrate.postgres.catalog.event_triggers import read_event_triggers
from tekup_migrate.postgres.catalog.objects import Kind, ObjectKey
from tekup_migrate.postgres.catalog.reading import read_catalog
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant.applying import Created, Record, created
from tekup_migrate.postgres.transplant.event_triggers import refusing
from tekup_migrate.postgres.vector_index.recommendation import Recommendation

if TYPE_CHECKING:
    import asyncpg

POLL_SECONDS = 0.5

_PROGRESS = """
    SELECT p.phase, p.tuples_done, p.tuples_total, p.blocks_done, p.blocks_total
    FROM pg_stat_progress_create_index AS p
    WHERE p.pid = $1
"""

_INDEX = """
    SELECT i.indisvalid AS valid FROM pg_index AS i WHERE i.indexrelid = to_regclass($1::text)
"""


def _settings(recommendation: Recommendation) -> dict[str, str]:
    return {
        "maintenance_work_mem": f"{max(recommendation.maintenance_work_mem >> 10, 1024)}kB",
        "max_parallel_maintenance_workers": str(recommendation.parallel_workers),
    }


async def build(
    connection: asyncpg.Connection,
    recommendation: Recommendation,
    *,
    record: Record,
    listen: Listener,
    watcher: asyncpg.Connection | None = None,
    concurrently: bool = False,
) -> tuple[Created, ...]:
    """Build the recommended index and return its record; what stands complete already is left as it is.

    Args:
        connection: to the target; its settings are put back afterwards.
        recommendation: what to build.
        record: keeps what was created, before it can exist unrecorded.
        listen: takes the statement and progress in rows.
        watcher: a second connection to read the progress through; without it there is none.
        concurrently: let the table serve traffic meanwhile; a build that was cut off is removed and begun again.

    Raises:
        MigrationError: the build cannot fit, or Postgres refused it.
    """
    statement = recommendation.statement(concurrently=concurrently)
    if not statement:
        return ()
    _refuse_what_cannot_fit(recommendation)
    key = ObjectKey(Kind.INDEX, recommendation.column.relation_schema, recommendation.name)
    if await _stands(connection, key):
        return ()
    settings = _settings(recommendation)
    async with changed_settings(connection, settings):
        for name, value in settings.items():
            listen(Ran(kind="sql", text=f"SET {name} = '{value}'"))
        listen(Ran(kind="sql", text=statement))
        if concurrently:
            # It commits by itself; an unfinished index must be known as ours.
            record((Created(key, ""),))
            await _run(connection, statement, recommendation, listen, watcher)
            await _comment(connection, recommendation, listen)
            made = created(await read_catalog(connection), [key])
            record(made)
            return made
        async with connection.transaction():
            await _run(connection, statement, recommendation, listen, watcher)
            await _comment(connection, recommendation, listen)
            made = created(await read_catalog(connection), [key])
            record(made)
    return made


@asynccontextmanager
async def changed_settings(connection: asyncpg.Connection, settings: dict[str, str]) -> AsyncIterator[None]:
    """Set session settings and put the old values back, whatever happens."""
    old = {name: await connection.fetchval("SELECT current_setting($1, true)", name) for name in settings}
    try:
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, false)", name, value)
        yield
    finally:
        if not connection.is_closed():
            for name, value in old.items():
                if value is not None:
                    await connection.execute("SELECT set_config($1, $2, false)", name, value)


def _refuse_what_cannot_fit(recommendation: Recommendation) -> None:
    if recommendation.fits:
        return
    raise MigrationError(
        f"The index {recommendation.name} cannot be built in this server's memory",
        happened=recommendation.warning,
        unchanged="No index was built; searches scan all rows, which is exact but slow.",
        remedy="Choose hnsw, fewer lists, or no index; or a larger compute size for the time of the build.",
    )


async def _stands(connection: asyncpg.Connection, key: ObjectKey) -> bool:
    """Whether the index is there and complete; what a cut-off concurrent build left behind is dropped."""
    name = Relation(key.schema, key.name).sql
    valid = await connection.fetchval(_INDEX, name)
    if valid is False:
        await connection.execute(f"DROP INDEX {name}")
    return bool(valid)


async def _comment(connection: asyncpg.Connection, recommendation: Recommendation, listen: Listener) -> None:
    for sql in recommendation.statements()[1:]:
        await connection.execute(sql)
        listen(Ran(kind="sql", text=sql))


async def _run(
    connection: asyncpg.Connection,
    statement: str,
    recommendation: Recommendation,
    listen: Listener,
    watcher: asyncpg.Connection | None,
) -> None:
    import asyncpg

    triggers = await read_event_triggers(connection)
    watching = None
    if watcher is not None:
        pid = connection.get_server_pid()
        watching = asyncio.create_task(_watch(watcher, pid, recommendation, listen))
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        refused = refusing(error, triggers)
        raise MigrationError(
            f"The index {recommendation.name} could not be built",
            happened=refused.happened,
            unchanged="The rows are all there; searches scan them, which is exact but slow.",
            remedy=refused.remedy or "Choose another kind of index or other parameters, and build again.",
            details=statement,
        ) from error
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    rows = recommendation.column.rows
    listen(Progress(label=recommendation.name, done=rows, total=rows, unit="rows"))


async def _watch(watcher: asyncpg.Connection, pid: int, recommendation: Recommendation, listen: Listener) -> None:
    """Tell how many rows the build has put in; pgvector counts none for hnsw on older versions, then pages count."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        row = await watcher.fetchrow(_PROGRESS, pid)
        if row is None:
            continue
        if row["tuples_total"] or row["tuples_done"]:
            total = row["tuples_total"] or recommendation.column.rows
            listen(Progress(label=recommendation.name, done=row["tuples_done"], total=total, unit="rows"))
        elif row["blocks_total"]:
            listen(
                Progress(label=recommendation.name, done=row["blocks_done"], total=row["blocks_total"], unit="pages")
            )
